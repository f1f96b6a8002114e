"""Calls to an HTTP upstream: a call is written, sent, followed and read; what can go wrong is a `CallFailure` and nothing else."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable

import httpx

from app.catalog.schema import Upstream
from app.core.call import Call
from app.core.data import NULL, Data
from app.core.errors import CallFailure, StatusFailed, TimedOut, unsent
from app.core.events import AttemptEnded
from app.core.http import HOP_BY_HOP, IDEMPOTENT
from app.core.http_date import moment
from app.core.reply import Reply
from app.core.runtime import Runtime
from app.upstream.answer import NO_TIME, Answer, Fields, Streamed, Timing, field
from app.upstream.decode import Decoder
from app.upstream.graphql import graphql_data
from app.upstream.origin import Origin
from app.upstream.redirect import STATUSES, Hop, hop
from app.upstream.site import Site
from app.upstream.target import with_parameter
from app.upstream.tls import context

_HOP_BY_HOP = frozenset(name.encode() for name in HOP_BY_HOP)


class HttpUpstream:
    """One HTTP upstream of a catalog. `send` is the innermost service of its calls' stacks."""

    def __init__(self, name: str, spec: Upstream, client: httpx.AsyncClient, runtime: Runtime) -> None:
        self.name = name
        self._spec = spec
        self._runtime = runtime
        self._tls = context(spec.tls) if spec.tls else None
        self._client = client
        self._sites = {url: self._site(url, self._tls) for url in spec.origins}
        self._decoder = Decoder(name)
        self._first = self._sites[spec.origins[0]]
        self._listed = frozenset(Origin.of(url) for url in spec.redirects.origins)
        self._elsewhere: dict[Origin, Site] = {}

    def _site(self, url: str, tls: ssl.SSLContext | None) -> Site:
        return Site(url, self._client, tls=tls, connect_timeout=self._spec.connect_timeout, is_httpx=self._spec.transport == "httpx")

    # --- calls

    async def send(self, call: Call) -> Reply:
        """Makes one attempt, redirects included, and reads its answer, before `call.expires`."""
        runtime, record = self._runtime, call.record
        began = runtime.now()
        expires = min(call.expires, call.deadline)
        if expires <= began:
            raise unsent()
        site = self._first if call.origin is None else self._sites[call.origin]
        body = call.body
        head = site.heads.write(call.method, call.target, call.headers, call.credentials, call.context, None if body is None else len(body))
        record.attempts += 1
        answer: Answer | None = None
        failure: str | None = "cancelled"
        blames = False
        try:
            answer = await site.wire().request(
                head if body is None else head + body,
                is_idempotent=call.method in IDEMPOTENT,
                is_bodiless=call.method == "HEAD",
                expires=expires,
                limit=call.reading.max_body,
            )
            if answer.status in STATUSES and self._spec.redirects.max:
                answer = await self._follow(call, site, answer, expires)
            record.http_status = answer.status
            if answer.timing.connect:
                record.notes.append(_told(answer.timing))
            reply = self._reply_at_once(call, answer)
            if reply is None:
                reply = await self._reply(call, answer, expires)
            failure = None
            return reply
        except CallFailure as exc:
            failure, blames = exc.type, exc.blames_upstream
            if answer is not None:
                exc.http_status = answer.status
            if exc.http_status is not None:
                record.http_status = exc.http_status
            raise
        finally:
            status, size, timing = (None, 0, NO_TIME) if answer is None else (answer.status, len(answer.body), answer.timing)
            if failure == "cancelled" and call.flight is not None and call.flight.is_cut:
                failure, blames = TimedOut.type, True  # nobody who shares it has time left
            sent, seconds = len(head) + len(body or b""), runtime.now() - began
            runtime.emit(
                AttemptEnded(self.name, call.name, seconds, failure, status, sent, size, timing.connect, timing.tls, timing.first_byte, blames)
            )

    def _reply_at_once(self, call: Call, answer: Answer) -> Reply | None:
        """What an answer means for a call: data, null, or a failure; None where its body is too large to be decoded on the loop."""
        status, fields, reading = answer.status, tuple(answer.fields), call.reading
        if status in reading.null_on:
            return Reply(NULL, status, fields)
        if not 200 <= status < 300:
            raise StatusFailed(status, retry_after=retry_after(answer.fields, self._runtime.wall()), headers=fields)
        if not answer.body:
            return Reply(NULL, status, fields)
        data = self._decoder.at_once(answer.body, _content_type(answer), reading.decode)
        return None if data is None else _reply_of(data, call, answer)

    async def _reply(self, call: Call, answer: Answer, expires: float) -> Reply:
        """What a large body means for a call."""
        data = await self._decoder.decode(answer.body, _content_type(answer), call.reading.decode, expires)
        return _reply_of(data, call, answer)

    async def _follow(self, call: Call, site: Site, answer: Answer, expires: float) -> Answer:
        """The answer at the end of a chain of redirects, or the first that is not to be followed."""
        asked = Hop(site.origin, call.method, site.base + call.target, call.headers, call.body, is_home=True)
        for _ in range(self._spec.redirects.max):
            location = field(answer.fields, b"location")
            following = hop(answer.status, location, asked, site.origin, self._listed)
            if following is None:
                break
            asked = following
            there = self._site_of(site, asked)
            credentials = call.credentials if asked.is_home else ()
            length = None if asked.body is None else len(asked.body)
            target = self._with_credential(asked.target) if asked.is_home else asked.target
            head = there.bare_heads.write(asked.method, target, asked.headers, credentials, call.context, length)
            answer = await there.wire().request(
                head + (asked.body or b""),
                is_idempotent=asked.method in IDEMPOTENT,
                is_bodiless=asked.method == "HEAD",
                expires=expires,
                limit=call.reading.max_body,
            )
        return answer

    def _with_credential(self, target: str) -> str:
        """A target of the upstream's own, with the credential that it takes in the query."""
        query = self._spec.auth.query if self._spec.auth is not None else None
        return target if query is None else with_parameter(target, query.name, query.value)

    def _site_of(self, site: Site, asked: Hop) -> Site:
        """Where a redirect leads: another origin gets the private CA, never the client's certificate."""
        if asked.is_home:
            return site
        there = self._elsewhere.get(asked.origin)
        if there is None:
            tls = context(self._spec.tls, with_certificate=False) if self._spec.tls else None
            there = self._elsewhere[asked.origin] = self._site(str(asked.origin), tls)
        return there

    # --- proxying

    async def open_stream(self, call: Call, body: AsyncIterable[bytes] | None = None) -> Streamed:
        """Sends a call whose body and answer pass through as they come; `call.expires` bounds the wait for the answer's head.

        `call.headers` are passed on as they are, with a `content-length` for the body's length, else it goes in chunks.
        Nothing is decoded, followed or read: status, fields (without hop-by-hop ones) and wire bytes are the upstream's.
        """
        site = self._first if call.origin is None else self._sites[call.origin]
        expires, began = min(call.expires, call.deadline), self._runtime.now()
        if expires <= began:
            raise unsent()
        length = None if body is None else int(next((value for name, value in call.headers if name == "content-length"), "-1"))
        head = site.raw_heads.write(call.method, call.target, call.headers, call.credentials, call.context, length)
        call.record.attempts += 1
        failure: str | None = "cancelled"
        blames = False
        try:
            stream = await site.wire().stream(
                head,
                body,
                is_chunked=length == -1,
                is_idempotent=call.method in IDEMPOTENT,
                is_bodiless=call.method == "HEAD",
                expires=expires,
            )
            call.record.http_status, failure, blames = stream.status, None, stream.status >= 500
        except CallFailure as exc:
            failure, blames = exc.type, exc.blames_upstream
            raise
        finally:
            seconds, status = self._runtime.now() - began, call.record.http_status
            self._runtime.emit(AttemptEnded(self.name, call.name, seconds, failure, status, blames_upstream=blames))
        return Streamed(stream.status, _end_to_end(stream.fields), stream.__aiter__(), stream.aclose)

    async def aclose(self) -> None:
        """Closes its connections, and ends its threads."""
        self._decoder.close()
        for site in (*self._sites.values(), *self._elsewhere.values()):
            site.close()

    def __repr__(self) -> str:
        return f"<HttpUpstream {self.name} {', '.join(repr(site) for site in self._sites.values())}>"


