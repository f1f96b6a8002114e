"""Who may call: every flaw of a credential is a 401, what cannot be judged is a 503, and `allow` fails closed."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api.auth import Gate
from app.api.problems import Problem
from app.catalog.schema import Catalog
from app.core.errors import ExpressionFailed
from app.core.identity import Identity
from app.core.runtime import Runtime
from app.core.tasks import Tasks
from tests.fakes.issuer import AUDIENCE, CURVE, EDWARDS, ISSUER, SHARED, SIGNER, STRANGER, b64, claims, forged, jwk, key_set, signed, token

KEYS = {"acme": "acme-secret-key", "globex": "globex-secret-key"}
RULES = {"type": "jwt", "issuer": ISSUER, "audience": AUDIENCE, "algorithms": ["RS256"]}
AUTH: dict[str, Any] = {
    "partner": {"type": "api_key", "keys": {name: "sha256:" + hashlib.sha256(key.encode()).hexdigest() for name, key in KEYS.items()}},
    "user": {**RULES, "jwks": "keys.json"},
    "any": {**RULES, "jwks": "keys.json", "algorithms": ["RS256", "ES256", "EdDSA", "HS256"]},
    "url": {**RULES, "jwks": "https://id.test/jwks", "algorithms": ["RS256", "ES256"]},
}
MAIN, ALL = jwk(SIGNER, "main", alg="RS256", use="sig"), [jwk(CURVE, "curve", alg="ES256"), jwk(EDWARDS, "edwards"), jwk(SHARED, "shared")]


class Clock:
    """The loop's clock of these tests."""

    now = 1000.0

    def __call__(self) -> float:
        """The moment."""
        return self.now


class World:
    """A gate over a folder with a key set, and a scripted issuer behind a URL."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.folder = Clock(), folder
        self.served: list[Any] = []
        self.answer: Callable[[], httpx.Response] = lambda: httpx.Response(200, content=key_set(MAIN))
        self.answers = asyncio.Event()
        self.answers.set()
        (folder / "keys.json").write_bytes(key_set(MAIN, *ALL))
        self.tasks = Tasks(lambda name, fault: pytest.fail(f"{name}: {fault!r}"))
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._serve))
        self.gate = Gate(Catalog.model_validate({"auth": AUTH}), folder, self.client, Runtime(self.tasks, self.clock))

    async def _serve(self, request: httpx.Request) -> httpx.Response:
        self.served.append(request)
        await self.answers.wait()
        return self.answer()

    def publish(self, *keys: dict[str, Any]) -> None:
        """What the issuer answers from now on."""
        self.answer = lambda: httpx.Response(200, content=key_set(*keys))

    def ask(self, schemes: list[str], *headers: tuple[str, str], patience: float | None = None) -> Awaitable[Identity | None]:
        """Who asks."""
        return self.gate.identify(schemes, headers, patience)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """See World."""
    one = World(tmp_path)
    yield one
    await one.client.aclose()
    await one.tasks.aclose()


def bearer(text: str) -> tuple[str, str]:
    """The header of a token."""
    return ("authorization", f"Bearer {text}")


async def refused(asked: Awaitable[Any], status: int = 401) -> Problem:
    """The problem that it is."""
    with pytest.raises(Problem) as caught:
        await asked
    assert caught.value.status == status
    return caught.value


# --- API keys


async def test_a_key_is_known_by_its_digest(world: World) -> None:
    """Its holder's name is the claim `sub`; the header it came in is told."""
    identity = await world.ask(["partner"], ("x-api-key", KEYS["acme"]))
    assert identity == Identity("partner", "acme", {"sub": "acme"}, None, "x-api-key")


@pytest.mark.parametrize(
    "key", ["", "wrong", "acme", KEYS["acme"][:-1], KEYS["acme"] + "x", KEYS["acme"].upper(), "sha256:" + "0" * 64, "\xff", "k" * 5000]
)
async def test_anything_else_is_no_key(world: World, key: str) -> None:
    """401 with a challenge, which does not show what was sent."""
    problem = await refused(world.ask(["partner"], ("x-api-key", key)))
    assert problem.headers == (("www-authenticate", 'ApiKey realm="partner", header="X-API-Key"'),)


