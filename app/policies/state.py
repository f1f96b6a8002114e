"""What the policies of one upstream remember, for all calls to it: circuits, budgets, bucket, slots, flights, counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Any

from app.catalog.schema import Upstream
from app.core.runtime import Runtime
from app.policies.bucket import Bucket, burst_of
from app.policies.budget import Budget
from app.policies.circuit import Circuit
from app.policies.latency import Latency
from app.policies.slots import Slots
from app.policies.store import Store


class UpstreamState:
    """Made once per upstream by `open_state`. Only what is configured is there: the rest is None or empty."""

    def __init__(self, name: str, spec: Upstream, runtime: Runtime, store: Store) -> None:
        self.name = name
        self.spec = spec
        self.runtime = runtime
        self.store = store
        self.origins = spec.origins or [spec.python or name]
        self.latency = Latency()
        self.retries = Budget()
        self.hedges = Budget()
        self.circuits = {origin: Circuit(spec.breaker, runtime.random) for origin in self.origins} if spec.breaker else {}
        self.bucket = Bucket(spec.rate.rate, burst_of(spec.rate)) if spec.rate else None
        self.slots = Slots(spec.concurrency, name, runtime, self.latency) if spec.concurrency else None
        self.loads = dict.fromkeys(self.origins, 0)
        self.flights: dict[Hashable, Any] = {}
        self.refreshing: set[Hashable] = set()
        self.cached: Counter[str] = Counter()
        self.in_flight = 0

    @property
    def health(self) -> str:
        """`up`, `degraded` or `down`: by its circuits, and by how its attempts of the last seconds ended."""
        good, bad = self.latency.lately(self.runtime.now())
        states = [circuit.state for circuit in self.circuits.values()]
        if (states and "closed" not in states) or (bad and not good):
            return "down"
        return "degraded" if bad * 10 > good or any(state != "closed" for state in states) else "up"

    def snapshot(self) -> dict[str, Any]:
        """How it stands now, as JSON: for the console and the metrics."""
        now = self.runtime.now()
        quantiles = {f"p{q}": self.latency.quantile(now, q / 100) for q in (50, 95, 99)}
        return {
            "state": self.health,
            "in_flight": self.in_flight,
            "queued": self.slots.queued if self.slots else 0,
            "limit": self.slots.limit if self.slots else None,
            "breakers": {origin: circuit.state for origin, circuit in self.circuits.items()},
            "cache": {word: self.cached[word] for word in ("hit", "miss", "stale", "coalesced")},
            "latency_ms": {name: None if value is None else round(value * 1000, 1) for name, value in quantiles.items()},
        }

    def __repr__(self) -> str:
        parts = [f"{self.health}, {self.in_flight} in flight", repr(self.slots) if self.slots else "", *map(repr, self.circuits.values())]
        return f"<UpstreamState {self.name} {' '.join(part for part in parts if part)}>"


def open_state(name: str, spec: Upstream, runtime: Runtime, store: Store) -> UpstreamState:
    """The state of one upstream; `store` is the process-wide one."""
    return UpstreamState(name, spec, runtime, store)
