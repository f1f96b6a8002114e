"""What the expressions of an endpoint read, told of the catalog alone: for documents, and for what is settled before a plan is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.catalog.schema import Endpoint, Upstream
from app.engine.compile import Reads, merged_calls
from app.engine.prepare import method_of, prepare_http, prepare_python
from app.expressions.expression import parse_expression
from app.expressions.tree import parse_tree


def paths_read(endpoint: Endpoint, upstreams: Mapping[str, Upstream]) -> frozenset[tuple[str, ...]]:
    """Root and, where static, the field under it, of everything that any expression of the endpoint reads. The catalog has been checked."""
    read: list[Reads] = []
    for name, spec in endpoint.calls.items():
        upstream = upstreams[spec.upstream]
        is_python = upstream.python is not None
        _, bound = prepare_python(name, spec, upstream) if is_python else prepare_http(name, spec, upstream, method_of(spec, endpoint.method))
        read += [*bound, *(parse_expression(text) for text in (spec.when, spec.each) if text), *_tree(spec.fallback, spec.has_fallback)]
    if endpoint.allow:
        read.append(parse_expression(endpoint.allow))
    return frozenset(path for one in read for path in one.paths) | paths_shown(endpoint)


def paths_shown(endpoint: Endpoint) -> frozenset[tuple[str, ...]]:
    """The same of its `response` alone."""
    is_there = endpoint.has_response and merged_calls(endpoint) is None
    return frozenset(path for one in _tree(endpoint.response, is_there) for path in one.paths)


def names_read(endpoint: Endpoint, upstreams: Mapping[str, Upstream]) -> frozenset[str]:
    """The roots of what it reads."""
    return frozenset(path[0] for path in paths_read(endpoint, upstreams))


def _tree(value: Any, is_there: bool) -> list[Reads]:
    return [parse_tree(value)] if is_there else []
