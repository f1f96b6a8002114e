"""TLS: who is trusted, what happens to those who are not, and that nothing of a request is sent to them."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
import uvloop

from app.core.errors import CallFailure, ProtocolFailed
from app.core.events import AttemptEnded
from app.upstream.client import open_client
from app.upstream.tls import context
from tests.fakes.calls import asking
from tests.fakes.upstream import Asked, FakeUpstream, Line, always, answer, serving

CA = trustme.CA()
OTHER = trustme.CA()
PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """ca.pem, me.pem and me.key."""
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    mine = CA.issue_cert("client@example.test")
    mine.private_key_and_cert_chain_pem.write_to_path(tmp_path / "me.pem")
    mine.private_key_pem.write_to_path(tmp_path / "me.key")
    return tmp_path


def server(certificate: trustme.LeafCert, **wants: object) -> ssl.SSLContext:
    """The upstream's context."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(made)
    for name, value in wants.items():
        setattr(made, name, value)
    return made


@asynccontextmanager
async def upstream(certificate: trustme.LeafCert, name: str = "localhost", **wants: object) -> AsyncIterator[FakeUpstream]:
    """An upstream that shows a certificate; a handshake that fails is no news to it."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with FakeUpstream(always(answer(b'"secure"')), tls=server(certificate, **wants), name=name) as made:
        yield made


async def failed(url: str, folder: Path | None, **more: object) -> CallFailure:
    """The failure of a call, after which no connection is left."""
    tls = {"tls": {"ca": str(folder / "ca.pem")}} if folder else {}
    async with asking(url, **tls) as u:
        with pytest.raises(CallFailure) as caught:
            await u.get(**more)
        assert u.connections == 0
    return caught.value


@pytest.mark.parametrize(("name", "cert"), [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1")])
async def test_a_declared_ca_is_trusted(folder: Path, name: str, cert: str) -> None:
    """By name and by address; connecting and handshake are timed, once."""
    async with upstream(CA.issue_cert(cert), name) as up, asking(up.url, tls={"ca": str(folder / "ca.pem")}) as u:
        assert [(await u.get()).data.raw for _ in range(3)] == [b'"secure"'] * 3
        assert up.made == 1
        ended = [event for event in u.events if isinstance(event, AttemptEnded)]
        assert ended[0].connect_seconds > 0 < ended[0].tls_seconds
        assert [(e.connect_seconds, e.tls_seconds) for e in ended[1:]] == [(0.0, 0.0)] * 2
        assert all(e.first_byte_seconds > 0 for e in ended)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.parametrize("case", ["unknown", "other_ca", "expired", "misnamed", "old"])
async def test_what_nobody_vouches_for_is_not_spoken_to(folder: Path, case: str) -> None:
    """`tls`, not retryable, and not a byte of the request has gone out."""
    certificate = CA.issue_cert("elsewhere.test" if case == "misnamed" else "localhost", not_after=PAST if case == "expired" else None)
    wants = {"maximum_version": ssl.TLSVersion.TLSv1_1, "minimum_version": ssl.TLSVersion.TLSv1} if case == "old" else {}
    if case == "other_ca":
        OTHER.cert_pem.write_to_path(folder / "ca.pem")
    async with upstream(certificate, **wants) as up:
        failure = await failed(up.url, None if case == "unknown" else folder)
        assert (failure.type, failure.sent, failure.retryable, failure.blames_upstream) == ("tls", False, False, True)
        assert up.asked == []


async def test_a_client_certificate_is_shown(folder: Path) -> None:
    """Where the upstream declares one; without it the handshake fails (in TLS 1.3 after its end on our side, so that a reset may hide why)."""
    certificate = CA.issue_cert("localhost")
    ca, mine = str(folder / "ca.pem"), {"cert": str(folder / "me.pem"), "key": str(folder / "me.key")}
    tls = server(certificate, verify_mode=ssl.CERT_REQUIRED)
    CA.configure_trust(tls)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with FakeUpstream(always(answer(b'"known"')), tls=tls, name="localhost") as up:
        async with asking(up.url, tls={"ca": ca, **mine}) as u:
            assert (await u.get()).data.raw == b'"known"'
        assert (await failed(up.url, folder)).type in {"tls", "connect"}
        tls.maximum_version = ssl.TLSVersion.TLSv1_2
        assert (await failed(up.url, folder)).type == "tls"
        assert len(up.asked) == 1


async def test_plain_http_on_a_tls_port_and_tls_on_a_plain_one(folder: Path) -> None:
    """The first is no HTTP answer, the second no handshake."""
    async with upstream(CA.issue_cert("localhost")) as up:
        assert (await failed(up.url.replace("https", "http"), None)).type in {"protocol", "connect"}
    async with FakeUpstream(always(answer())) as plain:
        assert (await failed(plain.url.replace("http", "https"), folder)).type == "tls"


async def test_a_handshake_that_stalls_ends_with_connect_timeout(folder: Path) -> None:
    """connect_timeout bounds DNS, TCP and TLS together; the attempt's own end comes first where it is nearer."""

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(stall) as url:
        for connect_timeout, timeout, kind in (("40ms", 9.0, "tls"), ("9s", 0.04, "timeout")):
            async with asking(url.replace("http", "https"), connect_timeout=connect_timeout, tls={"ca": str(folder / "ca.pem")}) as u:
                began = asyncio.get_running_loop().time()
                with pytest.raises(CallFailure) as caught:
                    await u.get(timeout=timeout)
                assert (caught.value.type, caught.value.sent) == (kind, False)
                assert asyncio.get_running_loop().time() - began < 1
                assert u.connections == 0


