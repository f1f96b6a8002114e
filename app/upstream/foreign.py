"""Calls through an httpx client whose transport is not ours: httpx's own, or a test's. Same requests, same answers, same failures.

httpcore loses a place in its pool for good when a request is cancelled while it waits for one (encode/httpcore#1093). So
nobody waits there: a semaphore in front lets in no more than the pool has places for.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator
from typing import cast

import httpx

from app.core.errors import CallFailure, ConnectFailed, ProtocolFailed, TimedOut, TlsFailed, TooLarge
from app.upstream.answer import Answer, Fields, Streamed
from app.upstream.gather import Gather
from app.upstream.limits import MAX_FIELDS, MAX_HEAD
from app.upstream.origin import Origin

MAX_CONNECTIONS = 256


class Foreign:
    """The same two ways as `Pool`, to one origin, through a client that was given to us."""

    def __init__(self, client: httpx.AsyncClient, origin: Origin, connect_timeout: float) -> None:
        self._client = client
        self._origin = origin
        self._timeout = httpx.Timeout(None, connect=connect_timeout)
        self._places = asyncio.Semaphore(MAX_CONNECTIONS)

    async def request(self, data: bytes, *, is_idempotent: bool, is_bodiless: bool, expires: float, limit: int) -> Answer:
        """Sends a whole request and gives its whole answer, as `Pool.request` does."""
        head, _, body = data.partition(b"\r\n\r\n")
        gather = Gather(asyncio.get_running_loop().create_future(), limit, is_bodiless=is_bodiless)
        is_sent = False
        try:
            async with asyncio.timeout_at(_moment(expires)):
                async with self._places:
                    is_sent = True
                    response = await self._open(self._request(head, body or None))
                    await self._read(response, gather)
        except TimeoutError:
            gather.failed(_late(is_sent))
        except CallFailure as failure:
            gather.failed(failure)
        return await gather.answer

    async def _read(self, response: httpx.Response, gather: Gather) -> None:
        """The rest of an answer. Nobody waits for the body of what is no success."""
        try:
            fields = _fields(response)
            noted: dict[bytes, list[bytes]] = {}
            for name, value in fields:
                noted.setdefault(name, []).append(value)
            if gather.head(response.status_code, fields, noted):
                async for chunk in _wire_bytes(response):
                    gather.body(chunk)
                gather.end()
        except httpx.HTTPError as exc:
            raise ProtocolFailed from exc
        finally:
            await response.aclose()

    async def stream(
        self,
        head: bytes,
        body: AsyncIterable[bytes] | None = None,
        *,
        is_chunked: bool,
        is_idempotent: bool,
        is_bodiless: bool,
        expires: float,
        read_timeout: float | None = None,
    ) -> Streamed:
        """Sends a request and gives its answer as soon as its head is there, as `Pool.stream` does."""
        try:
            async with asyncio.timeout_at(_moment(expires)):
                response = await self._open(self._request(head.removesuffix(b"\r\n\r\n"), body))
        except TimeoutError:
            raise _late(True) from None
        try:
            return Streamed(response.status_code, _fields(response), _chunks(response), response.aclose)
        except BaseException:
            await response.aclose()
            raise

    def _request(self, head: bytes, body: bytes | AsyncIterable[bytes] | None) -> httpx.Request:
        first, *lines = head.split(b"\r\n")
        method, target, _ = first.split(b" ")
        headers = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
        url = httpx.URL(str(self._origin)).copy_with(raw_path=target)
        return httpx.Request(method.decode(), url, headers=headers, content=body, extensions={"timeout": self._timeout.as_dict()})

    async def _open(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        except httpx.ConnectTimeout as exc:
            raise ConnectFailed("no connection in time", sent=False) from exc
        except httpx.ConnectError as exc:
            raise (TlsFailed if _is_tls(exc) else ConnectFailed)(sent=False) from exc
        except httpx.TimeoutException as exc:
            raise _late(True) from exc
        except (httpx.ReadError, httpx.WriteError, httpx.CloseError) as exc:
            raise (TlsFailed() if _is_tls(exc) else ConnectFailed()) from exc
        except httpx.RemoteProtocolError as exc:
            raise (ConnectFailed() if "without sending" in str(exc) else ProtocolFailed()) from exc
        except httpx.HTTPError as exc:
            raise ProtocolFailed from exc


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in _wire_bytes(response):
            yield chunk
    except httpx.HTTPError as exc:
        raise ProtocolFailed(http_status=response.status_code) from exc


def _wire_bytes(response: httpx.Response) -> AsyncIterable[bytes]:
    """The body as it came. `aiter_raw` refuses answers that a mock has made whole."""
    return cast(AsyncIterable[bytes], response.stream)


def _fields(response: httpx.Response) -> Fields:
    """The header fields, names in lower case; TooLarge over the same limits as ours."""
    fields = [(name.lower(), value) for name, value in response.headers.raw]
    if len(fields) > MAX_FIELDS or sum(len(name) + len(value) + 4 for name, value in fields) > MAX_HEAD:
        raise TooLarge
    return fields


def _is_tls(exc: BaseException | None) -> bool:
    """Whether TLS is behind a failure that httpx calls a connection's."""
    while exc is not None:
        if isinstance(exc, ssl.SSLError):
            return True
        exc = exc.__cause__ or exc.__context__
    return False


def _late(is_sent: bool) -> CallFailure:
    failure = TimedOut(sent=is_sent)
    failure.blames_upstream = is_sent
    return failure


def _moment(expires: float) -> float | None:
    return None if expires == float("inf") else expires


def open_httpx(tls: ssl.SSLContext, *, is_http2: bool) -> httpx.AsyncClient:
    """A client on httpx's own transport, for `transport: httpx`: HTTP/2 where the h2 package is there, and the proxies of the environment.

    No connection is kept: httpcore hands bytes behind one answer to the next request on its connection as that one's answer.
    """
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=0, keepalive_expiry=0.0)
    return httpx.AsyncClient(verify=tls, http2=is_http2, limits=limits, follow_redirects=False, timeout=None)  # noqa: S113 - each call has its own
