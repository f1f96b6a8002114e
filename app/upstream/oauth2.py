"""Tokens by OAuth 2 client credentials (RFC 6749 section 4.4): fetched once for all who need one, renewed before they end."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from urllib.parse import quote_plus

import httpx
import msgspec

from app.catalog.schema_access import Oauth2
from app.core.call import Call, Headers
from app.core.errors import CallFailure, ConnectFailed, DecodeFailed, InternalFailure, TooLarge, unsent
from app.core.runtime import Runtime
from app.upstream.fetch import ACCEPTS, read

EARLY = 60.0
"""Seconds before its end from which a token is renewed behind, while it still serves; a fifth of its life if that is less."""
PATIENCE = 10.0
"""Seconds for one answer of the token endpoint."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds between tries while the token endpoint fails: doubling."""
FORCED_PAUSE = 1.0
"""Seconds between renewals that refusals force: an upstream that refuses every token is not asked twice each time."""
_FOREVER = float("inf")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_REFUSALS = (400, 401)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token as the header that carries it. Times are of the loop's clock."""

    header: Headers = field(repr=False)
    renew_at: float
    ends_at: float


class _Answer(msgspec.Struct):
    """What a token endpoint says (RFC 6749 section 5.1)."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: float | str | None = None


_decode = msgspec.json.Decoder(_Answer, strict=False).decode


class Tokens:
    """The token of one upstream. However many calls need one, one request at a time fetches it."""

    def __init__(self, spec: Oauth2, client: httpx.AsyncClient, runtime: Runtime, tls: ssl.SSLContext | None = None) -> None:
        self._spec = spec
        self._client = client
        self._runtime = runtime
        self._extensions = {} if tls is None else {"tls": tls}
        self._token: Token | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._failure: CallFailure | None = None
        self._pause = FIRST_PAUSE
        self._not_before = 0.0
        self._forced_at = -FORCED_PAUSE
        self._secret_in_body = False

    async def current(self, call: Call) -> Token:
        """A token that is good now; waits for one no longer than the call may. Raises CallFailure."""
        now, token = self._runtime.now(), self._token
        if token is not None and now < token.ends_at:
            if now >= token.renew_at and now >= self._not_before:
                self._fetch()
            return token
        return await self._wait(call, None)

    def may_renew(self, refused: Token) -> bool:
        """Whether a token that the upstream has refused is worth another: there is a newer one, one is on its way, or may be fetched."""
        return self._token is not refused or self._fetching is not None or self._runtime.now() - self._forced_at >= FORCED_PAUSE

    async def renewed(self, call: Call, refused: Token) -> Token:
        """Another token than the one that was refused."""
        if self._token is not None and self._token is not refused:
            return self._token
        if self._fetching is None:
            self._forced_at = self._runtime.now()
        return await self._wait(call, refused)

    async def _wait(self, call: Call, refused: Token | None) -> Token:
        """Waits for the fetch that runs, or a new one; many may wait for the same."""
        now = self._runtime.now()
        if self._fetching is None and self._failure is not None and now < self._not_before:
            raise self._failure.with_traceback(None)
        until = min(call.expires, call.deadline)
        task = self._fetch()
        await asyncio.wait((task,), timeout=None if until == _FOREVER else max(0.0, until - now))
        if not task.done():
            raise unsent()
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        if self._token is None or self._token is refused:
            raise InternalFailure("no credential for the upstream", sent=False)
        return self._token

    def _fetch(self) -> asyncio.Task[None]:
        """The request for a token that is on its way, or a new one, which outlives whoever asked."""
        if self._fetching is None:
            self._fetching = self._runtime.tasks.spawn(self._refresh(), name="fetch a token")
        return self._fetching

    async def _refresh(self) -> None:
        try:
            self._token = await self._ask()
            self._failure, self._pause = None, FIRST_PAUSE
        except CallFailure as failure:
            self._failure = failure
            self._not_before = self._runtime.now() + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        finally:
            self._fetching = None

    async def _ask(self) -> Token:
        """A new token; a server that takes no HTTP basic authentication gets the secret in the body, from then on."""
        try:
            async with asyncio.timeout(PATIENCE):
                status, body = await self._post()
                if status in _REFUSALS and not self._secret_in_body:
                    self._secret_in_body = True
                    second, body = await self._post()
                    self._secret_in_body = _is_success(second)
                    status = second if self._secret_in_body else status
        except (httpx.HTTPError, TimeoutError) as exc:
            raise _blameless(ConnectFailed("the token endpoint does not answer", sent=False)) from exc
        except (TooLarge, DecodeFailed) as exc:
            raise InternalFailure("the token endpoint gave no token", sent=False) from exc
        if not _is_success(status):
            raise _refusal(status)
        return self._read(body)

    async def _post(self) -> tuple[int, bytes]:
        """The status of one answer, and the body of a success."""
        spec = self._spec
        form = {"grant_type": "client_credentials"}
        if spec.scope is not None:
            form["scope"] = spec.scope
        auth: httpx.Auth | None = None
        if self._secret_in_body:
            form |= {"client_id": spec.client_id, "client_secret": spec.client_secret}
        else:  # RFC 6749 section 2.3.1: both parts are form-urlencoded first
            auth = httpx.BasicAuth(quote_plus(spec.client_id), quote_plus(spec.client_secret))
        async with self._client.stream("POST", spec.token_url, data=form, headers=ACCEPTS, auth=auth, extensions=self._extensions) as answer:
            return answer.status_code, await read(answer) if answer.is_success else b""

    def _read(self, body: bytes) -> Token:
        try:
            answer = _decode(body)
            lifetime = _FOREVER if answer.expires_in is None else max(0.0, float(answer.expires_in))
        except (msgspec.MsgspecError, ValueError) as exc:
            raise InternalFailure("the token endpoint gave no token", sent=False) from exc
        if not _TOKEN.fullmatch(answer.access_token):
            raise InternalFailure("the token endpoint gave no token", sent=False)
        now = self._runtime.now()
        header = (("authorization", f"Bearer {answer.access_token}"),)
        return Token(header, now + lifetime - min(EARLY, lifetime / 5) if lifetime < _FOREVER else _FOREVER, now + lifetime)

    def __repr__(self) -> str:
        state = "none" if self._token is None else f"until {self._token.ends_at:.0f}"
        return f"<Tokens {state}{', fetching' if self._fetching else ''}>"


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _refusal(status: int) -> CallFailure:
    """What an answer without a token means: trouble that may pass, or a credential of ours that is not taken."""
    if status >= 500:
        return _blameless(ConnectFailed("the token endpoint is in trouble", sent=False))
    return InternalFailure("the token endpoint refused our credential", sent=False)


def _blameless(failure: CallFailure) -> CallFailure:
    """It is not the upstream that failed."""
    failure.blames_upstream = False
    return failure
