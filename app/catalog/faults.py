"""What is wrong with a catalog: each fault with its place, how they are collected, and how they are shown."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Literal

Severity = Literal["error", "warning"]
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_LONGEST_MESSAGE = 500
_MOST_NEIGHBOURS = 500
"""Names that are held against a misspelt one: more take longer than a hint is worth."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something is written: a file as the user named it, line and column counted from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault or warning. `message` and `hint` are single lines and never hold a value that was substituted."""

    file: str
    line: int
    column: int
    message: str
    hint: str | None = None
    severity: Severity = "error"

    def __str__(self) -> str:
        told = f"{self.message} ({self.hint})" if self.hint else self.message
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {told}"


class CatalogFaults(Exception):
    """The catalog cannot be used; `faults` has every fault in order of place, `warnings` what else is to be told."""

    def __init__(self, faults: tuple[Fault, ...], warnings: tuple[Fault, ...] = ()) -> None:
        self.faults = faults
        self.warnings = warnings
        super().__init__(f"{len(faults)} faults in the catalog")


class CatalogUnreadable(Exception):
    """The catalog's file cannot be read at all; the text says which one and why."""


@dataclass(slots=True)
class Faults:
    """Collects what is wrong. One thing wrong is told once: what is said at a `spoilt` place is a consequence, and left out."""

    found: dict[Fault, None] = field(default_factory=dict)
    spoilt: set[Place] = field(default_factory=set)

    def add(self, place: Place, message: str, hint: str | None = None, *, severity: Severity = "error") -> None:
        """Tells of a fault at a place."""
        if place not in self.spoilt:
            fault = Fault(place.file, place.line, place.column, _one_line(message), _one_line(hint) if hint else None, severity)
            self.found.setdefault(fault)

    def spoil(self, place: Place, message: str, hint: str | None = None) -> None:
        """Tells of a fault that makes the value at this place meaningless."""
        self.add(place, message, hint)
        self.spoilt.add(place)

    def warn(self, place: Place, message: str, hint: str | None = None) -> None:
        """Tells of what is allowed and still worth a look."""
        self.add(place, message, hint, severity="warning")

    def sorted(self, severity: Severity) -> tuple[Fault, ...]:
        """The faults or the warnings, by file, line and column; the order of files is that of their first fault."""
        files = {fault.file: number for number, fault in reversed(list(enumerate(self.found)))}
        chosen = [fault for fault in self.found if fault.severity == severity]
        return tuple(sorted(chosen, key=lambda fault: (files[fault.file], fault.line, fault.column)))

    def raise_if_any(self) -> None:
        """Raises `CatalogFaults` where there is an error; warnings alone do not stop anybody."""
        if errors := self.sorted("error"):
            raise CatalogFaults(errors, self.sorted("warning"))


def _one_line(text: str) -> str:
    line = _UNPRINTABLE.sub(" ", text).strip()
    return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 3] + "..."


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The hint `did you mean 'timeout'?` where a known word is near; None where none is."""
    near = _nearest(word, tuple(islice(known, _MOST_NEIGHBOURS)))
    return f"did you mean '{near}'?" if near is not None else None


@lru_cache(maxsize=1_000)
def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    """The known word that a misspelt one is nearest to. It takes a third of a millisecond, and one mistake is often made thousands of times."""
    by_lower = {one.lower(): one for one in reversed(known) if one != word}
    near = difflib.get_close_matches(word[:100].lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None


def as_text(faults: Iterable[Fault]) -> str:
    """One line each, as compilers write them: `FILE:LINE:COL: error: MESSAGE (HINT)`."""
    return "".join(f"{fault}\n" for fault in faults)


def as_json(faults: Iterable[Fault], warnings: Iterable[Fault] = ()) -> str:
    """`{"faults": [{file, line, column, message, hint}], "warnings": [...]}`."""

    def told(some: Iterable[Fault]) -> list[dict[str, object]]:
        return [{"file": f.file, "line": f.line, "column": f.column, "message": f.message, "hint": f.hint} for f in some]

    return json.dumps({"faults": told(faults), "warnings": told(warnings)}, indent=2, ensure_ascii=False) + "\n"
