"""Data against JSON Schema."""

from __future__ import annotations

import pytest
from jsonschema_rs import ValidationError

from app.engine.validate import compile_schema


def test_the_first_fault_is_told_by_pointer_and_rule() -> None:
    """RFC 6901 pointers; the data itself is in no message."""
    validate = compile_schema({"type": "object", "properties": {"a/b": {"items": {"type": "integer"}}}, "required": ["c"]})
    assert validate({"a/b": [1], "c": 1}) is None
    assert validate({"a/b": [1, "SECRET"], "c": 1}) == ("/a~1b/1", 'value is not of type "integer"')
    assert validate({}) == ("", '"c" is a required property')


def test_numbers_of_any_size_are_compared() -> None:
    """Integers beyond 64 bits."""
    assert compile_schema({"type": "integer", "maximum": 10**30})(10**30 + 1) is not None
    assert compile_schema({"type": "integer"})(10**30) is None


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"$ref": "http://127.0.0.1:1/x"}, 7])
def test_what_is_no_schema_is_refused_and_nothing_is_fetched(schema: object) -> None:
    """At start-up."""
    with pytest.raises(ValidationError):
        compile_schema(schema)
