"""The messages of the live protocol `merganser.v1`, both directions: what checks frames that come in, and what /asyncapi.json is made of.

What goes out is written by `frames.py` (text shared by all subscribers), and a test holds every frame against these models.
Unknown fields are ignored; unknown types are not.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from app.core.depth import MAX_DEPTH, surface

SUBPROTOCOL = "merganser.v1"
MAX_MESSAGE = 16 * 1024
MAX_SUBSCRIPTIONS = 100
PING_INTERVAL_MS = 25_000

Id = Annotated[str, Meta(min_length=1, max_length=128, description="Chosen by the client, unique among its open subscriptions.")]
Offset = Annotated[int, Meta(ge=0, description="Names a state of the topic.")]
Sources = Annotated[dict[str, "Source"], Meta(description="How calls went, by name.")]
ErrorCode = Literal[
    "invalid_request", "unknown_endpoint", "invalid_params", "unauthorized", "forbidden", "not_live",
    "too_many_subscriptions", "rate_limited", "failed", "internal",
]  # fmt: skip


class Unusable(Exception):
    """A frame that is no message of the protocol: the connection ends with 4400."""


# --- from the client


class InitPayload(Struct):
    """A JWT or an API key; credentials in the upgrade's headers count too."""

    token: Annotated[str, Meta(max_length=MAX_MESSAGE)] | None = None


class ConnectionInit(Struct, tag_field="type", tag="connection_init"):
    """The first message, within 10 s."""

    payload: InitPayload | None = None


class Resume(Struct):
    """Where the client stands: `epoch` of `subscribed`, `offset` of the last `complete` or `update` (of `subscribed` before that)."""

    epoch: str
    offset: Offset


class SubscribePayload(Struct):
    """What is subscribed to."""

    endpoint: str
    params: dict[str, Any] | None = None
    live: bool = True
    min_interval_ms: Annotated[float, Meta(ge=0, description="Updates come this far apart at least; changes between are merged.")] = 0
    resume: Resume | None = None


class Subscribe(Struct, tag_field="type", tag="subscribe"):
    """Asks for an endpoint's answer part by part, and for what changes after it."""

    id: Id
    payload: SubscribePayload


class Unsubscribe(Struct, tag_field="type", tag="unsubscribe"):
    """Ends a subscription; an unknown id is ignored."""

    id: str


class Ping(Struct, tag_field="type", tag="ping", omit_defaults=True):
    """Answered with `pong` and the same payload. The server sends one after 25 s of silence; that one needs no answer."""

    payload: Raw | UnsetType = UNSET


class Pong(Struct, tag_field="type", tag="pong", omit_defaults=True):
    """The answer to `ping`; from a client it is taken silently."""

    payload: Raw | UnsetType = UNSET


# --- from the server


class Limits(Struct):
    """What a connection may do."""

    max_subscriptions: int = MAX_SUBSCRIPTIONS
    max_message_bytes: int = MAX_MESSAGE


class AckPayload(Struct):
    """The connection is ready. `resume_ms`: how long a topic's state is kept after its last subscriber left."""

    connection_id: str
    resume_ms: int
    ping_interval_ms: int = PING_INTERVAL_MS
    limits: Limits = msgspec.field(default_factory=Limits)


class ConnectionAck(Struct, tag_field="type", tag="connection_ack"):
    """Answers `connection_init`."""

    payload: AckPayload


class SubscribedPayload(Struct):
    """Where the client stands. `recovered`: null, no resume was asked; false, refused, start afresh; true, only what changed follows."""

    epoch: str
    offset: Offset
    recovered: bool | None
    parts: list[str]
    live: bool


class Subscribed(Struct, tag_field="type", tag="subscribed"):
    """The first message of a subscription."""

    id: Id
    payload: SubscribedPayload


class SourceError(Struct):
    """Why a call failed."""

    type: Literal[
        "timeout", "connect", "tls", "protocol", "status", "decode", "too_large", "circuit_open", "overloaded",
        "rate_limited", "dependency", "expression", "limit", "schema", "internal",
    ]  # fmt: skip
    detail: str


class Source(Struct, omit_defaults=True):
    """How one call went."""

    status: Literal["ok", "stale", "fallback", "partial", "skipped", "failed"]
    ms: float
    attempts: int
    cache: Literal["miss", "hit", "stale", "coalesced"] | UnsetType = UNSET
    http_status: int | UnsetType = UNSET
    error: SourceError | UnsetType = UNSET


