"""The output of a batch: a line per row, whole or not there; what an earlier run has written is kept and known."""

from __future__ import annotations

import csv
import fcntl
import os
import re
import stat
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

    path: Path
    _file: int
    _is_csv: bool
    done: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def opened(cls, path: Path, *, retry_failed: bool) -> Iterator[Results]:
        """Opens the output for this process alone. A line that a killed run left half-written is cut off; its row runs again.

        BadInput where it cannot be opened or written, or is no output of a batch: nothing of it is then changed.
        """
        with _writing(path):
            results = cls(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644), path.suffix.lower() == ".csv")
        try:
            with _writing(path):
                results._take()
                results._recover(retry_failed)
            yield results
            with _writing(path):
                os.fsync(results._file)
        finally:
            os.close(results._file)

    def add(self, row: Row, answer: Answered) -> None:
        """Writes a row's line, in one piece: after a kill it is all there or cut off at the next start. BadInput where the disk is full."""
        with _writing(self.path):
            _write(self._file, self._line(row, answer))

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

    def _take(self) -> None:
        """Locks the file against other batches, where it is one that can be gone on with."""
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise BadInput(f"{self.path} is no regular file: a batch reads its output again to go on")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise BadInput(f"{self.path}: another batch writes to it") from exc
        if not os.path.samestat(os.fstat(self._file), self.path.stat()):
            raise BadInput(f"{self.path}: another batch has just written it anew; run this one again")

    def _recover(self, retry_failed: bool) -> None:
        dropped, size = set(), 0
        with self.path.open("rb") as file:
            for at, line in enumerate(file, 1):
                if at == 1 and not self._is_first(line):
                    raise _foreign(f"{self.path}:1")
                if not line.endswith(b"\n"):
                    break
                size += len(line)
                if self._is_csv and at == 1:
                    continue
                number, given, failed = self._read(line, f"{self.path}:{at}")
                if failed and retry_failed:
                    dropped.add(at)
                else:
                    self.done[number] = Row(number, given).digest
        os.ftruncate(self._file, size)
        if dropped:
            self._drop(dropped)
        if self._is_csv and not size:
            _write(self._file, csv_line(HEADER))

    def _drop(self, dropped: set[int]) -> None:
        """The same file without these lines, which are to run again: written beside it, locked, put in its place. A kill loses nothing."""
        path = self.path.resolve()
        anew = path.with_name(f".{path.name}.retry")
        anew.unlink(missing_ok=True)  # of a run that was killed
        number = os.open(anew, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with path.open("rb") as file, open(number, "wb", closefd=False) as kept:
                kept.writelines(line for at, line in enumerate(file, 1) if at not in dropped)
            os.fchmod(number, stat.S_IMODE(os.fstat(self._file).st_mode))
            os.fsync(number)
            os.replace(anew, path)
        except BaseException:
            os.close(number)
            anew.unlink(missing_ok=True)
            raise
        os.close(self._file)
        self._file = number

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


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What the system has against writing, as BadInput."""
    try:
        yield
    except OSError as exc:
        raise BadInput(f"{path} cannot be written: {exc.strerror}") from exc


def _write(file: int, line: bytes) -> None:
    left = memoryview(line)
    while left:
        left = left[os.write(file, left) :]
