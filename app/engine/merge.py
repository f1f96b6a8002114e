"""From settled calls to an answer: parts in declared order, on partial answers too."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from app.core.answer import Answer, joined
from app.core.data import Data
from app.core.outcome import Outcome
from app.core.scope import Scope
from app.engine.plan import Part, Plan
from app.expressions.tree import Tree

_top_level = msgspec.json.Decoder(dict[str, msgspec.Raw])


def answer(plan: Plan, scope: Scope, outcomes: Mapping[str, Outcome], began: float) -> Answer:
    """The answer that all calls have settled into. It failed where every call failed, the skipped ones aside."""
    declared = {step.name: outcomes[step.name] for step in plan.steps}
    asked = [o for o in declared.values() if o.status != "skipped"]
    if asked and all(o.status == "failed" for o in asked):
        return Answer(declared, failed=True, began=began)
    if plan.parts is None:
        assert plan.whole is not None  # noqa: S101 - a plan has parts or a whole
        return Answer(declared, whole=plan.whole(scope), began=began)
    return Answer(declared, parts={part.name: part.render(scope) for part in plan.parts}, began=began)


def ready(plan: Plan, settled: Collection[str]) -> list[Part]:
    """The parts whose calls have all settled; none where the answer has no fixed keys."""
    return [part for part in plan.parts or () if all(name in settled for name in part.needs)]


def call_part(name: str) -> Part:
    """The part that is one call's data, null where it failed."""
    return Part(name, (name,), lambda scope: _data(scope, name))


def tree_part(name: str, tree: Tree, calls: Collection[str], on_null: Callable[[str], None]) -> Part:
    """The part that a template of `response` makes."""
    return Part(name, tuple(c for c in calls if c in tree.names), lambda scope: tree.data_or_null(scope, on_null))


def overlay(names: list[str]) -> Callable[[Scope], Data]:
    """`{merge: [a, b]}`: the calls' objects laid over one another at the top level, later ones win; what is no object adds nothing."""

    def render(scope: Scope) -> Data:
        merged: dict[str, Data] = {}
        for name in names:
            raw = _data(scope, name).raw
            if raw.lstrip()[:1] == b"{":
                merged |= {key: Data.of_raw(bytes(value)) for key, value in _top_level.decode(raw).items()}
        return Data.of_raw(joined(merged))

    return render


def _data(scope: Scope, name: str) -> Data:
    value: Any = dict.get(scope, name)
    return value if isinstance(value, Data) else Data.of(value)
