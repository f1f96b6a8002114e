"""One upstream's answer passed through byte for byte, both bodies streamed: a failure before the head is a problem, after it a broken connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from types import TracebackType

from starlette.types import Receive, Scope, Send

from app.api.body import ClientGone
from app.api.disconnect import tell_of
from app.api.problems import Problem, RawHeaders, status_of
from app.api.seen import seen
from app.api.service import Service
from app.catalog.schema import Endpoint, Proxy, Upstream
from app.core.call import Call, Headers, Reading, Record
from app.core.context import Context
from app.core.errors import CallFailure
from app.core.http import HOP_BY_HOP
from app.engine.forwarding import forwarded_query, named_by_connection
from app.engine.plan import Inputs, Plan
from app.engine.run import new_scope
from app.expressions.bind import header_binder, path_binder, query_binder, urlencode
from app.policies.proxy import Admitted
from app.upstream.answer import Streamed
from app.upstream.http import HttpUpstream

_HELD_CHUNKS = 4
"""Pieces of the client's body that may wait for the upstream to take them; the server holds at most 64 KiB in each."""

_NO_CONTENT, _UNAUTHORIZED = 204, 401
_OURS_TO_CLIENT = frozenset({b"x-request-id"})
_log = logging.getLogger(__name__)


class Passage:
    """A `proxy` endpoint, compiled: what it asks for, made of the client's request."""

    def __init__(self, endpoint: Endpoint, proxy: Proxy, upstream: Upstream) -> None:
        self._path = path_binder(proxy.path)
        self._headers = header_binder(upstream.headers)
        self._query = query_binder(upstream.query)
        self._forward = endpoint.forward.query if "query" in endpoint.forward.model_fields_set else None
        self._upstream, self._deadline = proxy.upstream, endpoint.deadline
        self._timeout = upstream.timeout if upstream.timeout is not None else endpoint.deadline

    async def __call__(self, plan: Plan, inputs: Inputs, service: Service, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request. Problem before the head; after it the client's connection is left unfinished."""
        seen(scope).surface = "proxy"
        try:
            call = self._call(plan, inputs, service, scope)
            async with _Upload(scope, receive) as upload:
                await self._pass(call, upload if _has_body(inputs.context) else None, service, scope, send)
        except CallFailure as failure:
            if seen(scope).status:
                _log.warning("an answer broke off on its way through", extra={"endpoint": plan.name, "failure": failure.type})
                return
            status = status_of(root.type for root in failure.roots)
            raise Problem(status, retry_after=(failure.retry_after or 1.0) if status == 503 else None) from failure

    async def _pass(self, call: Call, body: AsyncIterator[bytes] | None, service: Service, scope: Scope, send: Send) -> None:
        async with service.admits[self._upstream](call) as admitted:
            answer = await _open(service.upstreams.stream(self._upstream), admitted, body)
            try:
                admitted.answered(answer.status)
                seen(scope).status = answer.status
                await send({"type": "http.response.start", "status": answer.status, "headers": _to_client(answer)})
                async for chunk in answer:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            finally:
                await answer.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _call(self, plan: Plan, inputs: Inputs, service: Service, scope: Scope) -> Call:
        context, names = inputs.context, new_scope(plan, inputs)
        now = service.runtime.now()
        deadline = now + self._deadline
        return Call(
            plan.name, self._upstream, context.method, self._path(names) + self._query_text(scope["query_string"], self._query(names), context),
            _laid_over(self._headers(names), _to_upstream(context)), None, None, deadline, Reading(), context, Record(),
            min(now + self._timeout, deadline),
        )  # fmt: skip

    def _query_text(self, sent: bytes, declared: Iterable[tuple[str, str]], context: Context) -> str:
        """The client's query as sent, or what `forward` lets pass of it; behind it what the upstream always gets."""
        pairs = context.query if self._forward is None else forwarded_query(self._forward, context)
        names = {name for name, _ in pairs}
        text = _as_sent(sent) if self._forward is None else urlencode(pairs)
        query = "&".join(filter(None, (text, urlencode(pair for pair in declared if pair[0] not in names))))
        return f"?{query}" if query else ""


async def _open(upstream: HttpUpstream, admitted: Admitted, body: AsyncIterator[bytes] | None) -> Streamed:
    """The answer. A credential of ours that it refuses is renewed; the request is sent again with the new one if it has no body."""
    answer = await upstream.open_stream(admitted.call, body)
    if answer.status != _UNAUTHORIZED:
        return answer
    try:
        is_renewed = await admitted.renew()
    except BaseException:
        await answer.aclose()
        raise
    if not is_renewed or body is not None:
        return answer
    await answer.aclose()
    return await upstream.open_stream(admitted.call)


class _Upload:
    """The client's body as it comes, and beside it the watch for the client's going: one reader of the connection for both.

    While the reader waits for the upstream to take what it has, it can hear of nothing: our own server tells us past it.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive, self._tell = receive, tell_of(scope)
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue(_HELD_CHUNKS)
        self._left = False

    async def __aenter__(self) -> _Upload:
        work = asyncio.current_task()
        assert work is not None  # noqa: S101 - a coroutine that awaits runs in a task
        self._work = work
        self._reader = asyncio.create_task(self._read(), name="client")
        self._tell(self._gone, reads=True)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._tell(None, reads=True)
        self._reader.cancel()
        if self._left and self._work.uncancel() == 0 and (kind is None or issubclass(kind, asyncio.CancelledError)):
            raise ClientGone from None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._chunks.get()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def _read(self) -> None:
        is_whole = False
        while (message := await self._receive())["type"] != "http.disconnect":
            if is_whole:
                continue
            if chunk := message.get("body", b""):
                await self._chunks.put(chunk)
            if not message.get("more_body", False):
                is_whole = True
                await self._chunks.put(None)
        self._gone()

    def _gone(self) -> None:
        if not self._left:
            self._left = True
            self._work.cancel()


def _has_body(context: Context) -> bool:
    said = {name: value for name, value in context.headers if name in ("content-length", "transfer-encoding")}
    return "transfer-encoding" in said or said.get("content-length", "0") != "0"


def _to_upstream(context: Context) -> list[tuple[str, str]]:
    """The client's headers, without hop-by-hop ones and the credential that our own `auth` took."""
    dropped = HOP_BY_HOP | named_by_connection(context.headers) | {"host", "expect"}
    taken = context.identity.header if context.identity is not None else None
    return [(name, value) for name, value in context.headers if name not in dropped and name != taken]


def _laid_over(below: Headers, above: list[tuple[str, str]]) -> Headers:
    names = {name for name, _ in above}
    return (*(pair for pair in below if pair[0] not in names), *above)


def _to_client(answer: Streamed) -> RawHeaders:
    """The upstream's headers without those that are ours, and without a length where there is no content (RFC 9110 section 8.6)."""
    dropped = _OURS_TO_CLIENT | {b"content-length"} if answer.status == _NO_CONTENT else _OURS_TO_CLIENT
    return [(name, value) for name, value in answer.fields if name not in dropped]


def _as_sent(query: bytes) -> str:
    """The query as it came; octets that a request target cannot hold are percent-encoded."""
    return "".join(chr(octet) if 0x20 < octet < 0x7F else f"%{octet:02X}" for octet in query)
