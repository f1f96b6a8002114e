"""Keeps successes: fresh ones answer at once, old ones while they are asked for anew, or when that fails."""

from __future__ import annotations

from msgspec.structs import replace

from app.catalog.schema_policies import Cache
from app.core.call import Call, Headers, Key, Policy, Record, Send, size_of
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
LONGEST_VALIDATOR = 1024
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
                call.record.notes.append("old data at once, refreshed behind the answer")
                self._refresh(key, call, entry)
                return Reply(entry.data, entry.status, state="stale")
        self._tell(call.record, "miss")
        return self._keep(key, await self._send(call)) if entry is None else await self._ask(key, call, entry)

    async def _ask(self, key: Key, call: Call, entry: Entry) -> Reply:
        """The upstream's answer, or the old one inside `stale_if_error`."""
        try:
            return await self._fetch(key, call, entry)
        except CallFailure as failure:
            if use(entry, self._spec, self._runtime.now()) not in ("revalidate", "if_error"):
                raise
            self._tell(call.record, "stale")
            call.record.notes.append(f"old data instead of a failure: {failure.type}, {failure.detail}")
            return Reply(entry.data, entry.status, state="stale", within_window=False, error=failure)

    async def _fetch(self, key: Key, call: Call, entry: Entry) -> Reply:
        """Asks the upstream, only for news where an old answer can be validated (RFC 9110 section 13.1)."""
        conditions = conditions_of(entry, call)
        if not conditions:
            return self._keep(key, await self._send(call))
        try:
            reply = await self._send(replace(call, headers=call.headers + conditions))
        except StatusFailed as failure:
            if failure.http_status != _NOT_MODIFIED:
                raise
            headers = failure.headers
        else:
            if reply.status != _NOT_MODIFIED:  # which `null_on` may name
                return self._keep(key, reply)
            headers = reply.headers
        call.record.http_status = entry.status
        call.record.notes.append("not modified: the data of the cache still holds")
        return self._keep(key, Reply(entry.data, entry.status, headers), entry)

    def _keep(self, key: Key, reply: Reply, known: Entry | None = None) -> Reply:
        """Stores a success, or the news that a `known` one still holds; the reply is fresh from now on."""
        spec, now = self._spec, self._runtime.now()
        if spec.respect and not is_storable(reply.headers):
            self._store.drop(key)
            return reply
        entry = Entry(reply.data, reply.status, now)
        validate_by(entry, reply.headers, known)
        if spec.respect:
            obey(entry, reply.headers, self._runtime.wall())
            if known is not None and entry.lifetime is None:
                entry.lifetime, entry.revalidate, entry.if_error = known.lifetime, known.revalidate, known.if_error
        fresh_for = lifetime(entry, spec)
        if fresh_for > 0 or entry.etag or entry.modified or kept_for(entry, spec) > 0:
            self._put(key, entry)
        return Reply(reply.data, reply.status, reply.headers, fresh_until=now + fresh_for if fresh_for > 0 else None)

    def _put(self, key: Key, entry: Entry) -> None:
        """Keeps an entry, once for all who shared its request, and shares it."""
        known = self._store.get(key)
        if known is not None and known.data is entry.data and use(known, self._spec, entry.stored) == "fresh":
            return
        entry.key_size = size_of(key)
        self._store.put(key, entry)
        if self._runtime.shared is not None and not self._runtime.tasks.is_closing:
            self._runtime.tasks.spawn(save(self._runtime, key, entry, kept_for(entry, self._spec)), name=f"share {self._state.name}")

    def _refresh(self, key: Key, call: Call, entry: Entry) -> None:
        """Asks anew behind an old answer: once at a time for a key, whoever waits."""
        refreshing, tasks = self._state.refreshing, self._runtime.tasks
        if key in refreshing or tasks.is_closing:
            return
        refreshing.add(key)
        deadline = max(call.deadline, self._runtime.now() + REFRESH)
        tasks.spawn(self._ask_behind(key, replace(call, deadline=deadline, record=Record()), entry), name=f"refresh {self._state.name}")

    async def _ask_behind(self, key: Key, call: Call, entry: Entry) -> None:
        try:
            await self._fetch(key, call, entry)
        except CallFailure:
            return  # the old answer stands while its window lasts; attempts have told their events
        finally:
            self._state.refreshing.discard(key)

    async def _look_elsewhere(self, key: Key, entry: Entry | None) -> Entry | None:
        """The entry that another process has shared, if it is newer than ours."""
        found = await load(self._runtime, key)
        if found is None or (entry is not None and found.stored <= entry.stored):
            return entry
        found.key_size = size_of(key)
        self._store.put(key, found)
        return found

    def _tell(self, record: Record, word: str) -> None:
        record.cache = word  # type: ignore[assignment]
        self._state.cached[word] += 1
        self._runtime.emit(self._told[word])


def conditions_of(entry: Entry, call: Call) -> Headers:
    """What makes the request one for news only; nothing where there is no validator, or the call has conditions of its own."""
    if not (entry.etag or entry.modified) or call.method not in ("GET", "HEAD"):
        return ()
    if any(name in CONDITIONS for name, _ in call.headers):
        return ()
    if entry.etag:
        return (("if-none-match", entry.etag),)
    return (("if-modified-since", entry.modified or ""),)


def validate_by(entry: Entry, headers: tuple[tuple[bytes, bytes], ...], known: Entry | None) -> None:
    """Writes the validators of an answer into its entry, those of the `known` one where a 304 names none."""
    for name, value in headers:
        if name == b"etag" and len(value) < LONGEST_VALIDATOR:
            entry.etag = value.decode("latin-1")
        elif name == b"last-modified" and len(value) < LONGEST_VALIDATOR:
            entry.modified = value.decode("latin-1")
    if known is not None:
        entry.etag, entry.modified = entry.etag or known.etag, entry.modified or known.modified


def cache(spec: Cache, state: UpstreamState) -> Policy:
    """Answers from the store what it can."""

    def wrap(send: Send) -> Send:
        return Cached(spec, state, send).send

    return wrap
