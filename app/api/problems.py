"""Every error that a client can get, as RFC 9457 problem documents: statuses and public texts live here alone.

    400 malformed request            413 body over the limit       500 a fault of ours
    401 no or bad credential         415 not JSON                  502 upstreams failed
    403 not allowed                  422 bad params or body        503 upstreams shed, or we do
    404 no such route                429 over the client's rate    504 upstreams out of time
    405 wrong method                 431 head over the limit

A text never holds an address, a secret, a path, or an upstream's own words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypedDict

import orjson
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope, Send

from app.api.compress import gzipped
from app.api.seen import seen
from app.core.answer import Answer
from app.core.errors import CallFailure
from app.engine.plan import Plan

MEDIA_TYPE = b"application/problem+json"

RawHeaders = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a status says when nothing more is known, and the live protocol's code for it."""

    detail: str
    code: str


_KINDS: dict[int, Kind] = {
    400: Kind("The request is malformed.", "invalid_params"),
    401: Kind("A credential is needed.", "unauthorized"),
    403: Kind("The credential does not allow this.", "forbidden"),
    404: Kind("There is nothing at this path.", "unknown_endpoint"),
    405: Kind("This path does not take the method.", "not_live"),
    408: Kind("The request took too long to arrive.", "failed"),
    413: Kind("The body is over the limit.", "invalid_params"),
    415: Kind("The body must be JSON: application/json or a +json type, without a content coding.", "invalid_params"),
    422: Kind("The request does not fit what the endpoint takes; see errors.", "invalid_params"),
    429: Kind("Too many requests; come back after Retry-After seconds.", "rate_limited"),
    431: Kind("The head of the request is over the limit.", "failed"),
    500: Kind("Something went wrong on our side.", "internal"),
    502: Kind("A system that this answer needs has failed.", "failed"),
    503: Kind("A system that this answer needs takes no more calls now; come back after Retry-After seconds.", "failed"),
    504: Kind("A system that this answer needs did not answer in time.", "failed"),
}
_PASSED = Kind("A system that this answer needs says so.", "failed")
_LATE = frozenset({"timeout"})
_SHED = frozenset({"circuit_open", "overloaded", "rate_limited"})


class Fault(TypedDict):
    """One fault of a request: where (`["query", "days"]`), in words, and which rule (a keyword of JSON Schema)."""

    loc: list[str | int]
    msg: str
    type: str


class Problem(Exception):
    """An answer that is an error. `retry_after` is seconds; `headers` are added to the answer's."""

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        errors: Sequence[Fault] | None = None,
        sources: dict[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        kind = _KINDS.get(status, _PASSED)
        self.status = status
        self.detail = detail or kind.detail
        self.code = kind.code
        self.headers = tuple(headers)
        self.errors = errors
        self.sources = sources
        self.retry_after = retry_after
        super().__init__(f"{status} {self.detail}")

    def document(self, request_id: str) -> dict[str, Any]:
        """The problem document; `instance` is the request's id."""
        body: dict[str, Any] = {
            "type": "about:blank", "title": title(self.status), "status": self.status,
            "detail": self.detail, "instance": request_id,
        }  # fmt: skip
        if self.errors is not None:
            body["errors"] = list(self.errors)
        if self.sources is not None:
            body["sources"] = self.sources
        return body

    def response(self, request_id: str) -> tuple[RawHeaders, bytes]:
        """Headers and body of the answer; a 304, which a call may pass on, has none."""
        if self.status == 304:
            return [(b"cache-control", b"no-store")], b""
        body = orjson.dumps(self.document(request_id))
        headers: RawHeaders = [
            (b"content-type", MEDIA_TYPE), (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"),
        ]  # fmt: skip
        if self.retry_after is not None:
            headers.append((b"retry-after", b"%d" % whole_seconds(self.retry_after)))
        headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        return headers, body


async def send_problem(problem: Problem, scope: Scope, send: Send) -> None:
    """Sends a problem as the answer; on HEAD its head alone."""
    headers, body = problem.response(seen(scope).request_id)
    accepted = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept-encoding"), "")
    if (packed := await gzipped(body, accepted)) is not None:
        body = packed
        headers = [(b"content-length", b"%d" % len(body)) if name == b"content-length" else (name, value) for name, value in headers]
        headers += [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def add_handlers(app: FastAPI) -> None:
    """Makes every exception that means an HTTP error a problem document."""
    app.add_exception_handler(Problem, _handle)
    app.add_exception_handler(HTTPException, _handle)


async def _handle(request: Request, error: Exception) -> Response:
    problem = error if isinstance(error, Problem) else _of_http(error)
    headers, body = problem.response(seen(request.scope).request_id)
    response = Response(b"" if request.method == "HEAD" else body, problem.status)
    response.raw_headers = headers
    return response


def _of_http(error: Exception) -> Problem:
    """FastAPI's and Starlette's own errors: their status and headers, our words."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    return Problem(error.status_code, headers=(error.headers or {}).items())


def title(status: int) -> str:
    """The status in HTTP's own words."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def whole_seconds(seconds: float) -> int:
    """A `Retry-After`: whole seconds, at least one."""
    return max(1, math.ceil(seconds))


def verdict(plan: Plan, answer: Answer) -> Problem | None:
    """None where the answer is a 200, whole or partial; else the problem that its root causes make it."""
    if not answer.failed:
        return None
    required = {step.name: step for step in plan.steps if step.required}
    deciding = [o for o in answer.outcomes.values() if o.status == "failed" and o.name in required]
    sources = {name: outcome.source() for name, outcome in answer.outcomes.items()}
    for outcome in deciding:
        if (passed := _passed(outcome.roots, required[outcome.name].spec.pass_status)) is not None:
            return Problem(passed, _PASSED.detail, sources=sources, retry_after=outcome.roots[0].retry_after)
    roots = [root for o in deciding or [o for o in answer.outcomes.values() if o.status == "failed"] for root in o.roots]
    status = status_of(root.type for root in roots)
    return Problem(status, sources=sources, retry_after=_patience(roots) if status == 503 else None)


def status_of(types: Iterable[str]) -> int:
    """The status that root causes come to: all late 504, all shed 503, a mix of these 504, else 502."""
    kinds = set(types)
    if not kinds <= _LATE | _SHED:
        return 502
    return 504 if kinds & _LATE else 503


def _passed(roots: Sequence[CallFailure], statuses: Sequence[int]) -> int | None:
    """The status to pass on: the upstream's, of `each` where all items came to the same."""
    found = {root.http_status if root.type == "status" else None for root in roots}
    status = found.pop() if len(found) == 1 else None
    return status if status in statuses else None


def _patience(roots: Iterable[CallFailure]) -> float:
    """Seconds after which all of them may be over; a second where none says."""
    return max((root.retry_after for root in roots if root.retry_after is not None), default=1.0)
