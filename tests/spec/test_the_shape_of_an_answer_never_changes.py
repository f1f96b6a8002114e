"""The promise: `response` is evaluated on partial answers too; keys and their order are those of the catalog."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.events import ExpressionNulled
from app.engine.merge import ready
from tests.fakes.plans import Bench, Script, status
from tests.fakes.virtual_time import run_virtual

pytestmark = pytest.mark.virtual_time


async def test_failed_calls_are_null_in_the_response() -> None:
    """The other values are there, no key goes missing."""
    bench = Bench(
        {"calls": {"a": "/a", "b": "/b"}, "response": {"x": "{a.n}", "y": "{b.n}", "z": {"deep": ["{b.list[0]}"]}}},
        Script({"/a": {"n": 1}, "/b": status(500)}),
    )
    answer = await bench.run()
    assert answer.data.value == {"x": 1, "y": None, "z": {"deep": [None]}}


async def test_an_expression_that_cannot_be_computed_is_null_and_counted() -> None:
    """It fails no call."""
    bench = Bench({"calls": {"a": "/a"}, "response": {"x": "{sum(a.n)}", "y": "{a.n}"}}, Script({"/a": {"n": "text"}}))
    answer = await bench.run()
    assert answer.data.value == {"x": None, "y": "text"}
    assert answer.complete
    assert [e for e in bench.events if isinstance(e, ExpressionNulled)]


async def test_a_part_is_ready_when_the_calls_it_needs_have_settled() -> None:
    """Failed ones too; a part that needs none is ready at once."""
    bench = Bench({"calls": {"a": "/a", "b": "/b"}, "response": {"k": 1, "x": "{a.n}", "xy": "{a.n}{b.n}"}}, Script())
    assert [p.name for p in ready(bench.plan, [])] == ["k"]
    assert [p.name for p in ready(bench.plan, ["a"])] == ["k", "x"]
    assert [p.name for p in ready(bench.plan, ["a", "b"])] == ["k", "x", "xy"]


OBJECTS = st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3) | st.none(), max_size=4)


@given(st.lists(OBJECTS | st.none(), min_size=2, max_size=4))
def test_merge_is_a_fold_in_declared_order(objects: list[dict[str, Any] | None]) -> None:
    """Later ones in the list win; a call without data adds nothing; so it is associative and deterministic."""
    names = [f"c{n}" for n in range(len(objects))]
    script = Script({f"/{n}": status(500) if o is None else o for n, o in zip(names, objects, strict=True)})

    async def go() -> None:
        bench = Bench({"calls": {n: {"path": f"/{n}", "fallback": None} for n in names}, "response": {"merge": names}}, script)
        expected: dict[str, Any] = {}
        for one in objects:
            expected |= one or {}
        answer = await bench.run()
        assert json.loads(answer.data.raw) == expected

    run_virtual(go())


async def test_a_response_may_be_one_expression_or_a_constant() -> None:
    """Then the answer has no fixed keys."""
    script = Script({"/a": [{"id": 1}, {"id": 2}]})
    bench = Bench({"calls": {"a": "/a"}, "response": "{a[*].id}"}, script)
    assert (await bench.run()).data.value == [1, 2]
    assert bench.plan.parts is None
