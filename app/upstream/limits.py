"""How much of an answer's form we take; the size of its body is the catalog's `max_body`."""

from __future__ import annotations

MAX_FIELDS = 100
MAX_HEAD = 32 * 1024
MAX_INTERIM = 10
"""Answers of the 1xx kind before the final one; Envoy and browsers need none, early hints come once or twice."""
MAX_FRAMING = 64 * 1024
"""Bytes of chunk extensions and trailers in a row, without a byte of body between them."""
UNAWAITED_SECONDS = 1.0
"""How long the rest of an answer may take that nobody waits for."""
