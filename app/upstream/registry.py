"""The upstreams of a catalog, built once, at start."""

from __future__ import annotations

from pathlib import Path

import httpx

from app.catalog.schema import Catalog
from app.core.call import Send
from app.core.runtime import Runtime
from app.upstream import decode
from app.upstream.http import HttpUpstream
from app.upstream.python import PythonUpstream, threads_of

OTHER_THREADS = 16
"""For what else goes through `asyncio.to_thread`: compressing long answers, the metrics page, names for Redis."""


def most_threads(catalog: Catalog) -> int:
    """How many threads the loop needs for every upstream to have all that it may hold: no hung function is in another's way."""
    decoders = (len(catalog.upstreams) + 1) * decode.THREADS
    functions = sum(threads_of(spec) for spec in catalog.upstreams.values() if spec.python and spec.run in (None, "thread"))
    return functions + decoders + OTHER_THREADS


class Upstreams:
    """Every upstream by its name: what the stacks of its calls end in, and what proxies stream through."""

    def __init__(self, made: dict[str, HttpUpstream | PythonUpstream]) -> None:
        self._made = made

    @classmethod
    async def open(cls, catalog: Catalog, folder: Path, client: httpx.AsyncClient, runtime: Runtime) -> Upstreams:
        """Builds them; nothing is connected yet. OSError or ssl.SSLError where a TLS file cannot be used. `aclose` them."""
        made: dict[str, HttpUpstream | PythonUpstream] = {}
        for name, spec in catalog.upstreams.items():
            made[name] = PythonUpstream(name, spec, folder, runtime) if spec.python else HttpUpstream(name, spec, client, runtime)
        return cls(made)

    def terminal(self, name: str) -> Send:
        """The innermost service of an upstream's stacks: Call to Reply."""
        return self._made[name].send

    def stream(self, name: str) -> HttpUpstream:
        """The HTTP upstream of a proxy endpoint, for its `open_stream`; TypeError for a Python one, which `check` refuses."""
        found = self._made[name]
        if not isinstance(found, HttpUpstream):
            raise TypeError(f"upstream '{name}' is no HTTP upstream")
        return found

    async def aclose(self) -> None:
        """Closes every connection and pool."""
        for upstream in self._made.values():
            await upstream.aclose()

    def __repr__(self) -> str:
        return f"<Upstreams {', '.join(self._made)}>"
