"""Request bodies: JSON and nothing else, bounded, strict, held to its schema, with every fault at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

import msgspec
from jsonschema_rs import ValidationError, Validator, validator_for
from starlette.types import Receive, Scope

from app.api.problems import Fault, Problem
from app.catalog.schema import Body, Endpoint
from app.core.data import Data
from app.core.depth import MAX_DEPTH, is_too_deep
from app.expressions.values import is_in_range, leaves

MOST_FAULTS = 100
"""Faults of one body that are told; a client that has made more learns of the others next time."""


_decode = msgspec.json.Decoder().decode
_LONG, _SAMPLE = 309, 32
_LONG_SAMPLED = re.compile(rb"\d{%d}" % (_LONG // _SAMPLE))
"""Digits in every 32nd byte, as an integer beyond float64 has them (309 digits or more): 30 times cheaper than to look at every byte."""
_IDENTITY = (b"", b"identity")


def takes_body(endpoint: Endpoint, reads: Collection[str]) -> bool:
    """Whether a request's body is looked at: where it is declared, where an expression reads it, or where it passes through."""
    if endpoint.proxy is not None:
        return endpoint.method != "GET"
    return endpoint.body is not None or "body" in reads


class ClientGone(Exception):
    """The client left before its request had arrived, or before its answer was ready."""


class Bodies:
    """How one endpoint takes bodies."""

    def __init__(self, spec: Body) -> None:
        schema = spec.json_schema
        self._required, self._max = spec.required, spec.max
        self._validator: Validator | None = None
        if isinstance(schema, dict | bool):
            self._validator = validator_for(schema, mask="the value", offline=True)

    async def read(self, scope: Scope, receive: Receive) -> tuple[Data | None, list[Fault]]:
        """The parsed body, None where there is none, and its faults. Problem 400, 413, 415; ClientGone."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        announced = headers.get(b"content-length")
        if announced is None and b"transfer-encoding" not in headers and scope.get("http_version", "1.1").startswith("1"):
            return self._none()
        if announced is not None and announced.isdigit() and int(announced) == 0:
            return self._none()
        if not _is_json(headers):
            return await self._foreign(headers, announced, receive)
        if announced is not None and announced.isdigit() and int(announced) > self._max:
            raise Problem(413)
        return self.taken(await read_all(receive, self._max))

    def taken(self, raw: bytes) -> tuple[Data | None, list[Fault]]:
        """What has been read, parsed and held to the schema; Problem 400, 413."""
        if len(raw) > self._max:
            raise Problem(413)
        return self._parsed(raw) if raw else self._none()

    async def _foreign(self, headers: dict[bytes, bytes], announced: bytes | None, receive: Receive) -> tuple[Data | None, list[Fault]]:
        """An empty chunked body has no type that could be wrong; any other is refused unread."""
        if announced is None and b"content-type" not in headers and not await _has_some(receive):
            return self._none()
        raise Problem(415, headers=[("accept", "application/json")])

    def _none(self) -> tuple[None, list[Fault]]:
        if self._required:
            return None, [{"loc": ["body"], "msg": "must be given", "type": "required"}]
        return None, []

    def _parsed(self, raw: bytes) -> tuple[Data, list[Fault]]:
        value = parse_strict(raw)
        return Data.of(value), list(self._faults(value))

    def _faults(self, value: Any) -> Iterator[Fault]:
        if self._validator is None:
            return
        for count, error in enumerate(self._validator.iter_errors(value)):
            if count == MOST_FAULTS:
                return
            yield _fault(error)


def parse_strict(raw: bytes) -> Any:
    """The value of strict JSON: UTF-8, one value, no NaN, no lone surrogate, no number beyond float64, not too deep. Else Problem 400."""
    try:
        if not raw.isascii():
            raw.decode()
        value = _decode(raw)
    except UnicodeDecodeError:
        raise Problem(400, "The body is not UTF-8.") from None
    except (msgspec.DecodeError, RecursionError):
        raise Problem(400, "The body is not strict JSON.") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and is_too_deep(value):
        raise Problem(400, f"The body is nested more than {MAX_DEPTH} deep.")
    if len(raw) >= _LONG and _LONG_SAMPLED.search(raw[::_SAMPLE]) and not all(map(is_in_range, leaves(value))):
        raise Problem(400, "The body has a number beyond float64.")
    return value


async def read_all(receive: Receive, most: int) -> bytes:
    """The whole body; Problem 413 as soon as it is over `most` bytes, ClientGone where it breaks off."""
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise Problem(413)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks) if len(chunks) > 1 else chunks[0]


async def _has_some(receive: Receive) -> bool:
    try:
        return bool(await read_all(receive, 0))
    except Problem:
        return True


def _is_json(headers: dict[bytes, bytes]) -> bool:
    kind = headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
    is_json = kind == b"application/json" or (b"/" in kind and kind.endswith(b"+json"))
    return is_json and headers.get(b"content-encoding", b"").strip().lower() in _IDENTITY


def _fault(error: ValidationError) -> Fault:
    at: list[str | int] = ["body", *error.instance_path]
    kind = error.kind
    if kind.name == "required":
        at.append(kind.property)  # type: ignore[attr-defined]
        return {"loc": at, "msg": "must be given", "type": "required"}
    return {"loc": at, "msg": error.message[:500], "type": kind.name}
