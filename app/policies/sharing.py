"""Cache entries on their way to other processes and back; whatever cannot be read is a miss."""

from __future__ import annotations

from collections.abc import Hashable
from hashlib import sha256

import msgspec

from app.core.data import NULL, Data
from app.core.runtime import Runtime
from app.policies.store import Entry

VERSION = 2


class _Shared(msgspec.Struct, array_like=True):
    """An entry as it is shared; `stored` by the calendar's clock, since the loop's is a process's own."""

    version: int
    data: bytes | None
    status: int | None
    stored: float
    lifetime: float | None
    revalidate: float | None
    if_error: float | None
    etag: str | None
    modified: str | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Shared).decode


def packed(data: Data) -> bytes | None:
    """Data as it is shared: its JSON text, None for the null of an answer without a body, which is told from one that says null."""
    return None if data is NULL else data.raw


def unpacked(raw: bytes | None) -> Data:
    """The data that has been `packed`."""
    return NULL if raw is None else Data.of_raw(raw)


def name_of(key: Hashable) -> str:
    """The shared name of a key: a digest, since keys hold clients' credentials."""
    return f"cache:{VERSION}:{sha256(repr(key).encode('utf-8', 'surrogatepass')).hexdigest()}"


async def save(runtime: Runtime, key: Hashable, entry: Entry, seconds: float) -> None:
    """Shares an entry for so long, if the store answers."""
    if runtime.shared is None or seconds <= 0:
        return
    stored = runtime.wall() - (runtime.now() - entry.stored)
    shared = _Shared(VERSION, packed(entry.data), entry.status, stored, entry.lifetime, entry.revalidate, entry.if_error, entry.etag, entry.modified)
    await runtime.shared.put(name_of(key), _encode(shared), seconds)


async def load(runtime: Runtime, key: Hashable) -> Entry | None:
    """The entry that someone has shared; None where there is none that can be read."""
    raw = await runtime.shared.get(name_of(key)) if runtime.shared is not None else None
    if raw is None:
        return None
    try:
        found = _decode(raw)
    except msgspec.MsgspecError:
        return None
    age = max(0.0, runtime.wall() - found.stored)
    return Entry(
        unpacked(found.data), found.status, runtime.now() - age, found.lifetime, found.revalidate, found.if_error, found.etag, found.modified
    )
