"""What a catalog may say of credentials: ours to upstreams, those of clients to us, and of pages from other origins."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.catalog.schema_types import Duration, Model


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


class ApiKey(Model):
    """Keys by name, each as `sha256:` and the hex digest of the key."""

    type: Literal["api_key"]
    header: str = "X-API-Key"
    keys: dict[str, Annotated[str, Field(pattern=r"^sha256:[0-9a-fA-F]{64}$")]]


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
