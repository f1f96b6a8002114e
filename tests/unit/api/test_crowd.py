"""One client takes no more than its share of the connections; what stands for many clients is not counted."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from app.api.crowd import Crowd

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def test_a_client_has_its_share_and_gets_it_back() -> None:
    """Others are not touched by it."""
    crowd = Crowd(2)
    assert [crowd.enter(n, "192.0.2.1") for n in range(3)] == [True, True, False]
    assert crowd.enter("other", "192.0.2.2")
    crowd.leave(0)
    crowd.leave(0)
    assert [crowd.enter(n, "192.0.2.1") for n in (3, 4)] == [True, False]
    assert repr(crowd) == "<Crowd 3 connections of 2 clients, at most 2 each>"


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("testclient", "testclient", True),
        ("0.0.0.1", "::1", False),
    ],
)
def test_who_counts_as_one_client(one: str, other: str, are_same: bool) -> None:
    """An address of IPv4, a /64 of IPv6."""
    crowd = Crowd(1)
    assert crowd.enter(1, one)
    assert crowd.enter(2, other) is not are_same


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1", None, ""])
def test_proxies_and_local_sockets_are_not_counted(peer: str | None) -> None:
    """They speak for many."""
    crowd = Crowd(1, PROXIES)
    assert all(crowd.enter(n, peer) for n in range(5))
    assert len(crowd) == 0


def test_without_a_limit_nothing_is_kept() -> None:
    """The default."""
    crowd = Crowd()
    assert all(crowd.enter(n, "192.0.2.1") for n in range(5))
    assert len(crowd) == 0


def test_nothing_is_kept_of_clients_that_have_left() -> None:
    """However many there were."""
    crowd = Crowd(3)
    for n in range(1000):
        crowd.enter(n, f"192.0.{n % 100}.1")
        crowd.leave(n)
    assert repr(crowd) == "<Crowd 0 connections of 0 clients, at most 3 each>"
