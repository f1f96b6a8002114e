"""What a connection tells, and whom: the one who waits for an answer, and the one who gets the connection back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from app.core.errors import CallFailure, ConnectFailed
from app.upstream.answer import Fields, Timing

if TYPE_CHECKING:
    from app.upstream.connection import Connection


class Unanswered(ConnectFailed):
    """The connection ended before the first byte of an answer."""


class Exchange(Protocol):
    """What a connection tells about an answer. `head` and `body` may raise a `CallFailure`: then the connection is closed."""

    is_bodiless: bool
    timing: Timing

    def head(self, status: int, fields: Fields, noted: dict[bytes, list[bytes]]) -> bool:
        """The final status and the header fields; `noted` are the values of those that frame and code the body.

        False where nobody waits for the rest: then it must come soon, or the connection is closed.
        """

    def body(self, data: bytes) -> None:
        """A piece of the body, without its framing."""

    def end(self) -> None:
        """The answer is whole. May raise too."""

    def failed(self, failure: CallFailure) -> None:
        """There will be no whole answer."""


class Owner(Protocol):
    """Who gets a connection back."""

    def released(self, connection: Connection) -> None:
        """Its exchange has ended well and another may follow."""

    def closed(self, connection: Connection) -> None:
        """It is gone; told once."""
