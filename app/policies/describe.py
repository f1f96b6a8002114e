"""The settings of each policy in words: one line a layer, as `merganser plan` prints them."""

from __future__ import annotations

from app.catalog.schema import CallSpec, Upstream
from app.catalog.schema_policies import Breaker, Cache, Concurrency, Hedge, Rate, Retry
from app.catalog.units import duration_text, share_text, size_text


def cache(spec: Cache) -> str:
    """Its windows."""
    parts = [f"fresh {duration_text(spec.ttl)}{' unless the upstream says otherwise' if spec.respect else ''}"]
    if spec.stale_while_revalidate:
        parts.append(f"then old data {duration_text(spec.stale_while_revalidate)} while it is refreshed")
    if spec.stale_if_error:
        parts.append(f"{duration_text(spec.stale_if_error)} when the call fails")
    return ", ".join(parts)


def retry(spec: Retry) -> str:
    """Attempts, conditions, pauses, budget."""
    pauses = f"{duration_text(spec.backoff)} to {duration_text(spec.max_backoff)}, full jitter"
    unsafe = ", whatever the method" if spec.unsafe else ""
    return f"{spec.attempts} attempts on {' '.join(map(str, spec.on))}; {pauses}; budget {share_text(spec.budget)}{unsafe}"


def hedge(spec: Hedge) -> str:
    """When, and the budget."""
    after = spec.after if isinstance(spec.after, str) else duration_text(spec.after)
    return f"a second attempt after {after}; budget {share_text(spec.budget)}"


def breaker(spec: Breaker) -> str:
    """When it opens, and for how long."""
    failures = f"{share_text(spec.failures)} failures of {spec.minimum} or more in {duration_text(spec.window)}"
    return f"opens at {failures}; for {duration_text(spec.open)}, doubling to 1m"


def rate(spec: Rate) -> str:
    """Rate, burst, wait."""
    burst = f", burst {spec.burst}" if spec.burst is not None else ""
    return f"{spec.rate:g}/s{burst}, waits {duration_text(spec.wait)}"


def concurrency(spec: Concurrency) -> str:
    """Slots, queue, wait."""
    slots = f"{'up to ' if spec.adaptive else ''}{spec.max} at once{', finds the limit itself' if spec.adaptive else ''}"
    return f"{slots}; {spec.queue} more wait {'what the timeout leaves' if spec.wait is None else duration_text(spec.wait)}"


def credentials(spec: Upstream) -> str:
    """The kind, never the secret."""
    return "".join(spec.auth.model_fields_set) if spec.auth is not None else ""


def transport(call: CallSpec, upstream: Upstream) -> str:
    """What it ends in."""
    if upstream.python is not None:
        return f"{upstream.python}{f', {upstream.run}' if upstream.run else ''}"
    connect = duration_text(upstream.connect_timeout)
    return f"{' '.join(upstream.origins)}; connect {connect}, at most {size_text(call.max_body)}, decode {call.decode}"
