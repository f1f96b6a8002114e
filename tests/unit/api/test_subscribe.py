"""Who a client of `/ws` is: the token of its `connection_init` and the credentials of its upgrade, each of which has to hold.

And what it asks: its params are to an upstream what they would be over REST.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.auth import Gate
from app.api.messages import SubscribePayload
from app.api.problems import Problem
from app.api.subscribe import Desk, Refused
from app.catalog.schema import Catalog
from app.core.runtime import Runtime
from app.core.tasks import Tasks
from app.live.hub import Hub
from tests.fakes.plans import Bench
from tests.fakes.subscriber import passes

KEYS = {name: "sha256:" + hashlib.sha256(key.encode()).hexdigest() for name, key in {"acme": "open sesame", "globex": "abracadabra"}.items()}
AUTH = {"partner": {"type": "api_key", "header": "X-Partner", "keys": KEYS}, "staff": {"type": "api_key", "header": "X-Staff", "keys": KEYS}}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk that knows two keys, which may stand in two headers."""
    tasks = Tasks(lambda name, fault: pytest.fail(f"{name}: {fault!r}"))
    runtime = Runtime(tasks, lambda: 0.0)
    async with httpx.AsyncClient() as client:
        yield Desk({}, Hub(runtime), Gate(Catalog.model_validate({"auth": AUTH}), tmp_path, client, runtime), runtime)
    await tasks.aclose()


@pytest.mark.parametrize("token", [None, "open sesame"])
async def test_a_bad_credential_of_the_upgrade_is_refused_whatever_the_token(desk: Desk, token: str | None) -> None:
    """A good token does not hide it: credentials in the upgrade's headers count too, and a bad one is refused."""
    with pytest.raises(Problem) as refused:
        await desk.client([("x-staff", "guess")], "198.51.100.7", token)
    assert refused.value.status == 401


@pytest.mark.parametrize("token", [None, "open sesame"])
@pytest.mark.parametrize("second", ["open sesame", "guess", ""])
async def test_a_credential_that_the_upgrade_has_twice_is_refused(desk: Desk, token: str | None, second: str) -> None:
    """As on REST: which of them an upstream would take is not known."""
    with pytest.raises(Problem) as refused:
        await desk.client([("x-staff", "open sesame"), ("x-staff", second)], "198.51.100.7", token)
    assert (refused.value.status, refused.value.detail) == (401, "The header x-staff is sent more than once.")


async def test_a_bad_token_is_refused_beside_a_good_credential_of_the_upgrade(desk: Desk) -> None:
    """Nor does a good header hide a bad token."""
    with pytest.raises(Problem):
        await desk.client([("x-staff", "open sesame")], "198.51.100.7", "guess")


async def test_the_token_counts_before_the_upgrade(desk: Desk) -> None:
    """Both hold: where they say different things, the token is who the client is."""
    client = await desk.client([("x-partner", "abracadabra")], "198.51.100.7", "open sesame")
    for headers in (client.credentials, client.headers):
        assert [value for name, value in headers if name == "x-partner"] == ["open sesame"]


@pytest.mark.parametrize(("header", "scheme"), [("x-staff", "staff"), ("x-partner", "partner")])
async def test_a_token_hides_no_credential_of_another_scheme(desk: Desk, header: str, scheme: str) -> None:
    """It counts where its own scheme looks, the upgrade's where theirs do."""
    client = await desk.client([(header, "abracadabra")], "198.51.100.7", "open sesame")
    identity = await desk._gate.identify([scheme], client.credentials)
    assert identity is not None
    assert identity.subject == ("globex" if scheme == "staff" else "acme")


PARAMS = {
    "days": {"type": "integer"}, "share": {"type": "number"}, "deep": {"type": "boolean"}, "stops": {"type": "array"},
    "X-Tenant": {"in": "header"}, "X-List": {"in": "header", "type": "array"},
}  # fmt: skip


