"""The kinds of values in a catalog, and the model that all of its models are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from app.catalog import units

_TEXT = {"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h)$", "examples": ["250ms", "2s"]}
_DURATION = WithJsonSchema(_TEXT)
Duration = Annotated[float, BeforeValidator(units.seconds), WithJsonSchema({"anyOf": [_TEXT, {"const": 0}]})]
Timeout = Annotated[float, BeforeValidator(units.positive_seconds), _DURATION]
"""A duration above 0."""
Interval = Annotated[float, BeforeValidator(units.interval), _DURATION]
"""A duration of 100 ms or more."""
Size = Annotated[
    int,
    BeforeValidator(units.size),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d+(B|KiB|MiB|GiB)?$"}],
            "examples": ["64KiB", "4MiB"],
        }
    ),
]
PerSecond = Annotated[
    float, BeforeValidator(units.per_second), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?/(s|m|h)$", "examples": ["200/s", "600/m"]})
]
Share = Annotated[float, BeforeValidator(units.share), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?%$", "examples": ["20%"]})]
Json = Any
"""Any JSON value; its strings may hold `{expressions}`."""
NonNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Status = Annotated[int, Field(ge=100, le=599)]
Expression = Annotated[str, Field(min_length=1)]
"""A bare JMESPath expression, without braces."""
Template = str
"""A text that may hold `{expressions}`."""
Scalar = Template | bool | int | float | None
Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


class Model(BaseModel):
    """Frozen; unknown keys are faults; nothing is coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False)
