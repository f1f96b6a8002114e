"""Calls through httpx whose transport is not ours: httpx's own, or a test's. Same requests, same answers, same failures.

httpcore 1.0.9 loses a place in its pool for good when a request is cancelled at the wrong moment (encode/httpcore#1093), and
takes bytes behind one answer for the answer to the next request on that connection. So each call has a client of its
own there, closed to its end with everything that it holds, and at most `MAX_CALLS` run at once.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import cast

import httpx

from app.core.errors import CallFailure, ConnectFailed, ExpressionFailed, ProtocolFailed, TimedOut, TlsFailed, TooLarge, unsent
from app.upstream.answer import Answer, Fields, Streamed
from app.upstream.gather import Gather
from app.upstream.limits import MAX_FIELDS, MAX_HEAD
from app.upstream.origin import Origin

MAX_CALLS = 256
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Foreign:
    """The same two ways as `Pool`, to one origin. `lend` gives the client for a call; `is_own`: made for it, and closed behind it."""

    def __init__(self, lend: Callable[[], httpx.AsyncClient], origin: Origin, connect_timeout: float, *, is_own: bool) -> None:
        self._lend = lend
        self._is_own = is_own
        self._origin = origin
        self._timeout = httpx.Timeout(None, connect=connect_timeout)
        self._places = asyncio.Semaphore(MAX_CALLS)
        self._closing: set[asyncio.Task[None]] = set()

    async def request(self, data: bytes, *, is_idempotent: bool, is_bodiless: bool, expires: float, limit: int) -> Answer:
        """Sends a whole request and gives its whole answer, as `Pool.request` does."""
        head, _, body = data.partition(b"\r\n\r\n")
        gather = Gather(asyncio.get_running_loop().create_future(), limit, is_bodiless=is_bodiless)
        try:
            opened = await self._open(self._request(head, body or None), expires)
            try:
                async with asyncio.timeout_at(_moment(expires)):
                    await _read(opened.response, gather)
            finally:
                await opened.aclose()
        except TimeoutError:
            gather.failed(TimedOut())
        except CallFailure as failure:
            gather.failed(failure)
        return await gather.answer

    async def stream(
        self,
        head: bytes,
        body: AsyncIterable[bytes] | None = None,
        *,
        is_chunked: bool,
        is_idempotent: bool,
        is_bodiless: bool,
        expires: float,
    ) -> Streamed:
        """Sends a request and gives its answer as soon as its head is there, as `Pool.stream` does; its place is taken until it is closed."""
        opened = await self._open(self._request(head.removesuffix(b"\r\n\r\n"), body), expires)
        try:
            return Streamed(opened.response.status_code, _fields(opened.response), _chunks(opened.response), opened.aclose)
        except BaseException:
            await opened.aclose()
            raise

    async def _open(self, request: httpx.Request, expires: float) -> _Opened:
        """The answer as soon as its head is there. Whatever goes wrong, nothing of the call stays behind."""
        try:
            async with asyncio.timeout_at(_moment(expires)):
                await self._places.acquire()
        except TimeoutError:
            raise unsent() from None
        opened = _Opened(self._lend(), self._is_own, self._places, self._closing)
        try:
            async with asyncio.timeout_at(_moment(expires)):
                opened.response = await _send(opened.client, request)
        except BaseException as exc:
            await opened.aclose()
            if isinstance(exc, TimeoutError):
                raise TimedOut from None
            raise
        return opened

    def _request(self, head: bytes, body: bytes | AsyncIterable[bytes] | None) -> httpx.Request:
        first, *lines = head.split(b"\r\n")
        method, target, _ = first.split(b" ")
        headers = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
        try:
            url = httpx.URL(str(self._origin)).copy_with(raw_path=target)
        except httpx.InvalidURL as exc:  # one of over 64 KiB
            raise ExpressionFailed("a path that cannot be sent") from exc
        return httpx.Request(method.decode(), url, headers=headers, content=body, extensions={"timeout": self._timeout.as_dict()})


class _Opened:
    """An answer, its client, and the place that they take; `aclose` gives all of it back, once."""

    response: httpx.Response

    def __init__(self, client: httpx.AsyncClient, is_own: bool, places: asyncio.Semaphore, closing: set[asyncio.Task[None]]) -> None:
        self.client = client
        self._is_own = is_own
        self._places = places
        self._closing = closing
        self._is_open = True

    async def aclose(self) -> None:
        """Closes to the end, even if the caller is cancelled once more meanwhile."""
        if not self._is_open:
            return
        self._is_open = False
        self._places.release()
        closing = asyncio.create_task(self._close(), name="close an answer")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        await asyncio.shield(closing)

    async def _close(self) -> None:
        if hasattr(self, "response"):
            await self.response.aclose()
        if self._is_own:
            await self.client.aclose()


async def _send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """httpx's failures as ours."""
    try:
        return await client.send(request, stream=True, auth=None, follow_redirects=False)
    except httpx.LocalProtocolError as exc:
        raise ExpressionFailed("a request that cannot be sent") from exc
    except httpx.ConnectTimeout as exc:
        raise ConnectFailed("no connection in time", sent=False) from exc
    except httpx.ConnectError as exc:
        raise (TlsFailed if _is_tls(exc) else ConnectFailed)(sent=False) from exc
    except httpx.TimeoutException as exc:
        raise TimedOut from exc
    except (httpx.ReadError, httpx.WriteError, httpx.CloseError) as exc:
        raise (TlsFailed() if _is_tls(exc) else ConnectFailed()) from exc
    except httpx.RemoteProtocolError as exc:
        raise (ConnectFailed() if "without sending" in str(exc) else ProtocolFailed()) from exc
    except httpx.HTTPError as exc:
        raise ProtocolFailed from exc