async def asked_of(bench: Bench, params: dict[str, Any], headers: dict[str, str] | None = None) -> tuple[str, dict[str, str]]:
    """The target and the headers of what the upstream is asked for one subscription."""
    front = Desk({"x": bench.plan}, Hub(bench.runtime), Gate(bench.catalog, Path(), None, bench.runtime), bench.runtime)
    subscription = await front.subscribe(
        front.nobody(list((headers or {}).items()), "198.51.100.7"), SubscribePayload("x", params), "r1", lambda _: None
    )
    await passes(0.01)
    subscription.close()
    call = bench.script.calls.pop()
    return call.target, dict(call.headers)


def forwards(*, query: Any = (), headers: Any = (), **keys: Any) -> Bench:
    """An endpoint with PARAMS that forwards these."""
    forward = {"query": list(query), "headers": list(headers)}
    return Bench({"params": PARAMS, "forward": forward, "calls": {"v": {"path": "/v", "forward": forward}}, **keys})


@pytest.mark.virtual_time
@pytest.mark.parametrize(("given", "target"), [
    ({"days": 3, "lang": "es"}, "/v?days=3&lang=es"), ({"lang": "es", "days": "3"}, "/v?lang=es&days=3"), ({"days": 3.0}, "/v?days=3"),
    ({"deep": True, "share": 0.5}, "/v?deep=true&share=0.5"), ({"deep": 0}, "/v?deep=0"), ({"stops": ["LIS", "K F"]}, "/v?stops=LIS&stops=K%20F"),
    ({"stops": "LIS"}, "/v?stops=LIS"), ({"stops": []}, "/v"), ({"days": None, "lang": None}, "/v"), ({}, "/v"), ({"X-Tenant": "red"}, "/v"),
])  # fmt: skip
@pytest.mark.parametrize("rule", ["*", "by name"])
async def test_query_params_are_forwarded_as_over_rest(given: dict[str, Any], target: str, rule: str) -> None:
    """Declared ones too, as a client writes them in a URL; what is not given is not there, defaults neither."""
    bench = forwards(query=["*"] if rule == "*" else ["days", "share", "deep", "stops", "lang"])
    assert (await asked_of(bench, given))[0] == target


@pytest.mark.virtual_time
async def test_query_params_that_no_rule_names_stay_here() -> None:
    """By allow-list, never more."""
    assert (await asked_of(forwards(query=["lang"]), {"days": 3, "lang": "es", "other": "x"}))[0] == "/v?lang=es"


@pytest.mark.virtual_time
@pytest.mark.parametrize(("given", "headers", "sent"), [
    ({"X-Tenant": "red"}, {}, {"x-tenant": "red"}), ({"X-Tenant": "red"}, {"x-tenant": "blue"}, {"x-tenant": "red"}),
    ({}, {"x-tenant": "blue"}, {"x-tenant": "blue"}), ({"X-Tenant": None}, {"x-tenant": "blue"}, {}), ({"X-Tenant": None}, {}, {}),
    ({"X-List": ["a", "b"]}, {}, {"x-list": "a, b"}), ({"X-List": []}, {}, {}), ({"x-other": "1"}, {"x-mine": "2"}, {"x-mine": "2"}),
])  # fmt: skip
async def test_header_params_are_forwarded_as_over_rest(given: dict[str, Any], headers: dict[str, str], sent: dict[str, str]) -> None:
    """The one that is given stands in for the upgrade's."""
    assert (await asked_of(forwards(headers=["*"]), given, headers))[1] == sent


@pytest.mark.virtual_time
async def test_expressions_see_the_headers_that_are_forwarded() -> None:
    """`request.headers` is what the upstream gets, wherever it came from."""
    call = {"path": "/v", "query": {"of": '{request.headers."x-tenant"}'}, "forward": {"headers": ["x-tenant"]}}
    bench = Bench({"params": PARAMS, "calls": {"v": call}})
    assert (await asked_of(bench, {"X-Tenant": "red"}, {"x-tenant": "blue"}))[0] == "/v?of=red"
    given, own = await asked_of(bench, {"X-Tenant": "café"}), await asked_of(bench, {}, {"x-tenant": "cafÃ©"})
    assert given == own == ("/v?of=caf%C3%A9", {"x-tenant": "cafÃ©"})


