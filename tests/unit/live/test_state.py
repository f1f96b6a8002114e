"""The state of a topic: offsets, and what somebody lacks who stands at one of them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.core.data import Data
from app.core.errors import StatusFailed
from app.core.outcome import Outcome
from app.live.state import State

NAMES = ("a", "b", "c")


def state() -> State:
    return State(fixed=True, part_needs={name: (name,) for name in NAMES})


def settled(name: str, value: Any, status: str = "ok") -> Outcome:
    error = StatusFailed(500) if status in ("stale", "failed") else None
    return Outcome(name, status, 0.0, 0.0, Data.of(value), error=error, within_window=False)  # type: ignore[arg-type]


def commit(one: State, **values: Any) -> bool:
    return one.commit({n: Data.of(v) for n, v in values.items()}, None, [settled(n, v) for n, v in values.items()], complete=True)


def test_only_news_makes_a_new_offset() -> None:
    """Equal data at the same standing leaves the state as it is."""
    one = state()
    assert commit(one, a={"x": 1, "y": 2})
    assert not commit(one, a={"y": 2, "x": 1})
    assert one.top == 1


def test_another_status_is_news_without_data() -> None:
    """A call that turns stale is told, with no part."""
    one = state()
    commit(one, a=1)
    assert one.commit({"a": Data.of(1)}, None, [settled("a", 1, "stale")], complete=False)
    update = one.update(1)
    assert update.parts == {}
    assert update.sources["a"].status == "stale"
    assert not update.complete


def test_an_update_holds_what_changed_since_the_offset_of_its_reader() -> None:
    """Unsent changes come as one, counted."""
    one = state()
    commit(one, a=1, b=1, c=1)
    commit(one, a=2)
    commit(one, b=2)
    commit(one, a=3)
    update = one.update(1)
    assert {name: data.value for name, data in (update.parts or {}).items()} == {"a": 3, "b": 2}
    assert (update.prev, update.offset, update.conflated) == (1, 4, 2)
    assert set(update.sources) == {"a", "b"}


def test_readers_at_the_same_offset_share_one_event() -> None:
    """So that it is encoded once."""
    one = state()
    commit(one, a=1)
    commit(one, a=2)
    assert one.update(1) is one.update(1)


def test_a_part_that_changed_after_the_cut_does_not_claim_a_later_state() -> None:
    """`complete` covers every part before it, and the update after it says the rest again."""
    one = state()
    commit(one, a=1)
    commit(one, b=1)
    commit(one, a=2)
    assert one.part("a", 2).offset == 2
    assert one.part("a", 2).data.value == 2
    assert set(one.update(2).parts or {}) == {"a"}


def test_a_part_says_how_its_calls_stand_now() -> None:
    """Whoever comes later is told what `complete` will say, whenever the data last changed."""
    one = state()
    commit(one, a=1, b=1)
    assert one.part("a", 1).sources["a"].status == "ok"
    one.commit({}, None, [settled("a", 1, "stale")], complete=False)
    assert one.part("a", 2).sources["a"].status == "stale"
    assert (one.part("a", 2).offset, one.part("a", 1).offset) == (1, 1)
    one.conclude(None, [settled("a", 1)], complete=True)
    assert one.part("a", 2).sources["a"].status == "ok"


def test_a_part_is_one_event_until_something_about_it_changes() -> None:
    """So that it is encoded once for all who come."""
    one = state()
    commit(one, a=1, b=1)
    told = one.part("a", 1)
    commit(one, b=2)
    assert one.part("a", 2) is told
    assert one.part("a", None) is told
    one.commit({}, None, [settled("a", 1, "stale")], complete=False)
    assert one.part("a", 3) is not told
    assert one.part("a", 3) is one.part("a", None)


def test_the_end_of_a_round_makes_no_offset_of_its_own() -> None:
    """`complete` names all calls anyway; only a new whole is a new state."""
    one = state()
    commit(one, a=1)
    one.conclude(None, [settled("c", 1)], complete=True)
    assert one.top == 1
    assert set(one.completed(1, live=True).sources) == {"a", "c"}
    whole = State(fixed=False, part_needs={})
    whole.conclude(Data.of([1]), [settled("a", [1])], complete=True)
    assert whole.top == 1
    assert whole.completed(1, live=True).data is not None


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 3), st.booleans()), max_size=40))
def test_whoever_reads_whenever_ends_with_the_newest_state(steps: list[tuple[str, int, bool]]) -> None:
    """A reader that takes an update now and then rebuilds exactly the state, over an unbroken chain of offsets."""
    one, truth, reader, at = state(), {}, {}, 0
    for name, value, reads in steps:
        commit(one, **{name: value})
        truth[name] = value
        if reads and one.top > at:
            update = one.update(at)
            assert update.prev == at < update.offset
            reader |= {n: d.value for n, d in (update.parts or {}).items()}
            at = update.offset
    if one.top > at:
        reader |= {n: d.value for n, d in (one.update(at).parts or {}).items()}
    assert reader == truth
