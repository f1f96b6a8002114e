"""An answer streamed: server-sent events or NDJSON, each part as soon as its calls have settled.

The head goes out with the first part after some call has data: until then a failure is a plain HTTP error. SSE of a
live endpoint goes on with updates, from the hub that serves WebSockets too.
"""

from __future__ import annotations

import asyncio
import random
from typing import Literal

import msgspec
from starlette.types import Receive, Scope, Send

from app.api import frames
from app.api.body import ClientGone
from app.api.disconnect import Watched
from app.api.problems import Problem, RawHeaders
from app.api.seen import Seen, seen
from app.engine.plan import Inputs, Plan
from app.live.events import Complete, Draining, Ended, Event, Failed, Part, Position, Update
from app.live.hub import Hub, TooManyTopics
from app.live.subscription import Subscription

COMMENT_EVERY = 15.0
"""Seconds of silence after which a comment keeps proxies from closing the stream (`docs/live.md`)."""

SEND_WITHIN = 10.0
"""Seconds that a client may take to take one message (`docs/live.md`); then its connection is ended."""


async def stream(
    form: Literal["sse", "ndjson"], plan: Plan, inputs: Inputs, hub: Hub, head: RawHeaders, last_event_id: str | None,
    scope: Scope, receive: Receive, send: Send,
) -> None:  # fmt: skip
    """Streams one answer, and its updates where SSE asks for a live endpoint. Problem before the head, ClientGone at any time."""
    is_live = form == "sse" and plan.is_live and plan.method == "GET"
    if form == "sse" and not is_live and last_event_id is not None:
        await send({"type": "http.response.start", "status": 204, "headers": [header for header in head if header[0] != b"content-type"]})
        await send({"type": "http.response.body", "body": b""})
        return
    subscription = _subscribe(plan, inputs, hub, last_event_id) if is_live else hub.once(plan, inputs)
    try:
        async with Watched(scope, receive):
            await _Stream(form, plan, subscription, head, send, seen(scope)).run()
    except _Stuck:
        if (cut := scope.get("merganser.cut")) is not None:
            cut()
        raise ClientGone from None
    finally:
        subscription.close()


def _subscribe(plan: Plan, inputs: Inputs, hub: Hub, last_event_id: str | None) -> Subscription:
    identity = inputs.context.identity
    resume = Position.parse(last_event_id) if last_event_id else None
    try:
        return hub.subscribe(plan, inputs, resume=resume, expires=identity.expires if identity else None)
    except TooManyTopics:
        raise Problem(503, frames.NO_ROOM, retry_after=5) from None


class _Stuck(Exception):
    """The client takes nothing any more: what has been written for it will not go out either."""


class _Stream:
    """One response under way."""

    def __init__(self, form: Literal["sse", "ndjson"], plan: Plan, subscription: Subscription, head: RawHeaders, send: Send, about: Seen) -> None:
        self._plan, self._subscription, self._send, self._about = plan, subscription, send, about
        self._head: RawHeaders | None = head
        self._is_sse = form == "sse"
        self._held: list[Part] = []

    async def run(self) -> None:
        """Writes events until the last."""
        while True:
            event = await self._next()
            if event is None:
                await self._write(b": \n\n")
            elif await self._tell(event):
                return await self._end()

    async def _next(self) -> Event | None:
        """The next event; None after a silence, once the head is out."""
        if self._head is not None or not self._is_sse:
            return await self._subscription.next()
        try:
            async with asyncio.timeout(COMMENT_EVERY):
                return await self._subscription.next()
        except TimeoutError:
            return None

    async def _tell(self, event: Event) -> bool:
        """Writes one event; whether it was the last."""
        match event:
            case Part() if self._head is not None and not self._subscription.has_data:
                self._held.append(event)
            case Part():
                await self._write_all(event)
            case Complete():
                self._about.complete, self._about.calls = event.complete, len(event.sources)
                if event.failed is not None and self._head is not None:
                    raise frames.problem_of(self._plan, event.failed)
                await self._write_all(event)
                return not event.live
            case Update():
                await self._write_all(event)
            case Failed(answer):
                raise frames.problem_of(self._plan, answer)
            case Draining():
                if self._is_sse:
                    await self._write(b"retry: %d\n\n" % random.randint(500, 3000))  # noqa: S311 - spreads reconnects, no secret
                return True
            case Ended():
                await self._refuse(event)
                return True
        return False

    async def _refuse(self, event: Ended) -> None:
        """The subscription is over: a plain error while that is possible, else an `error` message, and the end."""
        if self._head is not None:
            raise Problem(frames.status_of(event, self._plan), retry_after=5 if event.code == "too_many_subscriptions" else None)
        text = msgspec.json.encode({"type": "error", "payload": frames.end_payload(event.code)})
        await self._write(b"event: error\ndata: %b\n\n" % text if self._is_sse else text + b"\n")

    async def _write_all(self, event: Part | Complete | Update) -> None:
        """The event, behind the parts that waited for the head."""
        events = [*self._held, event]
        self._held = []
        await self._write(b"".join(self._encoded(one) for one in events))

    def _encoded(self, event: Part | Complete | Update) -> bytes:
        text = frames.text(event)
        if not self._is_sse:
            return text.encode() + b"\n"
        position = "" if isinstance(event, Part) else f"id: {self._subscription.epoch}.{event.offset}\n"
        return f"event: {frames.kind(event)}\n{position}data: {text}\n\n".encode()

    async def _write(self, chunk: bytes) -> None:
        if self._head is not None:
            await self._send({"type": "http.response.start", "status": 200, "headers": self._head})
            self._head = None
        try:
            async with asyncio.timeout(SEND_WITHIN):
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            raise _Stuck from None

    async def _end(self) -> None:
        if self._head is not None:
            await self._write(b"")
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
