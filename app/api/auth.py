"""Who may call: credentials, permissions and rates, the same for REST, streams and live channels.

The order on every surface: 401 (or 503 where we cannot judge), 429, then whatever is wrong with the request, then 403.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.api.jwks import Keys, NoKeys
from app.api.limits import Rates
from app.api.presented import Headers, Repeated, presented
from app.api.problems import Problem
from app.api.tokens import Tokens
from app.catalog.schema import ApiKey, Catalog, Scheme
from app.core.context import Context
from app.core.errors import ExpressionFailed
from app.core.identity import Identity
from app.core.runtime import Runtime
from app.core.scope import Scope
from app.engine.plan import Plan
from app.expressions.values import is_true
from app.upstream.fetch import fetch


class ApiKeys:
    """One scheme of `auth` with `type: api_key`. Only digests of keys are known, so none can leak from here."""

    def __init__(self, name: str, spec: ApiKey) -> None:
        self.name, self.header, self._shown = name, spec.header.lower(), spec.header
        self._digests = [(holder, bytes.fromhex(digest.removeprefix("sha256:"))) for holder, digest in spec.keys.items()]

    def challenge(self, *, is_rejected: bool) -> str:
        """What a 401 says of this scheme."""
        return f'ApiKey realm="{self.name}", header="{self._shown}"'

    def credential(self, headers: Headers) -> str | None:
        """What stands in the scheme's header. Raises Repeated."""
        return presented(headers, self.header)

    def written(self, key: str) -> str:
        """A key as it stands in the header."""
        return key

    async def judge(self, key: str, until: float | None = None) -> Identity | None:
        """Whose key it is. Every digest is compared, each in constant time: the time says nothing of which came near."""
        digest = hashlib.sha256(key.encode("latin-1", "replace")).digest()
        holders = [holder for holder, known in self._digests if hmac.compare_digest(known, digest)]
        return Identity(self.name, holders[0], {"sub": holders[0]}, None, self.header) if holders else None


class Gate:
    """Decides who may call what. `client` is the process's httpx client, for key sets behind a URL."""

    def __init__(self, catalog: Catalog, folder: Path, client: Any, runtime: Runtime) -> None:
        self.schemes: Mapping[str, Scheme] = catalog.auth
        self._runtime = runtime
        self._judges = {name: _judge(name, spec, folder, client, runtime) for name, spec in catalog.auth.items()}
        self._rates = Rates(catalog.endpoints, runtime)

    async def identify(self, schemes: Sequence[str], headers: Headers, patience: float | None = None) -> Identity | None:
        """The first of the schemes that holds; None where none is asked for. Raises Problem 401, 503; waits at most `patience` seconds for keys."""
        if not schemes:
            return None
        until = self._runtime.now() + patience if patience is not None else None
        rejected, unknown = set(), False
        for name, credential in self._presented(schemes, headers):
            if credential is None:
                continue
            try:
                identity = await self._judges[name].judge(credential, until)
            except NoKeys:
                unknown = True
                continue
            if identity is not None:
                return identity
            rejected.add(name)
        if unknown:
            raise _unchecked()
        raise self._unauthorized(schemes, rejected)

    def _presented(self, schemes: Sequence[str], headers: Headers) -> list[tuple[str, str | None]]:
        """Each scheme's credential. Raises Problem 401 where a header is repeated: an upstream could take the value that was not checked."""
        try:
            return [(name, self._judges[name].credential(headers)) for name in schemes]
        except Repeated as repeated:
            raise self._unauthorized(schemes, set(), f"The header {repeated.header} is sent more than once.") from None

    def _unauthorized(self, schemes: Sequence[str], rejected: set[str], detail: str | None = None) -> Problem:
        challenges = dict.fromkeys(self._judges[name].challenge(is_rejected=name in rejected) for name in schemes)
        return Problem(401, detail, headers=[("www-authenticate", challenge) for challenge in challenges])

    def authorize(self, plan: Plan, scope: Scope) -> None:
        """Raises Problem 403 where `allow` says no, or cannot be computed."""
        if plan.allow is None:
            return
        try:
            allowed = is_true(plan.allow.search(scope))
        except ExpressionFailed:
            allowed = False
        if not allowed:
            raise Problem(403)

    async def limit(self, plan: Plan, context: Context) -> None:
        """Takes a turn of the endpoint's `limit`. Raises Problem 429."""
        if plan.spec.limit is None:
            return
        wait = await self._rates.take(plan.name, context)
        if wait:
            raise Problem(429, retry_after=wait)

    async def stand_in(self, token: str) -> tuple[str, str]:
        """As which header a token of `connection_init` counts: that of the first scheme for which it holds. Raises Problem 401, 503.

        Where there are no schemes it is somebody else's, and a bearer token.
        """
        text, unknown = token.encode("utf-8", "replace").decode("latin-1"), False
        for judge in self._judges.values():
            try:
                if await judge.judge(text) is not None:
                    return judge.header, judge.written(text)
            except NoKeys:
                unknown = True
        if unknown:
            raise _unchecked()
        if self._judges:
            raise self._unauthorized(tuple(self._judges), set(self._judges))
        return Tokens.header, f"Bearer {text}"

    async def verify(self, headers: Headers) -> None:
        """Whatever credentials are presented must hold for some scheme, each once. Raises Problem 401, 503; none at all is fine."""
        holds: dict[str, bool] = {}
        unknown = False
        for name, credential in self._presented(tuple(self._judges), headers):
            if credential is None:
                continue
            try:
                holds[credential] = holds.get(credential, False) or await self._judges[name].judge(credential) is not None
            except NoKeys:
                unknown = True
                holds.setdefault(credential, False)
        if all(holds.values()):
            return
        if unknown:
            raise _unchecked()
        raise self._unauthorized(tuple(self._judges), set(self._judges))


def _unchecked() -> Problem:
    return Problem(503, "Credentials cannot be checked now; come back after Retry-After seconds.", retry_after=1)


def _judge(name: str, spec: Scheme, folder: Path, client: Any, runtime: Runtime) -> ApiKeys | Tokens:
    if isinstance(spec, ApiKey):
        return ApiKeys(name, spec)
    if spec.jwks.startswith(("http://", "https://")):
        load = functools.partial(fetch, client, spec.jwks)
    else:
        load = functools.partial(_read, folder / spec.jwks)
    return Tokens(name, spec, Keys(name, load, runtime), runtime.wall)


async def _read(path: Path) -> bytes:
    """A small local file, read when its keys are first needed and when a key is missing."""
    return path.read_bytes()  # noqa: ASYNC240 - a few kilobytes, a few times in a process's life
