"""The process-wide store of the caches: bounded in bytes, the least recently used goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from msgspec import Struct

from app.core.data import Data

OVERHEAD = 1024
"""Bytes that an entry takes besides its data and its key: validators, the objects themselves."""
DECODED = 5
"""Decoded JSON takes about so many times the bytes of its text (dicts and strings of CPython)."""


class Entry(Struct, eq=False):
    """A stored success. Times are of the loop's clock.

    `lifetime`, `revalidate` and `if_error` are what the upstream itself said, in seconds; None where it said nothing.
    `key_size` is the bytes of its key, which weigh as its data does.
    """

    data: Data
    status: int | None
    stored: float
    lifetime: float | None = None
    revalidate: float | None = None
    if_error: float | None = None
    etag: str | None = None
    modified: str | None = None
    key_size: int = 0
    weight: int = 0


class Store:
    """Entries by key. What weighs more than the whole store is not kept."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.weight = 0
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()

    def get(self, key: Hashable) -> Entry | None:
        """The entry, which is the most recently used now; None where there is none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        if entry.data.is_decoded:
            self._weigh(key, entry)
        return entry

    def put(self, key: Hashable, entry: Entry) -> None:
        """Keeps an entry in place of an older one; what was used least goes for it."""
        self.drop(key)
        entry.weight = 0
        self._entries[key] = entry
        self._weigh(key, entry)

    def drop(self, key: Hashable) -> None:
        """Forgets an entry, if there is one."""
        old = self._entries.pop(key, None)
        if old is not None:
            self.weight -= old.weight

    def _weigh(self, key: Hashable, entry: Entry) -> None:
        """An entry grows when its data is decoded: that form is kept as well."""
        weight = OVERHEAD + entry.key_size + len(entry.data) * (1 + DECODED if entry.data.is_decoded else 1)
        if weight == entry.weight:
            return
        if weight > self.max_bytes:
            self.drop(key)
            return
        self.weight += weight - entry.weight
        entry.weight = weight
        while self.weight > self.max_bytes and self._entries:
            _, old = self._entries.popitem(last=False)
            self.weight -= old.weight

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Store {len(self._entries)} entries, {self.weight} of {self.max_bytes} bytes>"
