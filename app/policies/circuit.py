"""The decisions of a circuit breaker: when it opens, when one probe may go, what closes it."""

from __future__ import annotations

from random import Random
from typing import Literal

from app.catalog.schema_policies import Breaker
from app.policies.rolling import Rolling

State = Literal["closed", "open", "half_open"]
LONGEST = 60.0
"""Seconds: the pause doubles up to here while probes keep failing."""
JITTER = 0.1
"""Pauses are up to so much longer than they should be, so that many processes do not probe at once."""


class Circuit:
    """One origin's. `admit` gives an attempt its ticket; `good`, `bad` or `give_back` takes it in exchange for the verdict.

    A ticket is of an epoch: the verdict of an attempt that began before the state last changed says nothing any more.
    """

    __slots__ = ("_bad", "_epoch", "_good", "_pause", "_random", "_spec", "state", "until")

    def __init__(self, spec: Breaker, random: Random) -> None:
        self._spec = spec
        self._random = random
        self._good = Rolling(spec.window, 10)
        self._bad = Rolling(spec.window, 10)
        self._pause = spec.open
        self._epoch = 0
        self.state: State = "closed"
        self.until = 0.0

    def admit(self, now: float) -> int | None:
        """A ticket for an attempt; None while the upstream is left alone. After the pause the first to ask gets the probe's."""
        if self.state == "closed":
            return self._epoch
        if not self.is_ready(now):
            return None
        self._become("half_open")
        return self._epoch

    def is_ready(self, now: float) -> bool:
        """Whether `admit` would give a ticket."""
        return self.state == "closed" or (self.state == "open" and now >= self.until)

    def retry_after(self, now: float) -> float:
        """Seconds until it is worth asking again."""
        return max(0.0, self.until - now) if self.state == "open" else 1.0

    def good(self, ticket: int, now: float) -> None:
        """The attempt was answered: a good probe closes the circuit."""
        if ticket != self._epoch:
            return
        if self.state == "closed":
            self._good.add(now)
            return
        self._good.clear()
        self._bad.clear()
        self._become("closed")

    def bad(self, ticket: int, now: float) -> None:
        """The attempt failed by the upstream's fault: too many open the circuit, a failed probe doubles the pause."""
        if ticket != self._epoch:
            return
        if self.state == "half_open":
            self._fail_probe(now)
            return
        self._bad.add(now)
        failed = self._bad.total
        total = failed + self._good.count(now)
        if total >= self._spec.minimum and failed >= self._spec.failures * total:
            self._pause = self._spec.open
            self._open(now)

    def broke(self, ticket: int, counted: float, now: float) -> None:
        """An answer whose head was `good` at `counted` broke off in its body: it was bad, and that alone.

        A probe that breaks off within the window, before anything else was good, has failed after all.
        """
        if self.state != "closed" or ticket < self._epoch - 1:
            return
        if ticket == self._epoch:
            self._good.take_back(counted)
        elif now - counted < self._spec.window and not self._good.count(now):
            self._fail_probe(now)
            return
        self.bad(self._epoch, now)

    def give_back(self, ticket: int, now: float) -> None:
        """The attempt says nothing about the upstream: a probe's place goes to the next who asks."""
        if ticket == self._epoch and self.state == "half_open":
            self.until = now
            self._become("open")

    def _fail_probe(self, now: float) -> None:
        self._pause = min(self._pause * 2, max(LONGEST, self._spec.open))
        self._open(now)

    def _open(self, now: float) -> None:
        longer = self._pause * self._random.uniform(1.0, 1.0 + JITTER)
        self.until = now + min(longer, max(LONGEST, self._spec.open))
        self._become("open")

    def _become(self, state: State) -> None:
        self.state = state
        self._epoch += 1

    def __repr__(self) -> str:
        return f"<Circuit {self.state} {self._bad.total} bad, {self._good.total} good, pause {self._pause:g} s>"
