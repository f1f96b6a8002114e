"""How often a client, or all of them together, may ask an endpoint: token buckets, in this process or shared."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv6Address

from app.catalog.schema import Endpoint, Limit
from app.core.context import Context
from app.core.runtime import Runtime
from app.policies.bucket import Bucket, burst_of

MOST_BUCKETS = 20_000
"""Clients that are remembered at once; beyond, the one that has not asked for longest is forgotten."""


class Rates:
    """The buckets of every endpoint that has a `limit`."""

    def __init__(self, endpoints: Mapping[str, Endpoint], runtime: Runtime, most: int = MOST_BUCKETS) -> None:
        self._limits: dict[str, Limit] = {name: spec.limit for name, spec in endpoints.items() if spec.limit is not None}
        self._runtime, self._most = runtime, most
        self._buckets: OrderedDict[tuple[str, str], Bucket] = OrderedDict()

    async def take(self, endpoint: str, context: Context) -> float:
        """Takes a turn: 0.0 if there was one, else seconds until there is."""
        limit = self._limits[endpoint]
        who = client_of(context) if limit.by == "client" else ""
        shared = self._runtime.shared
        if shared is not None:
            mark = hashlib.sha256(who.encode()).hexdigest()[:32]
            wait = await shared.take(f"limit:{endpoint}:{mark}", limit.rate, burst_of(limit))
            if wait is not None:
                return wait
        return self._take_here((endpoint, who), limit)

    def _take_here(self, key: tuple[str, str], limit: Limit) -> float:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(limit.rate, burst_of(limit))
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        now = self._runtime.now()
        return 0.0 if bucket.reserve(now, 0.0) is not None else bucket.delay(now)

    def __repr__(self) -> str:
        return f"<Rates {sorted(self._limits)}: {len(self._buckets)} clients>"


def client_of(context: Context) -> str:
    """Who is counted: the credential, else the address; of IPv6 the /64, which one household or host has to itself."""
    if context.identity is not None:
        return f"{context.identity.scheme}:{context.identity.subject}"
    try:
        whole = IPv6Address(context.address.partition("%")[0])
    except AddressValueError:
        return f"@{context.address}"
    return f"@{IPv6Address(int(whole) >> 64 << 64)}/64"
