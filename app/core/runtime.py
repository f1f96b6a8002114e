"""What everything that runs needs of its process: where events go, who owns background work, the clocks, shared state."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from app.core.alarms import Alarms
from app.core.asking import Desk
from app.core.events import Emit, ignore
from app.core.tasks import Tasks


class Shared(Protocol):
    """State shared between processes and machines. Answers within 50 ms or says nothing: a failure is a miss, never an error."""

    async def get(self, key: str) -> bytes | None:
        """The value, or None where there is none or the store does not answer."""
        ...

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        """Keeps a value for `ttl` seconds, if it can."""
        ...

    async def take(self, key: str, rate: float, burst: int) -> float | None:
        """Takes a token of the bucket: 0.0 if there was one, else seconds until there is; None where the store does not answer."""
        ...

    async def aclose(self) -> None:
        """Closes its connections."""
        ...


@dataclass(frozen=True, slots=True)
class Runtime:
    """Made once by `main`, in the lifespan. `now` is the loop's clock (monotonic), `wall` the calendar's, both in seconds."""

    tasks: Tasks
    now: Callable[[], float]
    emit: Emit = ignore
    wall: Callable[[], float] = time.time
    random: random.Random = field(default_factory=random.Random)
    shared: Shared | None = None
    alarms: Alarms = field(default_factory=Alarms)
    desk: Desk = field(default_factory=Desk)
