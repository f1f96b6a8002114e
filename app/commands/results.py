"""The output of a batch: a line per row, whole or not there; what an earlier run has written is kept and known."""

from __future__ import annotations

import csv
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import orjson

from app.commands.rows import BadInput, Row, csv_line
from app.core.data import encode

HEADER = ["row", "params", "complete", "error", "data"]
"""Columns of CSV output; params and data are JSON texts, which have no newlines."""
_BEGINNING = b'{"row":0,"params":{'
"""How a line of NDJSON output begins, whatever its row's number."""
_NUMBERED = re.compile(rb'\A\{"row":[0-9]+')


@dataclass(slots=True)
class Results:
    """An open output. `done`: row number to the digest of what was given, of the rows that need not run again."""

    _file: int
    _is_csv: bool
    done: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def opened(cls, path: Path, *, retry_failed: bool) -> Iterator[Results]:
        """Opens the output for this process alone. A line that a killed run left half-written is cut off; its row runs again.

        BadInput where it cannot be opened, or is no output of a batch: nothing of it is then changed.
        """
        try:
            number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as exc:
            raise BadInput(f"{path} cannot be written: {exc.strerror}") from exc
        try:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise BadInput(f"{path}: another batch writes to it") from exc
            results = cls(number, path.suffix.lower() == ".csv")
            results._recover(path, retry_failed)
            yield results
            os.fsync(number)
        finally:
            os.close(number)

    def add(self, row: Row, answer: Answered) -> None:
        """Writes a row's line, in one piece: after a kill it is all there or cut off at the next start."""
        line = memoryview(self._line(row, answer))
        while line:
            line = line[os.write(self._file, line) :]

    def has(self, row: Row) -> bool:
        """Whether the row's line is there; BadInput where that was another row."""
        known = self.done.get(row.number)
        if known is not None and known != row.digest:
            raise BadInput(f"row {row.number} of the input is not what it was when the output was begun; name another output")
        return known is not None

    def _line(self, row: Row, answer: Answered) -> bytes:
        params = encode(row.given)
        if self._is_csv:
            error = orjson.dumps(answer.error).decode() if answer.error else ""
            complete = str(answer.complete).lower() if answer.error is None else ""
            return csv_line([str(row.number), params.decode(), complete, error, (answer.data or b"").decode()])
        head = b'{"row":%d,"params":%b,' % (row.number, params)
        if answer.error is not None:
            return head + b'"error":%b}\n' % orjson.dumps(answer.error)
        sources = orjson.dumps(answer.sources)
        return head + b'"complete":%b,"data":%b,"sources":%b}\n' % (b"true" if answer.complete else b"false", answer.data or b"null", sources)

    def _recover(self, path: Path, retry_failed: bool) -> None:
        kept, size = [], 0
        with path.open("rb") as file:
            for at, line in enumerate(file, 1):
                if at == 1 and not self._is_first(line):
                    raise _foreign(f"{path}:1")
                if not line.endswith(b"\n"):
                    break
                size += len(line)
                if self._is_csv and at == 1:
                    kept.append(line)
                    continue
                number, given, failed = self._read(line, f"{path}:{at}")
                if not (failed and retry_failed):
                    self.done[number] = Row(number, given).digest
                    kept.append(line)
        if retry_failed:
            _replace(self._file, kept)
        else:
            os.ftruncate(self._file, size)
        if self._is_csv and not kept:
            os.write(self._file, csv_line(HEADER))

    def _is_first(self, line: bytes) -> bool:
        """Whether a file of ours begins so, be it with half a line; what a whole line of NDJSON says is looked at where it is read."""
        if self._is_csv:
            return csv_line(HEADER).startswith(line)
        begun = _NUMBERED.sub(b'{"row":0', line)
        return line.endswith(b"\n") or begun.startswith(_BEGINNING) or _BEGINNING.startswith(begun)

    def _read(self, line: bytes, place: str) -> tuple[int, dict[str, Any], bool]:
        """Number, what was given, and whether it failed, of a line that we wrote."""
        try:
            if self._is_csv:
                number, params, _, error, _ = next(csv.reader([line.decode()]))
                return int(number), msgspec.json.decode(params), bool(error)
            value = msgspec.json.decode(line)
            return value["row"], value["params"], "error" in value
        except (ValueError, KeyError, TypeError, csv.Error, msgspec.DecodeError) as exc:
            raise _foreign(place) from exc


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a row: data with its sources, or an error."""

    data: bytes | None = None
    complete: bool = False
    sources: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


def _foreign(place: str) -> BadInput:
    return BadInput(f"{place}: this is no output of a batch; name another file")


def _replace(file: int, lines: list[bytes]) -> None:
    """The same file with these lines alone: the failed ones are to run again."""
    os.ftruncate(file, 0)
    for line in lines:
        os.write(file, line)
    os.fsync(file)
