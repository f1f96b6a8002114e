"""How many connections each client has open, so that no single one takes the places of all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from ipaddress import IPv6Address, ip_address

from app.api.address import Network

PREFIX = 64
"""Bits of an IPv6 address that name a client: it has all addresses below them to itself (RFC 6177)."""


class Crowd:
    """Counts connections by client, at most `most` of each; 0 counts none. Trusted proxies speak for many and are not counted."""

    def __init__(self, most: int = 0, trusted: Sequence[Network] = ()) -> None:
        self._most, self._trusted = most, tuple(trusted)
        self._counts = Counter[Hashable]()
        self._clients: dict[object, Hashable] = {}

    def enter(self, connection: object, peer: str | None) -> bool:
        """Takes a connection of a peer's address, unless that client has its share."""
        client = self._client(peer) if self._most and peer else None
        if client is None:
            return True
        if self._counts[client] >= self._most:
            return False
        self._counts[client] += 1
        self._clients[connection] = client
        return True

    def leave(self, connection: object) -> None:
        """Forgets a connection; one that was never counted is ignored."""
        client = self._clients.pop(connection, None)
        if client is None:
            return
        self._counts[client] -= 1
        if not self._counts[client]:
            del self._counts[client]

    def _client(self, peer: str) -> Hashable | None:
        """Who an address stands for, None for a trusted proxy."""
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return peer
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        if any(address.version == network.version and address in network for network in self._trusted):
            return None
        return int(address) >> (128 - PREFIX) if isinstance(address, IPv6Address) else address

    def __len__(self) -> int:
        return len(self._clients)

    def __repr__(self) -> str:
        return f"<Crowd {len(self._clients)} connections of {len(self._counts)} clients, at most {self._most or 'any number'} each>"
