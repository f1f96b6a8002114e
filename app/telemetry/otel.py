"""Whether this process traces: where a collector is named and the extra `otel` is installed."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from app.core.events import Emit

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_log = logging.getLogger("merganser.telemetry")


class Tracing(Protocol):
    """What `trace.py` gives, named here so that nobody need import it."""

    def beside(self, emit: Emit) -> Emit:
        """A listener that tells `emit`, and the trace of the request in whose tasks an event is emitted."""
        ...

    def middleware(self, app: Any) -> Any:
        """Wraps an ASGI application: each HTTP request in a trace."""
        ...

    async def aclose(self) -> None:
        """Exports what is left."""
        ...


def open_tracing(environ: Mapping[str, str]) -> Tracing | None:
    """Tracing to the collector of the environment; None, at no cost, where there is none."""
    if not any(environ.get(name) for name in ENDPOINTS):
        return None
    try:
        module = importlib.import_module("app.telemetry.trace")  # half a second of imports that nobody else needs
    except ModuleNotFoundError as missing:
        _log.warning("no traces: %s is not installed; the extra is merganser[otel]", missing.name)
        return None
    tracing: Tracing = module.Tracing()
    return tracing
