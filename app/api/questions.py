"""An endpoint asked from inside of this process: params and body held to their rules, the plan run, a failure raised."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from app.api.body import Bodies
from app.api.params import Params, compile_params
from app.api.problems import Fault, Problem, verdict
from app.catalog.faults import did_you_mean
from app.catalog.schema import Body, Endpoint
from app.core.answer import Answer
from app.core.asking import Question
from app.core.context import Context
from app.core.data import encode
from app.core.runtime import Runtime
from app.engine.plan import Inputs, Plan
from app.engine.run import run


class Questions:
    """Answers questions by the plans of a service.

    Who asks is the operator's own code: `auth`, `allow` and `limit` are for clients and not asked here, as with
    `merganser call`. Nothing of a client is passed on but the request's id: what a function is told depends on its arguments
    alone, so that what it returns may be cached and shared.
    """

    def __init__(self, plans: Mapping[str, Plan], runtime: Runtime) -> None:
        self._plans, self._runtime = plans, runtime
        self._binders: dict[str, tuple[Params, Bodies]] = {}  # of endpoints that have been asked: few are

    async def ask(self, question: Question) -> Answer:
        """The answer, partial or whole, at the latest at the endpoint's deadline or `until`. Problem says what was wrong, or failed."""
        plan = self._plan(question.endpoint)
        inputs = self._inputs(plan, question)
        runtime = self._runtime
        answer = await run(plan, inputs, runtime, deadline=min(runtime.now() + plan.spec.deadline, question.until))
        if (problem := verdict(plan, answer)) is not None:
            raise problem
        return answer

    def _plan(self, name: str) -> Plan:
        plan = self._plans.get(name)
        if plan is None:
            raise Problem(404, f"There is no endpoint '{name}'; {did_you_mean(name, self._plans) or 'there are: ' + ', '.join(self._plans)}.")
        if plan.spec.proxy is not None:
            raise Problem(405, f"'{name}' is a proxy: it passes bytes through and has no answer of its own.")
        return plan

    def _inputs(self, plan: Plan, question: Question) -> Inputs:
        spec = plan.spec
        if faults := [_unknown(name, spec) for name in question.params if name not in spec.params]:
            raise Problem(422, errors=faults)
        if plan.name not in self._binders:
            self._binders[plan.name] = compile_params(spec), Bodies(spec.body or Body())
        params, bodies = self._binders[plan.name]
        values = params.bind_json(question.params)
        body, faults = bodies.taken(b"" if question.body is None else encode(question.body))
        if faults:
            raise Problem(422, errors=faults)
        return Inputs(values, Context(question.id or uuid.uuid4().hex[:16], spec.method, "127.0.0.1"), body)


def _unknown(name: str, endpoint: Endpoint) -> Fault:
    hint = did_you_mean(name, endpoint.params) or f"there are: {', '.join(endpoint.params) or 'none'}"
    return {"loc": ["params", name], "msg": f"is not a parameter of this endpoint; {hint}", "type": "unknown"}
