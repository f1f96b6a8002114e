"""What the surface needs of the running service: `main` makes it, in the lifespan."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from app.api.auth import Gate
from app.api.ops import Rules
from app.core.runtime import Runtime
from app.engine.plan import Plan
from app.live.hub import Hub
from app.policies.proxy import Admit
from app.policies.state import UpstreamState
from app.upstream.registry import Upstreams


class Edge(Rules, Protocol):
    """The settings that the surface reads."""

    @property
    def trusted_proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks whose word about a client's address is taken."""
        ...


class Service(Protocol):
    """A running service."""

    @property
    def plans(self) -> Mapping[str, Plan]:
        """Every endpoint's plan by name."""
        ...

    @property
    def runtime(self) -> Runtime:
        """Clocks, background work, and where events go."""
        ...

    @property
    def gate(self) -> Gate:
        """Who may call."""
        ...

    @property
    def hub(self) -> Hub:
        """Live topics, and private runs that stream."""
        ...

    @property
    def upstreams(self) -> Upstreams:
        """The upstreams themselves: a proxy streams through them."""
        ...

    @property
    def admits(self) -> Mapping[str, Admit]:
        """By upstream, the policies that hold for a proxied call."""
        ...

    @property
    def states(self) -> Mapping[str, UpstreamState]:
        """How each upstream stands."""
        ...

    @property
    def settings(self) -> Edge:
        """What the environment decided."""
        ...
