"""Frames that are written without the protocol library are what it would have written."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode

from app.api.socket import framed


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
def test_a_text_is_one_unmasked_frame(size: int) -> None:
    """In each of the three forms of its length (RFC 6455 section 5.2)."""
    payload = b"x" * size
    assert framed(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
