"""A new connection: DNS, TCP to one address after the other, TLS; each phase timed, and its failures told apart."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time

from app.core.errors import CallFailure, ConnectFailed, TimedOut, TlsFailed
from app.upstream.answer import Timing
from app.upstream.connection import Connection
from app.upstream.origin import Origin
from app.upstream.resolve import Address, Resolver

FAIR_SHARE = 0.25
"""Seconds that an address gets at least before the next is tried (RFC 8305 section 5 proposes 250 ms)."""


class Dialer:
    """Makes connections to one origin; `timeout` bounds DNS, TCP and TLS together. Remembers the address that worked last."""

    def __init__(self, loop: asyncio.AbstractEventLoop, resolver: Resolver, origin: Origin, tls: ssl.SSLContext | None, timeout: float) -> None:
        self._loop = loop
        self._resolver = resolver
        self._origin = origin
        self._tls = tls
        self._timeout = timeout
        self._worked: Address | None = None

    async def dial(self, expires: float) -> tuple[Connection, Timing]:
        """An open connection, nothing written. ConnectFailed, TlsFailed, or TimedOut where `expires` comes before the connect timeout."""
        began = time.monotonic()  # uvloop's own clock counts whole milliseconds
        gives_up = min(expires, self._loop.time() + self._timeout)
        late: CallFailure = TimedOut(sent=False) if expires <= gives_up else ConnectFailed("no connection in time", sent=False)
        try:
            async with asyncio.timeout_at(gives_up):
                sock = await self._tcp(gives_up)
        except TimeoutError:
            raise late from None
        except OSError as exc:
            raise ConnectFailed(sent=False) from exc
        connected = time.monotonic()
        try:
            async with asyncio.timeout_at(gives_up):
                connection = await self._wrap(sock)
        except TimeoutError:
            raise (late if isinstance(late, TimedOut) or self._tls is None else TlsFailed("no secure connection in time", sent=False)) from None
        except OSError as exc:  # ssl.SSLError among them
            raise (ConnectFailed(sent=False) if self._tls is None else TlsFailed(sent=False)) from exc
        return connection, Timing(connected - began, time.monotonic() - connected if self._tls else 0.0)

    async def _tcp(self, gives_up: float) -> socket.socket:
        """A connected socket: addresses in turn, each with its share of the time; the last one's error if none answers."""
        addresses = await self._resolver.addresses(self._origin.host, self._origin.port)
        if self._worked in addresses:
            addresses = [self._worked, *(each for each in addresses if each != self._worked)]
        failed: OSError = OSError("the name has no address")
        for place, address in enumerate(addresses):
            left = gives_up - self._loop.time()
            is_last = place == len(addresses) - 1
            share = None if is_last else max(FAIR_SHARE, left / (len(addresses) - place))
            try:
                async with asyncio.timeout(share):
                    sock = await self._socket(address)
            except OSError as exc:  # TimeoutError among them
                failed = exc
                continue
            self._worked = address
            return sock
        raise failed

    async def _socket(self, address: Address) -> socket.socket:
        family, where = address
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            await self._loop.sock_connect(sock, where)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _wrap(self, sock: socket.socket) -> Connection:
        """The connection over a connected socket, after the TLS handshake where there is one; from here on the loop closes the socket."""
        host = self._origin.host if self._tls else None
        _, connection = await self._loop.create_connection(lambda: Connection(self._loop), sock=sock, ssl=self._tls, server_hostname=host)
        return connection
