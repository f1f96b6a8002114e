"""The state of a topic: the latest data of each part, the latest source of each call, and at which offset each changed.

An offset names a state; every commit that changes something makes the next one. Because each part knows when it last
changed, what a client lacks is computed from where it stands: no log is kept, nothing waits per subscriber, and whoever
is slow gets the newest state by construction.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.core.answer import Answer
from app.core.data import Data
from app.core.outcome import Outcome
from app.live.equality import same
from app.live.events import Complete, Part, Update

_REMEMBERED_UPDATES = 8
"""Updates kept ready per state: nearly all subscribers stand at the same offset, stragglers are served each for itself."""


@dataclass(slots=True, eq=False)
class _Kept:
    offset: int
    data: Data
    event: Part | None = None


class State:
    """One topic's state. `fixed` says whether the answer has fixed keys: parts, else one whole."""

    def __init__(self, fixed: bool, part_needs: Mapping[str, tuple[str, ...]]) -> None:
        self.epoch = secrets.token_urlsafe(6)
        self.top = 0
        self.complete = False
        self.sources: dict[str, Outcome] = {}
        self._fixed = fixed
        self._needs = part_needs
        self._parts: dict[str, _Kept] = {}
        self._whole: _Kept | None = None
        self._source_offsets: dict[str, int] = {}
        self._updates: dict[int, Update] = {}

    def commit(self, parts: Mapping[str, Data], whole: Data | None, outcomes: Iterable[Outcome], complete: bool) -> bool:
        """Takes new data and the outcomes of the calls it came from, those that changed; whether anything is news.

        A call's new data alone is none: what counts is the data of the answer, and how each call stands.
        """
        outcomes = list(outcomes)
        changed = {name: data for name, data in parts.items() if name not in self._parts or not same(self._parts[name].data, data)}
        new_whole = whole is not None and (self._whole is None or not same(self._whole.data, whole))
        if not (changed or new_whole or self.complete != complete or any(self.is_news(o) for o in outcomes)):
            return False
        self.top += 1
        self._updates = {}
        self.complete = complete
        self._record(outcomes)
        if new_whole:
            assert whole is not None  # noqa: S101 - said by `new_whole`
            self._whole = _Kept(self.top, whole)
        for name, data in changed.items():
            self._parts[name] = _Kept(self.top, data)
        return True

    def conclude(self, whole: Data | None, outcomes: Iterable[Outcome], complete: bool) -> None:
        """Takes the end of a round. Only a new whole makes a new state: `complete` names every call anyway."""
        if whole is not None and (self._whole is None or not same(self._whole.data, whole)):
            self.top += 1
            self._whole = _Kept(self.top, whole)
        self._updates = {}
        self.complete = complete
        self._record(outcomes)

    def _record(self, outcomes: Iterable[Outcome]) -> None:
        """Takes how calls stand; parts that need one of them are told anew to whoever comes."""
        for outcome in outcomes:
            self.sources[outcome.name] = outcome
            self._source_offsets[outcome.name] = self.top
            for name, kept in self._parts.items():
                if outcome.name in self._needs[name]:
                    kept.event = None

    def is_news(self, outcome: Outcome) -> bool:
        """Whether the call stands otherwise than is known, whatever its data: by status, error type or completeness."""
        before = self.sources.get(outcome.name)
        return before is None or _standing(before) != _standing(outcome)

    def _sources_of(self, part: str) -> dict[str, Outcome]:
        return {call: self.sources[call] for call in self._needs[part] if call in self.sources}

    @property
    def part_names(self) -> list[str]:
        """The parts that have data, in order of their first arrival."""
        return list(self._parts)

    def changed_since(self, part: str, offset: int) -> bool:
        """Whether the part is newer than that offset."""
        return self._parts[part].offset > offset

    def part(self, name: str, cut: int | None) -> Part:
        """A part's latest data and its calls as they stand; it never names a later state than `cut`, which `complete` will name."""
        kept = self._parts[name]
        if cut is not None and kept.offset > cut:
            return Part(cut, name, kept.data, self._sources_of(name))
        if kept.event is None:
            kept.event = Part(kept.offset, name, kept.data, self._sources_of(name))
        return kept.event

    def completed(self, cut: int, live: bool, failed: Answer | None = None) -> Complete:
        """What ends the parts: everything that was sent covers the state `cut`."""
        whole = self._whole.data if self._whole is not None else None
        if failed is not None:
            return Complete(cut, False, False, dict(failed.outcomes), None, failed)
        return Complete(cut, live, self.complete, dict(self.sources), whole)

    def update(self, prev: int) -> Update:
        """What changed after `prev`, up to now: one event for all who stand there."""
        found = self._updates.get(prev)
        if found is None:
            found = self._update(prev)
            if len(self._updates) < _REMEMBERED_UPDATES:
                self._updates[prev] = found
        return found

    def _update(self, prev: int) -> Update:
        parts = {name: kept.data for name, kept in self._parts.items() if kept.offset > prev} if self._fixed else None
        whole = self._whole.data if self._whole is not None and self._whole.offset > prev else None
        sources = {name: self.sources[name] for name, offset in self._source_offsets.items() if offset > prev}
        return Update(prev, self.top, parts, whole, sources, self.complete, self.top - prev - 1)

    @property
    def datas(self) -> list[Data]:
        """What it keeps, for who counts the bytes."""
        kept = [*self._parts.values(), *([self._whole] if self._whole is not None else [])]
        return [k.data for k in kept]

    def __repr__(self) -> str:
        return f"<State {self.epoch}.{self.top} {'complete' if self.complete else 'partial'} {', '.join(self._parts)}>"


def _standing(outcome: Outcome) -> tuple[object, ...]:
    """What about a source is told even where no data changed."""
    return (outcome.status, outcome.error.type if outcome.error is not None else None, outcome.is_complete)
