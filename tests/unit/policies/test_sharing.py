"""Cache entries as processes share them: a null keeps its meaning, and what another version wrote is a miss."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from app.core.data import NULL, Data
from app.core.runtime import Runtime
from app.core.tasks import Tasks
from app.policies.sharing import load, name_of, save
from app.policies.store import Entry
from tests.fakes.shared_store import SharedStore

pytestmark = pytest.mark.virtual_time
KEY = ("u", "GET", "/")


def runtime() -> Runtime:
    now = asyncio.get_running_loop().time
    return Runtime(Tasks(lambda name, fault: None), now, wall=now, shared=SharedStore(now))


@pytest.mark.parametrize("data", [NULL, Data.of_raw(b"null")], ids=["no body", "null"])
async def test_a_null_without_a_body_is_told_from_one_that_is_said(data: Data) -> None:
    """`select` looks into the one and not into the other."""
    process = runtime()
    await save(process, KEY, Entry(data, 200, process.now()), 10)
    entry = await load(process, KEY)
    assert entry is not None
    assert (entry.data is NULL, entry.data.raw, entry.status) == (data is NULL, b"null", 200)


async def test_what_another_version_wrote_is_a_miss() -> None:
    """It has another name; under ours it cannot be read."""
    process = runtime()
    assert process.shared is not None
    entry = msgspec.msgpack.encode([1, b"1", 200, 0.0])
    await process.shared.put(name_of(KEY).replace(":2:", ":1:"), entry, 10)
    assert await load(process, KEY) is None
    await process.shared.put(name_of(KEY), entry, 10)
    assert await load(process, KEY) is None
