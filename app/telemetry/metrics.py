"""Every metric of a server, fed by events, and rendered for Prometheus.

Labels are bounded by the catalog and by fixed lists: nothing that a client or an upstream sends becomes a label.
`docs/operating.md` explains each (a test compares the two).
"""

from __future__ import annotations

import asyncio
import copy
import platform
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from app import __version__
from app.core import events
from app.telemetry.series import Counter, Gauge, Histogram, Series
from app.telemetry.sharing import SharedFolder

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bucket bounds of what takes time."""
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
S = TypeVar("S", Counter, Gauge, Histogram)
BREAKER = {"closed": 0, "half_open": 1, "open": 2}


class Metrics:
    """Takes events (`emit`, under 1 µs each) and how things stand (`upstream`, `live`), gives the text of `/metrics`.

    With a `folder` the numbers of all processes that share it are added up.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._series: dict[str, Series] = {}
        self._shared = SharedFolder(folder) if folder is not None else None
        self._samplers: list[Callable[[Metrics], None]] = []
        self._declare_requests()
        self._declare_upstreams()
        self._declare_process()
        self.takes: dict[type, Callable[[Any], None]] = {  # what counts an event, by its type
            events.RequestEnded: self._request_ended,
            events.CallEnded: self._call_ended,
            events.AttemptEnded: self._attempt_ended,
            events.FunctionFailed: lambda e: self.functions.add((e.upstream,)),
            events.Retried: lambda e: self.retries.add((e.upstream, e.failure)),
            events.Hedged: lambda e: self.hedges.add((e.upstream,)),
            events.BudgetSpent: lambda e: self.budgets.add((e.upstream, e.policy)),
            events.BreakerChanged: self._breaker_changed,
            events.Rejected: lambda e: self.rejections.add((e.upstream, e.policy)),
            events.CacheAsked: lambda e: self.cache.add((e.upstream, e.outcome)),
            events.SchemaDrifted: lambda e: self.drifts.add((e.endpoint, e.call)),
            events.StoreChanged: lambda e: self.store.set((), e.state == "up"),
            events.ExpressionNulled: lambda e: self.nulled.add((e.endpoint,)),
        }
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(_Asked(self))
        if folder is None:
            ProcessCollector(registry=self.registry)

    def _declare_requests(self) -> None:
        self.requests = self._counter("merganser_requests", "Requests answered.", "endpoint", "method", "status")
        self.request_seconds = self._histogram("merganser_request_duration_seconds", "From request to answer.", "endpoint")
        self.incomplete = self._counter("merganser_incomplete_answers", "Answers in which an optional call is missing.", "endpoint")
        self.calls = self._counter("merganser_calls", "Calls settled, by status of their source.", "endpoint", "call", "upstream", "status", "error")
        self.call_seconds = self._histogram("merganser_call_duration_seconds", "From when a call could start until it settled.", "endpoint", "call")
        self.drifts = self._counter("merganser_schema_drifts", "Data that broke its schema, under `validate: warn`.", "endpoint", "call")
        self.nulled = self._counter("merganser_expressions_nulled", "Expressions of a response that became null.", "endpoint")

    def _declare_upstreams(self) -> None:
        self.attempts = self._counter("merganser_attempts", "Requests to an upstream; `error` is empty for a success.", "upstream", "error")
        self.attempt_seconds = self._histogram("merganser_attempt_duration_seconds", "From asking for a connection to the last byte.", "upstream")
        self.responses = self._counter("merganser_upstream_responses", "Answers of an upstream by HTTP status.", "upstream", "status")
        self.sent = self._counter("merganser_upstream_sent_bytes", "Bytes sent to an upstream.", "upstream")
        self.received = self._counter("merganser_upstream_received_bytes", "Bytes received from an upstream.", "upstream")
        self.connects = self._histogram("merganser_upstream_connect_duration_seconds", "Opening a connection: DNS, TCP and TLS.", "upstream")
        self.functions = self._counter("merganser_function_failures", "Functions of a Python upstream that raised, or returned no JSON.", "upstream")
        self.retries = self._counter("merganser_retries", "Calls tried again, by the failure before.", "upstream", "error")
        self.hedges = self._counter("merganser_hedges", "Second attempts beside a slow one.", "upstream")
        self.budgets = self._counter("merganser_budget_exhausted", "Retries and hedges left out for want of budget.", "upstream", "policy")
        self.rejections = self._counter("merganser_rejections", "Calls that a policy of ours kept back.", "upstream", "policy")
        self.cache = self._counter("merganser_cache_requests", "What the cache said.", "upstream", "outcome")
        self.breaker = self._gauge("merganser_breaker_state", "0 closed, 1 half open, 2 open.", "upstream", "origin", across="max")
        self.breaker_changes = self._counter("merganser_breaker_changes", "Changes of a breaker into a state.", "upstream", "origin", "state")
        self.in_flight = self._gauge("merganser_upstream_in_flight", "Calls in service.", "upstream")
        self.queued = self._gauge("merganser_upstream_queued", "Calls that wait for a slot.", "upstream")
        self.limit = self._gauge("merganser_upstream_concurrency_limit", "Calls allowed at once.", "upstream")

    def _declare_process(self) -> None:
        self.connections = self._gauge("merganser_live_connections", "Open WebSockets.")
        self.subscriptions = self._gauge("merganser_live_subscriptions", "Subscriptions, WebSocket and SSE.")
        self.topics = self._gauge("merganser_live_topics", "Topics that are polled or kept for a resume.")
        self.deliveries = self._counter("merganser_live_deliveries", "Messages with data sent to subscribers.")
        self.conflated = self._counter("merganser_live_conflated", "Updates merged into a later one because a client was slow.")
        self.resumed = self._counter("merganser_live_resumed", "Subscriptions that went on where they had stopped.")
        self.refused = self._counter("merganser_live_refused", "Subscriptions refused.")
        self.in_service = self._gauge("merganser_requests_in_flight", "Requests in service.")
        self.admitted = self._gauge("merganser_requests_limit", "Requests that may be in service at once; fewer while the loop lags.")
        self.shed = self._counter("merganser_requests_shed", "Requests refused with 503 because too many were in service.")
        self.lag = self._histogram("merganser_event_loop_lag_seconds", "How late the event loop woke a timer, sampled four times a second.")
        self.store = self._gauge("merganser_shared_store_up", "1 where Redis answers in time, 0 where each process is by itself.", across="max")
        self.tasks = self._gauge("merganser_background_tasks", "Refreshes, shared flights and pollers that run.")
        self.dropped_lines = self._counter("merganser_log_lines_dropped", "Log lines left out because the output was too slow.")
        self.build = self._gauge("merganser_build_info", "1, with the versions as labels.", "version", "python", across="max")
        self.build.set((__version__, platform.python_version()), 1)

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return self._add(Counter(name, help, *labels))

    def _gauge(self, name: str, help: str, *labels: str, across: Literal["sum", "max"] = "sum") -> Gauge:
        return self._add(Gauge(name, help, *labels, across=across))

    def _histogram(self, name: str, help: str, *labels: str) -> Histogram:
        return self._add(Histogram(name, help, *labels, bounds=SECONDS))

    def _add(self, series: S) -> S:
        self._series[series.name] = series
        return series

    # --- what is told

    def _request_ended(self, event: events.RequestEnded) -> None:
        method = event.method if event.method in METHODS else "other"
        self.requests.add((event.endpoint, method, event.status))
        self.request_seconds.observe((event.endpoint,), event.seconds)
        if event.complete is False:
            self.incomplete.add((event.endpoint,))

    def _call_ended(self, event: events.CallEnded) -> None:
        self.calls.add((event.endpoint, event.call, event.upstream, event.status, event.failure or ""))
        self.call_seconds.observe((event.endpoint, event.call), event.seconds)

    def _attempt_ended(self, event: events.AttemptEnded) -> None:
        upstream = (event.upstream,)
        self.attempts.add((event.upstream, event.failure or ""))
        self.attempt_seconds.observe(upstream, event.seconds)
        if event.connect_seconds:
            self.connects.observe(upstream, event.connect_seconds + event.tls_seconds)
        if event.status is not None:
            self.responses.add((event.upstream, event.status))
        if event.sent_bytes:
            self.sent.add(upstream, event.sent_bytes)
        if event.received_bytes:
            self.received.add(upstream, event.received_bytes)

    def _breaker_changed(self, event: events.BreakerChanged) -> None:
        self.breaker_changes.add((event.upstream, event.origin, event.state))
        self.breaker.set((event.upstream, event.origin), BREAKER[event.state])

    # --- what is asked

    def upstream(self, name: str, snapshot: Mapping[str, Any]) -> None:
        """How an upstream stands: `in_flight`, `queued`, `limit`, `breakers` of its state's snapshot."""
        for gauge, key in ((self.in_flight, "in_flight"), (self.queued, "queued"), (self.limit, "limit")):
            if snapshot.get(key) is not None:
                gauge.set((name,), snapshot[key])
        for origin, state in (snapshot.get("breakers") or {}).items():
            self.breaker.set((name, origin), BREAKER[state])

    def live(self, snapshot: Mapping[str, Any]) -> None:
        """How the hub stands: `connections`, `subscriptions`, `topics` and its totals."""
        for gauge, key in ((self.connections, "connections"), (self.subscriptions, "subscriptions"), (self.topics, "topics")):
            gauge.set((), snapshot.get(key, 0))
        totals = ((self.deliveries, "deliveries_total"), (self.conflated, "conflated_total"), (self.resumed, "resumed_total"))
        for counter, key in (*totals, (self.refused, "refused_total")):
            counter.mirror((), snapshot.get(key, 0))

    def admission(self, snapshot: Mapping[str, Any]) -> None:
        """How the guard stands: `in_flight`, `limit` and `shed_total`."""
        self.in_service.set((), snapshot["in_flight"])
        self.admitted.set((), snapshot["limit"])
        self.shed.mirror((), snapshot["shed_total"])

    def sampled_by(self, sampler: Callable[[Metrics], None]) -> None:
        """Adds a function that is called on the loop once a second and before each scrape, to set gauges."""
        self._samplers.append(sampler)

    def sample(self) -> None:
        """Asks everyone how they stand. On the loop's thread."""
        for sampler in self._samplers:
            sampler(self)

    @property
    def is_shared(self) -> bool:
        """Whether other processes add their numbers."""
        return self._shared is not None

    def share(self) -> None:
        """Lets the other processes see this one's numbers; nothing to do where there are none. Writes a file: not on the loop."""
        if self._shared is not None:
            self._shared.write(self._series.values())

    async def scrape(self) -> bytes:
        """The text of `/metrics`, as of now; rendered in a thread."""
        self.sample()
        return await asyncio.to_thread(self.render)

    def render(self) -> bytes:
        """The text of `/metrics`, as of the last sample. Takes milliseconds: not on the loop."""
        return generate_latest(self.registry)

    def families(self) -> Iterator[Metric]:
        """Every series, with those of the other processes added."""
        total: dict[str, Series] = {name: _copied(series) for name, series in self._series.items()}
        if self._shared is not None:
            self._shared.absorb(total)
        for series in total.values():
            yield series.family(series.cells)

    @property
    def names(self) -> dict[str, Series]:
        """The declared series by name, counters without `_total`."""
        return self._series


def _copied(series: Series) -> Series:
    """A copy that another thread may read; `list` of a dict's items is one step for the interpreter."""
    twin = copy.copy(series)
    twin.cells = {labels: list(cell) if isinstance(cell, list) else cell for labels, cell in list(series.cells.items())}  # type: ignore[assignment]
    return twin


class _Asked(Collector):
    """Gives prometheus-client the series when it renders."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.families()
