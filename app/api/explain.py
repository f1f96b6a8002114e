"""`?explain` on an endpoint, for operators: the answer as ever, and beside it the plan, what each call did, and what it waited for.

To everyone else `explain` is a query parameter like any other, which `strict_query` refuses, and so it is where the endpoint
itself declares one of this name, or forwards it. The credential that opened it is taken off the request, so that no
upstream ever sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from starlette.types import Scope

from app.api.ops import Rules, is_operator, is_token
from app.api.problems import Problem
from app.api.render import sources_of
from app.catalog.schema import Endpoint
from app.core.answer import Answer
from app.core.outcome import Outcome
from app.engine.critical_path import critical_path, slack
from app.engine.explain import worst_case
from app.engine.plan import Plan, Step

_NAME = b"explain"
_UPSTREAM_STATE = ("state", "in_flight", "queued", "limit", "breakers")


class HasSnapshot(Protocol):
    """An upstream's state."""

    def snapshot(self) -> dict[str, Any]:
        """How it stands now."""
        ...


class Explains:
    """Whether requests of one endpoint may ask for an explanation; decided once for all of them, then per request."""

    def __init__(self, endpoint: Endpoint) -> None:
        forwards = [endpoint.forward, *(call.forward for call in endpoint.calls.values())]
        declared = any(name == "explain" and param.place == "query" for name, param in endpoint.params.items())
        self._is_own = declared or any({"explain", "*"} & set(forward.query) for forward in forwards)
        self._has_calls = endpoint.proxy is None

    def asked(self, scope: Scope, rules: Rules) -> bool:
        """Whether an operator asks; the request is then freed of the question. Of the operator's credential it is freed anyway."""
        if _NAME not in scope.get("query_string", b"") or not self._has_calls:
            return False
        pairs = scope["query_string"].split(b"&")
        others = [pair for pair in pairs if pair.partition(b"=")[0] != _NAME]
        if len(others) == len(pairs) or not is_operator(scope, rules):
            return False
        if (token := rules.admin_token) is not None:
            scope["headers"] = [(name, value) for name, value in scope["headers"] if not is_token(name, value, token)]
        if self._is_own or scope["method"] == "HEAD":
            return False
        scope["query_string"] = b"&".join(others)
        return True


def explained(plan: Plan, answer: Answer, states: Mapping[str, HasSnapshot], problem: Problem | None, request_id: str) -> bytes:
    """The body: the whole envelope, whatever the endpoint's own, or the problem document, with one more member `explain`."""
    explanation = orjson.dumps(explain(plan, answer, states))
    if problem is not None:
        return orjson.dumps({**problem.document(request_id), "explain": orjson.Fragment(explanation)})
    complete, sources = orjson.dumps(answer.complete), orjson.dumps(sources_of(answer.outcomes))
    return b'{"data":%b,"complete":%b,"sources":%b,"explain":%b}' % (answer.data.raw, complete, sources, explanation)


def explain(plan: Plan, answer: Answer, states: Mapping[str, HasSnapshot]) -> dict[str, Any]:
    """The member `explain`; all times are milliseconds, moments count from the start of the answer."""
    outcomes, spare = answer.outcomes, slack(plan, answer.outcomes)
    end = max((outcome.ended for outcome in outcomes.values()), default=answer.began)
    upstreams = dict.fromkeys(step.spec.upstream for step in plan.steps)
    return {
        "endpoint": plan.name,
        "ms": _ms(end - answer.began),
        "deadline_ms": _ms(plan.spec.deadline),
        "worst_case_ms": _ms(worst_case(plan)),
        "critical_path": critical_path(plan, outcomes),
        "calls": {step.name: _call(step, outcomes.get(step.name), answer.began, spare.get(step.name)) for step in plan.steps},
        "upstreams": {name: _picked(states[name].snapshot()) for name in upstreams},
    }


def _call(step: Step, outcome: Outcome | None, began: float, spare: float | None) -> dict[str, Any]:
    """One call: its place in the plan, then what it did. A call that never settled was cancelled, or had no turn."""
    told: dict[str, Any] = {
        "upstream": step.spec.upstream, "method": step.method, "required": step.required,
        "needs": list(step.needs), "after": list(step.after), "stack": {layer.name: layer.describe for layer in step.stack.layers},
    }  # fmt: skip
    if outcome is None:
        return {**told, "status": "unsettled", "notes": ["the answer was over before this call was"]}
    notes = [*(outcome.notes or ()), *_in_words(step, outcome)]
    return {**told, "start_ms": _ms(max(0.0, outcome.started - began)), "slack_ms": _ms(spare or 0.0), **outcome.source(), "notes": notes}


def _in_words(step: Step, outcome: Outcome) -> list[str]:
    """What follows from the outcome, for those who do not know the words of `sources` by heart."""
    if outcome.status == "skipped":
        return [f"skipped: `{step.when.text}` does not hold"] if step.when is not None else []
    cached = {
        "hit": "answered by the cache; the upstream was not asked",
        "coalesced": "joined an identical call in flight; its attempts are counted here too",
    }
    notes = [cached[outcome.cache]] if outcome.cache in cached else []
    if outcome.status == "fallback":
        notes.append("failed, and the catalog's fallback stands in")
    return notes


def _picked(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    return {name: snapshot[name] for name in _UPSTREAM_STATE}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
