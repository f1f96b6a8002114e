"""The bounded store."""

from __future__ import annotations

from app.core.data import Data
from app.policies.store import DECODED, OVERHEAD, Entry, Store


def entry(size: int) -> Entry:
    return Entry(Data.of_raw(b'"' + b"x" * (size - 2) + b'"'), 200, 0.0)


def test_the_least_recently_used_goes_first() -> None:
    """Three fit; the one that was read last stays."""
    store = Store(3 * (OVERHEAD + 1000))
    for key in "abc":
        store.put(key, entry(1000))
    assert store.get("a") is not None
    store.put("d", entry(1000))
    assert [store.get(key) is not None for key in "abcd"] == [True, False, True, True]
    assert store.weight <= store.max_bytes


def test_what_is_too_large_is_not_kept_and_pushes_nothing_out() -> None:
    """An entry over the whole bound."""
    store = Store(10_000)
    store.put("a", entry(1000))
    store.put("b", entry(20_000))
    assert store.get("a") is not None
    assert store.get("b") is None
    assert store.weight == OVERHEAD + 1000


def test_a_new_entry_takes_the_place_of_the_old() -> None:
    """The weight is that of the new one."""
    store = Store(100_000)
    store.put("a", entry(5000))
    store.put("a", entry(100))
    assert (len(store), store.weight) == (1, OVERHEAD + 100)
    store.drop("a")
    store.drop("a")
    assert (len(store), store.weight) == (0, 0)


def test_decoded_data_weighs_more() -> None:
    """Once an expression has looked into it, the objects are kept too, and count."""
    store = Store(100_000)
    kept = entry(1000)
    store.put("a", kept)
    assert kept.data.value
    assert store.get("a") is kept
    assert store.weight == OVERHEAD + 1000 * (1 + DECODED)
    assert repr(store) == f"<Store 1 entries, {store.weight} of 100000 bytes>"
