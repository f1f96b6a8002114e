"""A subscriber that keeps the client rules while it reads: it rebuilds the state and fails where the chain of offsets breaks."""

from __future__ import annotations

import asyncio
from typing import Any

from app.core.context import Context
from app.engine.plan import Inputs
from app.live.events import Complete, Ended, Event, Failed, Part, Position, Update
from app.live.hub import Hub
from tests.fakes.plans import Bench


class Subscriber:
    """Reads one subscription in a task of its own; `state`, `sources`, `events` are what it has seen."""

    def __init__(self, hub: Hub, bench: Bench, params: dict[str, Any] | None = None, *, context: Context | None = None, **options: Any) -> None:
        inputs = Inputs(params or {}, context or Context("r1"))
        self.subscription = hub.subscribe(bench.plan, inputs, **options)
        self.state: Any = {}
        self.sources: dict[str, str] = {}
        self.events: list[Event] = []
        self.at = self.subscription.offset
        self.phase = "syncing"
        self.task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        while self.phase != "ended":
            self.take(await self.subscription.next())

    def take(self, event: Event) -> None:
        """Takes one event by the rules."""
        self.events.append(event)
        if isinstance(event, Part):
            assert self.phase == "syncing"
            assert event.name not in [e.name for e in self.events[:-1] if isinstance(e, Part)], "a part comes once"
            self.state[event.name] = event.data.value
        elif isinstance(event, Complete):
            assert self.phase == "syncing"
            assert all(e.offset <= event.offset for e in self.events if isinstance(e, Part)), "complete covers every part"
            if event.data is not None:
                self.state = event.data.value
            self.at, self.phase = event.offset, "live" if event.live else "ended"
        elif isinstance(event, Update):
            assert self.phase == "live"
            assert event.prev == self.at < event.offset, "an unbroken chain"
            if event.parts is not None:
                assert event.parts or event.sources, "an update says something"
                self.state |= {name: data.value for name, data in event.parts.items()}
            elif event.whole is not None:
                self.state = event.whole.value
            self.at = event.offset
        else:
            self.phase = "ended"
        if isinstance(event, Part | Complete | Update):
            self.sources |= {name: outcome.status for name, outcome in event.sources.items()}

    def of(self, kind: type) -> list[Any]:
        """Its events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def position(self) -> Position:
        """What it would resume from."""
        return Position(self.subscription.epoch, self.at)

    @property
    def end(self) -> Failed | Ended | None:
        """How it ended, where that was no `complete`."""
        last = self.events[-1] if self.events else None
        return last if isinstance(last, Failed | Ended) else None

    def leave(self) -> None:
        """Closes the subscription."""
        self.task.cancel()
        self.subscription.close()


async def passes(seconds: float) -> None:
    """Lets (virtual) time pass."""
    await asyncio.sleep(seconds)
