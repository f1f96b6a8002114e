"""Who waits for a slot, and who is served next: in order, but newest first once the line stands."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

W = TypeVar("W")
STANDING = 0.1
"""Seconds: once the oldest has waited so long, the line holds more than can be served in time; then the newest, who has
all its time left, is served first, and the old ones run out (adaptive LIFO: Maurer, "Fail at Scale", ACM Queue 2015)."""


@dataclass(frozen=True, slots=True, eq=False)
class Place(Generic[W]):
    """A place in the line: who waits, and since when."""

    who: W
    since: float


class Line(Generic[W]):
    """The places, oldest first."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: OrderedDict[Place[W], None] = OrderedDict()

    def join(self, who: W, now: float) -> Place[W]:
        """Takes a place at the end."""
        place = Place(who, now)
        self._places[place] = None
        return place

    def leave(self, place: Place[W]) -> None:
        """Gives a place up; nothing happens if it has been served."""
        self._places.pop(place, None)

    def serve(self, now: float) -> W | None:
        """Takes out who is next; None of an empty line."""
        if not self._places:
            return None
        oldest = next(iter(self._places))
        place, _ = self._places.popitem(last=now - oldest.since >= STANDING)
        return place.who

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        return f"<Line of {len(self._places)}>"
