"""The outermost layer: every answer has its request id, no fault leaves without a problem document, each request is told once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import Problem, send_problem
from app.api.seen import seen
from app.api.service import Service
from app.core.events import RequestEnded

_log = logging.getLogger(__name__)

GONE = 499
"""The status in logs and metrics of a request whose client went away before its answer (nginx's habit)."""


class Surface:
    """Pure ASGI: passes everything through, adds X-Request-ID, and answers for what nobody caught."""

    def __init__(self, app: ASGIApp, service_of: Callable[[], Service]) -> None:
        self.app = app
        self._service_of = service_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; other kinds of connection pass as they are."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = perf_counter()
        about = seen(scope)
        stamp = (b"x-request-id", about.request_id.encode())

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                about.status = message["status"]
                message["headers"] = [*message.get("headers", ()), stamp]
            await send(message)

        try:
            await self.app(scope, receive, stamped)
        except Exception:
            # The last resort: nothing above could say what this is. The client learns nothing of the inside.
            _log.exception("a request failed with a fault of ours", extra={"request_id": about.request_id})
            if about.status:
                raise
            await send_problem(Problem(500), scope, stamped)
        finally:
            seconds = perf_counter() - started
            status = about.status or GONE
            ended = RequestEnded(about.endpoint, scope["method"], status, seconds, about.request_id, about.complete, about.calls, about.surface)
            self._service_of().runtime.emit(ended)
        return None
