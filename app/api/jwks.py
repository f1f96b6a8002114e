"""The keys that tokens are checked by (RFC 7517): from a file or a URL, kept while they cannot be had anew.

A set is fetched when it is first needed, again in the background when it is ten minutes old, and at once for a token that
no key of it fits (one was just rotated in); the last at a bounded rate, since anybody can make up tokens. A set that was
fetched counts whatever is in it: without a usable key it lets nobody in. Each key serves only the algorithms of its own
kind (RFC 8725 section 3.1), narrowed by its `alg`, `use` and `key_ops`.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc.errors import SecurityWarning
from joserfc.jwk import import_key

from app.core.runtime import Runtime
from app.policies.bucket import Bucket

FRESH = 600.0
"""Seconds after which a set is fetched again in the background."""
STALE_RETRY = 60.0
"""Seconds after which it is, once that has failed."""
RATE, BURST = 0.1, 2
"""Fetches a second, and at once, for want of a key: two rotations in quick succession."""
RETRY = 1.0
"""Seconds between fetches while there is no set at all."""
DOWN = 10.0
"""Seconds after a failed fetch in which, while there is no set, nobody waits for the next one."""
MOST_KEYS = 100
MIN_RSA_BITS = 2048
"""RFC 7518 section 3.3."""

_TEXTS = ("kty", "crv", "alg", "kid", "use")
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
"""Gives the document; whatever it raises, the set cannot be had."""


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
    """The usable keys of a set, which may be none. ValueError if it is no set."""
    listed = orjson.loads(document)
    entries = listed.get("keys") if isinstance(listed, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JSON Web Key Set")
    return tuple(key for entry in entries[:MOST_KEYS] if (key := _key(entry)) is not None)


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
    except Exception:  # whatever the library makes of an odd key, the others of the set are good
        _log.warning("a key of a JWKS cannot be used: %.64s", entry.get("kid"))
        return None
    if entry["kty"] == "RSA" and key.public_key.key_size < MIN_RSA_BITS:
        _log.warning("an RSA key of a JWKS is under 2048 bits: %.64s", entry.get("kid"))
        return None
    return Key(entry.get("kid"), serves, key)


def _serves(entry: dict[str, Any]) -> frozenset[str]:
    if not all(isinstance(entry.get(name), str | None) for name in _TEXTS):
        return frozenset()
    kind, curve, alg, operations = entry.get("kty", ""), entry.get("crv"), entry.get("alg"), entry.get("key_ops")
    serves = _SERVES.get((kind, curve if kind in ("EC", "OKP") else None), frozenset())
    if entry.get("use", "sig") != "sig" or (isinstance(operations, list) and not {"verify", "sign"} & {str(one) for one in operations}):
        return frozenset()
    if alg is None:
        return serves
    return serves & (_EDWARDS if alg in _EDWARDS else {alg})


class Keys:
    """A key set and where it comes from. `version` changes with the keys: what was judged by old ones is judged again."""

    def __init__(self, where: str, load: Load, runtime: Runtime) -> None:
        self.where, self.version = where, 0
        self._load, self._runtime = load, runtime
        self._keys: tuple[Key, ...] = ()
        self._document: bytes | None = None
        self._tried_at = self._failed_at = float("-inf")
        self._stale_at = float("inf")
        self._wants = Bucket(RATE, BURST)
        self._flight: asyncio.Task[None] | None = None

    async def find(self, kid: str | None, algorithm: str, until: float | None = None) -> list[Key]:
        """The keys that may have signed a token of this key id and algorithm. Raises NoKeys where there is no set, nor by `until`."""
        if self._document is None:
            await self._first(until)
        return [key for key in self._keys if algorithm in key.algorithms and (kid is None or key.id in (kid, None))]

    def has(self, kid: str | None) -> bool:
        """Whether a key goes by this id."""
        return kid is not None and any(key.id == kid for key in self._keys)

    def freshen(self) -> None:
        """Has an old set fetched anew in the background."""
        if self._runtime.now() > self._stale_at:
            self._refresh()

    async def renew(self, until: float | None = None) -> bool:
        """Whether there are other keys by `until`, of a fetch for want of one: its turns are few, but who comes while one runs waits along."""
        if self._flight is None and self._wants.reserve(self._runtime.now(), 0.0) is None:
            return False
        version = self.version
        await self._landing(until)
        return self.version != version

    async def _first(self, until: float | None) -> None:
        now = self._runtime.now()
        if now - self._failed_at >= DOWN:
            await self._landing(until)
        elif now - self._tried_at >= RETRY:
            self._refresh()
        if self._document is None:
            raise NoKeys

    async def _landing(self, until: float | None) -> None:
        """Waits for the fetch at most until then; it goes on for the others."""
        patience = None if until is None else max(0.0, until - self._runtime.now())
        await asyncio.wait((self._refresh(),), timeout=patience)

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
            keys = self._keys if document == self._document else parse(document)
        except Exception as failure:  # whatever is published, and whatever a library makes of it: this set cannot be had
            self._failed(failure)
            return
        self._stale_at = self._runtime.now() + FRESH
        if document == self._document:
            return
        if not keys:
            _log.warning("the keys of %s: none of the set can be used, no token is taken", self.where)
        self._document, self._keys, self.version = document, keys, self.version + 1

    def _failed(self, failure: Exception) -> None:
        self._failed_at = self._runtime.now()
        if self._document is not None:
            self._stale_at = self._failed_at + STALE_RETRY
        kept = "there are none" if self._document is None else "old ones are kept"
        _log.warning("the keys of %s cannot be had (%s); %s", self.where, type(failure).__name__, kept)

    def __repr__(self) -> str:
        return f"<Keys {self.where}: {len(self._keys)}>"
