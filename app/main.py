"""The composition root: makes every part and puts them together; the only place that knows them all."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
from fastapi import FastAPI

from app.api import asyncapi, console, docs, ops, problems, routes, ws
from app.api.auth import Gate
from app.api.cors import Cors
from app.api.middleware import Surface
from app.api.questions import Questions
from app.api.ws import Sockets
from app.blocking import Blocking, in_background
from app.catalog.load import Loaded, load
from app.core.events import Emit
from app.core.executor import Executor
from app.core.runtime import Runtime, Shared
from app.core.tasks import Tasks
from app.engine.compile import Wired, compile_plans
from app.engine.plan import Plan
from app.live.hub import Hub
from app.policies.proxy import Admit, build_proxy
from app.policies.stack import UpstreamState, open_state
from app.policies.store import Store
from app.settings import Settings, environ
from app.telemetry.logs import setup
from app.telemetry.metrics import Metrics
from app.telemetry.otel import Tracing, open_tracing
from app.telemetry.telemetry import Telemetry
from app.upstream.client import open_client
from app.upstream.credentials import credentials
from app.upstream.push import Pushes
from app.upstream.registry import Upstreams, most_threads


@dataclass(slots=True)
class Service:
    """Everything that runs: made in the lifespan, closed in reverse order."""

    settings: Settings
    loaded: Loaded
    plans: Mapping[str, Plan]
    runtime: Runtime
    client: httpx.AsyncClient
    upstreams: Upstreams
    states: Mapping[str, UpstreamState]
    admits: Mapping[str, Admit]
    telemetry: Telemetry
    gate: Gate
    hub: Hub
    sockets: Sockets


def create_app(settings: Settings, loaded: Loaded, *, transport: httpx.AsyncBaseTransport | None = None) -> FastAPI:
    """The web service over a checked catalog. `transport` stands in for the network (tests)."""

    tracing = open_tracing(environ())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_service(settings, loaded, transport=transport, tracing=tracing) as service:
            app.state.service, app.state.drain = service, service.sockets.drain
            if (edge := getattr(app.state, "edge", None)) is not None:  # set by the server; there is none under a test client
                edge.emit = service.runtime.emit
                service.telemetry.metrics.sampled_by(lambda metrics: metrics.admission(edge.admission.snapshot()))
            yield

    catalog = loaded.catalog
    app = FastAPI(
        title=catalog.name, version=catalog.version, description=catalog.description or "", lifespan=lifespan,
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # our own; asking for OpenTelemetry's providers costs 10 us a request
    )  # fmt: skip
    app.state.draining = False

    def service_of() -> Service:
        service: Service = app.state.service
        return service

    routes.add_endpoints(app, catalog, service_of)
    ops.add_ops(app, service_of)
    docs.add_docs(app, catalog, service_of)
    console.add_console(app, catalog, service_of)
    asyncapi.add_asyncapi(app, catalog)
    ws.add_socket(app, service_of)
    problems.add_handlers(app)
    if catalog.cors is not None:
        app.add_middleware(Cors, spec=catalog.cors)
    app.add_middleware(Surface, service_of=service_of)
    if tracing is not None:
        app.add_middleware(tracing.middleware)
    return app


@asynccontextmanager
async def open_service(
    settings: Settings, loaded: Loaded, *, transport: httpx.AsyncBaseTransport | None = None, tracing: Tracing | None = None
) -> AsyncIterator[Service]:
    """The whole service without its web surface: what `merganser call` runs on, and the lifespan of `create_app`.

    From here on the loop's threads (`asyncio.to_thread`) are ours: enough for every upstream, and none holds up the end.
    """
    catalog, folder = loaded.catalog, loaded.folder
    asyncio.get_running_loop().set_default_executor(Executor(most_threads(catalog)))
    async with AsyncExitStack() as stack:
        telemetry = _telemetry(settings)
        await stack.enter_async_context(telemetry.running())
        tasks = Tasks(telemetry.fault)
        if tracing is not None:
            stack.push_async_callback(tracing.aclose)
        emit = telemetry.emit if tracing is None else tracing.beside(telemetry.emit)
        now = time.monotonic  # the loop's clock; uvloop's own `time` stands still for a millisecond
        shared = _open_store(settings, catalog.name, now, emit)
        if shared is not None:
            stack.push_async_callback(shared.aclose)
        runtime = Runtime(tasks, now, emit, shared=shared)
        client = await stack.enter_async_context(open_client(transport))
        upstreams = await Upstreams.open(catalog, folder, client, runtime)
        stack.push_async_callback(upstreams.aclose)
        stack.push_async_callback(tasks.aclose)
        pushes = Pushes(catalog.upstreams, upstreams, runtime)
        stack.callback(pushes.close)
        store = Store(settings.cache_size)
        states = {name: open_state(name, spec, runtime, store) for name, spec in catalog.upstreams.items()}
        wired = {
            name: Wired(spec, upstreams.terminal(name), states[name], credentials(spec, client, runtime), partial(pushes.terminal, name))
            for name, spec in catalog.upstreams.items()
        }
        admits = {name: build_proxy(s.spec, s.state, s.credentials) for name, s in wired.items() if s.spec.python is None}
        plans = compile_plans(catalog, wired, runtime)
        gate = Gate(catalog, folder, client, runtime)
        hub = Hub(runtime, listen=pushes.listen)
        stack.callback(hub.close)
        sockets = Sockets(catalog, plans, hub, gate, runtime, settings.trusted_proxies)
        runtime.desk.open(Questions(plans, runtime).ask)
        stack.push_async_callback(runtime.desk.aclose)
        telemetry.metrics.sampled_by(lambda metrics: _sample(metrics, states, sockets, tasks))
        yield Service(settings, loaded, plans, runtime, client, upstreams, states, admits, telemetry, gate, hub, sockets)


@contextmanager
def open_blocking(
    catalog: str | Path | Loaded, *, settings: Settings | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> Iterator[Blocking]:
    """A catalog's endpoints for a script: `with open_blocking("merganser.yaml") as service: service.ask("trip", iata="MAD")`.

    The same engine, on an event loop in a background thread. `settings`: those of the environment, but logging errors alone.
    Raises CatalogFaults or CatalogUnreadable.
    """
    loaded = catalog if isinstance(catalog, Loaded) else load(Path(catalog), environ())
    given = settings or Settings().model_copy(update={"log_level": "error"})
    with in_background(lambda: open_service(given, loaded, transport=transport), debug=given.debug) as (loop, service):
        yield Blocking(loop, service.runtime.desk)


def _open_store(settings: Settings, service: str, now: Callable[[], float], emit: Emit) -> Shared | None:
    """The shared store, where there is a Redis; its library takes half a second to load, which others need not pay.

    Processes that serve a catalog of the same name share one state.
    """
    if settings.redis_url is None:
        return None
    redis = importlib.import_module("app.shared.redis")
    store: Shared = redis.RedisStore(settings.redis_url.get_secret_value(), f"merganser:{service}", now, emit)
    return store


def _telemetry(settings: Settings) -> Telemetry:
    logs = setup(settings.log_level, settings.log_format, debug=settings.debug)
    return Telemetry(Metrics(settings.metrics_dir), logs)


def _sample(metrics: Metrics, states: Mapping[str, UpstreamState], sockets: Sockets, tasks: Tasks) -> None:
    """Sets the gauges that are asked for, not counted."""
    for name, state in states.items():
        metrics.upstream(name, state.snapshot())
    metrics.live(sockets.snapshot())
    metrics.tasks.set((), len(tasks))
