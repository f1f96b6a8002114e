"""Pages for whoever runs the service: does it live, does it take traffic, how is it; and who may see the last."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from collections.abc import Callable
from ipaddress import ip_address
from typing import Protocol

from fastapi import FastAPI
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from app.api.compress import packed
from app.api.problems import Problem

_ALIVE = b'{"status":"alive"}'
_READY = b'{"status":"ready"}'
_DRAINING = b'{"status":"draining"}'
_NO_STORE = {"cache-control": "no-store"}


class Metrics(Protocol):
    """Writes all metrics as text."""

    async def scrape(self) -> bytes:
        """The text of the Prometheus exposition format 0.0.4, as of now."""
        ...


class Telemetry(Protocol):
    """What holds the metrics."""

    @property
    def metrics(self) -> Metrics:
        """The process's metrics, those of its siblings included."""
        ...


class Rules(Protocol):
    """The settings that say who may see operating pages."""

    @property
    def admin_token(self) -> SecretStr | None:
        """What opens them; None: they answer on a loopback bind only."""
        ...

    @property
    def host(self) -> str:
        """The address that the server listens on."""
        ...


class Operated(Protocol):
    """What the pages need of the running service."""

    @property
    def telemetry(self) -> Telemetry:
        """Logs and metrics."""
        ...

    @property
    def settings(self) -> Rules:
        """What the environment decided."""
        ...


def add_ops(app: FastAPI, service_of: Callable[[], Operated]) -> None:
    """Adds /healthz, /readyz and /metrics."""

    async def healthz(request: Request) -> Response:
        return _json(_ALIVE)

    async def readyz(request: Request) -> Response:
        return _json(_DRAINING, 503) if app.state.draining else _json(_READY)

    async def metrics(request: Request) -> Response:
        service = service_of()
        admit(request.scope, service.settings)
        text = await service.telemetry.metrics.scrape()
        return await packed(request, text, "text/plain; version=0.0.4; charset=utf-8", headers=_NO_STORE)

    for path, page in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics)):
        app.add_route(path, page, methods=["GET"], include_in_schema=False)


def admit(scope: Scope, rules: Rules) -> None:
    """Lets an operator pass; Problem 401 without the token, 403 where there is none and the bind is not loopback."""
    if rules.admin_token is None and not is_loopback(rules.host):
        raise Problem(403, "Operating pages answer on a loopback bind, or with MERGANSER_ADMIN_TOKEN set.")
    if not is_operator(scope, rules):
        raise Problem(401, headers=[("www-authenticate", 'Bearer realm="operating"'), ("www-authenticate", 'Basic realm="operating"')])


def is_operator(scope: Scope, rules: Rules) -> bool:
    """Whether a request may see operating pages: it carries the token, or there is none and the bind is loopback."""
    if rules.admin_token is None:
        return is_loopback(rules.host)
    return any(is_token(name, value, rules.admin_token) for name, value in scope["headers"])


def is_token(name: bytes, value: bytes, token: SecretStr) -> bool:
    """Whether a header carries the token: `Authorization`, or `Merganser-Admin` where the endpoint has its own use for that."""
    if name not in (b"authorization", b"merganser-admin"):
        return False
    sent = _token(value) if name == b"authorization" else value
    return hmac.compare_digest(sent, token.get_secret_value().encode())


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _token(authorization: bytes) -> bytes:
    """The token of `Bearer TOKEN`, or the password of `Basic` (what a browser asks for)."""
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() == b"bearer":
        return value.strip()
    if scheme.lower() == b"basic":
        try:
            return b64decode(value.strip(), validate=True).partition(b":")[2]
        except binascii.Error:
            return b""
    return b""


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, headers=_NO_STORE, media_type="application/json")
