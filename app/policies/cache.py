"""Keeps successes: fresh ones answer at once, old ones while they are asked for anew, or when that fails."""

from __future__ import annotations

from collections.abc import Hashable

from app.catalog.schema_policies import Cache
from app.core.call import Call, Headers, Policy, Record, Send
from app.core.errors import CallFailure, StatusFailed
from app.core.events import CacheAsked
from app.core.reply import Reply
from app.policies.freshness import is_storable, kept_for, lifetime, obey, use
from app.policies.sharing import load, save
from app.policies.state import UpstreamState
from app.policies.store import Entry

REFRESH = 10.0
"""Seconds that a refresh behind may take at least: nobody waits for it."""
CONDITIONS = frozenset(("if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "range"))
_NOT_MODIFIED = 304


class Cached:
    """The cache of one call's stack. Entries are the process's: keys hold everything that makes two calls the same."""

    def __init__(self, spec: Cache, state: UpstreamState, send: Send) -> None:
        self._spec = spec
        self._state = state
        self._store = state.store
        self._runtime = state.runtime
        self._send = send
        self._told = {word: CacheAsked(state.name, word) for word in ("hit", "miss", "stale")}

    async def send(self, call: Call) -> Reply:
        """An answer of the cache if there is one that will do, else of the upstream."""
        key = call.key
        now = self._runtime.now()
        entry = self._store.get(key)
        good_for = "none" if entry is None else use(entry, self._spec, now)
        if good_for != "fresh" and self._runtime.shared is not None:
            entry = await self._look_elsewhere(key, entry)
            now = self._runtime.now()
            good_for = "none" if entry is None else use(entry, self._spec, now)
        if entry is not None:
            if good_for == "fresh":
                self._tell(call.record, "hit")
                return Reply(entry.data, entry.status, fresh_until=entry.stored + lifetime(entry, self._spec))
            if good_for == "revalidate":
                self._tell(call.record, "stale")
                self._refresh(key, call, entry)
                return Reply(entry.data, entry.status, state="stale")
        self._tell(call.record, "miss")
        return await self._ask(key, call, entry)

    async def _ask(self, key: Hashable, call: Call, entry: Entry | None) -> Reply:
        """The upstream's answer, or the old one inside `stale_if_error`."""
        try:
            return await self._fetch(key, call, entry)
        except CallFailure as failure:
            if entry is None or use(entry, self._spec, self._runtime.now()) not in ("revalidate", "if_error"):
                raise
            self._tell(call.record, "stale")
            return Reply(entry.data, entry.status, state="stale", within_window=False, error=failure)

    async def _fetch(self, key: Hashable, call: Call, entry: Entry | None) -> Reply:
        """Asks the upstream, only for news where an old answer can be validated (RFC 9110 section 13.1)."""
        conditions = conditions_of(entry, call)
        if not conditions or entry is None:
            return self._keep(key, await self._send(call))
        try:
            reply = await self._send(call.but(headers=call.headers + conditions))
        except StatusFailed as failure:
            if failure.http_status != _NOT_MODIFIED:
                raise
            call.record.http_status = entry.status
            return self._keep(key, Reply(entry.data, entry.status, failure.headers), entry)
        return self._keep(key, reply)

    def _keep(self, key: Hashable, reply: Reply, known: Entry | None = None) -> Reply:
        """Stores a success, or the news that a `known` one still holds; the reply is fresh from now on."""
        spec, now = self._spec, self._runtime.now()
        headers = reply.headers
        if spec.respect and not is_storable(headers):
            self._store.drop(key)
            return reply
        entry = Entry(reply.data, reply.status, now, etag=_text(headers, b"etag"), modified=_text(headers, b"last-modified"))
        if known is not None:
            entry.etag, entry.modified = entry.etag or known.etag, entry.modified or known.modified
        if spec.respect:
            obey(entry, headers, self._runtime.wall())
            if known is not None and entry.lifetime is None:
                entry.lifetime, entry.revalidate, entry.if_error = known.lifetime, known.revalidate, known.if_error
        if kept_for(entry, spec) <= 0 and not (entry.etag or entry.modified):
            return reply
        self._store.put(key, entry)
        if self._runtime.shared is not None and not self._runtime.tasks.is_closing:
            self._runtime.tasks.spawn(save(self._runtime, key, entry, kept_for(entry, spec)), name=f"share {self._state.name}")
        fresh_for = lifetime(entry, spec)
        return Reply(reply.data, reply.status, headers, fresh_until=now + fresh_for if fresh_for > 0 else None)

    def _refresh(self, key: Hashable, call: Call, entry: Entry) -> None:
        """Asks anew behind an old answer: once at a time for a key, whoever waits."""
        refreshing, tasks = self._state.refreshing, self._runtime.tasks
        if key in refreshing or tasks.is_closing:
            return
        refreshing.add(key)
        deadline = max(call.deadline, self._runtime.now() + REFRESH)
        tasks.spawn(self._ask_behind(key, call.but(deadline=deadline, record=Record()), entry), name=f"refresh {self._state.name}")

    async def _ask_behind(self, key: Hashable, call: Call, entry: Entry) -> None:
        try:
            await self._fetch(key, call, entry)
        except CallFailure:
            return  # the old answer stands while its window lasts; attempts have told their events
        finally:
            self._state.refreshing.discard(key)

    async def _look_elsewhere(self, key: Hashable, entry: Entry | None) -> Entry | None:
        """The entry that another process has shared, if it is newer than ours."""
        found = await load(self._runtime, key)
        if found is None or (entry is not None and found.stored <= entry.stored):
            return entry
        self._store.put(key, found)
        return found

    def _tell(self, record: Record, word: str) -> None:
        record.cache = word  # type: ignore[assignment]
        self._state.cached[word] += 1
        self._runtime.emit(self._told[word])


def conditions_of(entry: Entry | None, call: Call) -> Headers:
    """What makes the request one for news only; nothing where there is no validator, or the call has conditions of its own."""
    if entry is None or not (entry.etag or entry.modified) or call.method not in ("GET", "HEAD"):
        return ()
    if any(name in CONDITIONS for name, _ in call.headers):
        return ()
    if entry.etag:
        return (("if-none-match", entry.etag),)
    return (("if-modified-since", entry.modified or ""),)


def _text(headers: tuple[tuple[bytes, bytes], ...], wanted: bytes) -> str | None:
    """A validator, as octets one character each; one with a byte that may not stand in a header is none."""
    value = next((value for name, value in headers if name == wanted), b"")
    return value.decode("latin-1") if value and len(value) < 1024 else None


def cache(spec: Cache, state: UpstreamState) -> Policy:
    """Answers from the store what it can."""

    def wrap(send: Send) -> Send:
        return Cached(spec, state, send).send

    return wrap
