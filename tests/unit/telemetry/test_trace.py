"""Traces: exported to a collector, continued from the client, told upstream."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.core.events import AttemptEnded, CallEnded, RequestEnded, ignore
from app.telemetry.otel import Tracing, open_tracing
from app.telemetry.trace import KEY, LAST_EXPORT

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """An OTLP collector over HTTP that keeps the spans."""

    def __init__(self) -> None:
        spans = self.spans = {}  # type: dict[str, Any]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = ExportTraceServiceRequest()
                request.ParseFromString(self.rfile.read(int(self.headers["content-length"])))
                spans.update({s.name: s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans})
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    one = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", one.url)
    yield one
    one.close()


def opened(collector: Collector) -> Tracing:
    tracing = open_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    assert tracing is not None
    return tracing


async def served(tracing: Tracing, headers: list[tuple[bytes, bytes]], status: int = 200) -> dict[str, Any]:
    """One request with a call of two attempts; what it emits comes from tasks of its own, as in the engine."""
    emit = tracing.beside(ignore)
    scope: dict[str, Any] = {"type": "http", "headers": headers}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(calls())
        emit(RequestEnded("trip", "GET", status, 0.03, "r-1", True, 1))

    async def calls() -> None:
        emit(AttemptEnded("sky", "sun", 0.01, "timeout", None))
        emit(AttemptEnded("sky", "sun", 0.01, None, 200))
        emit(CallEnded("trip", "sun", "sky", 0.02, "ok", None, "miss"))

    await tracing.middleware(app)(scope, None, None)
    return scope


async def test_a_request_is_a_span_with_its_calls_and_their_attempts(collector: Collector) -> None:
    """Parents, names, statuses, times."""
    tracing = opened(collector)
    await served(tracing, [])
    await tracing.aclose()
    request, call, attempt = (collector.spans[name] for name in ("GET trip", "call sun", "attempt sky"))
    assert request.parent_span_id == b""
    assert call.parent_span_id == request.span_id
    assert attempt.parent_span_id == call.span_id
    assert call.end_time_unix_nano - call.start_time_unix_nano == 20_000_000
    assert {a.key: a.value.string_value for a in call.attributes}["merganser.cache"] == "miss"


async def test_the_clients_trace_goes_on_and_upstreams_are_told(collector: Collector) -> None:
    """W3C trace context in and out: the same trace, our span as the parent."""
    tracing = opened(collector)
    scope = await served(tracing, [(b"traceparent", PARENT.encode()), (b"tracestate", b"a=1")])
    await tracing.aclose()
    request = collector.spans["GET trip"]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == tuple(PARENT.split("-")[1:3])
    assert scope[KEY] == (f"00-{request.trace_id.hex()}-{request.span_id.hex()}-01", "a=1")


async def test_a_failed_answer_is_an_error_in_the_trace(collector: Collector) -> None:
    """5xx is, 4xx is the client's matter."""
    tracing = opened(collector)
    await served(tracing, [], status=502)
    await tracing.aclose()
    assert collector.spans["GET trip"].status.code == 2
    assert collector.spans["call sun"].status.code == 0


async def test_what_outlives_a_request_is_not_kept(collector: Collector) -> None:
    """A poller that a request has started runs for hours, in a copy of its context."""
    tracing = opened(collector)
    emit = tracing.beside(ignore)
    go_on = asyncio.Event()
    pollers = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        pollers.append(asyncio.create_task(poll()))

    async def poll() -> None:
        await go_on.wait()
        emit(CallEnded("trip", "late", "sky", 0.02, "ok", None, None))

    await tracing.middleware(app)({"type": "http", "headers": []}, None, None)
    go_on.set()
    await asyncio.gather(*pollers)
    await tracing.aclose()
    assert list(collector.spans) == ["request"]


def test_without_a_collector_there_is_nothing() -> None:
    """Not even an import."""
    assert open_tracing({}) is None


@pytest.mark.parametrize("collector_is", ["gone", "silent"])
async def test_a_collector_that_does_not_answer_holds_up_the_end_for_two_seconds_at_most(monkeypatch: pytest.MonkeyPatch, collector_is: str) -> None:
    """What it was to get is lost, and nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if collector_is == "gone":
            silent.close()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        tracing = open_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"})
        assert tracing is not None
        await served(tracing, [])
        began = time.monotonic()
        await tracing.aclose()
        assert time.monotonic() - began < LAST_EXPORT + 2
