"""The promise: a JSON value is decoded or encoded once, on first need, and nothing of it is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.data import NULL, Data, canonical
from app.core.scope import Scope

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_a_value_comes_back_from_its_text(value: Any) -> None:
    """Integers of any size are exact."""
    assert json.loads(Data.of(value).raw) == value
    assert Data.of_raw(Data.of(value).raw).value == value


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(), max_size=6))
def test_equal_values_have_one_canonical_text(value: dict[str, int]) -> None:
    """Whatever the order of their keys."""
    assert canonical(value) == canonical(dict(reversed(value.items())))


def test_text_that_nothing_looks_into_stays_as_it_was_sent() -> None:
    """Spelling of numbers, white space, order and repetition of keys."""
    sent = b'{"b": 1.00, "a": 1e2, "a": 2}'
    assert Data.of_raw(sent).raw is sent


def test_a_scope_decodes_a_name_when_it_is_asked_for() -> None:
    """And gives raw text without decoding."""
    scope = Scope(a=Data.of_raw(b'{"n": 1}'), p=7)
    assert scope.raw("a") == b'{"n": 1}'
    assert scope.raw("p") is None
    assert scope.get("a") == {"n": 1}
    assert scope.get("none") is None
    assert scope.inner(item=3).get("item") == 3
    assert "item" not in scope


@pytest.mark.parametrize(("data", "is_null"), [(NULL, True), (Data.of(None), True), (Data.of_raw(b"null"), True), (Data.of(0), False)])
def test_null_is_known_in_either_form(data: Data, is_null: bool) -> None:
    """As text and as value."""
    assert data.is_null is is_null
