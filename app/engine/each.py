"""`each`: one request per item of a list, a few at once, equal requests made once, the data in input order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from app.core.call import Call, Record
from app.core.context import Context
from app.core.data import Data
from app.core.errors import CallFailure, ExpressionFailed, LimitExceeded
from app.core.outcome import Outcome
from app.core.reply import Reply
from app.core.runtime import Runtime
from app.core.scope import Scope
from app.engine.once import check, is_asked_null, selected
from app.engine.plan import Plan, Step

Validate: TypeAlias = Callable[[Any], tuple[str, str] | None]
"""A step's `validate`: the JSON pointer and message of the first fault, or None."""


@dataclass(slots=True)
class _Request:
    """One distinct request, for all the items that ask for the same."""

    call: Call
    record: Record
    reply: Reply | None = None
    data: Data | None = None
    failure: CallFailure | None = None


async def ask_each(
    plan: Plan, step: Step, scope: Scope, context: Context, deadline: float, runtime: Runtime, record: Record, outcome: Outcome
) -> None:
    """Makes the requests and writes the list into `outcome`; raises CallFailure where all items failed, or there are too many."""
    items = _items(step, scope)
    slots = [_prepared(step, scope, item, context, deadline) for item in items]
    requests: dict[object, _Request] = {}
    results = [slot if isinstance(slot, CallFailure) else requests.setdefault(slot.call.key, slot) for slot in slots]
    await _work(step, iter(requests.values()), min(step.spec.concurrency, len(requests)))
    _tally(list(requests.values()), record)
    failures = [f for r in results if (f := r if isinstance(r, CallFailure) else r.failure) is not None]
    if items and len(failures) == len(items):
        outcome.items = failures
        raise failures[0]
    outcome.data = _joined(results)
    if step.validate is not None:
        _check(plan, step, results, runtime)
    _judge(outcome, [r.reply for r in requests.values() if r.reply is not None], failures)


def _items(step: Step, scope: Scope) -> list[object]:
    assert step.each is not None  # noqa: S101 - only calls with `each` come here
    items = step.each.search(scope)
    if items is None:
        return []
    if not isinstance(items, list):
        raise ExpressionFailed("`each` is no list")
    if len(items) > step.spec.max_items:
        raise LimitExceeded(f"{len(items)} items, over {step.spec.max_items}")
    return items


def _prepared(step: Step, scope: Scope, item: object, context: Context, deadline: float) -> _Request | CallFailure:
    record = Record()
    try:
        return _Request(step.prepare(scope.inner(item=item), context, record, deadline), record)
    except CallFailure as failure:
        return failure


async def _work(step: Step, requests: Iterator[_Request], workers: int) -> None:
    """A few workers draw from one line of requests; an item's failure is kept with it and stops nobody."""

    async def worker() -> None:
        for request in requests:
            try:
                request.reply = await step.send(request.call)
                request.data = selected(step, request.reply)
            except CallFailure as failure:
                request.failure = failure

    if workers < 2:
        return await worker()
    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(worker())
    return None


def _tally(requests: list[_Request], record: Record) -> None:
    """The records of the items in one: attempts summed, the status of the first failure that has one (else of the last), one word for the cache."""
    record.attempts = sum(r.record.attempts for r in requests)
    statuses = [r.record.http_status for r in requests if r.failure is not None] + [r.record.http_status for r in reversed(requests)]
    record.http_status = next((s for s in statuses if s is not None), None)
    caches = {r.record.cache for r in requests} - {None}
    record.cache = "miss" if "miss" in caches else next((c for c in ("stale", "coalesced", "hit") if c in caches), None)
    for r in requests:
        record.notes += r.record.notes


def _joined(results: Sequence[_Request | CallFailure]) -> Data:
    """The list in input order as one JSON text, null where an item failed; bodies that nothing looks into are not decoded."""
    raws = [r.data.raw if isinstance(r, _Request) and r.data is not None else b"null" for r in results]
    return Data.of_raw(b"[" + b",".join(raws) + b"]")


def _check(plan: Plan, step: Step, results: Sequence[_Request | CallFailure], runtime: Runtime) -> None:
    """Holds the items that have data against the list's schema; a fault's pointer names the item by its place in the whole list."""
    judged = {at: r for at, r in enumerate(results) if isinstance(r, _Request) and _is_judged(step, r)}
    if step.validate is not None and len(judged) < len(results):
        step = replace(step, validate=_placed(step.validate, list(judged)))
    check(plan, step, _joined([*judged.values()]), runtime)


def _is_judged(step: Step, request: _Request) -> bool:
    """Whether the schema speaks of the item: it has data, and no null that was asked for."""
    return request.data is not None and request.reply is not None and not is_asked_null(step, request.reply)


def _placed(validate: Validate, places: list[int]) -> Validate:
    """The same for a list of which only the items at these places are there: a pointer names the place."""

    def placed(value: Any) -> tuple[str, str] | None:
        if (fault := validate(value)) is None:
            return None
        where, message = fault
        _, *way = where.split("/")
        return "/".join(["", str(places[int(way[0])]), *way[1:]]) if way else where, message

    return placed


def _judge(outcome: Outcome, replies: list[Reply], failures: list[CallFailure]) -> None:
    stale = [reply for reply in replies if reply.state == "stale"]
    if failures:
        outcome.status, outcome.error = "partial", failures[0]
    elif stale:
        outcome.status = "stale"
        outcome.within_window = all(reply.within_window for reply in stale)
        outcome.error = next((reply.error for reply in stale if reply.error is not None), None)
    times = [reply.fresh_until for reply in replies]
    known = [at for at in times if at is not None]
    outcome.fresh_until = min(known) if known and len(known) == len(times) and not failures else None
