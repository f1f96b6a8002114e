"""Where subscribers find their topic: one per endpoint, params and identity, each fetched once and polled once for all.

Topics and the bytes that they keep are bounded: the one that was left longest ago makes room; where none is left, the
newcomer is refused.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from msgspec.structs import replace

from app.core.identity import LEEWAY
from app.core.runtime import Runtime
from app.engine.plan import Inputs, Plan
from app.live.events import Complete, Draining, Ended, Part, Position, Update
from app.live.identity import kept_of_client, topic_key
from app.live.sharing import shared_plans
from app.live.subscription import Notify, Subscription
from app.live.topic import Topic
from app.live.watch import Listen

KEEP = 120.0
"""Seconds that a topic's state is kept after its last subscriber left (as Ably and Socket.IO do): time to resume."""


@dataclass(slots=True)
class Bounds:
    """What all topics together may take."""

    topics: int = 10_000
    bytes: int = 256 * 1024 * 1024


class TooManyTopics(Exception):
    """No room for another topic, and none that nobody listens to."""


class Hub:
    """All topics of the process."""

    def __init__(self, runtime: Runtime, *, listen: Listen | None = None, bounds: Bounds | None = None) -> None:
        self._runtime = runtime
        self._listen = listen
        self._bounds = bounds or Bounds()
        self._topics: dict[bytes, Topic] = {}
        self._private: dict[Topic, None] = {}
        self._shared_plans: dict[str, tuple[Plan, Plan]] = {}
        self._idle: dict[Topic, asyncio.TimerHandle] = {}
        self._bytes = 0
        self._is_draining = False
        self._deliveries = self._conflated = self._resumed = self._refused = 0

    # --- for subscribers

    def subscribe(
        self,
        plan: Plan,
        inputs: Inputs,
        *,
        live: bool = True,
        min_interval: float = 0.0,
        resume: Position | None = None,
        resumes: bool | None = None,
        expires: float | None = None,
        notify: Notify | None = None,
    ) -> Subscription:
        """Joins the topic of an endpoint, its params and what it uses of the client. Raises TooManyTopics.

        `live`: updates are wanted; without, or where the endpoint is not live, `complete` is the last event.
        `min_interval`: seconds between updates, at least. `resume`: where the client stands; `resumes` says that it asked to
        even if its position cannot be read. `expires`: when its credential does, on the wall clock; of one that is past that
        and still holds, because clocks differ, the subscription ends where the leeway does.
        """  # fmt: skip
        topic = self._topic(plan, inputs)
        asked = resume is not None if resumes is None else resumes
        recovered = topic.state.epoch == resume.epoch and resume.offset <= topic.state.top if resume is not None else False
        topic.prepare()
        subscription = Subscription(
            topic, live=live and plan.is_live, min_interval=min_interval, recovered=recovered if asked else None,
            base=resume.offset if recovered and resume is not None else 0, notify=notify,
        )  # fmt: skip
        topic.join(subscription)
        self._end_idling(topic)
        self._resumed += recovered
        self._admit(subscription, expires)
        return subscription

    def once(self, plan: Plan, inputs: Inputs, *, expires: float | None = None) -> Subscription:
        """One run of the subscriber's own: the same events, nothing shared, never live."""
        topic = Topic(plan, plan, inputs, self._runtime, self, None, None)
        self._private[topic] = None
        topic.prepare()
        subscription = Subscription(topic, live=False, min_interval=0.0, recovered=None, base=0, notify=None)
        topic.join(subscription)
        self._admit(subscription, expires)
        return subscription

    def _admit(self, subscription: Subscription, expires: float | None) -> None:
        if expires is not None:
            left = expires - self._runtime.wall()
            subscription.expires_in(left if left > 0 else left + LEEWAY)
        if self._is_draining and subscription.live and subscription.waits_itself:
            subscription.end(Draining())

    def _topic(self, plan: Plan, inputs: Inputs) -> Topic:
        key = topic_key(plan, inputs)
        if (topic := self._topics.get(key)) is not None:
            return topic
        self._make_room(1)
        if len(self._topics) >= self._bounds.topics or self._bytes >= self._bounds.bytes:
            self._refused += 1
            raise TooManyTopics
        kept = replace(inputs, context=kept_of_client(plan, inputs.context))
        topic = self._topics[key] = Topic(*self._shared(plan), kept, self._runtime, self, key, self._listen)
        return topic

    def _shared(self, plan: Plan) -> tuple[Plan, Plan]:
        """The plan as rounds and as polls of live topics run it: one poll for all processes, where there is a store that they share."""
        if self._runtime.shared is None or not plan.is_live:
            return plan, plan
        if plan.name not in self._shared_plans:
            self._shared_plans[plan.name] = shared_plans(plan, self._runtime.shared, self._runtime)
        return self._shared_plans[plan.name]

    def _make_room(self, more_topics: int) -> None:
        while self._idle and (len(self._topics) + more_topics > self._bounds.topics or self._bytes >= self._bounds.bytes):
            next(iter(self._idle)).stop()

    # --- what topics tell

    def grew(self, topic: Topic, more: int) -> None:
        """Counts; over the bound the longest idle go, and then the topic that grew."""
        if topic.key is None:
            return
        self._bytes += more
        if more > 0 and self._bytes > self._bounds.bytes:
            self._make_room(0)
            if self._bytes > self._bounds.bytes:
                self._refused += 1
                topic.end(Ended("too_many_subscriptions"))

    def emptied(self, topic: Topic) -> None:
        """Its state is kept a while for those who come back."""
        self._idle[topic] = asyncio.get_running_loop().call_later(KEEP, topic.stop)

    def over(self, topic: Topic) -> None:
        """Forgets a topic."""
        self._end_idling(topic)
        self._private.pop(topic, None)
        if topic.key is not None and self._topics.get(topic.key) is topic:
            del self._topics[topic.key]
            self._bytes -= topic.size

    def gave(self, event: Part | Complete | Update) -> None:
        """Counts what was delivered."""
        self._deliveries += 1
        if type(event) is Update:
            self._conflated += event.conflated

    def _end_idling(self, topic: Topic) -> None:
        if (timer := self._idle.pop(topic, None)) is not None:
            timer.cancel()

    # --- for the process

    def drain(self) -> None:
        """Ends every live subscription whose owner waits in `next`, now and from now on; the others are told by their owner."""
        self._is_draining = True
        for topic in list(self._topics.values()):
            for subscription in list(topic.subscribers):
                if subscription.waits_itself and subscription.live:
                    subscription.end(Draining())

    def close(self) -> None:
        """Stops every topic: nothing runs any more."""
        for topic in [*self._topics.values(), *self._private]:
            topic.stop()

    def snapshot(self) -> dict[str, int]:
        """Figures for metrics and the console."""
        return {
            "topics": len(self._topics), "idle_topics": len(self._idle), "bytes": self._bytes,
            "subscriptions": sum(len(topic.subscribers) for topic in [*self._topics.values(), *self._private]),
            "deliveries_total": self._deliveries, "conflated_total": self._conflated,
            "resumed_total": self._resumed, "refused_total": self._refused,
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"<Hub topics={len(self._topics)} idle={len(self._idle)} bytes={self._bytes}>"
