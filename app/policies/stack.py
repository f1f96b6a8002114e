"""THE order: which policies wrap a call, outermost first, and why each stands where it stands.

A policy that is not configured is not in the stack, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, log2

from app.catalog.schema import CallSpec
from app.catalog.schema_policies import Retry
from app.catalog.units import duration_text
from app.core.call import Policy, Send
from app.core.http import IDEMPOTENT
from app.policies import describe
from app.policies.attempt import attempt
from app.policies.balance import balance
from app.policies.breaker import breaker
from app.policies.cache import cache
from app.policies.coalesce import coalesce
from app.policies.concurrency import concurrency
from app.policies.deadline import deadline
from app.policies.hedge import hedge
from app.policies.rate import rate
from app.policies.retry import retry
from app.policies.state import UpstreamState, open_state
from app.policies.timeout import timeout

__all__ = ["ORDER", "Layer", "Stack", "UpstreamState", "build", "open_state"]

ORDER = {
    "observe": "sees what the client sees, fallbacks included; in the engine, since a call with `each` is observed once",
    "fallback": "replaces whatever failure is left, and is told from real data; in the engine, since the list of `each` has one",
    "cache": "outside the deadline: old data is answered when time runs out, and a refresh goes on after the answer",
    "deadline": "bounds everything that waits: every wait below ends at the call's deadline by itself, and nothing begins after it",
    "coalesce": "outside the retries: who joins shares their outcome, instead of retrying the same request once more",
    "retry": "outside the hedge: a race that nobody won may be run again; outside the breaker: each attempt counts",
    "hedge": "outside the breaker: each of the two attempts counts, and the one whose rival won does not",
    "balance": "each attempt goes to a url of its own; outside the breaker, which is one per url",
    "breaker": "outside rate, timeout and slots: an open circuit costs no token, no slot and no waiting",
    "rate": "outside the timeout: waiting for a turn is no part of the attempt",
    "timeout": "outside the slots: one attempt, from the asking for a slot to the last byte",
    "concurrency": "next to the wire: a slot is held while a request is with the upstream, and no longer",
    "credentials": "just before the wire: a secret is seen by no other policy, and in no cache key",
    "transport": "the upstream itself; its answer is decoded here, so that the cache keeps decoded data",
}
"""Each policy's reason for its place."""
READS = frozenset(("GET", "HEAD", "OPTIONS", "CALL"))
"""Methods whose answers an upstream's `cache` keeps; CALL is a Python upstream's."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One policy of a stack, and its settings in words."""

    name: str
    describe: str


