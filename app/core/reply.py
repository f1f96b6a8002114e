"""What a stack gives back for a call: decoded data, and how fresh and how real it is."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from app.core.data import Data
from app.core.errors import CallFailure


class Reply(Struct):
    """A call's data.

    `headers` are the upstream's, raw. `state` is `stale` for data past its ttl; `within_window` says that it is inside
    `stale_while_revalidate` and so counts as complete. `fresh_until` is a moment of the loop's clock, None where nothing
    says how long the data holds. `error` is the failure that stale data stands in for.
    """

    data: Data
    status: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    state: Literal["ok", "stale"] = "ok"
    within_window: bool = True
    fresh_until: float | None = None
    error: CallFailure | None = None
