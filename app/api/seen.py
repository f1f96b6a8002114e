"""What is told of a request at its end, in its log line and in the metrics; it starts with the request's id."""

from __future__ import annotations

import random
import re
from typing import Literal

from msgspec import Struct
from starlette.types import Scope

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Seen(Struct):
    """Filled in on the way by whoever knows; `calls` counts those that had settled, `status` is 0 until a head is sent."""

    request_id: str
    endpoint: str = "-"
    surface: Literal["rest", "sse", "ndjson", "proxy"] = "rest"
    complete: bool | None = None
    calls: int = 0
    status: int = 0


def seen(scope: Scope) -> Seen:
    """The request's `Seen`, made when it is first asked for."""
    found: Seen | None = scope.get("merganser.seen")
    if found is None:
        found = scope["merganser.seen"] = Seen(_request_id(scope))
    return found


def _request_id(scope: Scope) -> str:
    """The client's X-Request-ID if it is a good one, else a fresh one."""
    sent = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(sent) == 1 and _REQUEST_ID.fullmatch(sent[0]):
        return str(sent[0], "ascii")
    return f"{random.getrandbits(64):016x}"
