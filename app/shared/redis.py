"""Redis as the shared store: every answer within 50 ms or none, so that a Redis that is down or slow degrades and never fails us.

After a failure it is left alone for a second, so that a dead Redis costs one short wait a second and not one per request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.core.events import Emit, StoreChanged
from app.shared.lane import Lane, Pulse

PATIENCE = 0.05
"""Seconds that one command may take (`docs/operating.md` promises so much)."""

REST = 1.0
"""Seconds for which it is left alone after a failure."""

LANES = 4
"""Connections of a process: a batch of large values holds up one of them."""

_CONNECTION: dict[str, Any] = {
    "socket_timeout": None, "socket_connect_timeout": None, "retry": Retry(NoBackoff(), 0), "protocol": 2, "driver_info": None,
}  # fmt: skip
"""Lanes keep the time themselves; and no greetings: each costs a turn of the loop before the first answer."""

_TAKE = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1000000
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1]) or burst, tonumber(kept[2]) or now
tokens = math.min(burst, tokens + math.max(0, now - at) * rate)
local wait = 0
if tokens >= 1 then tokens = tokens - 1 else wait = (1 - tokens) / rate end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return tostring(wait)
"""
"""A token bucket by the server's clock, in one step."""


class RedisStore:
    """The `Shared` of a process. `prefix` keeps services apart that use one Redis. Made without connecting; `aclose` it."""

    def __init__(self, url: str, prefix: str, now: Callable[[], float], emit: Emit) -> None:
        pool: Any = ConnectionPool.from_url(url, **_CONNECTION)
        pulse = Pulse()
        self._lanes = [Lane(pool.make_connection, PATIENCE, pulse) for _ in range(LANES)]
        self._prefix, self._now, self._emit = prefix, now, emit
        self._rests_until = 0.0
        self._is_up = True

    async def get(self, key: str) -> bytes | None:
        """The value, or None where there is none or Redis does not answer."""
        value: bytes | None = await self._asked("GET", self.name_of(key))
        return value

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        """Keeps a value for `ttl` seconds, if Redis answers."""
        await self._asked("SET", self.name_of(key), value, "PX", max(1, round(ttl * 1000)))

    async def take(self, key: str, rate: float, burst: int) -> float | None:
        """Takes a token of the bucket: 0.0 if there was one, else seconds until there is; None where Redis does not answer."""
        wait = await self._asked("EVAL", _TAKE, 1, self.name_of(f"bucket:{key}"), rate, burst)
        return None if wait is None else float(wait)

    def name_of(self, key: str) -> str:
        """A key as Redis knows it."""
        return f"{self._prefix}:{key}"

    @property
    def is_resting(self) -> bool:
        """Whether it failed just now and is left alone."""
        return self._now() < self._rests_until

    async def _asked(self, *command: bytes | str | float) -> Any:
        """The answer to a command, None where there is none in time."""
        if self.is_resting:
            return None
        try:
            answer = await min(self._lanes, key=_load).ask(command)
        except (RedisError, OSError, TimeoutError):
            self._rests_until = self._now() + REST
            self._tell(is_up=False)
            return None
        self._tell(is_up=True)
        return answer

    def _tell(self, *, is_up: bool) -> None:
        if is_up != self._is_up:
            self._is_up = is_up
            self._emit(StoreChanged("up" if is_up else "down"))

    async def aclose(self) -> None:
        """Closes every connection."""
        for lane in self._lanes:
            await lane.aclose()

    def __repr__(self) -> str:
        return f"<RedisStore {self._prefix} {'up' if self._is_up else 'down'}>"


def _load(lane: Lane) -> int:
    return lane.load
