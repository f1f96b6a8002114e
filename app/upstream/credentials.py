"""How we prove ourselves to an upstream: a credential is put on a call just before the wire, and seen nowhere else."""

from __future__ import annotations

from base64 import b64encode

import httpx
from msgspec.structs import replace

from app.catalog.schema import Upstream
from app.core.call import Call, Headers, Policy, Send
from app.core.errors import StatusFailed
from app.core.reply import Reply
from app.core.runtime import Runtime
from app.upstream.oauth2 import Tokens
from app.upstream.target import with_parameter
from app.upstream.tls import context

_UNAUTHORIZED = 401


def credentials(spec: Upstream, client: httpx.AsyncClient, runtime: Runtime) -> Policy | None:
    """The policy that an upstream's `auth` asks for; None where there is none."""
    auth = spec.auth
    if auth is None:
        return None
    if auth.bearer is not None:
        return by_header("authorization", f"Bearer {auth.bearer}")
    if auth.basic is not None:
        return by_header("authorization", basic(auth.basic.username, auth.basic.password))
    if auth.header is not None:
        return by_header(auth.header.name.lower(), auth.header.value)
    if auth.query is not None:
        return by_query(auth.query.name, auth.query.value)
    if auth.oauth2 is not None:
        return by_token(Tokens(auth.oauth2, client, runtime, context(spec.tls) if spec.tls else None))
    return None


def basic(username: str, password: str) -> str:
    """The value of an Authorization header for HTTP basic authentication, in UTF-8 (RFC 7617)."""
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode('ascii')}"


def by_header(name: str, value: str) -> Policy:
    """A credential in a header; the transport drops others of that name."""
    fixed: Headers = ((name, value),)

    def wrap(send: Send) -> Send:
        async def authorized(call: Call) -> Reply:
            return await send(replace(call, credentials=fixed))

        return authorized

    return wrap


def by_query(name: str, value: str) -> Policy:
    """A credential in a query parameter, which stands in for others of that name."""

    def wrap(send: Send) -> Send:
        async def authorized(call: Call) -> Reply:
            return await send(replace(call, target=with_parameter(call.target, name, value)))

        return authorized

    return wrap


def by_token(tokens: Tokens) -> Policy:
    """A token that is fetched, kept and renewed; one that the upstream refuses is renewed once, and the call sent again."""

    def wrap(send: Send) -> Send:
        async def authorized(call: Call) -> Reply:
            token = await tokens.current(call)
            try:
                return await send(replace(call, credentials=token.header))
            except StatusFailed as failure:
                if failure.http_status != _UNAUTHORIZED or not tokens.may_renew(token):
                    raise
            token = await tokens.renewed(call, token)
            return await send(replace(call, credentials=token.header))

        return authorized

    return wrap
