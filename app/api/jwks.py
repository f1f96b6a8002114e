"""The keys that tokens are checked by (RFC 7517): from a file or a URL, kept while they cannot be had anew.

A set is fetched when it is first needed, again in the background when it is ten minutes old, and at once for a key id
that it does not hold (a key was just rotated in); the last at a bounded rate, since anybody can make up key ids. Each key
serves only the algorithms of its own kind (RFC 8725 section 3.1), narrowed by its `alg`, `use` and `key_ops`.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import import_key

from app.core.errors import CallFailure
from app.core.runtime import Runtime
from app.policies.bucket import Bucket

FRESH = 600.0
"""Seconds after which a set is fetched again in the background."""
RATE, BURST = 0.1, 2
"""Fetches a second, and at once, for want of a key: two rotations in quick succession."""
RETRY = 1.0
"""Seconds between fetches while there are no keys at all."""
MOST_KEYS = 100
MIN_RSA_BITS = 2048
"""RFC 7518 section 3.3."""

_EDWARDS = frozenset({"EdDSA", "Ed25519", "Ed448"})
_SERVES: dict[tuple[str, str | None], frozenset[str]] = {
    ("RSA", None): frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("EC", "secp256k1"): frozenset({"ES256K"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA", "Ed25519"}),
    ("OKP", "Ed448"): frozenset({"EdDSA", "Ed448"}),
    ("oct", None): frozenset({"HS256", "HS384", "HS512"}),
}
ALGORITHMS = frozenset().union(*_SERVES.values())
"""Every algorithm that a token may be signed with; `none` is not one."""
_log = logging.getLogger("merganser.auth")

Load = Callable[[], Awaitable[bytes]]
"""Gives the document; raises CallFailure or OSError."""


class NoKeys(Exception):
    """There is no key set, so no token can be judged: our trouble, not the client's."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and what it may check."""

    id: str | None
    algorithms: frozenset[str]
    key: Any

    def __repr__(self) -> str:
        return f"<Key {self.id} {sorted(self.algorithms)}>"


def parse(document: bytes) -> tuple[Key, ...]:
    """The usable keys of a set. ValueError if it is no set, or none of them can check a signature."""
    listed = orjson.loads(document)
    entries = listed.get("keys") if isinstance(listed, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JSON Web Key Set")
    keys = tuple(key for entry in entries[:MOST_KEYS] if (key := _key(entry)) is not None)
    if not keys:
        raise ValueError("no usable key")
    return keys


def _key(entry: Any) -> Key | None:
    """One key; None where it is not for signatures, of a kind that we do not know, broken or too weak."""
    if not isinstance(entry, dict):
        return None
    serves = _serves(entry)
    if not serves:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            key: Any = import_key(entry)
    except (JoseError, ValueError, TypeError):
        _log.warning("a key of a JWKS cannot be used: %.64s", entry.get("kid"))
        return None
    if entry["kty"] == "RSA" and key.public_key.key_size < MIN_RSA_BITS:
        _log.warning("an RSA key of a JWKS is under 2048 bits: %.64s", entry.get("kid"))
        return None
    kid = entry.get("kid")
    return Key(kid if isinstance(kid, str) else None, serves, key)


def _serves(entry: dict[str, Any]) -> frozenset[str]:
    kind, curve, alg, operations = entry.get("kty"), entry.get("crv"), entry.get("alg"), entry.get("key_ops")
    serves = _SERVES.get((str(kind), str(curve) if kind in ("EC", "OKP") else None), frozenset())
    if entry.get("use", "sig") != "sig" or (isinstance(operations, list) and not {"verify", "sign"} & {str(one) for one in operations}):
        return frozenset()
    if alg is None:
        return serves
    return serves & (_EDWARDS if alg in _EDWARDS else {str(alg)})


class Keys:
    """A key set and where it comes from. `version` changes with the keys: what was judged by old ones is judged again."""

    def __init__(self, where: str, load: Load, runtime: Runtime) -> None:
        self.where, self.version = where, 0
        self._load, self._runtime = load, runtime
        self._keys: tuple[Key, ...] = ()
        self._document = b""
        self._loaded_at = self._tried_at = float("-inf")
        self._wants = Bucket(RATE, BURST)
        self._flight: asyncio.Task[None] | None = None

    async def find(self, kid: str | None, algorithm: str) -> list[Key]:
        """The keys that may have signed a token of this key id and algorithm. Raises NoKeys."""
        if not self._keys:
            await self._first()
        elif self._runtime.now() - self._loaded_at > FRESH:
            self._refresh()
        found = self._held(kid, algorithm)
        if not found and kid is not None and all(key.id != kid for key in self._keys) and self._wants.reserve(self._runtime.now(), 0.0) is not None:
            await asyncio.shield(self._refresh())
            found = self._held(kid, algorithm)
        return found

    def _held(self, kid: str | None, algorithm: str) -> list[Key]:
        return [key for key in self._keys if algorithm in key.algorithms and (kid is None or key.id in (kid, None))]

    async def _first(self) -> None:
        now = self._runtime.now()
        if self._flight is not None or now - self._tried_at >= RETRY:
            await asyncio.shield(self._refresh())
        if not self._keys:
            raise NoKeys

    def _refresh(self) -> asyncio.Task[None]:
        """One fetch at a time: who comes while it runs waits for the same one."""
        if self._flight is None:
            self._tried_at = self._runtime.now()
            self._flight = self._runtime.tasks.spawn(self._fetch(), name="jwks")
            self._flight.add_done_callback(self._landed)
        return self._flight

    def _landed(self, _: asyncio.Task[None]) -> None:
        self._flight = None

    async def _fetch(self) -> None:
        try:
            document = await self._load()
            keys = parse(document)
        except (CallFailure, OSError, ValueError) as failure:
            _log.warning("the keys of %s cannot be had (%s); old ones are kept", self.where, type(failure).__name__)
            self._loaded_at = self._runtime.now() - FRESH + 60.0 if self._keys else float("-inf")
            return
        self._loaded_at = self._runtime.now()
        if document != self._document:
            self._document, self._keys, self.version = document, keys, self.version + 1

    def __repr__(self) -> str:
        return f"<Keys {self.where}: {len(self._keys)}>"
