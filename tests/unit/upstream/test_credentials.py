"""Credentials of ours: where they are put, and how tokens are kept."""

from __future__ import annotations

import asyncio
import base64
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from app.catalog.schema import Upstream
from app.core.call import Call, Reading, Record
from app.core.context import Context
from app.core.data import NULL
from app.core.errors import CallFailure, StatusFailed
from app.core.reply import Reply
from app.core.runtime import Runtime
from app.core.tasks import Tasks
from app.upstream.credentials import credentials
from app.upstream.target import with_parameter, without_parameter
from tests.fakes.virtual_time import virtual

pytestmark = virtual
OAUTH = {"token_url": "http://id.test/token", "client_id": "we:us", "client_secret": "s3cret/+", "scope": "read"}


class Issuer:
    """A token endpoint: `t1`, `t2` ... of a lifetime; it may take its time, fail, or take secrets in the body only."""

    def __init__(self, lifetime: float | None = 100) -> None:
        self.lifetime = lifetime
        self.requests: list[httpx.Request] = []
        self.delay = 0.1
        self.answer: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
        self.issued = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await asyncio.sleep(self.delay)
        said = self.answer(request)
        if said is not None:
            return said
        self.issued += 1
        lifetime = {} if self.lifetime is None else {"expires_in": self.lifetime}
        return httpx.Response(200, json={"access_token": f"t{self.issued}", "token_type": "bearer", **lifetime})


class Front:
    """An upstream behind a credentials policy."""

    def __init__(self, auth: dict[str, Any], issuer: Issuer | None = None) -> None:
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(issuer or Issuer()))
        self.faults: list[BaseException] = []
        self.runtime = Runtime(Tasks(lambda name, fault: self.faults.append(fault)), asyncio.get_running_loop().time)
        self.calls: list[Call] = []
        self.refused: set[str] = set()
        spec = Upstream.model_validate({"url": "http://up.test", "auth": auth})
        policy = credentials(spec, self.client, self.runtime)
        assert policy is not None
        self.send = policy(self._answer)

    async def _answer(self, call: Call) -> Reply:
        self.calls.append(call)
        if any(value in self.refused for _, value in call.credentials):
            raise StatusFailed(401)
        return Reply(NULL, 200)

    async def ask(self, target: str = "/x", within: float = 5) -> str | None:
        """The credential that the upstream saw, or the failure's type."""
        now = self.runtime.now()
        try:
            await self.send(Call("c", "u", "GET", target, (), None, None, now + within, Reading(), Context("r"), Record()))
        except CallFailure as failure:
            return failure.type
        return self.calls[-1].credentials[0][1] if self.calls[-1].credentials else self.calls[-1].target


@pytest.mark.parametrize(
    ("auth", "seen"),
    [
        ({"bearer": "abc"}, ("authorization", "Bearer abc")),
        ({"basic": {"username": "ü", "password": "p:w"}}, ("authorization", "Basic " + base64.b64encode("ü:p:w".encode()).decode())),
        ({"header": {"name": "X-Key", "value": "k"}}, ("x-key", "k")),
    ],
)
async def test_a_header_credential_is_put_on_the_call(auth: dict[str, Any], seen: tuple[str, str]) -> None:
    """Bearer, basic in UTF-8, any header; names in lower case."""
    front = Front(auth)
    await front.ask()
    assert front.calls[0].credentials == (seen,)


@pytest.mark.parametrize(
    ("target", "expected"),
    [("/x", "/x?key=a%26b"), ("/x?q=1", "/x?q=1&key=a%26b"), ("/x?key=theirs&q=1&k%65y=2", "/x?q=1&key=a%26b"), ("/x?", "/x?key=a%26b")],
)
async def test_a_query_credential_stands_in_for_others_of_its_name(target: str, expected: str) -> None:
    """However they are spelled."""
    assert await Front({"query": {"name": "key", "value": "a&b"}}).ask(target) == expected
    assert with_parameter("/x?key", "key", "1") == "/x?key=1"


