"""Token buckets by client and by endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.limits import MOST_BUCKETS, Rates, burst_of, client_of
from app.catalog.schema import Endpoint, Limit
from app.core.context import Context
from app.core.identity import Identity
from app.core.runtime import Runtime
from app.core.tasks import Tasks


class Clock:
    """A clock that stands still until it is set."""

    now = 100.0

    def __call__(self) -> float:
        """The moment."""
        return self.now


class Store:
    """A shared store that answers as told; None stands for one that does not answer."""

    def __init__(self, wait: float | None) -> None:
        self.wait, self.asked = wait, []  # type: ignore[var-annotated]

    async def take(self, key: str, rate: float, burst: int) -> float | None:
        """Says how long to wait."""
        self.asked.append((key, rate, burst))
        return self.wait


def rates(clock: Clock, *, shared: Any = None, most: int = MOST_BUCKETS, **limit: Any) -> Rates:
    """One endpoint `e` with this limit."""
    endpoint = Endpoint(get="/e", limit=Limit.model_validate({"rate": "1/s", **limit}))
    return Rates({"e": endpoint, "free": Endpoint(get="/f")}, Runtime(Tasks(lambda *_: None), clock, shared=shared), most)


def from_(address: str, identity: Identity | None = None) -> Context:
    """A request from there."""
    return Context("id", address=address, identity=identity)


async def test_a_bucket_gives_its_burst_then_its_rate() -> None:
    """`burst` at once; over it the seconds until the next turn."""
    clock = Clock()
    bucket = rates(clock, burst=2)
    assert [await bucket.take("e", from_("1.1.1.1")) for _ in range(3)] == [0.0, 0.0, pytest.approx(1.0)]
    clock.now += 0.5
    assert await bucket.take("e", from_("1.1.1.1")) == pytest.approx(0.5)
    clock.now += 0.5
    assert await bucket.take("e", from_("1.1.1.1")) == 0.0


async def test_clients_have_buckets_of_their_own() -> None:
    """By credential where there is one, else by address; the same client keeps its bucket on another address."""
    bucket = rates(Clock(), burst=1)
    ana, bob = (Identity("user", name) for name in ("ana", "bob"))
    turns = [("1.1.1.1", None), ("2.2.2.2", None), ("1.1.1.1", ana), ("1.1.1.1", bob), ("3.3.3.3", ana)]
    assert [await bucket.take("e", from_(*turn)) > 0 for turn in turns] == [False, False, False, False, True]


async def test_by_endpoint_all_share_one() -> None:
    """`by: endpoint`."""
    bucket = rates(Clock(), burst=1, by="endpoint")
    assert [await bucket.take("e", from_(f"1.1.1.{i}")) > 0 for i in range(2)] == [False, True]


def test_a_host_is_its_64_in_ipv6() -> None:
    """Who has a /64 has 2^64 addresses, and no more turns for it."""
    assert client_of(from_("2001:db8::1")) == client_of(from_("2001:db8::ffff:1")) != client_of(from_("2001:db8:0:1::1"))
    assert client_of(from_("fe80::1%eth0")) == client_of(from_("fe80::2"))


@pytest.mark.parametrize(("limit", "burst"), [({"rate": "5/s"}, 5), ({"rate": "1/m"}, 1), ({"rate": "90/m"}, 2), ({"rate": "1/s", "burst": 7}, 7)])
def test_the_burst_is_a_seconds_worth_unless_said(limit: dict[str, Any], burst: int) -> None:
    """At least one."""
    assert burst_of(Limit.model_validate(limit)) == burst


async def test_buckets_are_bounded() -> None:
    """Strangers cannot fill the memory: who has not asked for longest is forgotten."""
    bucket = rates(Clock(), most=3, burst=1)
    for i in range(10):
        await bucket.take("e", from_(f"1.1.1.{i}"))
    assert repr(bucket) == "<Rates ['e']: 3 clients>"


async def test_a_shared_store_decides_where_it_answers() -> None:
    """Its key shows no client; where it does not answer, the process counts by itself."""
    store = Store(2.5)
    assert await rates(Clock(), shared=store).take("e", from_("1.1.1.1")) == 2.5
    assert "1.1.1.1" not in store.asked[0][0]
    assert store.asked[0][1:] == (1.0, 1)
    alone = rates(Clock(), shared=Store(None))
    assert [await alone.take("e", from_("1.1.1.1")) > 0 for _ in range(2)] == [False, True]
