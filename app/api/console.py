"""/console: the page that shows the service at work, its static files, and the two documents that it is made from.

The page and its files are the same for everyone and hold nothing; what they show comes from `/console/catalog` and
`/console/upstreams`, which are for operators. Without the token the page comes as a 401 that asks for it.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from app import __version__
from app.api.body import takes_body
from app.api.compress import packed
from app.api.ops import Rules, admit, is_loopback, is_operator
from app.api.problems import Problem
from app.api.service import Service
from app.api.shapes import param_schema
from app.catalog.schema import ApiKey, Catalog, Upstream
from app.core.data import encode
from app.engine.explain import worst_case
from app.engine.plan import Plan, Step
from app.policies.latency import SLICE
from app.policies.state import UpstreamState

STATIC = (
    "console.css", "console.js", "answer.js", "dom.js", "entry.js", "form.js", "merganser.js", "problem.js", "rail.js", "run.js", "theme.js",
    "upstreams.js", "waterfall.js", "duck.svg", "fonts/newsreader.woff2", "fonts/hanken-grotesk.woff2", "fonts/jetbrains-mono.woff2",
)  # fmt: skip
"""What the page loads, under /console/."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-cache"}
_NO_STORE = {"cache-control": "no-store"}
_CHALLENGE = {"www-authenticate": 'Bearer realm="operating"'}
"""A bearer only: a browser that is offered Basic asks with a window of its own, before the page can."""


def add_console(app: FastAPI, catalog: Catalog, service_of: Callable[[], Service]) -> None:
    """Adds /console and what is under it."""
    folder = files("app.console")

    @cache
    def static(name: str) -> bytes:
        return folder.joinpath(*name.split("/")).read_bytes()

    @cache
    def described() -> bytes:
        return encode(describe(catalog, service_of().plans))

    async def page(request: Request) -> Response:
        rules = service_of().settings
        _is_open(rules)
        if is_operator(request.scope, rules):
            return await _packed(request, static("index.html"), "text/html; charset=utf-8")
        return await _packed(request, static("index.html"), "text/html; charset=utf-8", 401, _CHALLENGE)

    async def file(request: Request) -> Response:
        _is_open(service_of().settings)
        name = request.url.path.partition("/console/")[2]
        return await _packed(request, static(name), _media_type(name))

    async def catalog_of(request: Request) -> Response:
        _admit(request.scope, service_of().settings)
        return await _packed(request, described(), "application/json", headers=_NO_STORE)

    async def upstreams(request: Request) -> Response:
        service = service_of()
        _admit(request.scope, service.settings)
        body = orjson.dumps(stand(catalog.upstreams, service.states, service.runtime.now()))
        return await _packed(request, body, "application/json", headers=_NO_STORE)

    routes = {"/console": page, "/console/catalog": catalog_of, "/console/upstreams": upstreams}
    routes |= {f"/console/{name}": file for name in STATIC}
    for path, answer in routes.items():
        app.add_route(path, answer, methods=["GET"], include_in_schema=False)


def describe(catalog: Catalog, plans: Mapping[str, Plan]) -> dict[str, Any]:
    """The endpoints with all that a form, a waterfall and a subscription need."""
    return {
        "name": catalog.name, "version": catalog.version, "description": catalog.description, "merganser": __version__,
        "endpoints": [_endpoint(catalog, plan) for plan in plans.values()],
    }  # fmt: skip


def stand(upstreams: Mapping[str, Upstream], states: Mapping[str, UpstreamState], now: float) -> dict[str, Any]:
    """How each upstream stands now, and its latency (ms) in pieces of ten seconds, by a number that grows."""
    return {"slice_s": SLICE, "now": int(now / SLICE), "upstreams": [_upstream(name, upstreams[name], state, now) for name, state in states.items()]}


def _endpoint(catalog: Catalog, plan: Plan) -> dict[str, Any]:
    spec = plan.spec
    return {
        "name": plan.name, "method": plan.method, "route": plan.route,
        "summary": spec.summary, "description": spec.description, "tags": list(spec.tags),
        "deadline_ms": spec.deadline * 1000, "worst_case_ms": None if spec.proxy is not None else worst_case(plan) * 1000,
        "live_s": None if spec.live is None else spec.live.every, "proxy": None if spec.proxy is None else spec.proxy.upstream,
        "params": [
            {
                "name": name, "in": param.place, "required": param.place == "path" or bool(param.required),
                "schema": param_schema(param), "description": param.description, "example": param.example,
            } for name, param in plan.params.items()
        ],
        "body": takes_body(spec, plan.reads), "auth": [_scheme(catalog, name) for name in spec.auth],
        "parts": None if plan.parts is None else [part.name for part in plan.parts],
        "calls": [_call(step) for step in plan.steps],
    }  # fmt: skip


def _scheme(catalog: Catalog, name: str) -> dict[str, str]:
    scheme = catalog.auth[name]
    header = scheme.header if isinstance(scheme, ApiKey) else "Authorization"
    return {"name": name, "type": scheme.type, "header": header}


def _call(step: Step) -> dict[str, Any]:
    return {
        "name": step.name, "upstream": step.spec.upstream, "required": step.required, "needs": list(step.needs), "after": list(step.after),
        "each": step.each.text if step.each is not None else None, "when": step.when.text if step.when is not None else None,
        "policies": [name for name in step.stack.names if name not in ("observe", "deadline", "transport")],
    }  # fmt: skip


def _upstream(name: str, spec: Upstream, state: UpstreamState, now: float) -> dict[str, Any]:
    pieces = [{"at": at, "attempts": count, "p50": _ms(p50), "p95": _ms(p95)} for at, count, (p50, p95) in state.latency.slices(now, 0.5, 0.95)]
    kind = "function" if spec.python is not None else "http"
    return {"name": name, "kind": kind, "run": spec.run, "urls": len(spec.origins), "slices": pieces, **state.snapshot()}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _is_open(rules: Rules) -> None:
    """Problem 403 where nobody can be an operator: no token, and a bind that is not loopback."""
    if rules.admin_token is None and not is_loopback(rules.host):
        raise Problem(403, "Operating pages answer on a loopback bind, or with MERGANSER_ADMIN_TOKEN set.")


def _admit(scope: Scope, rules: Rules) -> None:
    try:
        admit(scope, rules)
    except Problem as problem:
        if problem.status == 401:
            raise Problem(401, "This needs the operator's token.", headers=_CHALLENGE.items()) from None
        raise


def _media_type(name: str) -> str:
    known = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "woff2": "font/woff2"}
    return known.get(name.rpartition(".")[2]) or mimetypes.guess_type(name)[0] or "application/octet-stream"


async def _packed(request: Request, body: bytes, media_type: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    own = {**_HEADERS, **(headers or {})}
    if media_type.startswith("font/"):
        return Response(body, status, own, media_type)
    return await packed(request, body, media_type, status=status, headers=own)
