"""/docs: every endpoint with its plan beside its params, and a form to try it. One page, made here; it asks no other host for anything."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.api.body import takes_body
from app.api.compress import packed
from app.api.diagram import in_words, svg
from app.api.service import Service
from app.api.shapes import param_schema
from app.catalog.schema import ApiKey, Catalog, Param
from app.core.data import encode
from app.engine.plan import Plan

FONTS = ("newsreader", "hanken-grotesk", "jetbrains-mono")
"""The console's, under a path that everyone may ask for."""
_KEPT = {"cache-control": "public, max-age=86400"}


def add_docs(app: FastAPI, catalog: Catalog, service_of: Callable[[], Service]) -> None:
    """Adds /docs and /openapi.json; both are made once."""
    folder = files("app.api") / "pages"
    css, js = ((folder / name).read_text() for name in ("docs.css", "docs.js"))
    headers = {"content-security-policy": _policy(css, js), "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}

    @cache
    def page() -> bytes:
        return render(catalog, service_of().plans, css, js).encode()

    @cache
    def document() -> bytes:
        return encode(app.openapi())

    async def docs(request: Request) -> Response:
        return await packed(request, page(), "text/html", headers=headers)

    async def openapi(request: Request) -> Response:
        return await packed(request, document(), "application/json")

    async def font(request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        return Response(files("app.console").joinpath("fonts", name).read_bytes(), headers=_KEPT, media_type="font/woff2")

    for name in FONTS:
        app.add_route(f"/docs/fonts/{name}.woff2", font, methods=["GET"], include_in_schema=False)
    app.add_route("/docs", docs, methods=["GET"], include_in_schema=False)
    app.add_route("/openapi.json", openapi, methods=["GET"], include_in_schema=False)


def render(catalog: Catalog, plans: Mapping[str, Plan], css: str, js: str) -> str:
    """The page as HTML."""
    links = "".join(_link(plan) for plan in plans.values())
    sections = "".join(_section(catalog, plan) for plan in plans.values())
    description = f"<p>{escape(catalog.description)}</p>" if catalog.description else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(catalog.name)}</title><style>{css}</style></head><body>"
        f"<header><h1>{escape(catalog.name)}</h1>{description}<p>Every endpoint answers as JSON, as server-sent events or as NDJSON, by "
        f'<code>Accept</code>. The same in machine form: <a href="/openapi.json">OpenAPI</a>, <a href="/asyncapi.json">AsyncAPI</a>.</p></header>'
        f'<div class="page"><nav aria-label="Endpoints"><ul>{links}</ul></nav><main>{sections}</main></div><script>{js}</script></body></html>'
    )


def _link(plan: Plan) -> str:
    summary = plan.spec.summary or f"{plan.method} {plan.route}"
    return f'<li><a href="#{escape(plan.name)}"><b>{escape(plan.name)}</b><small>{escape(summary)}</small></a></li>'


def _section(catalog: Catalog, plan: Plan) -> str:
    more = f'<p class="soft">{_prose(plan.spec.description)}</p>' if plan.spec.description else ""
    return (
        f'<section id="{escape(plan.name)}" aria-labelledby="{escape(plan.name)}-title">'
        f'<h2 id="{escape(plan.name)}-title">{escape(plan.spec.summary or plan.name)}</h2>'
        f'<p class="route"><span class="verb">{escape(plan.method)}</span> <code>{escape(plan.route)}</code> '
        f'<a href="console#{escape(plan.name)}">Open in the console</a></p>'
        f'{more}{_facts(plan)}<div class="beside">{_diagram(plan)}{_table(plan)}</div>{_form(catalog, plan)}</section>'
    )


def _prose(text: str) -> str:
    """A text of the catalog, in which `this` is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _facts(plan: Plan) -> str:
    facts = [plan.name, f"answers within {plan.spec.deadline:g} s"]
    if plan.spec.live is not None:
        facts.append(f"live, every {plan.spec.live.every:g} s")
    if plan.spec.auth:
        facts.append(f"needs {' or '.join(plan.spec.auth)}")
    if plan.spec.limit is not None:
        facts.append(f"at most {plan.spec.limit.rate:g} a second for each {plan.spec.limit.by}")
    if plan.spec.proxy is not None:
        facts.append("passes through as it comes")
    return f'<p class="soft">{escape(" · ".join(facts))}</p>'


def _diagram(plan: Plan) -> str:
    if not plan.steps:
        return ""
    return (
        f'<div><div class="plan" tabindex="0" role="group" aria-label="Plan of {escape(plan.name)}">{svg(plan)}</div>'
        f'<p class="soft">{escape(in_words(plan))}</p></div>'
    )


def _table(plan: Plan) -> str:
    if not plan.params:
        return ""
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{param.place}</td><td>{escape(_rules(param))}</td>'
        f"<td>{escape(param.description or '')}</td></tr>"
        for name, param in plan.params.items()
    )  # fmt: skip
    head = '<tr><th scope="col">Param</th><th scope="col">In</th><th scope="col">Takes</th><th scope="col">Means</th></tr>'
    return f"<div><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>"


def _rules(param: Param) -> str:
    rules = [f"{key} {_json(value)}" for key, value in param_schema(param).items() if key != "type"]
    needed = ["required"] if param.required or param.place == "path" else []
    return ", ".join([param.type, *needed, *rules])


def _form(catalog: Catalog, plan: Plan) -> str:
    fields = [_field(name, param) for name, param in plan.params.items()]
    for name in plan.spec.auth:
        scheme = catalog.auth[name]
        header, hint = (scheme.header, "the key") if isinstance(scheme, ApiKey) else ("authorization", "Bearer …")
        fields.append(
            f"<label>{escape(header)} ({escape(name)})"
            f'<input data-in="header" data-name="{escape(header)}" placeholder="{hint}" autocomplete="off"></label>'
        )
    if takes_body(plan.spec, plan.reads):
        fields.append('<label>body (JSON)<textarea data-in="body" rows="5" spellcheck="false"></textarea></label>')
    return (
        f'<form data-method="{escape(plan.method)}" data-path="{escape(plan.route)}">{"".join(fields)}'
        f'<button type="submit">Try it</button><output aria-live="polite"></output></form>'
    )


def _field(name: str, param: Param) -> str:
    value = param.example if param.example is not None else param.default if param.place == "path" else None
    text = "" if value is None else value if isinstance(value, str) else ", ".join(map(str, value)) if isinstance(value, list) else _json(value)
    needed = " required" if param.place == "path" or param.required else ""
    is_list = ' data-list="1"' if param.type == "array" else ""
    attributes = f'data-in="{param.place}" data-name="{escape(name)}"{is_list}{needed}'
    return f'<label>{escape(name)}<input {attributes} value="{escape(text)}" autocomplete="off"></label>'


def _policy(css: str, js: str) -> str:
    """A Content-Security-Policy that lets this page's own style and script run, and nothing else."""
    style, script = (f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in (css, js))
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; font-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
