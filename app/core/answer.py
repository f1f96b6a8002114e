"""One answer: parts in declared order, how each call went, and whether all of it is there."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from app.core.data import Data
from app.core.outcome import Outcome


class Answer(Struct):
    """What a plan's run came to.

    `parts`: top-level key to JSON value, in declared order; None where the answer has no fixed keys (`response` is one
    expression or a merge): then `whole` holds it. `outcomes`: in declared order, of the calls that had settled.
    `failed`: the answer failed as a whole (a required call, or every call).
    """

    outcomes: Mapping[str, Outcome]
    parts: Mapping[str, Data] | None = None
    whole: Data | None = None
    failed: bool = False
    began: float = 0.0
    _complete: bool | None = None

    @property
    def complete(self) -> bool:
        """Whether every call answered or was skipped on purpose."""
        if self._complete is None:
            self._complete = not self.failed and all(o.is_complete for o in self.outcomes.values())
        return self._complete

    @property
    def data(self) -> Data:
        """The whole answer as one JSON value."""
        if self.whole is None:
            self.whole = Data.of_raw(joined(self.parts or {}))
        return self.whole

    @property
    def fresh_until(self) -> float | None:
        """When the first call's data stops being fresh, on the loop's clock; None where any says nothing."""
        asked = [o.fresh_until for o in self.outcomes.values() if o.status != "skipped"]
        times = [at for at in asked if at is not None]
        return min(times) if times and len(times) == len(asked) else None


_KEYS: dict[str, bytes] = {}


def joined(parts: Mapping[str, Data]) -> bytes:
    """Keys and JSON texts as one JSON object, in their order; nothing is decoded."""
    pieces = []
    for key, data in parts.items():
        pieces.append(_quoted(key) + data.raw)
    return b"{" + b",".join(pieces) + b"}"


def _quoted(key: str) -> bytes:
    """`"key":`, kept for keys of the catalog (of which there are few)."""
    found = _KEYS.get(key)
    if found is None:
        found = Data.of(key).raw + b":"
        if len(_KEYS) < 10_000:
            _KEYS[key] = found
    return found