@pytest.mark.parametrize("name", ["key", "api key", "key[0]", "ü"])
def test_a_target_without_its_credential_is_what_the_catalog_makes(name: str) -> None:
    """Whatever the parameter's name: push sources and their listeners go by it."""
    for target in ("/x", "/x?q=1", "/x?q=1&r=%20"):
        assert without_parameter(with_parameter(target, name, "s3cret"), name) == target


async def test_one_request_fetches_the_token_for_all() -> None:
    """However many calls wait for it; it is kept then."""
    issuer = Issuer()
    front = Front({"oauth2": OAUTH}, issuer)
    assert set(await asyncio.gather(*(front.ask() for _ in range(20)))) == {"Bearer t1"}
    assert await front.ask() == "Bearer t1"
    [request] = issuer.requests
    assert parse_qs(request.content.decode()) == {"grant_type": ["client_credentials"], "scope": ["read"]}
    assert base64.b64decode(request.headers["authorization"].split()[1]) == b"we%3Aus:s3cret%2F%2B"


async def test_a_token_is_renewed_before_it_ends() -> None:
    """Behind, while it still serves: nobody waits, and one request does it."""
    issuer = Issuer(lifetime=100)
    front = Front({"oauth2": OAUTH}, issuer)
    await front.ask()
    await asyncio.sleep(85)
    began = front.runtime.now()
    assert await asyncio.gather(*(front.ask() for _ in range(5))) == ["Bearer t1"] * 5
    assert front.runtime.now() == began
    await asyncio.sleep(0.2)
    assert await front.ask() == "Bearer t2"
    assert len(issuer.requests) == 2


async def test_a_token_that_has_ended_is_waited_for() -> None:
    """It is not sent any more."""
    front = Front({"oauth2": OAUTH}, Issuer(lifetime=10))
    await front.ask()
    await asyncio.sleep(11)
    assert await front.ask() == "Bearer t2"


async def test_a_token_without_a_lifetime_serves_until_it_is_refused() -> None:
    """`expires_in` is optional."""
    front = Front({"oauth2": OAUTH}, Issuer(lifetime=None))
    await front.ask()
    await asyncio.sleep(1e6)
    assert await front.ask() == "Bearer t1"


async def test_a_refused_token_is_renewed_once() -> None:
    """The call is sent again with the new one; several refused at once cause one request."""
    issuer = Issuer()
    front = Front({"oauth2": OAUTH}, issuer)
    await front.ask()
    front.refused.add("Bearer t1")
    assert await asyncio.gather(*(front.ask() for _ in range(5))) == ["Bearer t2"] * 5
    assert len(issuer.requests) == 2


async def test_an_upstream_that_refuses_every_token_is_not_asked_for_ever() -> None:
    """One more try, then its 401 stands; the next second may try again."""
    issuer = Issuer()
    front = Front({"oauth2": OAUTH}, issuer)
    front.refused |= {f"Bearer t{n}" for n in range(100)}
    assert await front.ask() == "status"
    assert len(front.calls) == 2
    assert await front.ask() == "status"
    assert (len(front.calls), len(issuer.requests)) == (3, 2)
    await asyncio.sleep(1)
    await front.ask()
    assert len(issuer.requests) == 3