@dataclass(frozen=True, slots=True)
class Stack:
    """A call's policies round its transport, as one service."""

    send: Send
    layers: tuple[Layer, ...]
    spec: CallSpec
    rate_wait: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """The policies, outermost first."""
        return tuple(layer.name for layer in self.layers)

    def worst_case(self, deadline: float) -> float:
        """Seconds that the call may take at most, all items of its `each` included; never over `deadline`.

        It is the deadline where no timeout bounds an attempt. A longer pause that an upstream asks for by `Retry-After` is not in it.
        """
        spec, retries = self.spec, self.spec.retry if "retry" in self.names else None
        if spec.timeout is None:
            return deadline
        race = self._race(spec.timeout + self.rate_wait)
        request = race if retries is None else retries.attempts * race + _pauses(retries)
        rounds = 1 if spec.each is None else -(-spec.max_items // spec.concurrency)
        return min(deadline, rounds * request)

    def _race(self, attempt: float) -> float:
        """Seconds of an attempt and its hedge at most, of seconds of one."""
        hedged = self.spec.hedge if "hedge" in self.names else None
        if hedged is None:
            return attempt
        after = attempt if isinstance(hedged.after, str) else hedged.after
        return after + attempt if after <= attempt else attempt

    def __repr__(self) -> str:
        return "\n".join(f"{layer.name:<12}{layer.describe}" for layer in self.layers)


def _pauses(spec: Retry) -> float:
    """Seconds of all pauses between attempts at their longest: each twice the one before, up to `max_backoff`."""
    pauses = spec.attempts - 1
    if not 0 < spec.backoff < spec.max_backoff:
        return pauses * min(spec.backoff, spec.max_backoff)
    doubling = min(pauses, ceil(log2(spec.max_backoff / spec.backoff)))
    return spec.backoff * (2.0**doubling - 1) + (pauses - doubling) * spec.max_backoff


def build(spec: CallSpec, method: str, state: UpstreamState, terminal: Send, credentials: Policy | None, *, is_read: bool = True) -> Stack:
    """The stack of one call. `method` is CALL for a Python upstream; `is_read`: the endpoint only reads (it is a GET)."""
    send = attempt(state)(terminal)
    chosen = list(_policies(spec, method, state, credentials, is_read))
    for _, policy in reversed(chosen):
        if policy is not None:
            send = policy(send)
    layers = [layer for layer, _ in chosen]
    return Stack(send, (*layers, Layer("transport", describe.transport(spec, state.spec))), spec, state.spec.rate.wait if state.spec.rate else 0.0)


def _policies(spec: CallSpec, method: str, state: UpstreamState, credentials: Policy | None, is_read: bool) -> Iterator[tuple[Layer, Policy | None]]:
    """What is configured, in THE order; a layer without a policy is done elsewhere."""
    upstream = state.spec
    yield Layer("observe", "tells how the call went"), None
    if spec.has_fallback:
        yield Layer("fallback", "data of the catalog when the call fails"), None
    may_answer_late = spec.each is not None
    if spec.cache is not None and is_cached(spec, method, state, is_read):
        yield Layer("cache", describe.cache(spec.cache)), cache(spec.cache, state)
        may_answer_late = True
    yield Layer("deadline", "the answer's, for all that follows"), deadline(state) if may_answer_late else None
    if is_shared(spec, method):
        alike = (spec.timeout, repr(spec.retry), repr(spec.hedge))
        yield Layer("coalesce", "identical calls in flight are one request"), coalesce(state, alike)
    if spec.retry is not None and spec.retry.attempts > 1 and may_repeat(spec, method):
        yield Layer("retry", describe.retry(spec.retry)), retry(spec.retry, state)
    if spec.hedge is not None and may_repeat(spec, method):
        yield Layer("hedge", describe.hedge(spec.hedge)), hedge(spec.hedge, state)
    if len(state.origins) > 1:
        yield Layer("balance", f"the less loaded of two of {len(state.origins)} urls"), balance(state)
    if upstream.breaker is not None:
        yield Layer("breaker", describe.breaker(upstream.breaker)), breaker(state)
    if upstream.rate is not None:
        yield Layer("rate", describe.rate(upstream.rate)), rate(upstream.rate, state)
    if spec.timeout is not None:
        yield Layer("timeout", f"{duration_text(spec.timeout)} for one attempt"), timeout(spec.timeout, state)
    if upstream.concurrency is not None:
        yield Layer("concurrency", describe.concurrency(upstream.concurrency)), concurrency(state)
    if credentials is not None:
        yield Layer("credentials", describe.credentials(upstream)), credentials


def may_repeat(spec: CallSpec, method: str) -> bool:
    """Whether a request may be sent twice: idempotent methods (RFC 9110 section 9.2.2), others and functions where `unsafe` says so."""
    return method in IDEMPOTENT or (spec.retry is not None and spec.retry.unsafe)


def is_shared(spec: CallSpec, method: str) -> bool:
    """Whether identical calls in flight are one: GET and HEAD unless switched off, functions where it is said, others never."""
    if method == "CALL":
        return spec.coalesce is True
    return method in ("GET", "HEAD") and spec.coalesce is not False


def is_cached(spec: CallSpec, method: str, state: UpstreamState, is_read: bool) -> bool:
    """Whether answers are kept: reads; a POST for a GET endpoint, which asks with a body; others where the call itself says so."""
    if method in READS or spec.cache != state.spec.cache:
        return True
    return method == "POST" and is_read
