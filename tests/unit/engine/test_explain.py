"""The promise: a plan says in words and as a diagram who starts at once, who waits for whom, and the worst-case time."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.explain import describe, mermaid, waves, worst_case
from app.expressions.marks import mark
from tests.fakes.plans import Bench, Script

pytestmark = pytest.mark.virtual_time
CALLS: dict[str, Any] = {
    "a": {"path": "/a", "required": True, "timeout": "200ms"},
    "b": {"path": "/b/{a.n}", "timeout": "300ms"},
    "c": {"path": "/c", "after": ["b"], "timeout": "100ms"},
    "end": {"path": "/e", "each": "a.list", "when": "a.more", "timeout": "100ms", "max_items": 10},
}


async def test_waves_are_the_order_in_which_calls_can_start() -> None:
    """By the longest chain before them."""
    plan = Bench({"calls": CALLS}).plan
    assert [[step.name for step in wave] for wave in waves(plan)] == [["a"], ["b", "end"], ["c"]]


async def test_the_worst_case_is_the_longest_chain_within_the_deadline() -> None:
    """200 + 300 + 100 ms; never over the deadline."""
    assert worst_case(Bench({"deadline": "2s", "calls": CALLS}).plan) == pytest.approx(0.6)
    assert worst_case(Bench({"deadline": "400ms", "calls": CALLS}).plan) == pytest.approx(0.4)
    assert worst_case(Bench({"deadline": "2s", "calls": {"a": "/a"}}).plan) == pytest.approx(2.0)


async def test_a_call_with_each_may_take_as_long_as_all_its_rounds() -> None:
    """8 items, 3 at once, of 200 ms each: three rounds, and what happens is not later than that."""
    calls = {"a": {"path": "/a/{item}", "each": "`[1, 2, 3, 4, 5, 6, 7, 8]`", "max_items": 8, "concurrency": 3, "timeout": "300ms"}}
    bench = Bench({"deadline": "10s", "calls": calls}, Script(delays={f"/a/{n}": 0.2 for n in range(1, 9)}))
    assert worst_case(bench.plan) == pytest.approx(0.9)
    answer = await bench.run()
    assert answer.outcomes["a"].ended - answer.outcomes["a"].started == pytest.approx(0.6)


async def test_the_text_names_every_call_and_what_it_waits_for() -> None:
    """With its stack, in order."""
    text = describe(Bench({"deadline": "2s", "calls": CALLS}).plan)
    assert "worst case 600 ms" in text
    assert "needs a" in text
    assert "after b" in text
    assert text.index("at once:") < text.index("  a: GET u /a  required") < text.index("then:") < text.index("  b: GET u")
    assert "when a.more" in text


async def test_the_diagram_has_an_edge_per_wait_and_no_word_that_mermaid_keeps() -> None:
    """Thick for data, dotted for order."""
    text = mermaid(Bench({"calls": CALLS}).plan)
    assert text.startswith("flowchart LR")
    assert "  request --> a" in text
    assert "  a ==> b" in text
    assert "  b -.-> c" in text
    assert "  a ==> end_" in text


async def test_what_was_substituted_is_not_shown() -> None:
    """`${VAR}` may be a secret, also in a path; the path of GraphQL is shown where nobody wrote one."""
    calls: dict[str, Any] = {"a": {"path": f"/{mark('s3cret')}/x"}, "b": {"graphql": "{x}"}}
    text = describe(Bench({"calls": calls}).plan)
    assert "u /${...}/x" in text
    assert "POST u /graphql" in text
