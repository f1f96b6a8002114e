"""The settings of each policy in words: one line a layer, as `merganser plan` prints them."""

from __future__ import annotations

from app.catalog.schema import CallSpec, Upstream
from app.catalog.schema_policies import Breaker, Cache, Concurrency, Hedge, Rate, Retry


def seconds(value: float) -> str:
    """A duration as the catalog writes it."""
    if value < 1:
        return f"{value * 1000:g}ms"
    if value >= 60 and value % 60 == 0:
        return f"{value / 60:g}m"
    return f"{value:g}s"


def share(value: float) -> str:
    """A share as the catalog writes it."""
    return f"{value * 100:g}%"


def cache(spec: Cache) -> str:
    """Its windows."""
    parts = [f"fresh {seconds(spec.ttl)}{' unless the upstream says otherwise' if spec.respect else ''}"]
    if spec.stale_while_revalidate:
        parts.append(f"then old data {seconds(spec.stale_while_revalidate)} while it is refreshed")
    if spec.stale_if_error:
        parts.append(f"{seconds(spec.stale_if_error)} when the call fails")
    return ", ".join(parts)


def retry(spec: Retry) -> str:
    """Attempts, conditions, pauses, budget."""
    pauses = f"{seconds(spec.backoff)} to {seconds(spec.max_backoff)}, full jitter"
    unsafe = ", whatever the method" if spec.unsafe else ""
    return f"{spec.attempts} attempts on {' '.join(map(str, spec.on))}; {pauses}; budget {share(spec.budget)}{unsafe}"


def hedge(spec: Hedge) -> str:
    """When, and the budget."""
    after = spec.after if isinstance(spec.after, str) else seconds(spec.after)
    return f"a second attempt after {after}; budget {share(spec.budget)}"


def breaker(spec: Breaker) -> str:
    """When it opens, and for how long."""
    return f"opens at {share(spec.failures)} failures of {spec.minimum} or more in {seconds(spec.window)}; for {seconds(spec.open)}, doubling to 1m"


def rate(spec: Rate) -> str:
    """Rate, burst, wait."""
    burst = f", burst {spec.burst}" if spec.burst is not None else ""
    return f"{spec.rate:g}/s{burst}, waits {seconds(spec.wait)}"


def concurrency(spec: Concurrency) -> str:
    """Slots, queue, wait."""
    slots = f"{'up to ' if spec.adaptive else ''}{spec.max} at once{', finds the limit itself' if spec.adaptive else ''}"
    return f"{slots}; {spec.queue} more wait {'what the timeout leaves' if spec.wait is None else seconds(spec.wait)}"


def credentials(spec: Upstream) -> str:
    """The kind, never the secret."""
    return "".join(spec.auth.model_fields_set) if spec.auth is not None else ""


def transport(call: CallSpec, upstream: Upstream) -> str:
    """What it ends in."""
    if upstream.python is not None:
        return f"{upstream.python}{f', {upstream.run}' if upstream.run else ''}"
    return f"{' '.join(upstream.origins)}; connect {seconds(upstream.connect_timeout)}, at most {call.max_body} bytes, decode {call.decode}"
