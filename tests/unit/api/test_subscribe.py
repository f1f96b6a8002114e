"""Who a client of `/ws` is: the token of its `connection_init` and the credentials of its upgrade, each of which has to hold."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.api.auth import Gate
from app.api.problems import Problem
from app.api.subscribe import Desk
from app.catalog.schema import Catalog
from app.core.runtime import Runtime
from app.core.tasks import Tasks
from app.live.hub import Hub

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


async def test_a_bad_token_is_refused_beside_a_good_credential_of_the_upgrade(desk: Desk) -> None:
    """Nor does a good header hide a bad token."""
    with pytest.raises(Problem):
        await desk.client([("x-staff", "open sesame")], "198.51.100.7", "guess")


async def test_the_token_counts_before_the_upgrade(desk: Desk) -> None:
    """Both hold: where they say different things, the token is who the client is."""
    client = await desk.client([("x-partner", "abracadabra")], "198.51.100.7", "open sesame")
    assert [value for name, value in client.credentials if name == "x-partner"] == ["open sesame", "abracadabra"]
    assert [value for name, value in client.headers if name == "x-partner"] == ["open sesame"]


@pytest.mark.parametrize(("header", "scheme"), [("x-staff", "staff"), ("x-partner", "partner")])
async def test_a_token_hides_no_credential_of_another_scheme(desk: Desk, header: str, scheme: str) -> None:
    """It counts where its own scheme looks, the upgrade's where theirs do."""
    client = await desk.client([(header, "abracadabra")], "198.51.100.7", "open sesame")
    identity = await desk._gate.identify([scheme], client.credentials)
    assert identity is not None
    assert identity.subject == ("globex" if scheme == "staff" else "acme")
