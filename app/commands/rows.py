"""The rows of a batch's input: CSV with a header line, or NDJSON; read one by one, so that a file may be of any length."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from app.catalog.schema import Endpoint
from app.core.data import canonical

BODY = "body"
"""The column of the request's body, where the endpoint takes one."""

csv.field_size_limit(2**31 - 1)  # of the whole process; else a cell has 128 KiB at most


class BadInput(Exception):
    """The input, or the output of an earlier run, cannot be used; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number from 1, and what was given by name."""

    number: int
    given: dict[str, Any]

    @property
    def digest(self) -> bytes:
        """Tells rows apart, so that a changed input is noticed."""
        return hashlib.blake2b(canonical(self.given), digest_size=8).digest()

    def params(self, endpoint: Endpoint) -> dict[str, Any]:
        """What is given of params; a list in one cell of CSV has commas."""
        values = {name: value for name, value in self.given.items() if name != BODY}
        for name, value in values.items():
            if isinstance(value, str) and name in endpoint.params and endpoint.params[name].type == "array":
                values[name] = [piece.strip() for piece in value.split(",")]
        return values


def rows(path: Path) -> Iterator[Row]:
    """Every row of the file; BadInput names the line that is none."""
    return _of_csv(path) if path.suffix.lower() in (".csv", ".tsv") else _of_ndjson(path)


def columns(path: Path) -> list[str] | None:
    """The names in the header line of CSV; None for NDJSON, whose rows have names of their own."""
    if path.suffix.lower() not in (".csv", ".tsv"):
        return None
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            return next(csv.reader(file, delimiter=_delimiter(path)), [])
        except (csv.Error, UnicodeDecodeError) as exc:
            raise _unreadable(path, 1, exc) from exc


def _of_csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=_delimiter(path), strict=True)
        try:
            for number, cells in enumerate(reader, 1):
                if None in cells:
                    raise BadInput(f"{path}:{reader.line_num}: more cells than columns")
                yield Row(number, {name: cell for name, cell in cells.items() if cell})
        except (csv.Error, UnicodeDecodeError) as exc:
            raise _unreadable(path, reader.line_num, exc) from exc


def _unreadable(path: Path, line: int, fault: csv.Error | UnicodeDecodeError) -> BadInput:
    """Text is decoded ahead of the line that is read, so a line can be named for the rest alone."""
    return BadInput(f"{path}: this is not UTF-8; save it as UTF-8" if isinstance(fault, UnicodeDecodeError) else f"{path}:{line}: {fault}")


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _of_ndjson(path: Path) -> Iterator[Row]:
    number = 0
    with path.open("rb") as file:
        for at, line in enumerate(file, 1):
            text = line.removeprefix(codecs.BOM_UTF8) if at == 1 else line
            if not text.strip():
                continue
            try:
                value = msgspec.json.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError) as exc:
                raise BadInput(f"{path}:{at}: {exc}") from exc
            if not isinstance(value, dict):
                raise BadInput(f"{path}:{at}: a row is an object, with params by name")
            number += 1
            yield Row(number, {name: cell for name, cell in value.items() if cell is not None})


def csv_line(cells: list[str]) -> bytes:
    """Cells as one line of CSV; texts without newlines stay on one line."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