async def test_a_digest_is_no_key(world: World) -> None:
    """What is stored opens nothing."""
    await refused(world.ask(["partner"], ("x-api-key", hashlib.sha256(KEYS["acme"].encode()).hexdigest())))


# --- tokens


async def test_a_good_token_is_of_its_subject(world: World) -> None:
    """With all its claims and its end."""
    identity = await world.ask(["user"], bearer(token()))
    assert identity is not None
    assert (identity.scheme, identity.subject, identity.header) == ("user", "ana", "authorization")
    assert identity.claims["roles"] == ["user"]
    assert identity.expires == identity.claims["exp"]


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    """Signs with a shared secret."""
    return lambda text: hmac.new(secret, text, hashlib.sha256).digest()


def flawed() -> dict[str, str]:
    """Tokens, each with one flaw."""
    now, good = int(time.time()), token()
    head, body, signature = good.split(".")
    public = json.dumps(MAIN).encode()
    return {
        "garbage": "not.a.token",
        "two-parts": f"{head}.{body}",
        "five-parts": f"{head}.{body}.{signature}.x.y",
        "no-signature": f"{head}.{body}.",
        "padded": good + "=",
        "altered-signature": f"{head}.{body}.{signature[:-4]}AAAA",
        "altered-claims": f"{head}.{b64(json.dumps(claims(sub='admin')).encode())}.{signature}",
        "stranger": token(STRANGER),
        "unknown-kid": token(kid="nobody"),
        "kid-of-a-file": token(STRANGER, kid="../../keys.json"),
        "kid-is-a-number": forged({"alg": "RS256", "kid": 1}, claims(), lambda _: b"x"),
        "no-kid-and-a-stranger": token(STRANGER, kid=None),
        "none": forged({"alg": "none"}, claims(), lambda _: b""),
        "None": forged({"alg": "None", "kid": "main"}, claims(), lambda _: b""),
        "no-alg": forged({"kid": "main"}, claims(), lambda _: b""),
        "alg-is-a-list": forged({"alg": ["RS256"], "kid": "main"}, claims(), lambda _: b"x"),
        "hmac-with-the-public-key": forged({"alg": "HS256", "kid": "main"}, claims(), hs256(public)),
        "hmac-with-nothing": forged({"alg": "HS256", "kid": "main"}, claims(), hs256(b"")),
        "algorithm-not-listed": token(CURVE, "curve", "ES256"),
        "another-of-rsa": token(alg="RS512"),
        "pss": token(alg="PS256"),
        "own-key-in-the-head": token(STRANGER, head={"jwk": jwk(STRANGER, "main")}),
        "own-key-by-url": token(STRANGER, head={"jku": "https://evil.test/jwks", "x5u": "https://evil.test/x"}),
        "critical-extension": token(head={"crit": ["exp"]}),
        "expired": token(exp=now - 300),
        "not-yet": token(nbf=now + 86_400),
        "other-audience": token(aud="other"),
        "no-audience": token(aud=None),
        "audience-is-an-object": token(aud={"api": True}),
        "other-issuer": token(iss="https://evil.example"),
        "issuer-with-a-slash": token(iss=ISSUER + "/"),
        "no-issuer": token(iss=None),
        "time-as-text": signed(json.dumps(claims(exp="tomorrow")).encode()),
        "time-is-true": signed(json.dumps(claims(exp=True)).encode()),
        "end-beyond-floats": signed(json.dumps(claims(exp=10**400)).encode()),
        "begin-beyond-floats": signed(json.dumps(claims(nbf=-(10**400))).encode()),
        "other-time-beyond-floats": signed(json.dumps(claims(iat=10**400)).encode()),
        "claims-are-a-list": signed(b"[1, 2]"),
        "claims-are-no-json": signed(b"hello"),
        "claims-with-nan": signed(b'{"iss": "https://id.example", "aud": "api", "exp": NaN}'),
        "claims-too-deep": signed(b'{"iss": "https://id.example", "aud": "api", "a": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
        "huge": "a" * 20_000 + ".b.c",
    }


FLAWED = flawed()


@pytest.mark.parametrize("case", FLAWED)
async def test_any_flaw_of_a_token_is_401(world: World, case: str) -> None:
    """Nothing that the token's head says decides by what it is checked."""
    problem = await refused(world.ask(["user"], bearer(FLAWED[case])))
    assert problem.headers[0][1].startswith('Bearer realm="user"')
    assert FLAWED[case] not in str(problem.headers)


async def test_each_kind_of_key_serves_its_own_algorithms(world: World) -> None:
    """RSA, EC, OKP and shared keys, where their algorithms are listed; none stands in for another."""
    for key, kid, alg in ((SIGNER, "main", "RS256"), (CURVE, "curve", "ES256"), (EDWARDS, "edwards", "EdDSA"), (SHARED, "shared", "HS256")):
        assert await world.ask(["any"], bearer(token(key, kid, alg))) is not None
    for key, kid, alg in ((SHARED, "shared", "HS512"), (SIGNER, "curve", "RS256"), (CURVE, "main", "ES256"), (SHARED, "main", "HS256")):
        await refused(world.ask(["any"], bearer(token(key, kid, alg))))


async def test_a_token_without_kid_is_tried_by_every_fitting_key(world: World) -> None:
    """RFC 7515 makes the key id optional."""
    assert await world.ask(["user"], bearer(token(kid=None))) is not None


async def test_clocks_may_differ_by_half_a_minute(world: World) -> None:
    """RFC 8725 and 7519 allow a small leeway."""
    now = int(time.time())
    assert await world.ask(["user"], bearer(token(exp=now - 10))) is not None
    assert await world.ask(["user"], bearer(token(nbf=now + 10))) is not None


async def test_a_token_without_exp_does_not_expire(world: World) -> None:
    """`exp` is optional (RFC 7519 section 4.1.4)."""
    identity = await world.ask(["user"], bearer(token(exp=None)))
    assert identity is not None
    assert identity.expires is None


async def test_a_token_without_sub_is_still_one_client(world: World) -> None:
    """Limits count by the token itself, never all such tokens together."""
    one, other = [await world.ask(["user"], bearer(token(sub=None, jti=jti))) for jti in ("1", "2")]
    assert one is not None
    assert other is not None
    assert one.subject != other.subject


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic YTpi", "Token {}", "{}", "Bearer {} {}", "Bearer\t{}"])
async def test_a_token_needs_its_scheme(world: World, value: str) -> None:
    """`Bearer TOKEN` in any case, and nothing like it."""
    assert await world.ask(["user"], ("authorization", f"bEARER {token()}")) is not None
    await refused(world.ask(["user"], ("authorization", value.replace("{}", token()))))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(max_codepoint=255), max_size=80))
