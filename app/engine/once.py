"""One request of a call: through its stack, then `select` and `schema`."""

from __future__ import annotations

from app.core.call import Record
from app.core.context import Context
from app.core.data import NULL, Data
from app.core.errors import SchemaFailed
from app.core.events import SchemaDrifted
from app.core.outcome import Outcome
from app.core.reply import Reply
from app.core.runtime import Runtime
from app.core.scope import Scope
from app.engine.plan import Plan, Step

_NO_CONTENT = 204


async def ask(plan: Plan, step: Step, scope: Scope, context: Context, deadline: float, runtime: Runtime, record: Record, outcome: Outcome) -> None:
    """Makes the request and writes into `outcome` what came of it; raises CallFailure."""
    reply = await step.send(step.prepare(scope, context, record, deadline))
    outcome.data = selected(step, reply)
    if step.validate is not None and not is_asked_null(step, reply):
        check(plan, step, outcome.data, runtime)
    if reply.state == "stale":
        outcome.status, outcome.within_window, outcome.error = "stale", reply.within_window, reply.error
    outcome.fresh_until = reply.fresh_until


def selected(step: Step, reply: Reply) -> Data:
    """What `select` leaves of the body, a JSON null included; where there is none, and for `null_on`, null stays null."""
    if step.select is None or reply.data is NULL or reply.status == _NO_CONTENT or is_asked_null(step, reply):
        return reply.data
    return Data.of(step.select.search(reply.data.value))


def is_asked_null(step: Step, reply: Reply) -> bool:
    """Whether the null stands for a status of `null_on`: no schema speaks of that."""
    return reply.status is not None and reply.status in step.spec.null_on


def check(plan: Plan, step: Step, data: Data, runtime: Runtime) -> None:
    """Holds the data against the call's schema: `warn` tells, `enforce` raises SchemaFailed."""
    if step.validate is None or (fault := step.validate(data.value)) is None:
        return
    where, message = fault
    if step.spec.validation == "enforce":
        raise SchemaFailed(f"data that breaks its schema at '{where or '/'}'", sent=True)
    runtime.emit(SchemaDrifted(plan.name, step.name, where, message))
