"""A topic: one endpoint, one set of params, one identity; its state, the watch that keeps it true, and who listens.

round     every call runs once; parts arrive, `complete` at its end
polling   each call runs again at its interval: while somebody wants updates, and a little longer
resting   nothing runs; the state is kept for those who come back
over      forgotten by the hub; those who still read from it get to their end
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from app.core.answer import Answer
from app.core.outcome import Outcome
from app.core.runtime import Runtime
from app.engine import merge
from app.engine.plan import Inputs, Plan
from app.engine.run import Progress
from app.live.events import Complete, Draining, Ended, Part, Update
from app.live.state import State
from app.live.subscription import Subscription
from app.live.watch import Listen, Watch

LINGER = 5.0
"""Seconds that polling goes on after the last subscriber left: page changes and short losses cost no new fetch."""

_OVERHEAD = 4096
"""Bytes that a topic costs beside its data, counted so that many small ones have a bound too."""

_PER_VALUE = 512


@dataclass(slots=True, eq=False)
class Round:
    """One time that all calls run: the parts that arrived, in order, and at its end the offset that covers them all."""

    arrived: list[str] = field(default_factory=list)
    cut: int | None = None
    failed: Answer | None = None


class Keeper(Protocol):
    """Who keeps topics: the hub."""

    def grew(self, topic: Topic, more: int) -> None:
        """The topic takes so many bytes more (or fewer)."""
        ...

    def emptied(self, topic: Topic) -> None:
        """Its last subscriber has left."""
        ...

    def over(self, topic: Topic) -> None:
        """Nobody may join it any more."""
        ...

    def gave(self, event: Part | Complete | Update) -> None:
        """A subscriber took an event."""
        ...


class Topic:
    """What live subscribers share: rounds run the `plan`, polls the `polled` one.

    Without a `key` it is a run of one subscriber's own, and ends with it.
    """

    def __init__(self, plan: Plan, polled: Plan, inputs: Inputs, runtime: Runtime, keeper: Keeper, key: bytes | None, listen: Listen | None) -> None:
        self.plan = plan
        self.key = key
        self.now: Callable[[], float] = runtime.now
        self.state = State(plan.parts is not None, {part.name: part.needs for part in plan.parts or ()})
        self.size = 0
        self.subscribers: dict[Subscription, None] = {}
        self.timer: asyncio.TimerHandle | None = None
        self._keeper = keeper
        self._required = frozenset(step.name for step in plan.steps if step.required)
        self._watch = Watch(plan, polled, inputs, runtime, self, listen)
        self._phase: Literal["new", "round", "polling", "resting", "over"] = "new"
        self._ongoing = Round()
        self._in_round: set[str] = set()
        self._unsaid: dict[str, Outcome] = {}
        self._was_complete_once = False
        self._live = 0

    @property
    def gave(self) -> Callable[[Part | Complete | Update], None]:
        """Tells the keeper of an event that a subscriber took."""
        return self._keeper.gave

    @property
    def part_names(self) -> tuple[str, ...]:
        """The names of all parts; none where the answer has no fixed keys."""
        return tuple(part.name for part in self.plan.parts or ())

    @property
    def round(self) -> Round:
        """What a new subscriber reads first: the round that runs, or all there is."""
        return self._ongoing if self._phase in ("new", "round") else Round(self.state.part_names, self.state.top)

    @property
    def _is_over(self) -> bool:
        return self._phase == "over"

    # --- who listens

    def prepare(self) -> None:
        """Before a subscriber joins: calls run where nobody has kept the state true."""
        if self._phase in ("new", "resting"):
            self._phase, self._ongoing, self._in_round = "round", Round(), set()
            self._watch.begin()

    def join(self, subscription: Subscription) -> None:
        """Takes one more, after `prepare`."""
        self.subscribers[subscription] = None
        self._live += subscription.live
        if subscription.live:
            self._stop_timer()

    def leave(self, subscription: Subscription) -> None:
        """One has left; with the last one a round ends at once, polling a little later."""
        if subscription not in self.subscribers:
            return
        del self.subscribers[subscription]
        self._live -= subscription.live
        if self._phase == "polling" and not self._live:
            self._stop_timer()
            self.timer = asyncio.get_running_loop().call_later(LINGER, self._rest)
        if self.subscribers:
            return
        if self.key is None or (self._phase == "round" and not self._was_complete_once):
            self.stop()
        elif self._phase == "round":
            self._phase = "resting"
            self._watch.rest()
        if not self._is_over:
            self._keeper.emptied(self)

    def _rest(self) -> None:
        """Polling ends, unless somebody came back for updates."""
        self.timer = None
        if self._phase == "polling" and not self._live:
            self._phase = "resting"
            self._watch.rest()

    def stop(self) -> None:
        """Ends all that runs and is joined no more; whoever reads from it still can."""
        if self._is_over:
            return
        self._phase = "over"
        self._stop_timer()
        self._watch.rest()
        self._keeper.over(self)

    def end(self, end: Ended | Draining) -> None:
        """Stops, and ends every subscription."""
        for subscription in list(self.subscribers):
            subscription.end(end)
        self.stop()

    def _stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    # --- what the watch tells

    def settled(self, outcome: Outcome, progress: Progress, data_changed: bool) -> None:
        """A call has settled: parts of a round arrive once all their calls have; later each change is news at once."""
        if data_changed or self.state.is_news(outcome):
            self._unsaid[outcome.name] = outcome
        if self._phase == "round":
            self._in_round.add(outcome.name)
            if self._was_complete_once or not self._fails(outcome, progress):
                self._arrive(progress)
        elif outcome.name in self._unsaid:
            self._change(outcome, progress, data_changed)
        if data_changed:
            self._weigh()

    def _arrive(self, progress: Progress) -> None:
        """Parts are news even where equal data was known: whoever starts afresh has none."""
        ready = [part for part in merge.ready(self.plan, self._in_round) if part.name not in self._ongoing.arrived]
        if ready:
            self.state.commit({part.name: part.render(progress.scope) for part in ready}, None, self._said(), self.state.complete)
            self._ongoing.arrived += [part.name for part in ready]
            self._wake()

    def _fails(self, outcome: Outcome, progress: Progress) -> bool:
        """Whether a settling fails the answer: it brings no part then."""
        if outcome.status == "failed" and outcome.name in self._required:
            return True
        asked = [o for o in progress.outcomes.values() if o.status != "skipped"]
        return len(progress.outcomes) == len(self.plan.steps) and bool(asked) and all(o.status == "failed" for o in asked)

    def _change(self, outcome: Outcome, progress: Progress, data_changed: bool) -> None:
        parts, whole = {}, None
        if data_changed and self.plan.whole is not None:
            whole = self.plan.whole(progress.scope)
        elif data_changed:
            parts = {part.name: part.render(progress.scope) for part in self.plan.parts or () if outcome.name in part.needs}
        if self.state.commit(parts, whole, self._unsaid.values(), _is_complete(progress)):
            self._unsaid = {}
            self._wake()

    def concluded(self, failed: Answer | None) -> None:
        """A round is over: `complete` can be told, and polling begins where somebody wants updates."""
        if self._is_over:
            return
        if failed is None:
            progress = self._watch.progress
            whole = self.plan.whole(progress.scope) if self.plan.whole is not None else None
            self.state.conclude(whole, self._said(), _is_complete(progress))
            self._was_complete_once = True
            self._weigh()
            if self._is_over:  # it took too much room
                return
        self._ongoing.cut, self._ongoing.failed = self.state.top, failed
        if failed is not None or self.key is None or not self.plan.is_live:
            self.stop()
        elif self._live:
            self._phase = "polling"
            self._watch.poll()
        else:
            self._phase = "resting"
        self._wake()

    def broke(self) -> None:
        """A fault of ours ended the round."""
        self.end(Ended("internal"))

    def _said(self) -> list[Outcome]:
        outcomes, self._unsaid = list(self._unsaid.values()), {}
        return outcomes

    def _wake(self) -> None:
        for subscription in self.subscribers:
            subscription.wake()

    def _weigh(self) -> None:
        """Counts what it keeps; equal data of a call and of a part is one object, counted once."""
        kept = {id(data): data for data in (*self._watch.datas, *self.state.datas)}
        size = _OVERHEAD + sum(len(data.raw) + _PER_VALUE for data in kept.values())
        more, self.size = size - self.size, size
        if not self._is_over:
            self._keeper.grew(self, more)

    def __repr__(self) -> str:
        return f"<Topic {self.plan.name} {self._phase} {self.state!r} subscribers={len(self.subscribers)} bytes={self.size}>"


def _is_complete(progress: Progress) -> bool:
    return all(outcome.is_complete for outcome in progress.outcomes.values())