async def test_no_text_is_an_error_of_ours(world: World, text: str) -> None:
    """Whatever is sent as a credential, the answer is 401."""
    for scheme, header in (
        ("user", bearer(text)),
        ("partner", ("x-api-key", text)),
        ("user", bearer(f"{b64(text.encode())}.{b64(text.encode())}.x")),
    ):
        await refused(world.ask([scheme], header))


# --- several schemes


async def test_one_of_several_schemes_is_enough(world: World) -> None:
    """The first that holds; a bad one beside a good one does no harm."""
    assert (await world.ask(["user", "partner"], ("x-api-key", KEYS["acme"]), bearer("no.good.token"))).scheme == "partner"  # type: ignore[union-attr]
    problem = await refused(world.ask(["user", "partner"], ("x-api-key", "wrong"), bearer("no.good.token")))
    assert [value.split(" ")[0] for _, value in problem.headers] == ["Bearer", "ApiKey"]
    assert 'error="invalid_token"' in problem.headers[0][1]
    assert "error" not in (await refused(world.ask(["user"]))).headers[0][1]


@pytest.mark.parametrize(("schemes", "header", "others"), [
    (["user"], "authorization", [bearer("evil")]), (["user"], "authorization", [bearer(token())]),
    (["user"], "authorization", [("authorization", "Basic YTpi")]), (["partner"], "x-api-key", [("x-api-key", KEYS["globex"])]),
    (["partner"], "x-api-key", [("x-api-key", "evil")]), (["partner"], "x-api-key", [("x-api-key", "")]),
    (["user", "partner"], "x-api-key", [("x-api-key", "evil")]), (["partner", "user"], "authorization", [bearer("evil")]),
])  # fmt: skip
async def test_a_credential_that_is_sent_twice_is_refused(world: World, schemes: list[str], header: str, others: list[tuple[str, str]]) -> None:
    """The one that was not checked could be what an upstream is sent; on the upgrade as on REST, wherever it stands, though another scheme holds."""
    good = [bearer(token()), ("x-api-key", KEYS["acme"])]
    for headers in ([*good, *others], [*others, *good]):
        for asked in (world.ask(schemes, *headers), world.gate.verify(headers)):
            problem = await refused(asked)
            assert problem.detail == f"The header {header} is sent more than once."
            assert [name for name, _ in problem.headers] == ["www-authenticate"] * len(problem.headers) != []


