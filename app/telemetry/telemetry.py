"""What a process tells of itself: events go in at one place and come out as log lines and metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from app.core.events import AttemptEnded, BreakerChanged, Event, FunctionFailed, RequestEnded, SchemaDrifted, StoreChanged
from app.telemetry.health import Health
from app.telemetry.lag import Watchdog, sample
from app.telemetry.logs import Logs
from app.telemetry.metrics import Metrics

TOLD_AT_MOST = 1000
"""Different drifts and function failures that are logged, each once."""


class Telemetry:
    """`emit` is the one listener of a runtime; `running()` adds the sampling of the loop and a watchdog over it."""

    def __init__(self, metrics: Metrics, logs: Logs, *, patience: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.metrics, self.logs = metrics, logs
        self.health = Health(self._upstream_changed, clock)
        self._patience, self._clock = patience, clock
        told: dict[type, Callable[[Any], None]] = {
            RequestEnded: self._request_ended,
            AttemptEnded: self.health.attempt_ended,
            BreakerChanged: self.health.breaker_changed,
            SchemaDrifted: self._drifted,
            StoreChanged: self._store_changed,
            FunctionFailed: self._function_failed,
        }
        self._takes = {kind: tuple(takes[kind] for takes in (metrics.takes, told) if kind in takes) for kind in {*metrics.takes, *told}}
        self._told: set[tuple[str, ...]] = set()

    def emit(self, event: Event) -> None:
        """Counts an event, and logs it where it is worth a line."""
        for take in self._takes.get(type(event), ()):
            take(event)

    def fault(self, name: str, fault: BaseException) -> None:
        """Logs a fault of background work: what `Tasks` takes as `on_fault`."""
        self.logs.line("error", "background task failed", task=name, exc_info=fault)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Samples the loop, the gauges and the shared numbers until the block ends."""
        watchdog = Watchdog(self._blocked, patience=self._patience, clock=self._clock)
        watchdog.start()
        sampling = asyncio.create_task(sample(lambda lag: self.metrics.lag.observe((), lag), watchdog.beat, self._every_second), name="telemetry")
        try:
            yield
        finally:
            sampling.cancel()
            with suppress(asyncio.CancelledError):
                await sampling
            watchdog.stop()
            self.metrics.share()
            self.logs.writer.close()

    def _every_second(self) -> None:
        self.metrics.dropped_lines.mirror((), self.logs.writer.dropped)
        self.metrics.sample()
        if self.metrics.is_shared:
            asyncio.get_running_loop().run_in_executor(None, self.metrics.share)

    def _request_ended(self, event: RequestEnded) -> None:
        if event.endpoint == "-" and event.status < 400:
            return
        fields: dict[str, Any] = {
            "request_id": event.request_id, "endpoint": event.endpoint, "method": event.method, "status": event.status,
            "ms": round(event.seconds * 1000, 1), "calls": event.calls,
        }  # fmt: skip
        if event.complete is not None:
            fields["complete"] = event.complete
        if event.surface != "rest":
            fields["surface"] = event.surface
        self.logs.request(fields)

    def _upstream_changed(self, upstream: str, state: str, failure: str | None, seconds: float) -> None:
        if state == "down":
            self.logs.line("warning", "upstream down", upstream=upstream, error=failure)
        else:
            self.logs.line("info", "upstream up", upstream=upstream, down_seconds=round(seconds, 1))

    def _store_changed(self, event: StoreChanged) -> None:
        self.logs.line("info" if event.state == "up" else "warning", f"shared store {event.state}")

    def _drifted(self, event: SchemaDrifted) -> None:
        """A place that drifts is logged once; the metric counts them all."""
        if self._is_new("drift", event.endpoint, event.call, event.where):
            self.logs.line("warning", "schema drift", endpoint=event.endpoint, call=event.call, where=event.where, message=event.message)

    def _function_failed(self, event: FunctionFailed) -> None:
        if self._is_new("function", event.upstream, event.reason):
            self.logs.line("warning", "function failed", upstream=event.upstream, call=event.call, reason=event.reason)

    def _is_new(self, *what: str) -> bool:
        """Whether this is told for the first time; bounded, since an upstream may put anything into a place's name."""
        if what in self._told or len(self._told) >= TOLD_AT_MOST:
            return False
        self._told.add(what)
        return True

    def _blocked(self, seconds: float, stack: str) -> None:
        self.logs.line("error", "event loop blocked", seconds=round(seconds, 2), stack=stack)
