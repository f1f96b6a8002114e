"""What a request presents in the header of a scheme: one value or none, never a choice of several."""

from __future__ import annotations

from collections.abc import Sequence

Headers = Sequence[tuple[str, str]]
"""Names in lower case; values as they came (latin-1)."""


class Repeated(Exception):
    """The header is there more than once: what is checked could be another value than the one that goes on."""

    def __init__(self, header: str) -> None:
        self.header = header
        super().__init__(header)


def presented(headers: Headers, header: str) -> str | None:
    """The value of this header; None where there is none. Raises Repeated."""
    found = None
    for name, value in headers:
        if name == header:
            if found is not None:
                raise Repeated(header)
            found = value
    return found
