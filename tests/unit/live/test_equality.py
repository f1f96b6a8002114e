"""Equal data is no news: what counts as equal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.data import Data
from app.live.equality import same

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def raw(text: str) -> Data:
    return Data.of_raw(text.encode())


@pytest.mark.parametrize(("old", "new"), [
    ('{"a": 1, "b": {"c": [1, 2], "d": null}}', '{"b":{"d":null,"c":[1,2]},"a":1}'),
    ("1", "1.0"), ("[100]", "[1e2]"), ('"\\u00e9"', '"é"'), ("[ ]", "[]"), ("-0", "0"),
])  # fmt: skip
def test_equal_values_are_the_same_however_they_are_written(old: str, new: str) -> None:
    """Order of keys, spaces, escapes and the spelling of numbers make no difference."""
    assert same(raw(old), raw(new))


@pytest.mark.parametrize(("old", "new"), [
    ("[1, 2]", "[2, 1]"), ("1", "true"), ("[0]", "[false]"), ("null", "0"), ('{"a": 1}', '{"a": 1, "b": null}'), ('"1"', "1"),
    ("9007199254740993", "9007199254740992"), ('{"a": [1]}', '{"a": [true]}'),
])  # fmt: skip
def test_other_values_differ(old: str, new: str) -> None:
    """Lists have an order, booleans are no numbers, large integers are exact."""
    assert not same(raw(old), raw(new))


@given(JSON, st.randoms(use_true_random=False))
def test_a_value_is_the_same_as_itself_with_its_keys_in_another_order(value: object, dice: object) -> None:
    """Whatever the value."""

    def shuffled(one: object) -> object:
        if isinstance(one, dict):
            items = list(one.items())
            dice.shuffle(items)  # type: ignore[attr-defined]
            return {key: shuffled(inner) for key, inner in items}
        return [shuffled(inner) for inner in one] if isinstance(one, list) else one

    assert same(raw(json.dumps(value)), raw(json.dumps(shuffled(value), ensure_ascii=False, indent=1)))
