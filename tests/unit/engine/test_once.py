"""`select` is over the decoded body, a JSON null included; where there is no body there is nothing to select from."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.context import Context
from app.core.data import NULL, Data
from app.core.errors import ExpressionFailed
from app.core.reply import Reply
from app.engine.once import selected
from tests.fakes.calls import asking
from tests.fakes.plans import Bench, Script, status
from tests.fakes.upstream import FakeUpstream, always, answer


async def left(select: str, reply: Reply, **call: Any) -> object:
    """What `select` leaves of a reply."""
    (step,) = Bench({"calls": {"a": {"path": "/a", "select": select, **call}}}).plan.steps
    return selected(step, reply).value


@pytest.mark.parametrize(("select", "gives"), [("@ || `[]`", []), ("name", None), ("type(@)", "null")])
async def test_a_body_that_is_null_is_selected_from(select: str, gives: object) -> None:
    """As from any other."""
    assert await left(select, Reply(Data.of_raw(b"null"), 200)) == gives
    assert await left(select, Reply(Data.of(None), None)) == gives


async def test_what_takes_no_null_fails() -> None:
    """An `expression` failure, as with any body that does not fit."""
    with pytest.raises(ExpressionFailed):
        await left("length(@)", Reply(Data.of_raw(b"null"), 200))


async def test_no_body_is_null_whatever_is_selected() -> None:
    """An empty one, a 204, and a status that `null_on` names, also where another process has kept it."""
    assert await left("type(@)", Reply(NULL, 200)) is None
    assert await left("type(@)", Reply(Data.of_raw(b"null"), 204)) is None
    assert await left("type(@)", Reply(Data.of_raw(b"null"), 404), null_on=[404]) is None


@pytest.mark.parametrize(("body", "is_empty"), [(b"", True), (b"null", False)])
async def test_an_empty_body_is_told_from_null(body: bytes, is_empty: bool) -> None:
    """The upstream's reply says which it was."""
    async with FakeUpstream(always(answer(body))) as upstream, asking(upstream.url) as u:
        reply = await u.get()
    assert reply.data.is_null
    assert (reply.data is NULL) is is_empty


async def test_a_fallback_sees_the_request_as_its_call_does() -> None:
    """A call's own `forward` says what of the client's headers its expressions see, all of them."""
    name = 'request.headers."x-user"'
    call = {"path": "/a", "forward": {"headers": ["x-user"]}, "required": False, "when": f"{name} == 'ann'", "fallback": f"{{{name}}}"}
    bench = Bench({"calls": {"a": call}}, Script({"/a": status(500)}))
    answer = await bench.run(context=Context("r1", headers=[("x-user", "ann")]))
    assert (answer.outcomes["a"].status, answer.outcomes["a"].data.value) == ("fallback", "ann")
    only = Bench({"calls": {"a": {key: value for key, value in call.items() if key != "when"}}}, Script({"/a": status(500)}))
    answer = await only.run(context=Context("r1", headers=[("x-user", "ann")]))
    assert answer.outcomes["a"].data.value == "ann"