@pytest.mark.virtual_time
async def test_clients_with_other_forwarded_params_share_nothing() -> None:
    """What one is given was fetched with its own."""
    bench = forwards(query=["days"], headers=["x-tenant"], live={"every": "1h"})
    hub = Hub(bench.runtime)
    front = Desk({"x": bench.plan}, hub, Gate(bench.catalog, Path(), None, bench.runtime), bench.runtime)
    for given in ({"days": 3}, {"days": "3"}, {"days": 4}, {"days": 3, "X-Tenant": "red"}, {"days": 3, "X-Tenant": "blue"}, {}):
        await front.subscribe(front.nobody((), "198.51.100.7"), SubscribePayload("x", given), "r1", lambda _: None)
    assert hub.snapshot()["topics"] == 5
    hub.close()


@pytest.mark.virtual_time
@pytest.mark.parametrize(("keys", "given", "message"), [
    ({"body": {"required": True}}, {}, "body: must be given"),
    ({"body": {"required": True}}, {"days": "x"}, "days: must be an integer"),
    ({}, {"X-Tenant": "red\r\nx-admin: 1"}, "X-Tenant: must hold no control character"),
    ({}, {"X-List": ["a", "b\0"]}, "X-List: must hold no control character"),
    ({"strict_query": True}, {"lung": "es"}, "lung: is not a parameter of this endpoint"),
])  # fmt: skip
async def test_what_rest_refuses_is_refused_before_anything_is_asked(keys: dict[str, Any], given: dict[str, Any], message: str) -> None:
    """`invalid_params`, with the first fault."""
    bench = forwards(query=["lang"], headers=["*"], **keys)
    with pytest.raises(Refused) as refused:
        await asked_of(bench, given)
    assert (refused.value.payload.code, refused.value.payload.message) == ("invalid_params", message)
    assert bench.script.calls == []


@pytest.mark.virtual_time
async def test_a_body_that_is_not_required_is_none() -> None:
    """The endpoint can be subscribed to."""
    assert (await asked_of(forwards(body={"schema": {"type": "object"}}), {}))[0] == "/v"


@pytest.mark.virtual_time
async def test_who_is_over_the_rate_is_told_when_to_come_back_in_words_of_the_protocol() -> None:
    """There is no header `Retry-After` on a WebSocket."""
    bench = forwards(limit={"rate": "1/m"})
    front = Desk({"x": bench.plan}, Hub(bench.runtime), Gate(bench.catalog, Path(), None, bench.runtime), bench.runtime)
    client = front.nobody((), "198.51.100.7")
    (await front.subscribe(client, SubscribePayload("x"), "r1", lambda _: None)).close()
    with pytest.raises(Refused) as refused:
        await front.subscribe(client, SubscribePayload("x"), "r2", lambda _: None)
    payload = refused.value.payload
    assert (payload.code, payload.retryable, payload.retry_after_ms) == ("rate_limited", True, 60_000)
    assert payload.message == "Too many requests; come back after retry_after_ms milliseconds."


@pytest.mark.virtual_time
async def test_no_param_stands_in_for_a_credential_that_was_judged() -> None:
    """What goes to the upstream is the value that was verified."""
    call = {"path": "/v", "forward": {"headers": ["x-partner"]}}
    bench = Bench({"params": {"X-Partner": {"in": "header"}}, "auth": ["partner"], "calls": {"v": call}})
    gate = Gate(Catalog.model_validate({"auth": AUTH}), Path(), None, bench.runtime)
    front = Desk({"x": bench.plan}, Hub(bench.runtime), gate, bench.runtime)
    client = await front.client([("x-partner", "open sesame")], "198.51.100.7", None)
    for given in ({"X-Partner": "abracadabra"}, {"x-partner": "abracadabra"}, {"X-Partner": None}, {}):
        subscription = await front.subscribe(client, SubscribePayload("x", given), "r1", lambda _: None)
        await passes(0.01)
        subscription.close()
    assert {call.headers for call in bench.script.calls} == {(("x-partner", "open sesame"),)}
