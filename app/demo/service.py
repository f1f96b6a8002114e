"""What the sample upstreams share: JSON answers, JSON errors, and the distance of a real network."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

Answer = Callable[[Request], Any]


class Json(Response):
    """A JSON body; it may be kept for a while."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The value as JSON."""
        return orjson.dumps(content)


def get(path: str, answer: Answer, *, max_age: int = 60) -> Route:
    """A route that answers GET with what `answer` returns, as JSON."""

    async def endpoint(request: Request) -> Response:
        return Json(answer(request), headers={"cache-control": f"public, max-age={max_age}"})

    return Route(path, endpoint)


def service(*routes: BaseRoute) -> Starlette:
    """An application of these routes, with JSON errors and a page that says it lives."""
    return Starlette(routes=[*routes, get("/healthz", lambda _: {"status": "ok"}, max_age=0)], exception_handlers={HTTPException: _problem})


def number(request: Request, name: str, default: float | None = None) -> float:
    """A number of the query; 422 if it is none, or missing without a default."""
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    try:
        return float(text or "")
    except ValueError as exc:
        raise HTTPException(422, f"'{name}' must be a number") from exc


def not_found(what: str) -> HTTPException:
    """A 404 that names what there is not."""
    return HTTPException(404, f"there is no {what}")


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    return Json({"error": error.detail}, status_code=error.status_code)


def far_away(app: ASGIApp, latency: float) -> ASGIApp:
    """The same application as if it were `latency` seconds away, more or less."""

    async def distant(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/healthz":
            await asyncio.sleep(latency * random.uniform(0.6, 1.6))  # noqa: S311 - the weather of a network
        await app(scope, receive, send)

    return distant
