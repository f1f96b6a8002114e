"""JSON Web Tokens (RFC 7519) judged by RFC 8725: our list of algorithms, our keys, and nothing of what the token's head suggests."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning

from app.api.jwks import ALGORITHMS, Key, Keys
from app.api.presented import Headers, presented
from app.catalog.schema import Jwt
from app.core.errors import DecodeFailed
from app.core.identity import LEEWAY, Identity
from app.upstream.strict_json import checked

MOST_BYTES = 16 << 10
MOST_TRIES = 32
"""Keys that are tried for a token that names none: 1 to 3 ms of RS256, so that made-up tokens do not cost much more."""
REMEMBERED = 1024
"""Tokens whose signature need not be checked again."""
_BEARER = re.compile(r"bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*)", re.IGNORECASE)
_ANY_BEARER = re.compile(r"bearer(?![A-Za-z0-9_-]) *(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Judged:
    identity: Identity
    not_before: float
    version: int


class Tokens:
    """One scheme of `auth` with `type: jwt`."""

    header = "authorization"

    def __init__(self, name: str, spec: Jwt, keys: Keys, wall: Callable[[], float]) -> None:
        self.name, self.spec, self.keys = name, spec, keys
        self._wall = wall
        self._algorithms = ALGORITHMS & frozenset(spec.algorithms)
        self._audiences = {spec.audience} if isinstance(spec.audience, str) else set(spec.audience or ())
        self._judged: OrderedDict[bytes, _Judged] = OrderedDict()

    def challenge(self, *, is_rejected: bool) -> str:
        """What a 401 says of this scheme (RFC 6750 section 3)."""
        return f'Bearer realm="{self.name}"' + (', error="invalid_token"' if is_rejected else "")

    def credential(self, headers: Headers) -> str | None:
        """What stands in `Authorization: Bearer`; None where there is no such header. Raises Repeated."""
        value = presented(headers, self.header)
        found = _ANY_BEARER.fullmatch(value) if value is not None else None
        return found[1] if found else None

    def written(self, token: str) -> str:
        """A token as it stands in the header."""
        return f"Bearer {token}"

    async def judge(self, token: str, until: float | None = None) -> Identity | None:
        """Who the token says it is of, if it holds; None if it does not. Raises NoKeys where there are none, nor by `until`."""
        if len(token) > MOST_BYTES or not _BEARER.fullmatch("bearer " + token):
            return None
        digest = hashlib.sha256(token.encode("ascii")).digest()
        self.keys.freshen()
        judged = self._judged.get(digest)
        if judged is None or judged.version != self.keys.version:
            judged = await self._check(token, digest, until)
            if judged is None:
                return None
            self._remember(digest, judged)
        now, expires = self._wall(), judged.identity.expires
        if now + LEEWAY < judged.not_before or (expires is not None and now - LEEWAY >= expires):
            return None
        return judged.identity

    def _remember(self, digest: bytes, judged: _Judged) -> None:
        self._judged[digest] = judged
        self._judged.move_to_end(digest)
        if len(self._judged) > REMEMBERED:
            self._judged.popitem(last=False)

    async def _check(self, token: str, digest: bytes, until: float | None) -> _Judged | None:
        """The signature and the claims that do not change with time."""
        head = _object(_decoded(token.partition(".")[0]))
        if head is None or "crit" in head:
            return None
        algorithm, kid = head.get("alg"), head.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms or not isinstance(kid, str | None):
            return None
        payload = _verified(token, await self.keys.find(kid, algorithm, until), algorithm)
        if payload is None and not self.keys.has(kid) and await self.keys.renew(until):
            payload = _verified(token, await self.keys.find(kid, algorithm, until), algorithm)
        return self._identified(_object(payload), digest) if payload is not None else None

    def _identified(self, claims: dict[str, Any] | None, digest: bytes) -> _Judged | None:
        if claims is None or (self.spec.issuer is not None and claims.get("iss") != self.spec.issuer):
            return None
        audience = claims.get("aud")
        listed = audience if isinstance(audience, list) else [audience]
        named = {one for one in listed if isinstance(one, str)}
        if self._audiences and not self._audiences & named:
            return None
        expires, not_before = claims.get("exp"), claims.get("nbf", 0)
        if not (expires is None or _is_moment(expires)) or not _is_moment(not_before):
            return None
        subject = claims.get("sub")
        who = subject if isinstance(subject, str) and subject else digest.hex()
        identity = Identity(self.name, who, claims, float(expires) if expires is not None else None, self.header)
        return _Judged(identity, float(not_before), self.keys.version)


def _verified(token: str, keys: list[Key], algorithm: str) -> bytes | None:
    """The payload, if one of these keys signed it by this algorithm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # EdDSA has a new name (RFC 9864); issuers still use the old one
        for key in keys[:MOST_TRIES]:
            with suppress(JoseError, ValueError):
                return jws.deserialize_compact(token, key.key, algorithms=[algorithm]).payload
    return None


def _decoded(segment: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        return b""


def _object(text: bytes) -> dict[str, Any] | None:
    """Strict JSON's object; None where it is anything else."""
    try:
        value = msgspec.json.decode(checked(text))
    except (DecodeFailed, msgspec.DecodeError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _is_moment(value: Any) -> bool:
    """NumericDate of RFC 7519."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
