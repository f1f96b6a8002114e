"""The rows of a batch's input: CSV with a header line, or NDJSON; read one by one, so that a file may be of any length."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

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


@dataclass(frozen=True, slots=True)
class Input:
    """An open input. `path` is how it was named, and by its end what it is: CSV, or else NDJSON."""

    path: Path
    _file: int

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[Input]:
        """Opens the input; it can be read more than once, a pipe too. BadInput where it cannot be read."""
        try:
            file = _to_be_read_again(path)
        except OSError as exc:
            raise BadInput(f"{path} cannot be read: {exc.strerror}") from exc
        with file:
            yield cls(path, file.fileno())

    def rows(self) -> Iterator[Row]:
        """Every row, from the first; BadInput names the line that is none. One reader at a time."""
        return self._of_csv() if self._is_csv else self._of_ndjson()

    def columns(self) -> list[str] | None:
        """The names in the header line of CSV; None for NDJSON, whose rows have names of their own."""
        if not self._is_csv:
            return None
        with self._cells() as reader:
            return list(reader.fieldnames or ())

    @property
    def _is_csv(self) -> bool:
        return self.path.suffix.lower() in (".csv", ".tsv")

    @contextmanager
    def _cells(self) -> Iterator[csv.DictReader[str]]:
        """Reads CSV whose header line names no column twice. What is no UTF-8 is named without its line: text is decoded ahead of it."""
        os.lseek(self._file, 0, os.SEEK_SET)
        with open(self._file, encoding="utf-8-sig", newline="", closefd=False) as file:
            reader = csv.DictReader(file, delimiter="\t" if self.path.suffix.lower() == ".tsv" else ",", strict=True)
            try:
                names = [name for name in reader.fieldnames or () if name]
                if twice := [name for name in names if names.count(name) > 1]:
                    raise BadInput(f"{self.path}:{reader.line_num}: two columns are named '{twice[0]}'")
                yield reader
            except UnicodeDecodeError as exc:
                raise BadInput(f"{self.path}: this is not UTF-8; save it as UTF-8") from exc
            except csv.Error as exc:
                raise BadInput(f"{self.path}:{reader.line_num}: {exc}") from exc

    def _of_csv(self) -> Iterator[Row]:
        with self._cells() as reader:
            for number, cells in enumerate(reader, 1):
                if None in cells:
                    raise BadInput(f"{self.path}:{reader.line_num}: more cells than columns")
                yield Row(number, {name: cell for name, cell in cells.items() if cell})

    def _of_ndjson(self) -> Iterator[Row]:
        number = 0
        os.lseek(self._file, 0, os.SEEK_SET)
        with open(self._file, "rb", closefd=False) as file:
            for at, line in enumerate(file, 1):
                text = line.removeprefix(codecs.BOM_UTF8) if at == 1 else line
                if not text.strip():
                    continue
                try:
                    value = msgspec.json.decode(text)
                except (msgspec.DecodeError, UnicodeDecodeError) as exc:
                    raise BadInput(f"{self.path}:{at}: {exc}") from exc
                if not isinstance(value, dict):
                    raise BadInput(f"{self.path}:{at}: a row is an object, with params by name")
                number += 1
                yield Row(number, {name: cell for name, cell in value.items() if cell is not None})


def _to_be_read_again(path: Path) -> IO[bytes]:
    """The file, or for a pipe a nameless one with all that comes through it."""
    given = path.open("rb")
    if given.seekable():
        return given
    with given:
        kept = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who reads it
        shutil.copyfileobj(given, kept)
        kept.flush()
    return kept


def csv_line(cells: list[str]) -> bytes:
    """Cells as one line of CSV; texts without newlines stay on one line."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
