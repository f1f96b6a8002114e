"""Plans over scripted upstreams, without a network: what a call is answered is a line of a table."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.catalog.schema import Catalog, Upstream
from app.core.answer import Answer
from app.core.call import Call
from app.core.context import Context
from app.core.data import Data
from app.core.errors import CallFailure, StatusFailed, TimedOut
from app.core.events import Event
from app.core.reply import Reply
from app.core.runtime import Runtime
from app.core.tasks import Tasks
from app.engine.compile import Wired, compile_plan
from app.engine.plan import Inputs, Plan
from app.engine.run import OnSettled, run
from app.policies.stack import open_state
from app.policies.store import Store


@dataclass
class Script:
    """An upstream that answers by its table: a value, a status, a failure, or a function of the call; `after` seconds."""

    answers: dict[str, Any] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    cancelled: Counter[str] = field(default_factory=Counter)
    open: int = 0
    peak: int = 0

    async def send(self, call: Call) -> Reply:
        """The innermost service."""
        self.calls.append(call)
        call.record.attempts += 1
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            await self._wait(call)
        except asyncio.CancelledError:
            self.cancelled[call.target] += 1
            raise
        finally:
            self.open -= 1
        return self._reply(call)

    async def _wait(self, call: Call) -> None:
        now = asyncio.get_running_loop().time
        ends = now() + self.delays.get(call.target, 0.0)
        limit = min(call.expires, call.deadline)
        await asyncio.sleep(max(0.0, min(ends, limit) - now()))
        if ends > limit:
            raise TimedOut

    def _reply(self, call: Call) -> Reply:
        answer = self.answers.get(call.target, {"target": call.target})
        if isinstance(answer, Callable):  # type: ignore[arg-type]
            answer = answer(call)
        if isinstance(answer, CallFailure):
            call.record.http_status = answer.http_status
            raise answer
        call.record.http_status = 200
        return Reply(Data.of(answer), 200)

    def asked(self, target: str) -> int:
        """How often that target was asked."""
        return sum(call.target == target for call in self.calls)


def status(code: int) -> StatusFailed:
    """An upstream's answer that is no success."""
    return StatusFailed(code)


class Bench:
    """A plan, its scripted upstream and a runtime."""

    def __init__(self, endpoint: dict[str, Any], script: Script | None = None, upstream: dict[str, Any] | None = None) -> None:
        self.script = script or Script()
        self.events: list[Event] = []
        self.faults: list[BaseException] = []
        loop = asyncio.get_running_loop()
        self.runtime = Runtime(Tasks(lambda name, fault: self.faults.append(fault)), loop.time, self.events.append)
        spec = Upstream.model_validate({"url": "http://up.test", **(upstream or {})})
        calls = {
            name: {"upstream": "u", "coalesce": False, **({"path": c} if isinstance(c, str) else c)} for name, c in endpoint.get("calls", {}).items()
        }
        self.catalog = Catalog.model_validate({"upstreams": {}, "endpoints": {"x": {"get": "/x", **endpoint, "calls": calls}}})
        state = open_state("u", spec, self.runtime, Store(1 << 20))
        wired = Wired(spec, self.script.send, state, None)
        self.plan: Plan = compile_plan("x", self.catalog.endpoints["x"], {"u": wired}, self.runtime)

    async def run(
        self, params: dict[str, Any] | None = None, *, context: Context | None = None, body: Any = None, on_settled: OnSettled | None = None
    ) -> Answer:
        """Runs the plan once."""
        inputs = Inputs(params or {}, context or Context("r1"), None if body is None else Data.of(body))
        return await run(self.plan, inputs, self.runtime, on_settled=on_settled)


def statuses(answer: Answer) -> dict[str, str]:
    """The status of every source."""
    return {name: outcome.status for name, outcome in answer.outcomes.items()}


def kinds(answer: Answer) -> dict[str, str]:
    """The failure type of every source that has one."""
    return {name: outcome.error.type for name, outcome in answer.outcomes.items() if outcome.error is not None}
