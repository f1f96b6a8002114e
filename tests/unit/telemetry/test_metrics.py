"""Metrics: what events become, how cheap it is, and that Prometheus can read it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.core import events
from app.telemetry.metrics import Metrics
from app.telemetry.sharing import FRESH, SharedFolder

CALL = events.CallEnded("trip", "sun", "sky", 0.012, "failed", "timeout", None)
ATTEMPT = events.AttemptEnded("sky", "sun", 0.012, None, 200, 100, 2000)
REQUEST = events.RequestEnded("trip", "GET", 200, 0.02, "r1", False, 3)
EVENTS = (
    CALL, ATTEMPT, REQUEST, events.Retried("sky", "sun", 0.1, "timeout"), events.Hedged("sky", "sun"), events.BudgetSpent("sky", "retry"),
    events.BreakerChanged("sky", "http://sky", "open"), events.Rejected("sky", "rate"), events.CacheAsked("sky", "hit"),
    events.SchemaDrifted("trip", "sun", "/a", "is no number"), events.ExpressionNulled("trip", "a.b"),
    events.FunctionFailed("ledger", "fares", "ValueError in line 3"), events.StoreChanged("down"),
)  # fmt: skip


def read(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {(s.name, frozenset(s.labels.items())): s.value for family in text_string_to_metric_families(text.decode()) for s in family.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return read(metrics.render())[name, frozenset(labels.items())]


def test_every_kind_of_event_is_counted() -> None:
    """No event falls through."""
    metrics = Metrics()
    for event in EVENTS:
        metrics.takes[type(event)](event)
    assert value(metrics, "merganser_calls_total", endpoint="trip", call="sun", upstream="sky", status="failed", error="timeout") == 1
    assert value(metrics, "merganser_requests_total", endpoint="trip", method="GET", status="200") == 1
    assert value(metrics, "merganser_incomplete_answers_total", endpoint="trip") == 1
    assert value(metrics, "merganser_upstream_received_bytes_total", upstream="sky") == 2000
    assert value(metrics, "merganser_breaker_state", upstream="sky", origin="http://sky") == 2


def test_the_event_kinds_of_core_are_all_known() -> None:
    """An event added to core/events.py must be counted, or this fails."""
    kinds = {kind for kind in vars(events).values() if isinstance(kind, type) and kind.__module__ == events.__name__}
    assert kinds == {type(event) for event in EVENTS}


def test_seconds_are_counted_into_buckets_that_add_up() -> None:
    """A bucket holds all that is not above its bound; +Inf holds all."""
    metrics = Metrics()
    for seconds in (0.001, 0.0011, 0.3, 60.0):
        metrics.lag.observe((), seconds)
    found = {labels: v for (name, labels), v in read(metrics.render()).items() if name == "merganser_event_loop_lag_seconds_bucket"}
    by_bound = {dict(labels)["le"]: v for labels, v in found.items()}
    assert (by_bound["0.001"], by_bound["0.0025"], by_bound["0.5"], by_bound["10.0"], by_bound["+Inf"]) == (1, 2, 3, 3, 4)
    assert value(metrics, "merganser_event_loop_lag_seconds_sum") == pytest.approx(60.3021)
    assert value(metrics, "merganser_event_loop_lag_seconds_count") == 4


def test_a_method_that_a_client_made_up_is_no_label() -> None:
    """Labels are bounded."""
    metrics = Metrics()
    metrics.takes[events.RequestEnded](events.RequestEnded("-", "BREW", 405, 0.0, "r"))
    assert value(metrics, "merganser_requests_total", endpoint="-", method="other", status="405") == 1


def test_names_follow_the_conventions() -> None:
    """Seconds and bytes as units, `_total` on counters, help everywhere, our prefix."""
    metrics = Metrics()
    for event in EVENTS:
        metrics.takes[type(event)](event)
    for family in text_string_to_metric_families(metrics.render().decode()):
        assert family.documentation
        if family.name.startswith(("process_", "python_")):
            continue
        assert family.name.startswith("merganser_")
        assert not family.name.endswith(("_ms", "_milliseconds", "_kb", "_count", "_sum"))
        if family.type == "counter":
            assert all(s.name.endswith("_total") for s in family.samples)
        if family.type == "histogram":
            assert family.name.endswith("_seconds")


def test_what_others_know_is_set_when_it_is_sampled() -> None:
    """Upstreams and the hub give snapshots; missing ones are left out."""
    metrics = Metrics()
    metrics.sampled_by(lambda m: m.upstream("sky", {"in_flight": 3, "queued": 1, "limit": None, "breakers": {"http://sky": "half_open"}}))
    metrics.sampled_by(lambda m: m.live({"connections": 2, "subscriptions": 5, "topics": 1, "deliveries_total": 40, "conflated_total": 4}))
    metrics.sample()
    assert value(metrics, "merganser_upstream_in_flight", upstream="sky") == 3
    assert value(metrics, "merganser_breaker_state", upstream="sky", origin="http://sky") == 1
    assert value(metrics, "merganser_live_deliveries_total") == 40
    assert ("merganser_upstream_concurrency_limit", frozenset({("upstream", "sky")})) not in read(metrics.render())


def test_workers_are_added_up(tmp_path: Path) -> None:
    """Any worker that is asked answers for all."""
    one, two = Metrics(tmp_path), Metrics(tmp_path)
    for metrics, times in ((one, 3), (two, 4)):
        for _ in range(times):
            metrics.takes[type(CALL)](CALL)
        metrics.connections.set((), times)
        metrics.share()
    labels = {"endpoint": "trip", "call": "sun", "upstream": "sky", "status": "failed", "error": "timeout"}
    for metrics in (one, two):
        assert value(metrics, "merganser_calls_total", **labels) == 7
        assert value(metrics, "merganser_call_duration_seconds_count", endpoint="trip", call="sun") == 7
        assert value(metrics, "merganser_live_connections") == 7


def test_a_dead_worker_keeps_its_counts_and_loses_its_gauges(tmp_path: Path) -> None:
    """No counter ever goes back."""
    dead = Metrics(tmp_path)
    dead.takes[type(CALL)](CALL)
    dead.connections.set((), 5)
    dead.share()
    for path in tmp_path.glob("*.json"):
        os.utime(path, (time.time() - FRESH - 1,) * 2)
    alive = Metrics(tmp_path)
    assert value(alive, "merganser_call_duration_seconds_count", endpoint="trip", call="sun") == 1
    assert ("merganser_live_connections", frozenset()) not in read(alive.render())


def test_a_folder_that_is_being_removed_is_no_fault(tmp_path: Path) -> None:
    """The end of `serve --workers`."""
    shared = SharedFolder(tmp_path / "gone")
    shared.absorb({})


def test_an_event_costs_little() -> None:
    """Under 2 µs (0.7 to 1.1 measured); the bound here is wide, for busy machines."""
    metrics = Metrics()
    best = min(_seconds_of(metrics) for _ in range(5))
    assert best / 3 / 2000 < 10e-6


def _seconds_of(metrics: Metrics) -> float:
    start = time.perf_counter()
    for _ in range(2000):
        for event in (CALL, ATTEMPT, REQUEST):
            metrics.takes[type(event)](event)
    return time.perf_counter() - start


async def test_a_scrape_is_rendered_beside_the_loop() -> None:
    """And as of now."""
    metrics = Metrics()
    metrics.sampled_by(lambda m: m.live({"connections": 9}))
    assert b"merganser_live_connections 9.0" in await metrics.scrape()
