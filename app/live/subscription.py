"""One subscriber's mailbox: not a queue but a place in the topic, from which what it lacks is computed when it can be sent.

So an unsent update is merged with the next by itself, a slow client costs no memory here, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.live.events import Complete, Draining, Ended, Event, Failed

if TYPE_CHECKING:
    from app.live.topic import Round, Topic

_LONGEST_TIMER = 3600.0

Notify = Callable[["Subscription"], None]


class Subscription:
    """Gives events in order: parts, `complete`, updates, or an end. Whoever holds one closes it.

    `offset`: where the client stands, from the start to the latest event given. `recovered`: None where no resume was
    asked. With `notify` the owner is called when there may be something to take; else it waits in `next`.
    """

    def __init__(self, topic: Topic, *, live: bool, min_interval: float, recovered: bool | None, base: int, notify: Notify | None) -> None:
        self.live = live
        self.recovered = recovered
        self.offset = base
        self.epoch = topic.state.epoch
        self.parts = topic.part_names
        self._topic: Topic | None = topic
        self._round: Round | None = topic.round
        self._at = 0
        self._min_interval = min_interval
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._notify = notify
        self._waiter: asyncio.Future[None] | None = None
        self._end: Ended | Draining | None = None

    @property
    def waits_itself(self) -> bool:
        """Whether its owner waits in `next`, and so must be told of the end of the process there."""
        return self._notify is None

    @property
    def has_data(self) -> bool:
        """Whether some call that was made has data by now."""
        return self._topic is not None and any(o.has_data and o.status != "skipped" for o in self._topic.state.sources.values())

    async def next(self) -> Event:
        """Waits for the next event; after the last one (`Failed`, `Ended`, `Draining`, `Complete` that is not live) there is none."""
        while (event := self.take()) is None:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return event

    def take(self) -> Event | None:
        """The next event that there is to send now, None where there is none."""
        if self._topic is None:
            return None
        if self._end is not None:
            end = self._end
            self.close()
            return end
        if self._round is not None:
            return self._take_of_round(self._topic, self._round)
        state = self._topic.state
        if state.top <= self.offset or self._is_early():
            return None
        update = state.update(self.offset)
        self.offset = update.offset
        self._space()
        self._topic.gave(update)
        return update

    def _take_of_round(self, topic: Topic, ongoing: Round) -> Event | None:
        while self._at < len(ongoing.arrived):
            name = ongoing.arrived[self._at]
            self._at += 1
            if topic.state.changed_since(name, self.offset):
                part = topic.state.part(name, ongoing.cut)
                topic.gave(part)
                return part
        if ongoing.cut is None:
            return None
        self._round = None
        if ongoing.failed is not None and not ongoing.arrived:
            self.close()
            return Failed(ongoing.failed)
        return self._complete(topic, ongoing)

    def _complete(self, topic: Topic, ended: Round) -> Complete:
        assert ended.cut is not None  # noqa: S101 - the round is over
        complete = topic.state.completed(ended.cut, self.live, ended.failed)
        self.offset = complete.offset
        topic.gave(complete)
        if complete.live:
            self._space()
        else:
            self.close()
        return complete

    def _space(self) -> None:
        if self._min_interval and self._topic is not None:
            self._not_before = self._topic.now() + self._min_interval

    def _is_early(self) -> bool:
        """Whether `min_interval` holds updates back; if so, sees to it that they are not forgotten."""
        assert self._topic is not None  # noqa: S101 - asked while it is open
        if not self._min_interval or (left := self._not_before - self._topic.now()) <= 0:
            return False
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(left, self._due)
        return True

    def _due(self) -> None:
        self._timer = None
        self.wake()

    def wake(self) -> None:
        """There may be something to take."""
        if self._notify is not None:
            self._notify(self)
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self, end: Ended | Draining) -> None:
        """Ends it from within: its owner takes this event next, and none after it."""
        if self._topic is not None and self._end is None:
            self._end = end
            self.wake()

    def expires_in(self, seconds: float) -> None:
        """Ends it with `unauthorized` then; long times are waited for in steps, since clocks of credentials may be far ahead."""
        loop = asyncio.get_running_loop()
        if seconds <= _LONGEST_TIMER:
            self._expiry = loop.call_later(max(seconds, 0.0), self.end, Ended("unauthorized"))
        else:
            self._expiry = loop.call_later(_LONGEST_TIMER, self.expires_in, seconds - _LONGEST_TIMER)

    def close(self) -> None:
        """Leaves the topic; calls that nobody else waits for are ended. May be called twice."""
        topic, self._topic = self._topic, None
        for handle in (self._timer, self._expiry):
            if handle is not None:
                handle.cancel()
        self._timer = self._expiry = None
        if topic is not None:
            topic.leave(self)

    def __repr__(self) -> str:
        phase = "closed" if self._topic is None else "syncing" if self._round is not None else "live"
        return f"<Subscription {phase} at {self.epoch}.{self.offset}{' not live' if not self.live else ''}>"
