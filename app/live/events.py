"""What a subscription is told: parts, then `complete`, then updates, or its end. Values, without a wire format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from app.core.answer import Answer
from app.core.data import Data
from app.core.outcome import Outcome

EndCode = Literal["unauthorized", "too_many_subscriptions", "internal"]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a client stands in a topic: everything up to `offset` of `epoch` is known to it."""

    epoch: str
    offset: int

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """Reads `EPOCH.OFFSET`; None where it is no position of ours."""
        epoch, dot, offset = text.rpartition(".")
        if not dot or not epoch or len(text) > 100 or not (offset.isascii() and offset.isdigit()):
            return None
        return cls(epoch, int(offset))


@dataclass(slots=True, eq=False)
class Part:
    """One part's data and the calls that it needs. `encoded` is kept by who writes it: the event is shared by all subscribers."""

    offset: int
    name: str
    data: Data
    sources: Mapping[str, Outcome]
    encoded: str | None = field(default=None, repr=False)


@dataclass(slots=True, eq=False)
class Complete:
    """All calls have settled; the last event unless `live`. `data` where the answer has no fixed keys, `failed` where it failed as a whole."""

    offset: int
    live: bool
    complete: bool
    sources: Mapping[str, Outcome]
    data: Data | None = None
    failed: Answer | None = None
    encoded: str | None = field(default=None, repr=False)


@dataclass(slots=True, eq=False)
class Update:
    """What changed between two offsets: parts, or the whole where the answer has no fixed keys (None: it did not change)."""

    prev: int
    offset: int
    parts: Mapping[str, Data] | None
    whole: Data | None
    sources: Mapping[str, Outcome]
    complete: bool
    conflated: int
    encoded: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """The answer failed before any part was there; the last event."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Ended:
    """The subscription ends, whatever its state; the last event."""

    code: EndCode


@dataclass(frozen=True, slots=True)
class Draining:
    """The process is going: come back later and resume; the last event."""


Event: TypeAlias = Part | Complete | Update | Failed | Ended | Draining
