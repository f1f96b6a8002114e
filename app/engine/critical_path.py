"""What an answer waited for: the chain of calls that decided its time, and how much later each other call could have ended.

The critical path method (Kelley and Walker, 1959) over what was measured: nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.core.outcome import Outcome
from app.engine.plan import Plan


def critical_path(plan: Plan, outcomes: Mapping[str, Outcome]) -> list[str]:
    """The names of the calls on it, first to last; empty where no call has settled."""
    before = {step.name: [name for name in (*step.needs, *step.after) if name in outcomes] for step in plan.steps}
    path: list[str] = []
    candidates = list(outcomes)
    while candidates:
        latest = max(candidates, key=lambda name: (outcomes[name].ended, outcomes[name].started))
        path.append(latest)
        candidates = before[latest]
    return path[::-1]


def slack(plan: Plan, outcomes: Mapping[str, Outcome]) -> dict[str, float]:
    """By call, the seconds by which it could have ended later without making the answer any later."""
    end = max((outcome.ended for outcome in outcomes.values()), default=0.0)
    latest: dict[str, float] = {}
    for name in sorted(outcomes, key=lambda name: outcomes[name].ended, reverse=True):
        followers = [outcomes[step.name] for step in plan.followers.get(name, ()) if step.name in outcomes]
        latest[name] = min((latest[f.name] - (f.ended - f.started) for f in followers if f.name in latest), default=end)
    return {name: max(0.0, latest[name] - outcomes[name].ended) for name in outcomes}
