"""Holds data against a JSON Schema (2020-12, or the draft that it names): prepared once, asked per answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jsonschema_rs import validator_for


def compile_schema(schema: Any) -> Callable[[Any], tuple[str, str] | None]:
    """A function from decoded data to the first fault, as (JSON pointer, message), or None.

    Messages name the rule and never show the data. Raises ValueError for what is no schema. Nothing is fetched.
    """
    validator = validator_for(schema, offline=True, mask="value")

    def validate(value: Any) -> tuple[str, str] | None:
        if validator.is_valid(value):
            return None
        fault = next(iter(validator.iter_errors(value)))
        return pointer(fault.instance_path), fault.message

    return validate


def pointer(path: Iterable[str | int]) -> str:
    """The JSON pointer (RFC 6901) of a way into a value; the whole is the empty text."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in path)
