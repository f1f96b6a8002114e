"""Every way in which a call can fail, as one tree of exceptions.

    CallFailure                    type            retryable  blames_upstream
    ├── TimedOut                   timeout         yes        yes
    ├── ConnectFailed              connect         yes        yes     nothing of an answer came
    ├── TlsFailed                  tls             no         yes
    ├── ProtocolFailed             protocol        yes        yes     broken after the first byte, or not HTTP
    ├── StatusFailed               status          by status  5xx
    │   └── GraphqlFailed          status          no         no
    ├── DecodeFailed               decode          no         no
    ├── TooLarge                   too_large       no         no
    ├── CircuitOpen                circuit_open    no         no
    ├── Overloaded                 overloaded      no         no      no slot, no place in the queue
    ├── RateLimited                rate_limited    no         no      our own pacing of the upstream
    ├── DependencyFailed           dependency      no         no      a call that it names gave no data
    ├── ExpressionFailed           expression      no         no
    ├── LimitExceeded              limit           no         no
    ├── SchemaFailed               schema          no         no
    └── InternalFailure            internal        no         no      a fault of ours
        └── FunctionRaised         internal        yes        no      a Python upstream raised

Inside a stack a failure is raised; `engine/run.py` turns it into an `Outcome`, a value. Policies ask the flags, never
the class. `detail` is shown to clients: it never holds an address, a secret, a path or an upstream's text.
"""

from __future__ import annotations

from typing import ClassVar, Literal

FailureType = Literal[
    "timeout", "connect", "tls", "protocol", "status", "decode", "too_large", "circuit_open", "overloaded",
    "rate_limited", "dependency", "expression", "limit", "schema", "internal",
]  # fmt: skip


_LATER = frozenset((408, 425, 429))
"""Statuses that ask for another time."""


class CallFailure(Exception):
    """A call that gave no data; `sent` is False when no byte of the request can have reached the upstream.

    `is_verdict`: the upstream has said what it has to say; another attempt beside this one would be told the same.
    """

    type: ClassVar[FailureType] = "internal"
    text: ClassVar[str] = "the call failed"
    retryable: bool = False
    blames_upstream: bool = False
    is_verdict: bool = False

    def __init__(self, detail: str | None = None, *, sent: bool = True, http_status: int | None = None, retry_after: float | None = None) -> None:
        self.detail = detail or self.text
        self.sent = sent
        self.http_status = http_status
        self.retry_after = retry_after
        super().__init__(self.detail)

    @property
    def roots(self) -> tuple[CallFailure, ...]:
        """The failures behind this one: itself, but for `dependency`."""
        return (self,)


class TimedOut(CallFailure):
    """No whole answer within the attempt's timeout or the answer's deadline."""

    type = "timeout"
    text = "no answer in time"
    retryable = True
    blames_upstream = True


class ConnectFailed(CallFailure):
    """DNS or TCP failed, or the connection ended before the first byte of an answer."""

    type = "connect"
    text = "no connection"
    retryable = True
    blames_upstream = True


class TlsFailed(CallFailure):
    """The TLS handshake failed; nothing of the request was sent."""

    type = "tls"
    text = "no secure connection"
    blames_upstream = True


class ProtocolFailed(CallFailure):
    """The answer broke after its first byte, or was not HTTP."""

    type = "protocol"
    text = "a broken answer"
    retryable = True
    blames_upstream = True


class StatusFailed(CallFailure):
    """The upstream answered, with a status that is no success. `headers` are its raw fields, where someone may ask for them."""

    type = "status"

    def __init__(self, http_status: int, *, retry_after: float | None = None, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(f"answered {http_status}", http_status=http_status, retry_after=retry_after)
        self.headers = headers
        self.retryable = True
        self.blames_upstream = http_status >= 500
        self.is_verdict = http_status < 500 and http_status not in _LATER


class GraphqlFailed(StatusFailed):
    """A GraphQL answer with `errors`: not worth a retry, no fault of the upstream's health."""

    def __init__(self, http_status: int = 200) -> None:
        super().__init__(http_status)
        self.detail = "answered with GraphQL errors"
        self.retryable = False
        self.blames_upstream = False


class DecodeFailed(CallFailure):
    """The body is not what its type, or the catalog, says."""

    type = "decode"
    text = "an answer that cannot be read"


class TooLarge(CallFailure):
    """The answer is over `max_body`, its head over our limits."""

    type = "too_large"
    text = "an answer over the size limit"


class CircuitOpen(CallFailure):
    """The breaker is open: the upstream was left alone."""

    type = "circuit_open"
    text = "the upstream is failing, its circuit is open"

    def __init__(self, *, retry_after: float | None = None) -> None:
        super().__init__(sent=False, retry_after=retry_after)


class Overloaded(CallFailure):
    """No slot and no place in the queue, or no slot within `wait`."""

    type = "overloaded"
    text = "too many calls to the upstream"

    def __init__(self, *, retry_after: float | None = None) -> None:
        super().__init__(sent=False, retry_after=retry_after)


class RateLimited(CallFailure):
    """Our own `rate` for the upstream is used up."""

    type = "rate_limited"
    text = "over the rate for the upstream"

    def __init__(self, *, retry_after: float | None = None) -> None:
        super().__init__(sent=False, retry_after=retry_after)


class DependencyFailed(CallFailure):
    """A call that this one names gave no data; `roots` are why, of a call with `each` one per item."""

    type = "dependency"

    def __init__(self, name: str, roots: tuple[CallFailure, ...]) -> None:
        super().__init__(f"'{name}' gave no data", sent=False, retry_after=roots[0].retry_after)
        self._roots = roots

    @property
    def roots(self) -> tuple[CallFailure, ...]:
        """The first failures of the chain."""
        return self._roots


class ExpressionFailed(CallFailure):
    """An expression could not be computed, or its value does not fit the place where it stands."""

    type = "expression"
    text = "an expression that cannot be computed"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, sent=False)


class LimitExceeded(CallFailure):
    """More items than `max_items`."""

    type = "limit"
    text = "too many items"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, sent=False)


class SchemaFailed(CallFailure):
    """The data breaks the call's schema and `validate` is `enforce`."""

    type = "schema"
    text = "data that breaks its schema"


class InternalFailure(CallFailure):
    """A fault of ours."""

    type = "internal"
    text = "an internal error"


class FunctionRaised(InternalFailure):
    """A Python upstream raised; told as `internal`. Worth a retry where the catalog says that functions may run twice."""

    retryable = True


def unsent() -> TimedOut:
    """The time was up before anything was sent, in a wait of our own: no fault of the upstream's, and not worth a retry."""
    failure = TimedOut(sent=False)
    failure.blames_upstream = failure.retryable = False
    return failure
