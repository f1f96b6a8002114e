"""Who asks: the verified credential of a client, or nobody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LEEWAY = 30.0
"""Seconds by which clocks may differ: so long after its end a credential still holds."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified credential. `expires` is wall-clock seconds (a JWT's `exp`); `header` is where it came in, lower case."""

    scheme: str
    subject: str
    claims: dict[str, Any] = field(default_factory=dict)
    expires: float | None = None
    header: str | None = None
