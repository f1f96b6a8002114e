"""Composite endpoints as FastAPI routes, found by a tree of segments and answered by compiled handlers.

They stand among the application's routes, so that FastAPI documents them; a request reaches its handler without
dependency solving. What is no endpoint's path goes on to FastAPI's own routes: our own pages, then 404.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.openapi import Description
from app.api.paths import BadPath, Found, Paths, has_encoded_slash, path_sent
from app.api.problems import Problem, send_problem
from app.api.rest import EndpointHandler
from app.api.service import Service
from app.catalog.check_routes import OWN
from app.catalog.schema import Catalog

_ORDER = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def add_endpoints(app: FastAPI, catalog: Catalog, service_of: Callable[[], Service]) -> None:
    """Adds a route per endpoint. `service_of` is asked per request: the service starts with the application."""
    table, description = Table(app), Description(catalog)
    for name, endpoint in catalog.endpoints.items():
        handler = EndpointHandler(name, catalog, service_of)
        operation = description.operations[name]
        app.router.routes.append(EndpointRoute(name, endpoint.route, endpoint.method, handler, table, operation))
    app.openapi = cache(lambda: description.document(app))  # type: ignore[method-assign]
    app.router.redirect_slashes = False
    app.add_middleware(Direct, table=table)


class Table:
    """Every endpoint's path, beside our own paths, which are literal and win over params like any literal."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._paths: Paths[EndpointRoute] = Paths()
        self._own: frozenset[str] | None = None
        self._mounts: tuple[str, ...] = ()

    def add(self, template: str, method: str, route: EndpointRoute) -> None:
        """Adds an endpoint's route."""
        self._paths.add(template, method, route)

    def find(self, scope: Scope) -> Found[EndpointRoute]:
        """What a request leads to; Problem 400 where its path is not UTF-8."""
        found: Found[EndpointRoute] | None = scope.get("merganser.found")
        if found is None:
            try:
                found = self._nothing() if self._is_own(scope) else self._paths.find(path_sent(scope), scope["method"])
            except BadPath:
                raise Problem(400, "The path is not UTF-8.") from None
            scope["merganser.found"] = found
        return found

    def _nothing(self) -> Found[EndpointRoute]:
        return Found(None, {}, frozenset())

    def _is_own(self, scope: Scope) -> bool:
        if self._own is None:
            others = [route for route in self._app.router.routes if not isinstance(route, EndpointRoute)]
            self._mounts = tuple(f"{route.path}/" for route in others if isinstance(route, Mount))
            self._own = frozenset({*OWN, *(getattr(route, "path", "") for route in others)})
        path = scope["path"]
        return (path in self._own or path.startswith(self._mounts)) and not has_encoded_slash(scope)


class EndpointRoute(APIRoute):
    """One composite endpoint: a FastAPI route to whoever looks at it, an ASGI handler to who asks it."""

    def __init__(self, name: str, path: str, method: str, handler: ASGIApp, table: Table, operation: dict[str, Any]) -> None:
        super().__init__(
            path, _answered_by_its_handler, methods=[method], name=name, operation_id=name, response_class=Response,
            summary=operation["summary"], openapi_extra=operation,
        )  # fmt: skip
        self.app = handler
        self._table = table
        table.add(path, method, self)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """By the table, so that the order of routes means nothing."""
        if scope["type"] != "http":
            return Match.NONE, {}
        found = self._table.find(scope)
        if found.route is self:
            return Match.FULL, {"endpoint": self.endpoint, "path_params": found.values, "route": self}
        return (Match.PARTIAL if found.route is None and found.methods else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, where the method is the route's."""
        if self._table.find(scope).route is not self:
            raise not_allowed(self._table.find(scope).methods)
        await self.app(scope, receive, send)


class Direct:
    """The way to an endpoint's handler: one look into the table, past the layers that only FastAPI's own routes need.

    The first middleware that is added is the innermost: the request id, CORS and the last resort lie outside.
    """

    def __init__(self, app: ASGIApp, table: Table) -> None:
        self.app, self._table = app, table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or leaves it to FastAPI's routes."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        try:
            handler = self._handler(scope)
        except Problem as problem:
            return await send_problem(problem, scope, send)
        return await handler(scope, receive, send)

    def _handler(self, scope: Scope) -> ASGIApp:
        found = self._table.find(scope)
        if found.route is not None:
            scope["route"], scope["path_params"] = found.route, found.values
            return found.route.app
        if not found.methods:
            if has_encoded_slash(scope):
                raise Problem(404)
            return self.app
        if scope["method"] == "OPTIONS":
            return Response(status_code=204, headers={"allow": allowed(found.methods)})
        raise not_allowed(found.methods)


def allowed(methods: frozenset[str]) -> str:
    """The value of `Allow` for a path that takes these."""
    taken = methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    return ", ".join(method for method in _ORDER if method in taken)


def not_allowed(methods: frozenset[str]) -> Problem:
    """405 for a path that takes these methods only."""
    return Problem(405, headers=[("allow", allowed(methods))])


async def _answered_by_its_handler() -> None:
    # Stands for the endpoint in FastAPI's registers and is never called. FastAPI would show a docstring to clients.
    return None
