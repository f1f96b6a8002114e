"""Names to addresses, on threads of their own: a slow name server delays nobody but those who ask for that name.

asyncio resolves names on the loop's default executor, which blocking work shares: four busy threads were measured to delay
every new connection by a second. And the interpreter waits for an executor's threads when it exits. So each lookup gets
a daemon thread here; those for one name are shared and their answers kept for a moment.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from typing import TypeAlias

Address: TypeAlias = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]

KEEP_SECONDS = 5.0
"""How long an answer is used again: a burst of new connections asks once, and a change is followed at once."""
MAX_NAMES = 256
MAX_LOOKUPS = 32


def literal(host: str, port: int) -> list[Address] | None:
    """The address that `host` itself is, None where it is a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return [(socket.AF_INET, (host, port))] if address.version == 4 else [(socket.AF_INET6, (host, port, 0, 0))]


class Resolver:
    """Resolves names without blocking the loop or sharing its threads. Belongs to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._running: dict[tuple[str, int], asyncio.Future[list[Address] | OSError]] = {}
        self._known: dict[tuple[str, int], tuple[float, list[Address]]] = {}

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Every address of a host, families taking turns (RFC 8305 section 4); OSError where there is none or too many ask at once."""
        if (own := literal(host, port)) is not None:
            return own
        key = (host, port)
        known = self._known.get(key)
        if known is not None and known[0] > self._loop.time():
            return known[1]
        lookup = self._running.get(key)
        if lookup is None:
            lookup = self._start(key)
        found = await asyncio.shield(lookup)
        if isinstance(found, OSError):
            raise found
        return found

    def _start(self, key: tuple[str, int]) -> asyncio.Future[list[Address] | OSError]:
        if len(self._running) >= MAX_LOOKUPS:
            raise OSError("too many names are being resolved")
        try:
            threading.Thread(target=self._look_up, args=(key,), name=f"resolve {key[0]}", daemon=True).start()
        except RuntimeError as exc:
            raise OSError("no thread to resolve a name on") from exc
        lookup = self._running[key] = self._loop.create_future()
        return lookup

    def _look_up(self, key: tuple[str, int]) -> None:
        """Runs on a thread."""
        found: list[Address] | OSError
        try:
            entries = socket.getaddrinfo(*key, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            found = exc if isinstance(exc, OSError) else OSError("no name that can be resolved")
        else:
            found = _interleaved([(entry[0], entry[4]) for entry in entries])  # type: ignore[misc]  # families are INET and INET6
        try:
            self._loop.call_soon_threadsafe(self._found, key, found)
        except RuntimeError:
            return  # the loop has been closed meanwhile: nobody waits

    def _found(self, key: tuple[str, int], found: list[Address] | OSError) -> None:
        if not isinstance(found, OSError):
            if len(self._known) >= MAX_NAMES:
                self._known.clear()
            self._known[key] = (self._loop.time() + KEEP_SECONDS, found)
        self._running.pop(key).set_result(found)


def _interleaved(addresses: list[Address]) -> list[Address]:
    """The resolver's order, with the families taking turns, beginning with that of the first."""
    first = [each for each in addresses if each[0] == addresses[0][0]]
    others = [each for each in addresses if each[0] != addresses[0][0]]
    mixed: list[Address] = []
    for place in range(max(len(first), len(others))):
        mixed += first[place : place + 1] + others[place : place + 1]
    return mixed
