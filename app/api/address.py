"""Whose address a request has: the socket's, or what proxies say that are trusted by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;,\s]*))', re.IGNORECASE)
_PORT = re.compile(r"^\[([0-9A-Fa-f:.]+)\](?::\d+)?$|^([0-9.]+):\d+$")

Network = IPv4Network | IPv6Network
Networks = Sequence[Network]


def client_address(peer: str, headers: Iterable[tuple[str, str]], trusted: Networks) -> str:
    """The rightmost address that is no trusted proxy's, beginning with the socket's.

    Every proxy appends whom it was asked by, so only what a trusted one wrote is believed, and only as far as the chain
    of trusted ones goes. `X-Forwarded-For` counts before `Forwarded` (RFC 7239); a hop that cannot be read ends the chain.
    """
    if not trusted:
        return peer
    here = _parsed(peer)
    if here is None or not _is_in(here, trusted):
        return peer
    nearest = here
    for hop in reversed(_hops(headers)):
        address = _parsed(hop)
        if address is None:
            break
        nearest = address
        if not _is_in(address, trusted):
            break
    return str(nearest)


def _hops(headers: Iterable[tuple[str, str]]) -> list[str]:
    pairs = list(headers)
    listed = [hop for name, value in pairs if name == "x-forwarded-for" for hop in value.split(",")]
    if listed:
        return listed
    hops = []
    for element in (part for name, value in pairs if name == "forwarded" for part in value.split(",")):
        found = _FOR.search(element)
        hops.append((found[1] or found[2] or "") if found else "")
    return hops


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """The address of a hop, its port left off; an IPv4 address in IPv6's clothes is an IPv4 address."""
    text = text.strip()
    if (found := _PORT.match(text)) is not None:
        text = found[1] or found[2]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _is_in(address: IPv4Address | IPv6Address, networks: Networks) -> bool:
    return any(address.version == network.version and address in network for network in networks)
