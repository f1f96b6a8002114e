"""The CORS protocol, as a browser sees it."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.cors import Cors
from app.catalog.schema import Cors as Spec

APP = "https://app.example"
SPEC = Spec(origins=[APP], methods=["GET", "POST"], headers=["authorization"], expose=["x-request-id"])


async def ask(spec: Spec, method: str = "GET", *, own: tuple[tuple[bytes, bytes], ...] = (), **headers: str) -> dict[str, Any]:
    """The answer to one request; the application behind answers 401."""
    sent: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": list(own)})
        await send({"type": "http.response.body", "body": b"inner"})

    async def send(message: Any) -> None:
        sent.append(message)

    fields = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    await Cors(inner, spec)({"type": "http", "method": method, "headers": fields, "path": "/nowhere"}, None, send)  # type: ignore[arg-type]
    return {"status": sent[0]["status"], **{name.decode(): value.decode() for name, value in sent[0]["headers"]}}


def preflight(spec: Spec, origin: str = APP, method: str = "GET", headers: str = "authorization") -> Any:
    """Asks what a browser asks before a request."""
    return ask(spec, "OPTIONS", origin=origin, access_control_request_method=method, access_control_request_headers=headers)


async def test_a_preflight_is_answered_for_a_listed_origin() -> None:
    """On every path, without the application: browsers send no credentials with it."""
    answer = await preflight(SPEC)
    assert answer["status"] == 204
    assert answer["access-control-allow-origin"] == APP
    assert answer["access-control-allow-methods"] == "GET, POST"
    assert answer["access-control-allow-headers"] == "authorization"
    assert answer["access-control-max-age"] == "43200"
    assert "access-control-allow-credentials" not in answer
    assert "Origin" in answer["vary"]


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://app.example", APP + ".evil.example", APP + ":8443", APP + "/", APP.upper(), ""]
)
async def test_origins_are_compared_whole(origin: str) -> None:
    """A foreign one gets no grant, and none is reflected."""
    for answer in (await preflight(SPEC, origin), await ask(SPEC, origin=origin)):
        assert "access-control-allow-origin" not in answer
        assert not origin or origin not in " ".join(str(value) for value in answer.values())


async def test_an_error_is_readable_too() -> None:
    """A page sees its 401, and which headers it may read."""
    answer = await ask(SPEC, origin=APP)
    assert answer["status"] == 401
    assert answer["access-control-allow-origin"] == APP
    assert answer["access-control-expose-headers"] == "x-request-id"


async def test_caches_are_told_that_the_origin_matters() -> None:
    """`Vary: Origin`, whoever asks, beside what the answer varies by already; nobody else is bothered."""
    answer = await ask(SPEC, own=((b"vary", b"Accept"),))
    assert answer["vary"] == "Accept, Origin"
    assert "access-control-allow-origin" not in answer
    assert (await ask(SPEC, own=((b"vary", b"*"),)))["vary"] == "*"


async def test_any_origin_is_a_star_and_never_with_credentials() -> None:
    """`*` is public: the same answer for all."""
    spec = Spec(origins=["*"], credentials=True)
    answer = await ask(spec, origin=APP)
    assert answer["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer
    assert "vary" not in answer


async def test_credentials_name_the_origin() -> None:
    """`credentials: true` with listed origins."""
    spec = Spec(origins=[APP], credentials=True)
    assert (await preflight(spec))["access-control-allow-credentials"] == "true"
    assert (await ask(spec, origin=APP))["access-control-allow-credentials"] == "true"
    assert "access-control-allow-credentials" not in await ask(spec, origin="https://evil.example")


async def test_a_star_for_headers_grants_the_names_that_are_asked_for() -> None:
    """`*` does not cover Authorization in browsers, so the names are said; what is no name is left out."""
    answer = await preflight(Spec(origins=[APP], headers=["*"], methods=["*"]), headers="authorization, x-a, b\x01ad, <script>")
    assert answer["access-control-allow-headers"] == "authorization, x-a"
    assert "DELETE" in answer["access-control-allow-methods"]


async def test_options_without_a_preflight_goes_on() -> None:
    """An OPTIONS request of another kind is the application's."""
    assert (await ask(SPEC, "OPTIONS", origin=APP))["status"] == 401


@pytest.mark.parametrize(("origin", "granted"), [(APP, APP), ("https://evil.example", None)])
async def test_grants_of_a_proxied_upstream_are_not_ours(origin: str, granted: str | None) -> None:
    """Who may read is what the catalog says, once."""
    own = ((b"access-control-allow-origin", b"*"), (b"access-control-allow-credentials", b"true"), (b"x-own", b"1"))
    answer = await ask(SPEC, own=own, origin=origin)
    assert answer.get("access-control-allow-origin") == granted
    assert "access-control-allow-credentials" not in answer
    assert answer["x-own"] == "1"
