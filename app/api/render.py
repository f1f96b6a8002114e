"""An answer as an HTTP response: body and headers, built as bytes; what the catalog alone decides is made once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import orjson
import xxhash

from app.api.problems import RawHeaders
from app.catalog.schema import ApiKey, Endpoint, Jwt
from app.core.answer import Answer
from app.core.context import Context
from app.core.outcome import Outcome
from app.engine.reads import paths_shown

_TRUE, _FALSE = b"true", b"false"
_CREDENTIALS = frozenset({"authorization", "cookie"})
_YEAR = 31_536_000.0
_NO_STORE = (b"cache-control", b"no-store")
_JSON = (b"content-type", b"application/json")
_NOSNIFF = (b"x-content-type-options", b"nosniff")


class Renderer:
    """Renders the answers of one endpoint."""

    def __init__(self, endpoint: Endpoint, schemes: Mapping[str, ApiKey | Jwt], reads: Collection[tuple[str, ...]] = ()) -> None:
        """`reads`: what the endpoint's expressions read.

        An answer that goes by the client's address is for nobody else, one that shows its request for nobody.
        """
        self._is_unique = not {("request",), ("request", "id")}.isdisjoint(paths_shown(endpoint))
        self._is_personal = not {("request",), ("request", "address")}.isdisjoint(reads)
        self._full = endpoint.envelope == "full"
        self._credentials = _CREDENTIALS | {scheme.header.lower() for scheme in schemes.values() if isinstance(scheme, ApiKey)}
        self.vary = (b"vary", ", ".join(_vary(endpoint, schemes)).encode("latin-1"))
        self._fixed: RawHeaders = [_JSON, _NOSNIFF, self.vary]

    def body(self, answer: Answer) -> bytes:
        """The envelope, or the data alone; the answer's JSON is joined, not encoded anew."""
        data = answer.data.raw
        if not self._full:
            return data
        complete = _TRUE if answer.complete else _FALSE
        return b'{"data":%b,"complete":%b,"sources":%b}' % (data, complete, orjson.dumps(sources_of(answer.outcomes)))

    def headers(self, answer: Answer, context: Context, now: float) -> RawHeaders:
        """Everything but what the body's form decides (length, coding, tag)."""
        complete = answer.complete
        timing = server_timing(answer.outcomes.values(), answer.began)
        control = cache_control(answer, complete and not self._is_unique, context, now, self._credentials, is_personal=self._is_personal)
        return [
            *self._fixed, (b"cache-control", control),
            (b"merganser-complete", _TRUE if complete else _FALSE), (b"server-timing", timing),
        ]  # fmt: skip

    def stream_headers(self, media_type: str) -> RawHeaders:
        """The head of a stream; never stored, its parts are of this moment."""
        return [(b"content-type", media_type.encode()), _NO_STORE, _NOSNIFF, (b"x-accel-buffering", b"no"), self.vary]


def sources_of(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """`sources` of the envelope."""
    return {name: outcome.source() for name, outcome in outcomes.items()}


def server_timing(outcomes: Iterable[Outcome], began: float) -> bytes:
    """One entry per call, in ms since the answer began (names of the catalog are tokens: nothing needs quoting)."""
    entries = [
        f"{o.name};dur={(o.ended - o.started) * 1000:.1f};start={max(0.0, o.started - began) * 1000:.1f}" for o in outcomes
    ]  # fmt: skip
    return ", ".join(entries).encode("ascii")


def etag(answer: Answer) -> bytes:
    """A weak tag of the data and of whether it is complete (XXH3); equal answers have equal tags in every process."""
    return b'W/"%032x"' % xxhash.xxh3_128_intdigest(answer.data.raw, seed=answer.complete)


def has_it(if_none_match: str, tag: bytes) -> bool:
    """Whether the client has this already: If-None-Match, a list or `*`, compared weakly (RFC 9110 section 13.1.2)."""
    if if_none_match.strip() == "*":
        return True
    opaque = tag.decode().removeprefix("W/")
    return any(one.strip().removeprefix("W/") == opaque for one in if_none_match.split(","))


def cache_control(
    answer: Answer, may_be_stored: bool, context: Context, now: float, credentials: Collection[str] = _CREDENTIALS, *, is_personal: bool = False
) -> bytes:
    """`no-store`, or the shortest remaining freshness; `private` where the request carried any credential, or its address counts."""
    if not may_be_stored or context.method not in ("GET", "HEAD") or (fresh_until := answer.fresh_until) is None:
        return b"no-store"
    is_private = is_personal or context.identity is not None or any(name in credentials for name, _ in context.headers)
    return b"%bmax-age=%d" % (b"private, " if is_private else b"", max(0, int(min(fresh_until - now, _YEAR))))


def _vary(endpoint: Endpoint, schemes: Mapping[str, ApiKey | Jwt]) -> list[str]:
    """The request headers that an answer depends on; `*` where all are forwarded."""
    names = ["accept", "accept-encoding"]
    for forward in [endpoint.forward, *(call.forward for call in endpoint.calls.values())]:
        if "*" in forward.headers:
            return ["*"]
        names += [name.lower() for name in forward.headers]
    for name in endpoint.auth:
        scheme = schemes[name]
        names.append(scheme.header.lower() if isinstance(scheme, ApiKey) else "authorization")
    names += [name.lower() for name, param in endpoint.params.items() if param.place == "header"]
    return list(dict.fromkeys(names))
