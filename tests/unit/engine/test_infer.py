"""Schemas out of values."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.infer import MANY_KEYS, schema_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(JSON, min_size=1, max_size=5))
def test_every_value_that_was_seen_fits(values: list[Any]) -> None:
    """Whatever they are."""
    validator = jsonschema_rs.validator_for(schema_of(values))
    assert all(validator.is_valid(value) for value in values)


@pytest.mark.parametrize(
    ("values", "schema"),
    [
        ([1, 2], {"type": "integer"}),
        ([1, 2.5], {"type": "number"}),
        (["a", None], {"type": ["string", "null"]}),
        ([None], {"type": "null"}),
        ([True], {"type": "boolean"}),
        ([[]], {"type": "array"}),
        ([[1, "a"]], {"type": "array", "items": {"type": ["integer", "string"]}}),
        ([{"a": 1}, {"a": 2, "b": 3}], {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a"]}),
        (["2026-11-23"], {"type": "string", "format": "date"}),
        (["2026-11-23T08:00:00Z", "2026-11-23T08:00:00.5+01:00"], {"type": "string", "format": "date-time"}),
        (["2026-11-23", "soon"], {"type": "string"}),
        ([], {}),
    ],
)
def test_a_schema_is_as_narrow_as_the_values_allow(values: list[Any], schema: dict[str, Any]) -> None:
    """Types, items, properties, required, formats."""
    assert schema_of(values) == schema


def test_an_object_of_many_like_values_is_a_map() -> None:
    """Its keys are data."""
    assert schema_of([{f"k{n}": n for n in range(MANY_KEYS + 1)}]) == {"type": "object", "additionalProperties": {"type": "integer"}}
