"""Compiles a catalog's endpoints into plans: templates parsed, the graph drawn, every stack built; once, at start-up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from app.catalog.schema import CallSpec, Catalog, Endpoint, Upstream
from app.core.call import Policy, Send
from app.core.data import Data
from app.core.events import ExpressionNulled
from app.core.runtime import Runtime
from app.core.scope import Scope
from app.engine.merge import call_part, overlay, tree_part
from app.engine.plan import Part, Plan, Step, Uses
from app.engine.prepare import method_of, prepare_http, prepare_python
from app.engine.validate import compile_schema
from app.expressions.expression import parse_expression
from app.expressions.tree import Tree, parse_tree
from app.policies.stack import UpstreamState, build


class Reads(Protocol):
    """Anything that reads the scope: an expression, a template bound by place, a tree."""

    @property
    def names(self) -> frozenset[str]:
        """The roots that it reads."""
        ...

    @property
    def paths(self) -> frozenset[tuple[str, ...]]:
        """Root and, where static, the field under it."""
        ...


@dataclass(frozen=True, slots=True)
class Wired:
    """An upstream as a plan needs it: its declaration, its innermost service, its policies' state, its credentials.

    `push` makes the innermost service of a call with `stream`.
    """

    spec: Upstream
    terminal: Send
    state: UpstreamState
    credentials: Policy | None
    push: Callable[[CallSpec], Send] | None = None


def compile_plans(catalog: Catalog, wired: Mapping[str, Wired], runtime: Runtime) -> dict[str, Plan]:
    """Every endpoint's plan by name. The catalog has been checked: nothing is left that could be at fault here."""
    return {name: compile_plan(name, endpoint, wired, runtime) for name, endpoint in catalog.endpoints.items()}


def compile_plan(name: str, endpoint: Endpoint, wired: Mapping[str, Wired], runtime: Runtime) -> Plan:
    """One endpoint's plan."""
    compiled = [_step(call, spec, endpoint, wired[spec.upstream]) for call, spec in endpoint.calls.items()]
    parts, whole, response_reads = _response(name, endpoint, runtime)
    allow = parse_expression(endpoint.allow) if endpoint.allow else None
    reads = [r for _, own in compiled for r in own] + response_reads
    every_name = frozenset(n for r in [*reads, *([allow] if allow else [])] for n in r.names)
    return Plan(
        name=name,
        spec=endpoint,
        steps=tuple(step for step, _ in compiled),
        parts=None if endpoint.proxy else parts,
        whole=whole,
        allow=allow,
        uses=_uses(endpoint, reads),
        reads=every_name,
    )


def _step(name: str, spec: CallSpec, endpoint: Endpoint, wired: Wired) -> tuple[Step, list[Reads]]:
    method = method_of(spec, endpoint.method)
    is_python = wired.spec.python is not None
    prepare, bound = prepare_python(name, spec, wired.spec) if is_python else prepare_http(name, spec, wired.spec, method)
    when = parse_expression(spec.when) if spec.when else None
    each = parse_expression(spec.each) if spec.each else None
    fallback = parse_tree(spec.fallback) if spec.has_fallback else None
    asked: list[Reads] = [*bound, *(e for e in (when, each) if e is not None)]
    needs = _calls_named(asked, endpoint.calls)
    terminal = wired.push(spec) if spec.stream is not None and wired.push is not None else wired.terminal
    stack = build(spec, "CALL" if is_python else method, wired.state, terminal, wired.credentials, is_read=endpoint.method == "GET")
    reads = [*asked, *([fallback] if fallback is not None else [])]
    own_forward = spec.forward if spec.forward != endpoint.forward and any("request" in r.names for r in reads) else None
    step = Step(
        name=name,
        spec=spec,
        method="CALL" if is_python else method,
        needs=needs,
        after=tuple(n for n in dict.fromkeys(spec.after) if n not in needs),
        required=endpoint.requires(spec),
        prepare=prepare,
        send=stack.send,
        stack=stack,
        when=when,
        each=each,
        select=parse_expression(spec.select, over="body") if spec.select else None,
        fallback=_fallback(fallback),
        forward=own_forward,
        validate=compile_schema(spec.json_schema) if _is_validated(spec) else None,
        every=_every(spec, endpoint),
    )
    return step, reads


def _is_validated(spec: CallSpec) -> bool:
    return spec.json_schema is not None and spec.validation != "off"


def _every(spec: CallSpec, endpoint: Endpoint) -> float | None:
    return spec.every if spec.every is not None else endpoint.live.every if endpoint.live else None


def _fallback(tree: Tree | None) -> Callable[[Scope], Data] | None:
    if tree is None:
        return None
    if (constant := tree.constant) is not None:
        return lambda scope: constant
    return tree.data


def _calls_named(reads: Iterable[Reads], calls: Collection[str]) -> tuple[str, ...]:
    named = frozenset(name for r in reads for name in r.names)
    return tuple(call for call in calls if call in named)


def _response(name: str, endpoint: Endpoint, runtime: Runtime) -> tuple[tuple[Part, ...] | None, Callable[[Scope], Data] | None, list[Reads]]:
    """The parts, or what makes the whole where the answer has no fixed keys; and what they read."""
    if not endpoint.has_response:
        return tuple(call_part(call) for call in endpoint.calls), None, []
    if (merged := merged_calls(endpoint)) is not None:
        return None, overlay(merged), []

    def on_null(expression: str) -> None:
        runtime.emit(ExpressionNulled(name, expression))

    if isinstance(endpoint.response, dict):
        trees = {key: parse_tree(value) for key, value in endpoint.response.items()}
        return tuple(tree_part(key, tree, endpoint.calls, on_null) for key, tree in trees.items()), None, list(trees.values())
    tree = parse_tree(endpoint.response)
    return None, lambda scope: tree.data_or_null(scope, on_null), [tree]


def merged_calls(endpoint: Endpoint) -> list[str] | None:
    """The calls of `response: {merge: [a, b]}`, None for any other response."""
    response: Any = endpoint.response
    if isinstance(response, dict) and response.keys() == {"merge"} and isinstance(response["merge"], list):
        return list(response["merge"])
    return None


def _uses(endpoint: Endpoint, reads: Iterable[Reads]) -> Uses:
    """What the endpoint uses of its client; the endpoint's own `forward` counts where `request` is read (a call's is its effective one)."""
    fields: dict[str, set[str]] = {"claims": set(), "request": set()}
    for root, *field in (path for r in reads for path in r.paths if path[0] in fields):
        fields[root].add(field[0] if field else "*")
    forwards = [call.forward for call in endpoint.calls.values()] + ([endpoint.forward] if fields["request"] else [])
    headers = {name.lower() for forward in forwards for name in forward.headers}
    return Uses(frozenset(headers), frozenset(fields["claims"]), frozenset(fields["request"]))