class PartMessage(Struct, tag_field="type", tag="part"):
    """One part, as soon as its calls have settled. A client does not keep this offset."""

    id: Id
    offset: Offset
    part: str
    data: Any
    sources: Sources


class Failure(Struct):
    """Why the answer failed as a whole."""

    code: ErrorCode
    message: str


class CompleteMessage(Struct, tag_field="type", tag="complete", omit_defaults=True):
    """All calls have settled. `data` where the answer has no fixed keys; `live: false` ends the subscription."""

    id: Id
    offset: Offset
    live: bool
    complete: bool
    sources: Sources
    data: Any | UnsetType = UNSET
    error: Failure | UnsetType = UNSET


class UpdateMessage(Struct, tag_field="type", tag="update", omit_defaults=True):
    """What changed after `prev`: parts by name, or the whole answer where it has no fixed keys."""

    id: Id
    prev: Offset
    offset: Offset
    sources: Sources
    complete: bool
    data: Any | UnsetType = UNSET
    conflated: Annotated[int, Meta(ge=0, description="Updates left out before this one.")] | UnsetType = UNSET


class ErrorPayload(Struct, omit_defaults=True):
    """Why; whether trying again may help, and when."""

    code: ErrorCode
    message: str
    retryable: bool
    retry_after_ms: int | UnsetType = UNSET


class ErrorMessage(Struct, tag_field="type", tag="error"):
    """Ends the subscription."""

    id: Id
    payload: ErrorPayload


class Unsubscribed(Struct, tag_field="type", tag="unsubscribed"):
    """Answers `unsubscribe`; nothing follows for the id."""

    id: Id


class ReconnectPayload(Struct):
    """Reconnect after a random time in this window, and resume."""

    reason: str
    min_delay_ms: int
    max_delay_ms: int


class Reconnect(Struct, tag_field="type", tag="reconnect"):
    """The server is about to end the connection."""

    payload: ReconnectPayload


FromClient = ConnectionInit | Subscribe | Unsubscribe | Ping | Pong
FromServer = ConnectionAck | Subscribed | PartMessage | CompleteMessage | UpdateMessage | ErrorMessage | Unsubscribed | Reconnect | Ping | Pong


class Named(Struct):
    """A `subscribe` that cannot be used, but says for which id it was meant."""

    id: Id


class _Envelope(Struct):
    type: str
    id: Raw | UnsetType = UNSET

    kinds: ClassVar[dict[str, msgspec.json.Decoder[Any]]] = {
        "connection_init": msgspec.json.Decoder(ConnectionInit),
        "subscribe": msgspec.json.Decoder(Subscribe),
        "unsubscribe": msgspec.json.Decoder(Unsubscribe),
        "ping": msgspec.json.Decoder(Ping),
        "pong": msgspec.json.Decoder(Pong),
    }


_envelope = msgspec.json.Decoder(_Envelope)
_id = msgspec.json.Decoder(Id)
_encode = msgspec.json.Encoder().encode


def read(text: str) -> FromClient | Named:
    """One frame of a client. `Named` for a `subscribe` whose id is good and the rest is not; raises Unusable where nothing can be made of it."""
    shallow = surface(text) if text.count("[") + text.count("{") > MAX_DEPTH else text
    try:
        envelope = _envelope.decode(shallow)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return _named(_halved(shallow), Unusable("not a JSON object with a type"))
    if (decoder := envelope.kinds.get(envelope.type)) is None:
        raise Unusable("an unknown type")
    if shallow is not text:
        return _named(envelope, Unusable("nested too deep"))
    try:
        return decoder.decode(text)  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return _named(envelope, Unusable(f"{envelope.type} lacks what it needs"))


def _halved(text: str) -> _Envelope:
    """Type and id of JSON that msgspec refuses for half a surrogate pair in it (RFC 8259 section 8.2), which JSON.stringify makes of a cut emoji."""
    try:
        said = json.loads(text, parse_constant=int)  # of NaN int makes a ValueError
        return _Envelope(said["type"], Raw(json.dumps(said["id"])))
    except (ValueError, LookupError, TypeError):
        return _Envelope("")


def _named(envelope: _Envelope, fault: Unusable) -> Named:
    """The id of a `subscribe`; raises `fault` where the message has none to be answered by."""
    if envelope.type != "subscribe" or isinstance(envelope.id, UnsetType):
        raise fault
    try:
        return Named(_id.decode(envelope.id))
    except msgspec.MsgspecError:
        raise Unusable("an id that is none") from fault


def write(message: FromServer) -> str:
    """The message's text."""
    return _encode(message).decode()
