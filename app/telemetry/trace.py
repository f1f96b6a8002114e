"""OpenTelemetry traces: a span per request, under it one per call, under that one per attempt. Needs the extra `otel`.

Spans of calls and attempts are made of the events that are emitted anyway, when the request ends: tracing costs nothing
on the way, and nothing at all where it is off. The trace is continued from the client's W3C context and goes on upstream.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import __version__
from app.core.events import AttemptEnded, CallEnded, Emit, Event, RequestEnded

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Any, Any], Awaitable[None]]
KEY = "merganser.trace"
"""Where the request's scope holds `traceparent` and `tracestate` for upstreams."""
MOST_EVENTS = 2000
"""Of one request; a stream that goes on for hours is cut there."""
LAST_EXPORT = 2.0
"""Seconds that the end of the service waits for the collector."""
_current: ContextVar[_Request | None] = ContextVar("merganser_trace", default=None)


class Tracing:
    """Owns the exporter. `beside` gives a listener that collects events for the request in whose tasks they are emitted."""

    def __init__(self) -> None:
        self._provider = TracerProvider(resource=Resource.create({"service.name": "merganser", "service.version": __version__}))
        self._exporter = OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("merganser", __version__)

    def beside(self, emit: Emit) -> Emit:
        """Tells `emit` of every event, and the trace of the request that it belongs to."""

        def both(event: Event) -> None:
            emit(event)
            request = _current.get()
            if request is not None:
                request.take(event)

        return both

    def middleware(self, app: Asgi) -> Traced:
        """Wraps an ASGI application; outermost, so that all of a request is in its span."""
        return Traced(app, self)

    def begin(self, scope: Scope) -> _Request:
        """A request's span, begun now; the scope says from now on what upstreams are told."""
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"] if name in (b"traceparent", b"tracestate")}
        parent = TraceContextTextMapPropagator().extract(carrier, Context())
        request = _Request(self._tracer, self._tracer.start_span("request", parent, SpanKind.SERVER))
        onward: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(onward, request.inside)
        scope[KEY] = (onward["traceparent"], onward.get("tracestate"))
        return request

    async def aclose(self) -> None:
        """Exports what is left, in a thread; gives up after `LAST_EXPORT` where the collector does not answer."""
        ending = asyncio.get_running_loop().run_in_executor(None, self._provider.shutdown)
        await asyncio.wait((ending,), timeout=LAST_EXPORT)
        if not ending.done():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it would try again for long


class Traced:
    """Pure ASGI, outermost: each HTTP request in a trace."""

    def __init__(self, app: Asgi, tracing: Tracing) -> None:
        self.app, self._tracing = app, tracing

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serves one request; other kinds of connection pass as they are."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request = self._tracing.begin(scope)
        token = _current.set(request)
        try:
            await self.app(scope, receive, send)
        finally:
            _current.reset(token)
            request.end()
        return None


class _Request:
    """What has happened in one request. Tasks that outlive it, as pollers do, are no longer heard."""

    def __init__(self, tracer: trace.Tracer, span: Span) -> None:
        self._tracer, self._span = tracer, span
        self.inside = trace.set_span_in_context(span, Context())
        self._events: list[tuple[Event, int]] = []
        self._is_over = False

    def take(self, event: Event) -> None:
        """Keeps an event with its moment."""
        if not self._is_over and len(self._events) < MOST_EVENTS:
            self._events.append((event, time.time_ns()))

    def end(self) -> None:
        """Ends the span, with those of its calls and their attempts."""
        self._is_over = True
        if self._span.is_recording():
            calls = {event.call: self._call(event, at) for event, at in self._events if isinstance(event, CallEnded)}
            for event, at in self._events:
                if isinstance(event, AttemptEnded):
                    self._attempt(event, at, calls.get(event.call, self.inside))
                elif isinstance(event, RequestEnded):
                    self._describe(event)
        self._events.clear()
        self._span.end()

    def _describe(self, event: RequestEnded) -> None:
        self._span.update_name(f"{event.method} {event.endpoint}")
        self._span.set_attributes(
            {
                "http.request.method": event.method,
                "http.response.status_code": event.status,
                "merganser.endpoint": event.endpoint,
                "merganser.request_id": event.request_id,
                "merganser.complete": bool(event.complete),
            }
        )
        if event.status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))

    def _call(self, event: CallEnded, at: int) -> Context:
        kept = {"merganser.upstream": event.upstream, "merganser.status": event.status}
        if event.cache is not None:
            kept["merganser.cache"] = event.cache
        return self._span_of(f"call {event.call}", SpanKind.INTERNAL, self.inside, at, event.seconds, event.failure, kept)

    def _attempt(self, event: AttemptEnded, at: int, parent: Context) -> None:
        kept: dict[str, str | int] = {"merganser.upstream": event.upstream}
        if event.status is not None:
            kept["http.response.status_code"] = event.status
        self._span_of(f"attempt {event.upstream}", SpanKind.CLIENT, parent, at, event.seconds, event.failure, kept)

    def _span_of(self, name: str, kind: SpanKind, parent: Context, at: int, seconds: float, failure: str | None, kept: dict[str, Any]) -> Context:
        span = self._tracer.start_span(name, parent, kind, kept, start_time=at - int(seconds * 1e9))
        if failure is not None:
            span.set_attribute("error.type", failure)
            span.set_status(Status(StatusCode.ERROR, failure))
        span.end(at)
        return trace.set_span_in_context(span, Context())
