"""The two ways in which an upstream pushes: server-sent events and a WebSocket; each as messages, its faults as ours."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Protocol
from urllib.parse import urlsplit

from msgspec.structs import replace
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidHandshake, InvalidStatus

from app import __version__
from app.catalog.schema import Upstream
from app.core.call import Call
from app.core.errors import ConnectFailed, ProtocolFailed, StatusFailed, TimedOut, TlsFailed
from app.upstream.http import HttpUpstream
from app.upstream.sse import EventReader
from app.upstream.tls import context

Message = str | bytes
_SWITCHED = 101
"""The status with which an upgrade succeeds (RFC 6455 section 4.1)."""


class Feed(Protocol):
    """Opens connections for one request, one after the other. `retry`: the pause that the upstream asks for between two, seconds."""

    retry: float | None

    def messages(self, call: Call, opened: Callable[[], None]) -> AsyncIterator[Message]:
        """One connection's messages, to its end; `call.expires` bounds the wait for its beginning, of which `opened` hears. Raises CallFailure.

        The status that the upstream answers stands in the call's record, also where it refuses.
        """
        ...


class _Events:
    """Server-sent events: each event's data, whatever its type. Reconnects tell the last id, so that nothing is sent twice."""

    def __init__(self, upstream: HttpUpstream) -> None:
        self.retry: float | None = 1.0
        self._upstream = upstream
        self._reader: EventReader | None = None

    async def messages(self, call: Call, opened: Callable[[], None]) -> AsyncIterator[Message]:
        reader = self._reader = self._reader or EventReader(call.reading.max_body)
        reader.restart()
        own: tuple[tuple[str, str], ...] = (("accept", "text/event-stream"), ("cache-control", "no-store"))
        if reader.last_id:
            own = (*own, ("last-event-id", reader.last_id))
        names = {name for name, _ in own}
        streamed = await self._upstream.open_stream(replace(call, headers=(*(h for h in call.headers if h[0] not in names), *own)))
        try:
            if streamed.status != 200:
                raise StatusFailed(streamed.status)
            opened()
            async for chunk in streamed:
                for event in reader.feed(chunk):
                    yield event.data
                if reader.retry is not None:
                    self.retry = reader.retry
        finally:
            await streamed.aclose()


class _Socket:
    """A WebSocket: each message; a `body` of the call is sent first, as text."""

    def __init__(self, spec: Upstream) -> None:
        self.retry: float | None = None
        self._origin = spec.origins[0]
        self._tls = context(spec.tls) if spec.tls else None

    async def messages(self, call: Call, opened: Callable[[], None]) -> AsyncIterator[Message]:
        base = call.origin or self._origin
        is_tls = urlsplit(base).scheme == "https"
        opening = connect(
            ("wss" if is_tls else "ws") + base.removeprefix("https" if is_tls else "http").rstrip("/") + call.target,
            additional_headers=[*call.headers, *call.credentials], user_agent_header=f"merganser/{__version__}", compression=None,
            proxy=None, ssl=(self._tls or context()) if is_tls else None, max_size=call.reading.max_body, open_timeout=None,
        )  # fmt: skip
        try:
            async with asyncio.timeout_at(call.expires):
                socket = await opening
        except TimeoutError as exc:
            raise TimedOut from exc
        except InvalidStatus as exc:
            call.record.http_status = exc.response.status_code
            raise StatusFailed(exc.response.status_code) from exc
        except ssl.SSLError as exc:
            raise TlsFailed from exc
        except InvalidHandshake as exc:
            raise ProtocolFailed from exc
        except (OSError, EOFError) as exc:
            raise ConnectFailed from exc
        call.record.http_status = _SWITCHED
        try:
            opened()
            if call.body is not None:
                await socket.send(call.body.decode("utf-8", "replace"))
            async for message in socket:
                yield message
        except ConnectionClosedOK:
            return
        except ConnectionClosedError as exc:
            raise ProtocolFailed from exc
        finally:
            await socket.close()


def sse_feed(upstream: HttpUpstream) -> Feed:
    """Server-sent events of an HTTP upstream."""
    return _Events(upstream)


def websocket_feed(spec: Upstream) -> Feed:
    """A WebSocket of an upstream, under the same URL with ws for http."""
    return _Socket(spec)
