"""A plan: an endpoint compiled at start-up, its calls and who waits for whom; data, and immutable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from app.catalog.schema import CallSpec, Endpoint, Forward, Param
from app.core.call import Call, Record, Send
from app.core.context import Context
from app.core.data import Data
from app.core.scope import Scope
from app.expressions.expression import Expression
from app.policies.stack import Stack


class Inputs(Struct):
    """What one request brings: typed params (null where not given), its body, and who asks how."""

    params: dict[str, Any]
    context: Context
    body: Data | None = None


Prepare = Callable[[Scope, Context, Record, float], Call]
"""Makes the request of a step: scope, context, record, deadline. Raises ExpressionFailed."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the plan. `needs`: calls whose data it names; `after`: calls that it only follows.

    `forward` is there where the call's own differs from the endpoint's and its expressions read `request`. `validate` gives
    the JSON pointer and message of the first fault, or None. `every` is the interval in live mode, seconds.
    """

    name: str
    spec: CallSpec
    method: str
    needs: tuple[str, ...]
    after: tuple[str, ...]
    required: bool
    prepare: Prepare
    send: Send
    stack: Stack
    when: Expression | None = None
    each: Expression | None = None
    select: Expression | None = None
    fallback: Callable[[Scope], Data] | None = None
    forward: Forward | None = None
    validate: Callable[[Any], tuple[str, str] | None] | None = None
    every: float | None = None

    @property
    def asks_anyway(self) -> bool:
        """Whether it runs although time is up: a cache, or an empty list, needs nobody's answer."""
        return self.each is not None or "cache" in self.stack.names

    def __repr__(self) -> str:
        waits = ", ".join([*self.needs, *(f"after {name}" for name in self.after)])
        return f"<Step {self.name} {self.method} {self.spec.upstream}{f' <- {waits}' if waits else ''}>"


@dataclass(frozen=True, slots=True)
class Part:
    """One top-level key of the data: the calls that it needs, and how its value is made of the scope."""

    name: str
    needs: tuple[str, ...]
    render: Callable[[Scope], Data]


@dataclass(frozen=True, slots=True)
class Uses:
    """What an endpoint uses of the client that asks: the identity in a topic's name.

    `headers`: forwarded names, lower case; `claims`: names of claims; `"*"` stands for all. `request`: fields of `request`.
    """

    headers: frozenset[str] = frozenset()
    claims: frozenset[str] = frozenset()
    request: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """An endpoint, compiled. `parts` is None where the answer has no fixed keys: then `whole` makes it.

    `reads`: every name that an expression of the endpoint reads. `proxy` endpoints have no steps and no parts.
    """

    name: str
    spec: Endpoint
    steps: tuple[Step, ...]
    parts: tuple[Part, ...] | None
    whole: Callable[[Scope], Data] | None = None
    allow: Expression | None = None
    uses: Uses = field(default_factory=Uses)
    reads: frozenset[str] = frozenset()
    first: tuple[Step, ...] = field(init=False)
    followers: Mapping[str, tuple[Step, ...]] = field(init=False)
    waits: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Draws the graph: who starts at once, who follows whom, how many each waits for."""
        before = {step.name: set(step.needs) | set(step.after) for step in self.steps}
        followers = {name: tuple(s for s in self.steps if name in before[s.name]) for name in before}
        object.__setattr__(self, "first", tuple(s for s in self.steps if not before[s.name]))
        object.__setattr__(self, "followers", followers)
        object.__setattr__(self, "waits", {name: len(names) for name, names in before.items()})

    @property
    def method(self) -> str:
        """The endpoint's method, upper case."""
        return self.spec.method

    @property
    def route(self) -> str:
        """The endpoint's path with its `{params}`."""
        return self.spec.route

    @property
    def params(self) -> Mapping[str, Param]:
        """Declared params, those of the path that are not listed included."""
        return self.spec.params

    @property
    def is_live(self) -> bool:
        """Whether it goes on after `complete`."""
        return self.spec.live is not None

    def __repr__(self) -> str:
        return f"<Plan {self.name}: {', '.join(repr(s) for s in self.steps) or 'proxy'}>"