async def test_a_header_that_no_scheme_of_the_endpoint_reads_may_be_repeated(world: World) -> None:
    """It is no credential there."""
    assert await world.ask(["user"], bearer(token()), ("x-api-key", "a"), ("x-api-key", "b"), ("accept", "a"), ("accept", "b")) is not None


async def test_without_schemes_nobody_is_asked(world: World) -> None:
    """And a bad credential is nobody's business."""
    assert await world.ask([], bearer("no.good.token")) is None


# --- key sets


async def test_without_any_keys_nothing_can_be_judged(world: World) -> None:
    """503 with a hint when to come back; who brings no token is still 401; the other scheme still holds."""
    world.answer = lambda: httpx.Response(500)
    assert (await refused(world.ask(["url"], bearer(token())), 503)).retry_after
    await refused(world.ask(["url"]))
    await refused(world.ask(["url"], bearer(FLAWED["none"])))
    assert await world.ask(["url", "partner"], bearer(token()), ("x-api-key", KEYS["acme"])) is not None


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>", b'{"keys": {}}', b'{"keys": [', b"x" * (2 << 20)])
async def test_what_is_no_key_set_is_none(world: World, body: bytes) -> None:
    """An error page cannot take the place of keys, not of old ones either."""
    world.answer = lambda: httpx.Response(200, content=body)
    await refused(world.ask(["url"], bearer(token())), 503)
    world.publish(MAIN)
    world.clock.now += 60
    assert await world.ask(["url"], bearer(token())) is not None
    world.answer = lambda: httpx.Response(200, content=body)
    await refused(world.ask(["url"], bearer(token(STRANGER, kid="new"))))
    assert await world.ask(["url"], bearer(token(jti="still"))) is not None


UNUSABLE = [(), (jwk(SIGNER, "main", use="enc"),), (1, {"kty": "x"}, {"kty": "RSA"})]


@pytest.mark.parametrize("keys", UNUSABLE, ids=["empty", "for encryption", "odd"])
async def test_a_set_without_a_usable_key_lets_nobody_in(world: World, keys: tuple[Any, ...]) -> None:
    """It was had, so that it counts: who brings a token is refused, until there are keys."""
    world.publish(*keys)
    await refused(world.ask(["url"], bearer(token())))
    world.publish(MAIN)
    assert await world.ask(["url"], bearer(token())) is not None


