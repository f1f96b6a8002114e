"""Durations, sizes, rates and shares, as a person writes them: `250ms`, `4MiB`, `200/s`, `20%`."""

from __future__ import annotations

import re


class UnitError(ValueError):
    """A text in no unit that is meant here; `wanted` says what would be: `a duration such as 250ms, 2s, 1m or 1h`."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        super().__init__(f"is not {wanted}")


_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,15})?)"
_DURATION = re.compile(_NUMBER + "(ms|s|m|h)")
_SIZE = re.compile("([0-9]{1,15})(B|KiB|MiB|GiB)?")
_RATE = re.compile(_NUMBER + "/(s|m|h)")
_SHARE = re.compile(_NUMBER + "%")
SHORTEST_INTERVAL = 0.1
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def seconds(text: object) -> float:
    """Seconds of a duration such as `250ms 2s 1m 1h`; 0 may stand alone. ValueError names the forms."""
    if text == 0 and not isinstance(text, bool):
        return 0.0
    if isinstance(text, str) and (found := _DURATION.fullmatch(text)):
        return float(found[1]) * _SECONDS[found[2]]
    raise UnitError("a duration such as 250ms, 2s, 1m or 1h")


def positive_seconds(text: object) -> float:
    """Seconds of a duration above 0. ValueError names the forms."""
    if (found := seconds(text)) > 0:
        return found
    raise UnitError("a duration above 0, such as 250ms or 2s")


def interval(text: object) -> float:
    """Seconds of a duration of 100 ms or more: how often something may happen again. ValueError names the forms."""
    if (found := seconds(text)) >= SHORTEST_INTERVAL:
        return found
    raise UnitError("a duration of 100ms or more")


def size(text: object) -> int:
    """Bytes of a size such as `64KiB 2MiB`; a bare number is bytes. ValueError names the forms."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    if isinstance(text, str) and (found := _SIZE.fullmatch(text)):
        return int(found[1]) * _BYTES[found[2]]
    raise UnitError("a size such as 64KiB or 2MiB")


def per_second(text: object) -> float:
    """Events a second of a rate such as `100/s 600/m`. ValueError names the forms."""
    if isinstance(text, str) and (found := _RATE.fullmatch(text)) and float(found[1]) > 0:
        return float(found[1]) / _SECONDS[found[2]]
    raise UnitError("a rate such as 100/s or 600/m")


def share(text: object) -> float:
    """A share between 0 and 1 of a percentage such as `20%`. ValueError names the form."""
    if isinstance(text, str) and (found := _SHARE.fullmatch(text)) and float(found[1]) <= 100:
        return float(found[1]) / 100
    raise UnitError("a percentage such as 20%")


# --- back to text, for documents


def duration_text(number: float) -> str:
    """Seconds as a person writes them: `250ms`, `1m`, `12h`."""
    for unit, length in (("h", 3600), ("m", 60), ("s", 1)):
        if number >= length and number % length == 0:
            return f"{number / length:.15g}{unit}"
    return f"{round(number * 1000, 6):.15g}ms" if number else "0s"


def size_text(number: int) -> str:
    """Bytes as a person writes them: `4MiB`."""
    for unit, length in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= length and number % length == 0:
            return f"{number // length}{unit}"
    return f"{number}B"


def share_text(number: float) -> str:
    """A share as a percentage: `20%`."""
    return f"{number * 100:g}%"
