"""What a catalog may say: the models that validate it, and from which its JSON Schema and reference are made.

They describe a catalog after `load.py` has resolved it: environment substituted, includes added, defaults merged. So a
call's `timeout retry hedge cache coalesce max_body decode forward` are the effective ones (defaults < upstream < call).
A policy that is not configured is None. Durations are seconds, sizes bytes, rates per second, percentages shares.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.catalog.schema_access import ApiKey, Basic, Cors, Credentials, Jwt, Named, Oauth2, Scheme, Tls
from app.catalog.schema_policies import Breaker, Cache, Concurrency, Forward, Hedge, Rate, Redirects, Retry
from app.catalog.schema_types import (
    Duration,
    Expression,
    Interval,
    Json,
    Method,
    Model,
    NonNegative,
    PerSecond,
    Positive,
    Scalar,
    Share,
    Size,
    Status,
    Template,
    Timeout,
)  # fmt: skip

__all__ = [
    "ApiKey", "Basic", "Body", "Breaker", "Cache", "CallSpec", "Catalog", "Concurrency", "Cors", "Credentials", "Duration", "Endpoint", "Expression",
    "Forward", "Hedge", "Interval", "Json", "Jwt", "Limit", "Live", "Method", "Model", "Named", "NonNegative", "Oauth2", "Param", "PerSecond",
    "Positive", "Proxy", "Rate", "Redirects", "Retry", "Scalar", "Scheme", "Share", "Size", "Status", "Template", "Timeout", "Tls", "Upstream",
]  # fmt: skip
"""Every model of a catalog, those that have a module of their own included."""


class Upstream(Model):
    """A system that we call: an HTTP API (`url` or `urls`) or a Python function (`python`)."""

    url: str | None = None
    urls: Annotated[list[str], Field(min_length=1)] | None = None
    python: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    run: Literal["async", "thread", "process"] | None = None
    transport: Literal["own", "httpx"] = "own"
    openapi: str | None = None
    timeout: Timeout | None = None
    connect_timeout: Timeout = 1.0
    retry: Retry | None = None
    hedge: Hedge | None = None
    breaker: Breaker | None = None
    concurrency: Concurrency | None = None
    rate: Rate | None = None
    cache: Cache | None = None
    coalesce: bool | None = None
    headers: dict[str, Scalar] = {}
    query: dict[str, Scalar | list[Scalar]] = {}
    auth: Credentials | None = None
    tls: Tls | None = None
    max_body: Size = 4 * 1024 * 1024
    decode: Literal["auto", "json", "xml", "rss", "csv", "text"] = "auto"
    redirects: Redirects = Redirects()

    @property
    def origins(self) -> list[str]:
        """The base URLs, one or more; none for a Python upstream."""
        return self.urls or ([self.url] if self.url else [])


class Param(Model):
    """One declared parameter, with the constraints of JSON Schema."""

    place: Literal["path", "query", "header"] = Field("query", alias="in")
    type: Literal["string", "integer", "number", "boolean", "array"] = "string"
    items: dict[str, Json] | None = None
    required: bool | None = None
    default: Json = None
    example: Json = None
    description: str | None = None
    pattern: str | None = None
    format: str | None = None
    enum: list[Json] | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    exclusive_minimum: int | float | None = Field(None, alias="exclusiveMinimum")
    exclusive_maximum: int | float | None = Field(None, alias="exclusiveMaximum")
    min_length: NonNegative | None = Field(None, alias="minLength")
    max_length: NonNegative | None = Field(None, alias="maxLength")
    min_items: NonNegative | None = Field(None, alias="minItems")
    max_items: NonNegative | None = Field(None, alias="maxItems")


class Body(Model):
    """The request's body: JSON."""

    json_schema: dict[str, Json] | bool | str | None = Field(None, alias="schema")
    required: bool = False
    max: Size = 1024 * 1024


class CallSpec(Model):
    """One named request of an endpoint to an upstream."""

    upstream: str
    method: Method | None = None
    path: Template | None = None
    query: dict[str, Scalar | list[Scalar]] = {}
    headers: dict[str, Scalar] = {}
    body: Json = None
    form: dict[str, Json] | None = None
    graphql: str | None = None
    variables: dict[str, Json] | None = None
    args: dict[str, Json] | None = None
    stream: Literal["sse", "websocket"] | None = None
    after: list[str] = []
    when: Expression | None = None
    each: Expression | None = None
    concurrency: Positive = 10
    max_items: Positive = 100
    required: bool | None = None
    pass_status: list[Status] = [404]
    null_on: list[Status] = []
    select: Expression | None = None
    fallback: Json = None
    json_schema: dict[str, Json] | bool | str | None = Field(None, alias="schema")
    validation: Literal["off", "warn", "enforce"] = Field("off", alias="validate")
    timeout: Timeout | None = None
    retry: Retry | None = None
    hedge: Hedge | None = None
    cache: Cache | None = None
    coalesce: bool | None = None
    max_body: Size = 4 * 1024 * 1024
    decode: Literal["auto", "json", "xml", "rss", "csv", "text"] = "auto"
    forward: Forward = Forward()
    every: Interval | None = None

    @property
    def has_fallback(self) -> bool:
        """Whether a fallback is written, null included."""
        return "fallback" in self.model_fields_set

    @property
    def has_body(self) -> bool:
        """Whether a body is written, null included."""
        return "body" in self.model_fields_set


class Proxy(Model):
    """One upstream's answer passed through byte for byte."""

    upstream: str
    path: Template


class Live(Model):
    """How often each call of a live endpoint runs again (at least 100 ms)."""

    every: Interval


class Limit(Model):
    """A token bucket per client or for the endpoint; `burst` defaults to a second's worth."""

    rate: PerSecond
    burst: Positive | None = None
    by: Literal["client", "endpoint"] = "client"


class Endpoint(Model):
    """One REST operation that is also a live channel."""

    get: str | None = None
    post: str | None = None
    put: str | None = None
    patch: str | None = None
    delete: str | None = None
    summary: str | None = None
    description: str | None = None
    tags: list[str] = []
    params: dict[str, Param] = {}
    strict_query: bool = False
    body: Body | None = None
    forward: Forward = Forward()
    deadline: Timeout = 2.0
    calls: dict[str, CallSpec] = {}
    proxy: Proxy | None = None
    response: Json = None
    envelope: Literal["full", "data"] = "full"
    live: Live | None = None
    auth: list[str] = []
    allow: Expression | None = None
    limit: Limit | None = None

    @property
    def method(self) -> str:
        """The HTTP method, upper case."""
        return next(m for m in ("get", "post", "put", "patch", "delete") if getattr(self, m) is not None).upper()

    @property
    def route(self) -> str:
        """The path with its `{params}`."""
        return str(getattr(self, self.method.lower()))

    @property
    def has_response(self) -> bool:
        """Whether a `response` is written."""
        return "response" in self.model_fields_set

    def requires(self, call: CallSpec) -> bool:
        """Whether the failure of this call of its own ends the answer: as said; the only call's does, unless it has a fallback."""
        return call.required if call.required is not None else len(self.calls) == 1 and not call.has_fallback


class Catalog(Model):
    """A whole catalog, resolved."""

    name: str = "Merganser"
    description: str | None = None
    version: str = "1"
    upstreams: dict[str, Upstream] = {}
    endpoints: dict[str, Endpoint] = {}
    auth: dict[str, Scheme] = {}
    cors: Cors | None = None