async def _read(response: httpx.Response, gather: Gather) -> None:
    """The rest of an answer. Nobody waits for the body of what is no success."""
    fields = _fields(response)
    noted: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        noted.setdefault(name, []).append(value)
    if gather.head(response.status_code, fields, noted):
        try:
            async for chunk in _wire_bytes(response):
                gather.body(chunk)
        except httpx.HTTPError as exc:
            raise ProtocolFailed from exc
        gather.end()


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in _wire_bytes(response):
            yield chunk
    except httpx.HTTPError as exc:
        raise ProtocolFailed(http_status=response.status_code) from exc


def _wire_bytes(response: httpx.Response) -> AsyncIterable[bytes]:
    """The body as it came: `aiter_raw` refuses answers that a mock has made whole."""
    return cast(AsyncIterable[bytes], response.stream)


def _fields(response: httpx.Response) -> Fields:
    """The header fields, names in lower case; TooLarge over the same limits as ours, ProtocolFailed for what HTTP does not allow in one."""
    fields = [(name.lower(), value) for name, value in response.headers.raw]
    if len(fields) > MAX_FIELDS or sum(len(name) + len(value) + 4 for name, value in fields) > MAX_HEAD:
        raise TooLarge(http_status=response.status_code)
    if any(_CONTROL.search(value) for _, value in fields):
        raise ProtocolFailed
    return fields


def _is_tls(exc: BaseException | None) -> bool:
    """Whether TLS is behind a failure that httpx calls a connection's."""
    while exc is not None:
        if isinstance(exc, ssl.SSLError):
            return True
        exc = exc.__cause__ or exc.__context__
    return False


def _moment(expires: float) -> float | None:
    return None if expires == float("inf") else expires


def open_httpx(tls: ssl.SSLContext, *, is_http2: bool) -> httpx.AsyncClient:
    """A client on httpx's own transport, for one call: HTTP/2 where the h2 package is there, and the proxies of the environment."""
    return httpx.AsyncClient(verify=tls, http2=is_http2, follow_redirects=False, timeout=None)  # noqa: S113 - each call has its own