async def test_a_server_that_takes_no_basic_authentication_gets_the_secret_in_the_body() -> None:
    """Found out once (RFC 6749 section 2.3.1)."""
    issuer = Issuer(lifetime=1)
    issuer.answer = lambda request: httpx.Response(401, json={"error": "invalid_client"}) if "authorization" in request.headers else None
    front = Front({"oauth2": OAUTH}, issuer)
    assert await front.ask() == "Bearer t1"
    await asyncio.sleep(2)
    assert await front.ask() == "Bearer t2"
    assert len(issuer.requests) == 3
    assert parse_qs(issuer.requests[-1].content.decode())["client_secret"] == ["s3cret/+"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(503), "connect"),
        (httpx.Response(403), "internal"),
        (httpx.Response(200, json={"token": "x"}), "internal"),
        (httpx.Response(200, json={"access_token": "a\r\nb"}), "internal"),
        (httpx.Response(200, content=b"<html>"), "internal"),
        (httpx.Response(200, json={"access_token": "a", "expires_in": "soon"}), "internal"),
    ],
)
async def test_without_a_token_the_call_fails_and_blames_nobody(answer: httpx.Response, kind: str) -> None:
    """Nothing is sent to the upstream, whose breaker does not count it; the token endpoint is left in peace for a moment."""
    issuer = Issuer()
    issuer.answer = lambda request: answer
    front = Front({"oauth2": OAUTH}, issuer)
    assert await front.ask() == kind
    asked = len(issuer.requests)
    assert await front.ask() == kind
    assert len(issuer.requests) == asked
    assert not front.calls
    with pytest.raises(CallFailure) as caught:
        await front.send(Call("c", "u", "GET", "/", (), None, None, front.runtime.now() + 1, Reading(), Context("r"), Record()))
    assert not caught.value.blames_upstream
    assert not caught.value.sent
    await asyncio.sleep(1)
    issuer.answer = lambda request: None
    assert await front.ask() == "Bearer t1"


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_an_endless_answer_is_no_token(coding: str) -> None:
    """Nothing is read past 1 MiB, decoded in bounded steps."""
    taken = 0
    piece = b"x" * 65536 if coding == "identity" else gzip.compress(b"x" * (64 << 20), 1)

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            nonlocal taken
            while taken < 1000:
                taken += 1
                yield piece

    issuer = Issuer()
    issuer.answer = lambda request: httpx.Response(200, headers={"content-encoding": coding}, stream=Endless())
    front = Front({"oauth2": OAUTH}, issuer)
    tracemalloc.start()
    try:
        assert await front.ask() == "internal"
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert taken <= 17


@pytest.mark.parametrize(("coding", "told"), [("gzip", "Bearer abc"), ("br", "internal")])
async def test_a_coded_token_is_read(coding: str, told: str) -> None:
    """We ask for gzip; any other coding is no token."""
    issuer = Issuer()
    body = gzip.compress(b'{"access_token": "abc"}')
    issuer.answer = lambda request: httpx.Response(200, headers={"content-encoding": coding}, stream=httpx.ByteStream(body))
    assert await Front({"oauth2": OAUTH}, issuer).ask() == told
    assert issuer.requests[0].headers["accept-encoding"] == "gzip"


async def test_nobody_waits_for_a_token_past_the_deadline() -> None:
    """The fetch goes on for the others."""
    issuer = Issuer()
    issuer.delay = 2
    front = Front({"oauth2": OAUTH}, issuer)
    began = front.runtime.now()
    first = asyncio.create_task(front.ask(within=9))
    await asyncio.sleep(0)
    assert await front.ask(within=0.5) == "timeout"
    assert front.runtime.now() - began == pytest.approx(0.5)
    assert await first == "Bearer t1"
    assert len(issuer.requests) == 1


async def test_a_client_that_leaves_does_not_stop_the_fetch() -> None:
    """It belongs to nobody who waits for it."""
    issuer = Issuer()
    front = Front({"oauth2": OAUTH}, issuer)
    task = asyncio.create_task(front.ask())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait({task})
    assert await front.ask() == "Bearer t1"
    assert len(issuer.requests) == 1


async def test_nothing_printed_shows_a_secret() -> None:
    """Neither a call's policy, nor a token, nor the upstream's declaration."""
    front = Front({"oauth2": OAUTH})
    await front.ask()
    shown = f"{front.send!r} {Upstream.model_validate({'url': 'http://u.test', 'auth': {'oauth2': OAUTH}})!r}"
    assert "s3cret" not in shown
    assert "t1" not in shown
