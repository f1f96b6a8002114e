"""Server-sent events as they arrive in pieces: the parser of the HTML standard, section 9.2.6, without I/O."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from app.core.errors import TooLarge


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One dispatched event."""

    data: str
    kind: str = "message"


class EventReader:
    """Takes bytes, gives events. `last_id` and `retry` (seconds) are as the stream last set them; one event is at most `limit` characters."""

    def __init__(self, limit: int) -> None:
        self.last_id = ""
        self.retry: float | None = None
        self._limit = limit
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._is_first = True
        self._data: list[str] = []
        self._size = 0
        self._kind = ""
        self._id = self.last_id

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that this piece completes. Raises TooLarge."""
        text = self._rest + self._text.decode(chunk)
        if self._is_first and text:
            text, self._is_first = text.removeprefix("\ufeff"), False
        held = "\r" if text.endswith("\r") else ""  # it may be half of a CR LF
        lines = text.removesuffix(held).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + held
        if len(self._rest) + self._size > self._limit:
            raise TooLarge
        return [event for line in lines if (event := self._line(line)) is not None]

    def restart(self) -> None:
        """A new connection: what was incomplete is dropped, what the stream set stays."""
        self._rest, self._is_first, self._data, self._kind, self._size = "", True, [], "", 0
        self._id = self.last_id
        self._text.reset()

    def _line(self, line: str) -> ServerEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(value)
            if self._size > self._limit:
                raise TooLarge
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = min(int(value[:9]) / 1000, 3600.0)
        return None

    def _dispatch(self) -> ServerEvent | None:
        self.last_id = self._id
        data, kind = self._data, self._kind
        self._data, self._kind, self._size = [], "", 0
        return ServerEvent("\n".join(data), kind or "message") if data else None