@pytest.mark.parametrize("keys", UNUSABLE, ids=["empty", "for encryption", "odd"])
async def test_an_issuer_that_withdraws_all_keys_revokes_all_tokens(world: World, keys: tuple[Any, ...]) -> None:
    """Also where nobody comes but those whose tokens were judged before: they too have an old set fetched anew."""
    known = token()
    assert await world.ask(["url"], bearer(known)) is not None
    world.publish(*keys)
    world.clock.now += 601
    await world.ask(["url"], bearer(known))
    await refused(world.ask(["url"], bearer(token(STRANGER, kid="waits for the fetch"))))
    assert len(world.served) == 2
    await refused(world.ask(["url"], bearer(known)))


@pytest.mark.parametrize("odd", [
    {"alg": ["ES256"]}, {"alg": {}}, {"alg": 5}, {"kid": 5}, {"kid": ["curve"]}, {"use": ["sig"]}, {"use": {}}, {"kty": ["EC"]}, {"kty": {}},
    {"crv": ["P-256"]}, {"crv": {}}, {"x": "AA"}, {"x": 5}, {"y": None}, {"key_ops": [["verify"]]}, {"key_ops": 5}, {"x5c": 5},
], ids=repr)  # fmt: skip
async def test_one_odd_key_is_passed_over(world: World, odd: dict[str, Any]) -> None:
    """The others of its set are good, itself checks nothing."""
    world.publish({**jwk(CURVE, "curve"), **odd}, MAIN)
    assert await world.ask(["url"], bearer(token())) is not None
    await refused(world.ask(["url"], bearer(token(CURVE, "curve", "ES256"))))


async def test_whatever_goes_wrong_with_a_set_it_cannot_be_had(world: World) -> None:
    """A fault that nobody thought of is an outage too: 503 without keys, else the old ones, and none of a task."""

    async def ask() -> Identity | None:
        return await world.ask(["url"], bearer(token(kid="new")))

    def odd() -> httpx.Response:
        raise LookupError("what nobody thought of")

    world.answer = odd
    await refused(ask(), 503)
    world.clock.now += 60
    world.publish(MAIN)
    assert await world.ask(["url"], bearer(token())) is not None
    world.answer = odd
    await refused(ask())
    assert await world.ask(["url"], bearer(token(jti="still"))) is not None


@pytest.mark.virtual_time
async def test_nobody_waits_for_keys_longer_than_the_answer_may_take(world: World) -> None:
    """The fetch is everybody's: it goes on for those who may wait, for five seconds in all."""
    began, now = (loop := asyncio.get_running_loop()).time(), loop.time
    world.answers.clear()
    for waited in (0.5, 1.0):
        await refused(world.ask(["url"], bearer(token()), patience=0.5), 503)
        assert now() - began == pytest.approx(waited)
    await refused(world.ask(["url"], bearer(token()), patience=60.0), 503)
    assert now() - began == pytest.approx(5.0)
    assert len(world.served) == 1


@pytest.mark.virtual_time
async def test_a_new_key_is_waited_for_no_longer_either(world: World) -> None:
    """Where the answer's time is over first, the old keys decide."""
    assert await world.ask(["url"], bearer(token())) is not None
    world.answers.clear()
    began, now = (loop := asyncio.get_running_loop()).time(), loop.time
    await refused(world.ask(["url"], bearer(token(STRANGER, kid="new")), patience=0.5))
    assert now() - began == pytest.approx(0.5)


@pytest.mark.virtual_time
async def test_nobody_waits_for_an_issuer_that_has_just_failed(world: World) -> None:
    """503 at once while it is asked again behind, once a second; it is waited for again some seconds later."""
    now = asyncio.get_running_loop().time
    world.answer = lambda: httpx.Response(500)
    await refused(world.ask(["url"], bearer(token())), 503)
    world.answers.clear()
    world.publish(MAIN)
    began = now()
    for _ in range(5):
        await refused(world.ask(["url"], bearer(token())), 503)
    assert len(world.served) == 1
    world.clock.now += 1
    for _ in range(5):
        await refused(world.ask(["url"], bearer(token())), 503)
    await asyncio.sleep(0.1)
    assert len(world.served) == 2
    await refused(world.ask(["url"], bearer(token())), 503)
    assert now() - began == pytest.approx(0.1)
    world.answers.set()
    await asyncio.sleep(0.1)
    assert await world.ask(["url"], bearer(token())) is not None


