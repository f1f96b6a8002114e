"""What a catalog may say: the models that validate it, and from which its JSON Schema and reference are made.

They describe a catalog after `load.py` has resolved it: environment substituted, includes added, defaults merged. So a
call's `timeout retry hedge cache coalesce max_body decode forward` are the effective ones (defaults < upstream < call).
A policy that is not configured is None. Durations are seconds, sizes bytes, rates per second, percentages shares.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from app.catalog import units

_DURATION = WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h)$", "examples": ["250ms", "2s"]})
Duration = Annotated[float, BeforeValidator(units.seconds), _DURATION]
Timeout = Annotated[float, BeforeValidator(units.positive_seconds), _DURATION]
"""A duration above 0."""
Interval = Annotated[float, BeforeValidator(units.interval), _DURATION]
"""A duration of 100 ms or more."""
Size = Annotated[
    int,
    BeforeValidator(units.size),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d+(B|KiB|MiB|GiB)?$"}],
            "examples": ["64KiB", "4MiB"],
        }
    ),
]
PerSecond = Annotated[
    float, BeforeValidator(units.per_second), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?/(s|m|h)$", "examples": ["200/s", "600/m"]})
]
Share = Annotated[float, BeforeValidator(units.share), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?%$", "examples": ["20%"]})]
Json = Any
"""Any JSON value; its strings may hold `{expressions}`."""
NonNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Status = Annotated[int, Field(ge=100, le=599)]
Expression = Annotated[str, Field(min_length=1)]
"""A bare JMESPath expression, without braces."""
Template = str
"""A text that may hold `{expressions}`."""
Scalar = Template | bool | int | float | None
Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


class Model(BaseModel):
    """Frozen; unknown keys are faults; nothing is coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False)


# --- policies


class Retry(Model):
    """Try again after a failure that may pass, within a budget."""

    attempts: Annotated[int, Field(ge=1)] = 2
    backoff: Duration = 0.025
    max_backoff: Duration = 0.25
    on: list[Literal["connect", "timeout", "protocol"] | Status] = ["connect", "timeout", 502, 503, 504]
    budget: Share = 0.2
    unsafe: bool = False


class Hedge(Model):
    """Start a second attempt when the first is slow; the first good answer wins. `after` may be `p95` of the last minute."""

    after: Duration | Literal["p50", "p90", "p95", "p99"]
    budget: Share = 0.05


class Breaker(Model):
    """Leave an upstream alone while it fails."""

    failures: Share = 0.5
    minimum: Positive = 20
    window: Timeout = 10.0
    open: Timeout = 5.0


class Concurrency(Model):
    """Bound the calls in flight; over `max` they queue. `adaptive` finds the limit itself, up to `max`."""

    max: Positive = 100
    queue: NonNegative = 100
    wait: Duration | None = None
    adaptive: bool = False


class Rate(Model):
    """Pace the calls to an upstream; over the rate a call waits up to `wait`, then fails. `burst` defaults to a second's worth."""

    rate: PerSecond
    burst: Positive | None = None
    wait: Duration = 0.0


class Cache(Model):
    """Keep answers. The two stale windows are off unless given; `respect` goes by the upstream's own Cache-Control."""

    ttl: Duration = 30.0
    stale_while_revalidate: Duration = 0.0
    stale_if_error: Duration = 0.0
    respect: bool = False


class Forward(Model):
    """What of the client's request goes on: names in any case, or `"*"` for all."""

    headers: list[str] | Literal["*"] = []
    query: list[str] | Literal["*"] = []


class Redirects(Model):
    """How many redirects to follow, and to which other origins besides the upstream's own."""

    max: Annotated[int, Field(ge=0)] = 0
    origins: list[str] = []


# --- upstreams


class Basic(Model):
    """HTTP basic authentication (RFC 7617)."""

    username: str
    password: str = Field(repr=False)


class Named(Model):
    """A credential in a header or query parameter of this name."""

    name: Annotated[str, Field(min_length=1)]
    value: str = Field(repr=False)


class Oauth2(Model):
    """Client credentials of OAuth 2 (RFC 6749 section 4.4)."""

    token_url: str
    client_id: str
    client_secret: str = Field(repr=False)
    scope: str | None = None


class Credentials(Model):
    """How we authenticate to an upstream: exactly one of these."""

    bearer: str | None = Field(None, repr=False)
    basic: Basic | None = None
    header: Named | None = None
    query: Named | None = None
    oauth2: Oauth2 | None = None

    @model_validator(mode="after")
    def _one(self) -> Credentials:
        if len(self.model_fields_set) != 1:
            raise ValueError("name exactly one of bearer, basic, header, query, oauth2")
        return self


class Tls(Model):
    """Files, relative to the main catalog: a private CA, a client certificate and its key."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


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


# --- endpoints


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


# --- who may call


class ApiKey(Model):
    """Keys by name, each as `sha256:` and the hex digest of the key."""

    type: Literal["api_key"]
    header: str = "X-API-Key"
    keys: dict[str, Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]]


class Jwt(Model):
    """JSON Web Tokens (RFC 7519) verified with the keys of `jwks`, a URL or a file."""

    type: Literal["jwt"]
    issuer: str | None = None
    audience: str | list[str] | None = None
    jwks: str
    algorithms: Annotated[list[str], Field(min_length=1)] = ["RS256"]


Scheme = Annotated[ApiKey | Jwt, Field(discriminator="type")]


class Cors(Model):
    """Which pages of other origins may call (the Fetch standard's CORS protocol)."""

    origins: list[str]
    methods: list[str] = ["GET"]
    headers: list[str] = []
    expose: list[str] = []
    max_age: Duration = 12 * 3600.0
    credentials: bool = False


class Catalog(Model):
    """A whole catalog, resolved."""

    name: str = "Merganser"
    description: str | None = None
    version: str = "1"
    upstreams: dict[str, Upstream] = {}
    endpoints: dict[str, Endpoint] = {}
    auth: dict[str, Scheme] = {}
    cors: Cors | None = None