async def test_surplus_and_late_bytes_end_a_tls_connection_too(folder: Path) -> None:
    """The same rules hold inside TLS."""

    async def late(asked: Asked, line: Line) -> None:
        await line.send(answer(b'"real"'))
        if asked.path == "/late":
            await asyncio.sleep(0.002)
            await line.send(answer(b'"poison"'))

    ca = {"ca": str(folder / "ca.pem")}
    async with FakeUpstream(late, tls=server(CA.issue_cert("localhost")), name="localhost") as up, asking(up.url, tls=ca) as u:
        for _ in range(3):
            assert (await u.get("/late")).data.raw == b'"real"'
            await up.until_open(0)
            assert u.connections == 0
            assert (await u.get("/real")).data.raw == b'"real"'


def test_a_body_that_ends_with_its_connection_ends_with_a_closure_alert(folder: Path) -> None:
    """Without one it may have been cut by anybody (RFC 9112 section 9.8). Only uvloop, which serves, tells the two apart."""

    async def asked(ends: Callable[[Line], None]) -> bytes:
        async def script(asked: Asked, line: Line) -> None:
            await line.send(b'HTTP/1.1 200 OK\r\n\r\n"cut?"')
            ends(line)

        tls = server(CA.issue_cert("localhost"))
        async with FakeUpstream(script, tls=tls, name="localhost") as up, asking(up.url, tls={"ca": str(folder / "ca.pem")}) as u:
            return (await u.get()).data.raw

    assert uvloop.run(asked(Line.close)) == b'"cut?"'
    with pytest.raises(ProtocolFailed):
        uvloop.run(asked(lambda line: line.writer.transport.abort()))


async def test_requests_through_httpx_can_bring_a_context(folder: Path) -> None:
    """`extensions={"tls": ...}`, for a token endpoint behind the same private CA."""
    async with upstream(CA.issue_cert("localhost")) as up, open_client() as client:
        trusting = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        assert (await client.get(up.url, extensions={"tls": trusting})).json() == "secure"


def test_versions_below_tls_1_2_are_never_spoken() -> None:
    """And certificates are always verified."""
    made = context()
    assert made.minimum_version == ssl.TLSVersion.TLSv1_2
    assert made.verify_mode == ssl.CERT_REQUIRED
    assert made.check_hostname
