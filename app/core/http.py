"""What HTTP itself says of methods and fields (RFC 9110); a word of it is written down once."""

from __future__ import annotations

IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"))
"""Methods that may be sent twice (section 9.2.2)."""

HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
"""Fields of one connection (section 7.6.1), and what went by that name before."""
