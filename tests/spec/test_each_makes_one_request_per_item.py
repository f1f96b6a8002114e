"""The promise: `each` asks once per item, a few at once, equal requests once, and keeps the order of the list."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.problems import verdict
from app.core.data import NULL, Data
from app.core.errors import Overloaded, TimedOut
from app.core.events import SchemaDrifted
from app.core.reply import Reply
from tests.fakes.plans import Bench, Script, kinds, status, statuses
from tests.fakes.virtual_time import run_virtual

pytestmark = pytest.mark.virtual_time
IDS: dict[str, Any] = {"ids": {"in": "query", "type": "array"}}


def bench_of(script: Script, **keys: Any) -> Bench:
    calls = {"a": {"path": "/item/{item}", "each": "ids", **keys}, "b": "/b"}
    return Bench({"deadline": "30s", "params": IDS, "calls": calls}, script)


async def test_the_list_is_in_input_order_whoever_answers_first() -> None:
    """Not in order of arrival."""
    bench = bench_of(Script({"/item/1": "one", "/item/2": "two"}, {"/item/1": 0.5, "/item/2": 0.1}))
    answer = await bench.run({"ids": [1, 2]})
    assert answer.outcomes["a"].data.value == ["one", "two"]


async def test_at_most_concurrency_requests_at_once() -> None:
    """And as many as that."""
    script = Script(delays={f"/item/{n}": 0.1 for n in range(9)})
    await bench_of(script, concurrency=3).run({"ids": list(range(9))})
    assert script.peak in (3, 4), "three of `each` and one beside"


async def test_failed_items_are_null_and_the_call_partial() -> None:
    """The error is that of the first in the list; attempts are the sum."""
    script = Script({"/item/2": status(404), "/item/3": status(500), "/item/1": "one"}, {"/item/2": 0.5})
    answer = await bench_of(script).run({"ids": [1, 2, 3]})
    found = answer.outcomes["a"]
    assert (found.status, found.attempts, found.http_status) == ("partial", 3, 404)
    assert found.data.value == ["one", None, None]
    assert not answer.complete


async def test_the_status_is_told_whenever_the_upstream_answered() -> None:
    """Also where the items that failed got no answer."""
    answer = await bench_of(Script({"/item/1": TimedOut(), "/item/2": "two"})).run({"ids": [1, 2]})
    found = answer.outcomes["a"]
    assert (found.status, found.http_status) == ("partial", 200)
    assert found.error is not None
    assert found.error.type == "timeout"


async def test_when_all_items_fail_the_call_fails() -> None:
    """No list of nulls."""
    script = Script({"/item/1": status(500), "/item/2": status(503)})
    answer = await bench_of(script).run({"ids": [1, 2]})
    assert statuses(answer)["a"] == "failed"
    assert answer.outcomes["a"].attempts == 2


async def test_too_many_items_fail_before_any_request() -> None:
    """With `limit`."""
    script = Script()
    answer = await bench_of(script, max_items=2).run({"ids": [1, 2, 3]})
    assert kinds(answer) == {"a": "limit"}
    assert len(script.calls) == 1


@pytest.mark.parametrize("ids", [None, []])
async def test_an_empty_or_null_list_is_an_empty_list(ids: list[int] | None) -> None:
    """Without a request."""
    answer = await bench_of(Script()).run({"ids": ids})
    assert answer.outcomes["a"].data.value == []
    assert answer.complete


@given(st.lists(st.integers(0, 6), max_size=30), st.integers(1, 5), st.sets(st.integers(0, 6)))
def test_every_list_comes_back_in_its_order_with_one_request_per_distinct_item(ids: list[int], width: int, bad: set[int]) -> None:
    """For any list, any concurrency and any failing items."""
    script = Script({f"/item/{n}": status(500) if n in bad else n * n for n in range(7)}, {f"/item/{n}": 0.01 * n for n in range(7)})

    async def go() -> None:
        answer = await bench_of(script, concurrency=width).run({"ids": ids})
        expected = [None if n in bad else n * n for n in ids]
        found = answer.outcomes["a"]
        if ids and all(n in bad for n in ids):
            assert found.status == "failed"
        else:
            assert found.data.value == expected
        for n in set(ids):
            assert script.asked(f"/item/{n}") == 1
        assert script.open == 0

    run_virtual(go())


async def test_data_that_nothing_looks_into_is_not_decoded() -> None:
    """Numbers keep their spelling."""

    class Raw(Script):
        def _reply(self, call: Any) -> Reply:
            return Reply(Data.of_raw(b'{"n": 1.000}'), 200)

    answer = await bench_of(Raw()).run({"ids": [1, 2]})
    assert answer.outcomes["a"].data.raw == b'[{"n": 1.000},{"n": 1.000}]'


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([status(404), status(404)], 404), ([status(404), status(500)], 502), ([TimedOut(), status(500)], 502),
        ([TimedOut(), TimedOut()], 504), ([Overloaded(), Overloaded()], 503), ([Overloaded(), TimedOut()], 504),
    ],
)  # fmt: skip
@pytest.mark.parametrize("turned", [False, True])
async def test_where_all_items_failed_the_status_is_that_of_all(answers: list[Any], expected: int, turned: bool) -> None:
    """Whatever the order of the list; a status is passed on where every item came to it, also to who names the call."""
    script = Script({f"/item/{n}": answer for n, answer in enumerate(reversed(answers) if turned else answers)})
    calls = {"a": {"path": "/item/{item}", "each": "ids", "required": True, "pass_status": [404]}}
    bench = Bench({"deadline": "30s", "params": IDS, "calls": calls}, script)
    problem = verdict(bench.plan, await bench.run({"ids": [0, 1]}))
    assert problem is not None
    assert problem.status == expected
    named = {"a": {"path": "/item/{item}", "each": "ids"}, "b": {"path": "/{a[0]}", "required": True, "pass_status": [404]}}
    bench = Bench({"deadline": "30s", "params": IDS, "calls": named}, script)
    problem = verdict(bench.plan, await bench.run({"ids": [0, 1]}))
    assert problem is not None
    assert problem.status == expected


async def test_items_that_failed_break_no_schema() -> None:
    """The schema speaks of data."""
    schema = {"type": "array", "items": {"type": "string"}}
    script = Script({"/item/1": "one", "/item/2": status(500)})
    answer = await bench_of(script, schema=schema, validate="enforce").run({"ids": [1, 2]})
    assert (answer.outcomes["a"].status, answer.outcomes["a"].data.value) == ("partial", ["one", None])


class Absent(Script):
    """An upstream that answers 404 where its table says null, which `null_on` asks for."""

    def _reply(self, call: Any) -> Reply:
        reply = super()._reply(call)
        return Reply(NULL, 404) if reply.data.is_null else reply


TEXTS = {"type": "array", "items": {"type": ["string", "object"], "properties": {"n/o": {"type": "string"}}}}
ANSWERS = {"/item/0": None, "/item/1": "one", "/item/2": {"n/o": 2}, "/item/3": status(500)}


@pytest.mark.parametrize("ids", [[0, 1], [1, 0, 1], [0]])
async def test_a_null_that_was_asked_for_breaks_no_schema(ids: list[int]) -> None:
    """As that of a single call: `null_on` says that it is no fault."""
    answer = await bench_of(Absent(ANSWERS), schema=TEXTS, validate="enforce", null_on=[404]).run({"ids": ids})
    found = answer.outcomes["a"]
    assert (found.status, found.data.value) == ("ok", [None if n == 0 else "one" for n in ids])


@pytest.mark.parametrize(("ids", "where"), [([0, 3, 1, 2], "/3/n~1o"), ([1, 2], "/1/n~1o"), ([3, 1, 1, 1, 1], "/")])
async def test_what_breaks_the_schema_is_named_by_its_place_in_the_list(ids: list[int], where: str) -> None:
    """Whatever was left out before it; in the failure and in the log."""
    keys: dict[str, Any] = {"schema": {**TEXTS, "maxItems": 3}, "null_on": [404]}
    answer = await bench_of(Absent(ANSWERS), validate="enforce", **keys).run({"ids": ids})
    error = answer.outcomes["a"].error
    assert error is not None
    assert error.detail.endswith(f"'{where}'")
    bench = bench_of(Absent(ANSWERS), validate="warn", **keys)
    await bench.run({"ids": ids})
    assert [event.where or "/" for event in bench.events if isinstance(event, SchemaDrifted)] == [where]
