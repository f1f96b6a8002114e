"""Which pages of other origins may read what we answer: the CORS protocol of the Fetch standard, as pure ASGI.

Preflights are answered here, before credentials are asked for (browsers send none) and on every path, so that a page can
read the 404 itself. No origin is reflected: one is granted because the catalog lists it, compared whole.
"""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.catalog.schema import Cors as Spec

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ASKED = 50
"""Header names of one preflight that are granted by a `*`; no page sends more."""
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_PREFLIGHT_VARY = (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")

Fields = list[tuple[bytes, bytes]]


class Cors:
    """Answers preflights, and lets listed origins read every answer, errors included."""

    def __init__(self, app: ASGIApp, spec: Spec) -> None:
        self.app = app
        self._any = "*" in spec.origins
        self._origins = frozenset(origin.encode() for origin in spec.origins)
        self._credentials: Fields = [(b"access-control-allow-credentials", b"true")] if spec.credentials and not self._any else []
        self._expose: Fields = [(b"access-control-expose-headers", ", ".join(spec.expose).encode())] if spec.expose else []
        self._methods = _METHODS.encode() if "*" in spec.methods else ", ".join(spec.methods).upper().encode()
        self._headers = None if "*" in spec.headers else ", ".join(spec.headers).encode()
        self._max_age = b"%d" % spec.max_age

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; WebSockets check their origin themselves, before the upgrade."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = dict(scope["headers"])
        origin = asked.get(b"origin")
        if scope["method"] == "OPTIONS" and origin is not None and b"access-control-request-method" in asked:
            await send({"type": "http.response.start", "status": 204, "headers": self._preflight(origin, asked)})
            await send({"type": "http.response.body", "body": b""})
            return
        granted = self._granted(origin)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                own = [pair for pair in headers if not pair[0].startswith(b"access-control-")]  # a proxied upstream's grants are not ours
                message["headers"] = [*(own if self._any else _varying(own)), *granted]
            await send(message)

        await self.app(scope, receive, told)

    def _allowed(self, origin: bytes) -> Fields:
        if self._any:
            return [(b"access-control-allow-origin", b"*")]
        return [(b"access-control-allow-origin", origin), *self._credentials] if origin in self._origins else []

    def _granted(self, origin: bytes | None) -> Fields:
        allowed = self._allowed(origin) if origin is not None else []
        return [*allowed, *self._expose] if allowed else []

    def _preflight(self, origin: bytes, asked: dict[bytes, bytes]) -> Fields:
        allowed = self._allowed(origin)
        if not allowed:
            return [_PREFLIGHT_VARY]
        headers = self._headers
        if headers is None:
            headers = _tokens(asked.get(b"access-control-request-headers", b""))
        return [
            *allowed,
            (b"access-control-allow-methods", self._methods),
            *([(b"access-control-allow-headers", headers)] if headers else []),
            (b"access-control-max-age", self._max_age),
            _PREFLIGHT_VARY,
        ]


def _tokens(listed: bytes) -> bytes:
    """The header names of a list that are names."""
    names = [name.strip() for name in listed.decode("latin-1").split(",")]
    return ", ".join(name for name in names[:_ASKED] if _TOKEN.fullmatch(name)).encode("latin-1")


def _varying(headers: Fields | tuple[()]) -> Fields:
    """The answer's headers with `Origin` in Vary: caches must not hand one origin's answer to another."""
    varies = [value for name, value in headers if name.lower() == b"vary"]
    if any(value.strip() == b"*" for value in varies):
        return list(headers)
    kept = [pair for pair in headers if pair[0].lower() != b"vary"]
    return [*kept, (b"vary", b", ".join([*varies, b"Origin"]))]
