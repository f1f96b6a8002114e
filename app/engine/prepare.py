"""Makes the request of a call: its parts are bound at start-up, so that a request only fills in values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any

from app.catalog.schema import CallSpec, Forward, Scalar, Upstream
from app.core.call import Call, Headers, Reading, Record
from app.core.context import Context
from app.core.data import canonical
from app.core.scope import Scope
from app.engine.forwarding import forwarded_headers, forwarded_query
from app.engine.plan import Prepare
from app.expressions.bind import Binder, form_binder, header_binder, path_binder, query_binder, urlencode
from app.expressions.tree import Tree, parse_tree
from app.upstream.graphql import graphql_body

Body = Callable[[Scope], bytes | None]
_JSON: Headers = (("content-type", "application/json"),)
_FORM: Headers = (("content-type", "application/x-www-form-urlencoded"),)


def method_of(spec: CallSpec, endpoint_method: str) -> str:
    """GET, or the endpoint's where the call has a body (POST for a GET endpoint)."""
    if spec.method is not None:
        return spec.method
    if not (spec.has_body or spec.form is not None or spec.graphql is not None):
        return "GET"
    return "POST" if spec.graphql is not None or endpoint_method == "GET" else endpoint_method


def source_of(upstream: Upstream) -> str:
    """A digest of who answers and as whom we ask: an upstream's name means the same within one catalog only."""
    auth = upstream.auth.model_dump(mode="json") if upstream.auth is not None else None
    return blake2b(canonical([upstream.origins, upstream.python, auth]), digest_size=8).hexdigest()


def prepare_http(name: str, spec: CallSpec, upstream: Upstream, method: str) -> tuple[Prepare, list[Binder[Any] | Tree]]:
    """The maker of an HTTP call's requests, and all that it reads of the scope."""
    path = path_binder(spec.path if spec.path is not None else "/graphql")
    query = _QueryMaker(upstream.query, spec.query, spec.forward)
    body, content_type, read = _body_of(spec)
    headers = _HeaderMaker(upstream.headers, spec.headers, spec.forward, content_type)
    reading = Reading(spec.decode, spec.max_body, frozenset(spec.null_on), spec.graphql is not None, source_of(upstream))

    def prepare(scope: Scope, context: Context, record: Record, deadline: float) -> Call:
        return Call(
            name, spec.upstream, method, path(scope) + query(scope, context), headers(scope, context),
            body(scope) if body is not None else None, None, deadline, reading, context, record,
        )  # fmt: skip

    return prepare, [path, *query.reads, *headers.reads, *read]


def prepare_python(name: str, spec: CallSpec, upstream: Upstream) -> tuple[Prepare, list[Binder[Any] | Tree]]:
    """The maker of a Python upstream's calls: its keyword arguments."""
    args = parse_tree(spec.args or {})
    reading = Reading(spec.decode, spec.max_body, source=source_of(upstream))

    def prepare(scope: Scope, context: Context, record: Record, deadline: float) -> Call:
        return Call(name, spec.upstream, "CALL", "", (), None, args.value(scope), deadline, reading, context, record)

    return prepare, [args]


def _body_of(spec: CallSpec) -> tuple[Body | None, Headers, list[Binder[Any] | Tree]]:
    if spec.graphql is not None:
        return _graphql(spec.graphql, parse_tree(spec.variables or {}))
    if spec.form is not None:
        form = form_binder(spec.form)
        return form, _FORM, [form]
    if spec.has_body:
        tree = parse_tree(spec.body)
        return _json_body(tree), _JSON, [tree]
    return None, (), []


def _graphql(query: str, variables: Tree) -> tuple[Body, Headers, list[Binder[Any] | Tree]]:
    return lambda scope: graphql_body(query, variables.value(scope)), _JSON, [variables]


def _json_body(tree: Tree) -> Body:
    """A body that hands the client's on is none where the client sent none."""
    if tree.lone == "body":
        return lambda scope: None if dict.get(scope, "body") is None else tree.data(scope).raw
    return lambda scope: tree.data(scope).raw


class _QueryMaker:
    """The query text of a call: the upstream's entries < forwarded ones < the call's own, by name."""

    __slots__ = ("_fixed", "_forward", "_own", "_upstream", "reads")

    def __init__(self, upstream: Mapping[str, Any], own: Mapping[str, Any], forward: Forward) -> None:
        self._upstream = query_binder(upstream)
        self._own = query_binder(own)
        self._forward = forward.query
        self.reads: list[Binder[Any] | Tree] = [self._upstream, self._own]
        constant = not forward.query and self._upstream.constant is not None and self._own.constant is not None
        self._fixed = _query_text(_laid_over(self._upstream.constant or [], self._own.constant or [])) if constant else None

    def __call__(self, scope: Scope, context: Context) -> str:
        if self._fixed is not None:
            return self._fixed
        pairs: Iterable[tuple[str, str]] = self._upstream(scope)
        if self._forward:
            pairs = _laid_over(pairs, forwarded_query(self._forward, context))
        return _query_text(_laid_over(pairs, self._own(scope)))


class _HeaderMaker:
    """The headers of a call: the upstream's < forwarded ones < the call's own, by name; the content type where none says another."""

    __slots__ = ("_content_type", "_fixed", "_forward", "_own", "_upstream", "reads")

    def __init__(self, upstream: Mapping[str, Scalar], own: Mapping[str, Scalar], forward: Forward, content_type: Headers) -> None:
        self._upstream = header_binder(upstream)
        self._own = header_binder(own)
        self._forward = forward.headers
        self._content_type = content_type
        self.reads: list[Binder[Any] | Tree] = [self._upstream, self._own]
        constant = not forward.headers and self._upstream.constant is not None and self._own.constant is not None
        self._fixed = self._of(self._upstream.constant or (), (), self._own.constant or ()) if constant else None

    def __call__(self, scope: Scope, context: Context) -> Headers:
        if self._fixed is not None:
            return self._fixed
        return self._of(self._upstream(scope), forwarded_headers(self._forward, context), self._own(scope))

    def _of(self, upstream: Headers, forwarded: Iterable[tuple[str, str]], own: Headers) -> Headers:
        return tuple(_laid_over(_laid_over(_laid_over(self._content_type, upstream), forwarded), own))


def _laid_over(below: Iterable[tuple[str, str]], above: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs of both, without those below whose name is set above."""
    above = list(above)
    names = {name for name, _ in above}
    return [pair for pair in below if pair[0] not in names] + above


def _query_text(pairs: Iterable[tuple[str, str]]) -> str:
    text = urlencode(pairs)
    return f"?{text}" if text else ""
