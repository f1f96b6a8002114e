"""From a `subscribe` to a subscription: the endpoint, who asks, its params, in the order in which REST decides them.

Whatever REST refuses with a status is refused here with the same rule's error code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from app.api import frames
from app.api.arrival import continued
from app.api.auth import Gate
from app.api.body import Bodies
from app.api.messages import ErrorCode, ErrorPayload, SubscribePayload
from app.api.params import Params, compile_params
from app.api.problems import Problem
from app.core.context import Context, text_of
from app.core.runtime import Runtime
from app.engine.plan import Inputs, Plan
from app.engine.run import new_scope
from app.live.events import Position
from app.live.hub import Hub, TooManyTopics
from app.live.subscription import Notify, Subscription

LONGEST_INTERVAL = 86_400.0
_EXACT = 2**53
"""Up to here every integer is a float64."""

Headers = Sequence[tuple[str, str]]


class Refused(Exception):
    """The subscription is not begun: the `error` to send."""

    def __init__(self, code: ErrorCode, message: str, *, retryable: bool = False, retry_after: float | None = None) -> None:
        wait = round(retry_after * 1000) if retry_after is not None else msgspec.UNSET
        self.payload = ErrorPayload(code, message, retryable, wait)
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class Client:
    """Who is connected. `credentials`: the headers by which it is judged; `headers`: those that may be forwarded."""

    headers: Headers
    address: str
    credentials: Headers


class Desk:
    """Where clients of `/ws` are told what they may have; one per process."""

    def __init__(self, plans: Mapping[str, Plan], hub: Hub, gate: Gate, runtime: Runtime) -> None:
        self.plans, self.runtime = plans, runtime
        self._hub, self._gate = hub, gate
        self._params: dict[str, Params] = {name: compile_params(plan.spec) for name, plan in plans.items() if _can_be_live(plan)}
        self._bodies = {name: Bodies(plan.spec.body) for name, plan in plans.items() if plan.spec.body is not None}

    # --- who

    def nobody(self, headers: Headers, address: str) -> Client:
        """A client before its credentials were judged."""
        return Client(headers, address, ())

    async def client(self, headers: Headers, address: str, token: str | None) -> Client:
        """The client with its credentials. Raises Problem 401 where the token or one of the upgrade's is bad, 503 where none can be judged."""
        own = [await self._gate.stand_in(token)] if token is not None else []
        await self._gate.verify(headers)
        mine = [*(pair for pair in headers if not own or pair[0] != own[0][0]), *own]
        return Client(mine, address, mine)

    # --- what

    async def subscribe(self, client: Client, asked: SubscribePayload, request_id: str, notify: Notify) -> Subscription:
        """Begins a subscription. Raises Refused."""
        plan = self._plan(asked.endpoint)
        try:
            inputs, expires = await self._inputs(plan, client, asked.params or {}, request_id)
        except Problem as problem:
            retryable = problem.status in (429, 503)
            raise Refused(cast(ErrorCode, problem.code), _said(problem), retryable=retryable, retry_after=problem.retry_after) from problem
        resume = Position(asked.resume.epoch, asked.resume.offset) if asked.resume is not None else None
        interval = min(asked.min_interval_ms / 1000, LONGEST_INTERVAL)
        try:
            return self._hub.subscribe(plan, inputs, live=asked.live, min_interval=interval, resume=resume, expires=expires, notify=notify)
        except TooManyTopics:
            raise Refused("too_many_subscriptions", frames.NO_ROOM, retryable=True) from None

    def _plan(self, endpoint: str) -> Plan:
        plan = self.plans.get(endpoint)
        if plan is None:
            raise Refused("unknown_endpoint", "There is no endpoint of this name.")
        if endpoint not in self._params:
            raise Refused("not_live", "Only GET endpoints that are composed of calls can be subscribed to.")
        return plan

    async def _inputs(self, plan: Plan, client: Client, given: Mapping[str, Any], request_id: str) -> tuple[Inputs, float | None]:
        """401, 429, 422, 403, in this order; 429 last where `allow` decides who is counted."""
        identity = await self._gate.identify(plan.spec.auth, client.credentials, plan.spec.deadline) if plan.spec.auth else None
        if identity is not None:  # what has been judged goes on, not what a param says in its place
            given = {name: value for name, value in given.items() if _place(plan, name) != "header" or name.lower() != identity.header}
        headers = _headers(plan, client.headers, given)
        context = Context(request_id, "GET", client.address, headers, _query(plan, given), identity, *continued(list(client.headers)))
        if plan.allow is None:
            await self._gate.limit(plan, context)
        params = self._params[plan.name]
        sent = {name: text_of(value) for name, value in client.headers if name in params.headers}
        inputs = Inputs(params.bind_json({**_by_declared_name(plan, sent), **given}), context)
        if (bodies := self._bodies.get(plan.name)) is not None and (faults := bodies.taken(b"")[1]):
            raise Problem(422, errors=faults)
        if plan.allow is not None:
            self._gate.authorize(plan, new_scope(plan, inputs))
            await self._gate.limit(plan, context)
        return inputs, identity.expires if identity is not None else None


def _can_be_live(plan: Plan) -> bool:
    return plan.method == "GET" and plan.spec.proxy is None


def _said(problem: Problem) -> str:
    """The problem in one line, with the first fault of the params, or that of the body, which no subscription has."""
    if not problem.errors:
        return frames.words(problem)
    first = problem.errors[0]
    return f"{'.'.join(str(key) for key in first['loc'][1:]) or first['loc'][0]}: {first['msg']}"


def _by_declared_name(plan: Plan, sent: Mapping[str, str]) -> dict[str, str]:
    """Header params from the upgrade's headers, under the names that the catalog gives them."""
    return {name: sent[name.lower()] for name, param in plan.params.items() if param.place == "header" and name.lower() in sent}


def _headers(plan: Plan, own: Headers, given: Mapping[str, Any]) -> Headers:
    """The client's headers as they would be on REST: header params that are given stand in for the upgrade's, a list as one field.

    As octets of UTF-8, one character each: so headers arrive.
    """
    named = {name.lower(): value for name, value in given.items() if _place(plan, name) == "header"}
    if not named:
        return own
    sent = [(name, ", ".join(texts).encode().decode("latin-1")) for name, value in named.items() if (texts := _texts(value))]
    return [*(pair for pair in own if pair[0] not in named), *sent]


def _query(plan: Plan, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Query params and those that the endpoint does not declare, as the query they would be on REST: it may be forwarded."""
    return [(name, text) for name, value in given.items() if _place(plan, name) == "query" for text in _texts(value)]


def _place(plan: Plan, name: str) -> str:
    return plan.params[name].place if name in plan.params else "query"


def _texts(value: Any) -> list[str]:
    """A value as texts of a URL, one for each item of a list; what is no scalar has none."""
    return [_text(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, str | int | float | bool)]


def _text(value: str | float | bool) -> str:
    """Numbers as JavaScript writes them: one that is whole is an integer, however JSON had it."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