async def test_an_issuer_that_failed_long_ago_is_waited_for(world: World) -> None:
    """Nobody has asked meanwhile: nobody knows that it is still down."""
    world.answer = lambda: httpx.Response(500)
    await refused(world.ask(["url"], bearer(token())), 503)
    world.publish(MAIN)
    world.clock.now += 11
    assert await world.ask(["url"], bearer(token())) is not None


async def test_the_log_says_whether_there_are_keys(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Old ones are kept only where there were any."""
    caplog.set_level(logging.WARNING, "merganser.auth")
    world.answer = lambda: httpx.Response(500)
    await refused(world.ask(["url"], bearer(token())), 503)
    assert [record.getMessage() for record in caplog.records] == ["the keys of url cannot be had (StatusFailed); there are none"]
    world.clock.now += 60
    world.publish(MAIN)
    assert await world.ask(["url"], bearer(token())) is not None
    world.answer = lambda: httpx.Response(500)
    await refused(world.ask(["url"], bearer(token(kid="new"))))
    assert caplog.records[-1].getMessage() == "the keys of url cannot be had (StatusFailed); old ones are kept"


async def test_a_set_is_fetched_once_for_all(world: World) -> None:
    """And not again for each token."""
    for i in range(5):
        assert await world.ask(["url"], bearer(token(jti=str(i)))) is not None
    assert len(world.served) == 1


async def test_a_key_that_was_rotated_in_is_fetched_at_once(world: World) -> None:
    """An unknown key id asks for the set anew; made-up ones do so at a bounded rate."""
    assert await world.ask(["url"], bearer(token())) is not None
    world.answer = lambda: httpx.Response(200, content=key_set(MAIN, jwk(STRANGER, "new")))
    assert await world.ask(["url"], bearer(token(STRANGER, kid="new"))) is not None
    for i in range(20):
        await refused(world.ask(["url"], bearer(token(STRANGER, kid=f"made-up-{i}"))))
    assert len(world.served) <= 4


async def test_all_who_come_while_a_new_key_is_fetched_wait_for_it(world: World) -> None:
    """Its turns are few, but one is enough for all."""
    assert await world.ask(["url"], bearer(token())) is not None
    world.publish(MAIN, jwk(STRANGER, "new"))
    identities = await asyncio.gather(*(world.ask(["url"], bearer(token(STRANGER, kid="new", jti=str(i)))) for i in range(10)))
    assert all(identities)
    assert len(world.served) == 2


async def test_a_key_without_id_that_was_rotated_in_is_fetched_at_once(world: World) -> None:
    """A signature that fits no key asks for the set anew where neither names the other; made-up ones do so at a bounded rate."""
    world.publish(jwk(SIGNER, None))
    assert await world.ask(["url"], bearer(token(kid=None))) is not None
    world.publish(jwk(STRANGER, None))
    assert await world.ask(["url"], bearer(token(STRANGER, kid=None))) is not None
    world.publish(jwk(SIGNER, None))
    assert await world.ask(["url"], bearer(token(kid="named"))) is not None
    for i in range(20):
        await refused(world.ask(["url"], bearer(token(STRANGER, kid=None, jti=str(i)))))
    assert len(world.served) == 3


async def test_a_token_without_kid_may_be_of_any_of_many_keys(world: World) -> None:
    """Up to 32 of its algorithm are tried: more would make made-up tokens dear."""
    others = [jwk(ec.generate_private_key(ec.SECP256R1()), None) for _ in range(32)]
    mine = token(CURVE, None, "ES256")
    world.publish(*others[:31], *[MAIN] * 20, jwk(CURVE, None))
    assert await world.ask(["url"], bearer(mine)) is not None
    world.publish(*others, jwk(CURVE, None))
    await refused(world.ask(["url"], bearer(token(kid="has the set fetched"))))
    await refused(world.ask(["url"], bearer(mine)))


async def test_the_old_keys_are_kept_while_new_ones_cannot_be_had(world: World) -> None:
    """An outage of the issuer locks nobody out."""
    assert await world.ask(["url"], bearer(token())) is not None
    world.answer = lambda: httpx.Response(503)
    world.clock.now += 3600
    assert await world.ask(["url"], bearer(token(jti="later"))) is not None
    await refused(world.ask(["url"], bearer(token(STRANGER, kid="new"))))
    assert await world.ask(["url"], bearer(token(jti="still"))) is not None


async def test_a_key_that_was_withdrawn_counts_no_more(world: World) -> None:
    """Not even for tokens that were judged before: an old set is fetched anew in the background."""
    old = token()
    assert await world.ask(["url"], bearer(old)) is not None
    world.answer = lambda: httpx.Response(200, content=key_set(jwk(STRANGER, "new")))
    world.clock.now += 601
    await world.ask(["url"], bearer(token(jti="starts the fetch")))
    assert await world.ask(["url"], bearer(token(STRANGER, kid="new"))) is not None
    await refused(world.ask(["url"], bearer(old)))


@pytest.mark.parametrize("entry", [jwk(SIGNER, "main", use="enc"), jwk(SIGNER, "main", alg="RS512"), jwk(SIGNER, "main", key_ops=["encrypt"])])
async def test_a_key_serves_only_what_it_is_for(world: World, entry: dict[str, Any]) -> None:
    """`use`, `alg` and `key_ops` narrow it."""
    world.answer = lambda: httpx.Response(200, content=key_set(jwk(STRANGER, "other"), entry))
    await refused(world.ask(["url"], bearer(token())))


# --- live


async def test_a_token_of_connection_init_counts_where_the_scheme_looks_for_which_it_holds(world: World) -> None:
    """A key as the key's header, a token as Bearer; what holds for no scheme is refused, whatever it looks like."""
    assert await world.gate.stand_in(KEYS["acme"]) == ("x-api-key", KEYS["acme"])
    assert await world.gate.stand_in(good := token()) == ("authorization", f"Bearer {good}")
    for bad in ("wrong", "", " ", "a b", "a\nb", "not.a. token", "\u2603", token(STRANGER)):
        await refused(world.gate.stand_in(bad))


async def test_what_is_presented_must_hold_for_some_scheme(world: World) -> None:
    """None at all is fine; a bad one is refused, though another beside it holds."""
    await world.gate.verify([])
    await world.gate.verify([("x-api-key", KEYS["acme"]), bearer(token())])
    for bad in ([("x-api-key", "wrong")], [bearer(token(STRANGER))], [bearer(token()), ("x-api-key", "bad")], [("authorization", "Bearer a b")]):
        await refused(world.gate.verify(bad))


# --- allow


class Allow:
    """An `allow` that gives a value, or cannot be computed."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def search(self, scope: Any) -> Any:
        """The value."""
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class PlanOf:
    """As much of a plan as the gate reads."""

    def __init__(self, allow: Any) -> None:
        self.allow = allow


@pytest.mark.parametrize("value", [False, None, "", [], {}, ExpressionFailed("no")], ids=repr)
async def test_whatever_is_not_true_is_no(world: World, value: Any) -> None:
    """`allow` fails closed; what is falsy is JMESPath's to say."""
    with pytest.raises(Problem) as caught:
        world.gate.authorize(PlanOf(Allow(value)), {})  # type: ignore[arg-type]
    assert caught.value.status == 403


@pytest.mark.parametrize("allow", [None, Allow(True), Allow("yes"), Allow([0]), Allow(0)])
async def test_whatever_is_true_is_yes(world: World, allow: Any) -> None:
    """And no `allow` at all."""
    world.gate.authorize(PlanOf(allow), {})  # type: ignore[arg-type]
