"""Live events as text: encoded once per event for all its readers, WebSocket and HTTP alike; only the id is spliced in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from app.api.messages import ErrorMessage, ErrorPayload, write
from app.api.problems import Problem, verdict
from app.core.answer import Answer, joined
from app.core.outcome import Outcome
from app.engine.plan import Plan
from app.live.events import Complete, EndCode, Ended, Failed, Part, Update

State = Part | Complete | Update
_KINDS: dict[type[State], str] = {Part: "part", Complete: "complete", Update: "update"}
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
"""Upstreams' JSON passes as sent, and in checked JSON a line end is a space between values: strings hold none unescaped."""

_RETRYABLE = frozenset({408, 429, 502, 503, 504})
NO_ROOM = "There is no room for another topic; come back later."
_ENDS: dict[EndCode, tuple[int, str, bool]] = {
    "unauthorized": (401, "The credential has expired.", False),
    "too_many_subscriptions": (503, NO_ROOM, True),
    "internal": (500, "Something went wrong on our side.", True),
}
"""For each end from within the status that an answer would have, what is said, and whether to come back is of use."""


def kind(event: State) -> str:
    """The `type` of the message that the event makes."""
    return _KINDS[type(event)]


def text(event: State) -> str:
    """The message without an id, as SSE and NDJSON send it."""
    return f'{{"type":"{_KINDS[type(event)]}",{event.encoded or _encoded(event)}'


def framed(event: State, quoted_id: str) -> str:
    """The message with its id (given as JSON text), as the WebSocket sends it."""
    return f'{{"type":"{_KINDS[type(event)]}","id":{quoted_id},{event.encoded or _encoded(event)}'


def ended(event: Failed | Ended, plan: Plan, id: str) -> str:
    """The `error` that ends a subscription."""
    return write(ErrorMessage(id, payload_of(problem_of(plan, event.answer)) if isinstance(event, Failed) else end_payload(event.code)))


def problem_of(plan: Plan, failed: Answer) -> Problem:
    """What a failed answer is over REST."""
    return verdict(plan, failed) or Problem(500)


def status_of(event: Complete | Failed | Ended, plan: Plan) -> int:
    """The status that REST has for it: a subscription is logged and counted as a request is."""
    if isinstance(event, Ended):
        return _ENDS[event.code][0]
    failed = event.answer if isinstance(event, Failed) else event.failed
    return 200 if failed is None else problem_of(plan, failed).status


def end_payload(code: EndCode) -> ErrorPayload:
    """What an end from within says."""
    _, message, retryable = _ENDS[code]
    return ErrorPayload(code, message, retryable)


def payload_of(problem: Problem) -> ErrorPayload:
    """The live protocol's words for an answer that failed (its status may be an upstream's own)."""
    wait = round(problem.retry_after * 1000) if problem.retry_after is not None else msgspec.UNSET
    return ErrorPayload("failed", words(problem), problem.status in _RETRYABLE, wait)


def words(problem: Problem) -> str:
    """What a problem says, without the header that REST has and a WebSocket has not."""
    return problem.detail.replace("Retry-After seconds", "retry_after_ms milliseconds")


def _encoded(event: State) -> str:
    """Everything behind type and id; kept with the event."""
    if isinstance(event, Part):
        pieces = _part(event)
    elif isinstance(event, Complete):
        pieces = _complete(event)
    else:
        pieces = _update(event)
    if b"\n" in pieces or b"\r" in pieces:
        pieces = pieces.translate(_ONE_LINE)
    event.encoded = pieces.decode() + "}"
    return event.encoded


def _part(event: Part) -> bytes:
    return b'"offset":%d,"part":%b,"data":%b,"sources":%b' % (event.offset, orjson.dumps(event.name), event.data.raw, _sources(event.sources))


def _complete(event: Complete) -> bytes:
    said = b'"offset":%d,"live":%b,"complete":%b,"sources":%b' % (event.offset, _bool(event.live), _bool(event.complete), _sources(event.sources))
    if event.data is not None:
        said += b',"data":' + event.data.raw
    if event.failed is not None:
        said += b',"error":{"code":"failed","message":"Calls that the answer needs have failed; see sources."}'
    return said


def _update(event: Update) -> bytes:
    said = b'"prev":%d,"offset":%d,"sources":%b,"complete":%b' % (event.prev, event.offset, _sources(event.sources), _bool(event.complete))
    if event.parts is not None:
        said += b',"data":' + joined(event.parts)
    elif event.whole is not None:
        said += b',"data":' + event.whole.raw
    if event.conflated:
        said += b',"conflated":%d' % event.conflated
    return said


def _sources(sources: Mapping[str, Outcome]) -> bytes:
    entries: dict[str, Any] = {name: outcome.source() for name, outcome in sources.items()}
    return orjson.dumps(entries)


def _bool(value: bool) -> bytes:
    return b"true" if value else b"false"
