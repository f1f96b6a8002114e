"""New connections: names, several addresses, both families, and time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from app.core.errors import CallFailure
from app.upstream.dial import Dialer
from app.upstream.origin import Origin, base_path
from app.upstream.resolve import Address, Resolver, _interleaved, literal
from tests.fakes.calls import asking
from tests.fakes.upstream import FakeUpstream, always, answer

FOUR = socket.AF_INET


@pytest.fixture
def hole() -> Iterator[Address]:
    """An address that neither takes connections nor refuses them: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield FOUR, listener.getsockname()


class Known(Resolver):
    """A resolver with its answers given."""

    def __init__(self, *addresses: Address) -> None:
        super().__init__(asyncio.get_running_loop())
        self.given = list(addresses)
        self.asked = 0

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Those."""
        self.asked += 1
        return self.given


def dialer(resolver: Resolver, timeout: float = 1.0) -> Dialer:
    """Of an origin whose addresses the resolver knows."""
    return Dialer(asyncio.get_running_loop(), resolver, Origin("http", "name.test", 80), None, timeout)


async def test_the_next_address_is_tried_when_one_refuses() -> None:
    """And the one that worked is tried first from then on."""
    async with FakeUpstream(always(answer())) as gone:
        refusing: Address = (FOUR, ("127.0.0.1", gone.port))
    async with FakeUpstream(always(answer())) as upstream:
        resolver = Known(refusing, refusing, (FOUR, ("127.0.0.1", upstream.port)))
        dialling = dialer(resolver)
        for _ in range(2):
            connection, timing = await dialling.dial(float("inf"))
            assert timing.connect > 0 == timing.tls
            connection.close()
        assert dialling._worked == resolver.given[2]
        await upstream.until_open(0)


async def test_an_address_that_swallows_connections_gets_its_share_of_the_time(hole: Address) -> None:
    """Then the next one has its turn."""
    async with FakeUpstream(always(answer())) as upstream:
        dialling = dialer(Known(hole, (FOUR, ("127.0.0.1", upstream.port))), timeout=0.6)
        connection, _ = await dialling.dial(float("inf"))
        connection.close()
        await upstream.until_open(0)


@pytest.mark.parametrize(("timeout", "patience", "kind"), [(0.05, 9.0, "connect"), (9.0, 0.05, "timeout")])
async def test_connecting_ends_in_time(hole: Address, timeout: float, patience: float, kind: str) -> None:
    """After connect_timeout with `connect`; at the attempt's own end with `timeout`."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(CallFailure) as caught:
        await dialer(Known(hole), timeout).dial(began + patience)
    assert (caught.value.type, caught.value.sent) == (kind, False)
    assert 0.04 < loop.time() - began < 1


async def test_no_address_at_all_is_connect() -> None:
    """A name may have none."""
    with pytest.raises(CallFailure) as caught:
        await dialer(Known()).dial(float("inf"))
    assert (caught.value.type, caught.value.sent) == ("connect", False)


async def test_ipv6_upstreams_are_reached() -> None:
    """By address in brackets."""
    async with FakeUpstream(always(answer(b"6")), host="::1") as upstream, asking(upstream.url) as u:
        assert (await u.get()).data.raw == b"6"
        assert upstream.asked[0].values("host") == [f"[::1]:{upstream.port}"]


async def test_names_are_resolved_once_for_all_who_ask_at_once() -> None:
    """On a thread of their own; addresses need none."""
    resolver = Resolver(asyncio.get_running_loop())
    found = await asyncio.gather(*(resolver.addresses("localhost", 80) for _ in range(50)))
    assert all(each is found[0] for each in found)
    assert {where[0] for _, where in found[0]} <= {"127.0.0.1", "::1"}
    assert literal("127.0.0.1", 80) == [(FOUR, ("127.0.0.1", 80))]
    assert literal("::1", 80) == [(socket.AF_INET6, ("::1", 80, 0, 0))]
    assert literal("localhost", 80) is None


async def test_who_no_longer_waits_for_a_name_does_not_stop_the_others() -> None:
    """The lookup is shared."""
    resolver = Resolver(asyncio.get_running_loop())
    leaving = asyncio.ensure_future(resolver.addresses("localhost", 80))
    staying = asyncio.ensure_future(resolver.addresses("localhost", 80))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying
    assert leaving.cancelled()


@pytest.mark.parametrize("name", ["nowhere.invalid", "a" * 70 + ".test", ".", "a..b"])
async def test_a_name_that_cannot_be_resolved_is_an_os_error(name: str) -> None:
    """Whatever the resolver says of it."""
    with pytest.raises(OSError, match=r".+"):
        await Resolver(asyncio.get_running_loop()).addresses(name, 80)


def test_families_take_turns() -> None:
    """RFC 8305 section 4."""
    four = [(FOUR, (f"10.0.0.{i}", 1)) for i in range(3)]
    six: list[Address] = [(socket.AF_INET6, ("::1", 1, 0, 0))]
    assert _interleaved([*six, *four]) == [six[0], *four]
    assert _interleaved([*four, *six]) == [four[0], six[0], *four[1:]]


@pytest.mark.parametrize(
    ("url", "origin", "base"),
    [
        ("http://Example.test", ("http", "example.test", 80, "example.test"), ""),
        ("https://example.test:443/", ("https", "example.test", 443, "example.test"), ""),
        ("https://example.test:80/a/b/", ("https", "example.test", 80, "example.test:80"), "/a/b"),
        ("http://[::1]:8080", ("http", "::1", 8080, "[::1]:8080"), ""),
        ("http://bücher.test", ("http", "xn--bcher-kva.test", 80, "xn--bcher-kva.test"), ""),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: tuple[str, str, int, str], base: str) -> None:
    """With the scheme's own port left out of Host."""
    found = Origin.of(url)
    assert (found.scheme, found.host, found.port, found.authority) == origin
    assert base_path(url) == base


@pytest.mark.parametrize("url", ["example.test", "ftp://x", "http://", "file:///x", "http://x:port"])
def test_what_is_no_absolute_http_url_has_no_origin(url: str) -> None:
    """ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        Origin.of(url)