def _content_type(answer: Answer) -> str | None:
    value = field(answer.fields, b"content-type")
    return None if value is None else value.decode("latin-1")


def _reply_of(data: Data, call: Call, answer: Answer) -> Reply:
    return Reply(graphql_data(data, answer.status) if call.reading.graphql else data, answer.status, tuple(answer.fields))


def retry_after(fields: Fields, wall: float) -> float | None:
    """Seconds to wait by Retry-After, of either form (RFC 9110 section 10.2.3); None where there is none that can be read."""
    value = field(fields, b"retry-after")
    if value is None:
        return None
    if value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, moment(value.decode("latin-1")) - wall)
    except (ValueError, OverflowError):
        return None


def _end_to_end(fields: Fields) -> Fields:
    """Fields without hop-by-hop ones, those that Connection names included (RFC 9110 section 7.6.1)."""
    named = {name.strip().lower() for key, value in fields if key == b"connection" for name in value.split(b",")}
    return [pair for pair in fields if pair[0] not in _HOP_BY_HOP and pair[0] not in named]


def _told(timing: Timing) -> str:
    """Where the time of a new connection went."""
    phases = (("connect", timing.connect), ("tls", timing.tls), ("first byte", timing.first_byte))
    return "a new connection: " + ", ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in phases if seconds)
