"""The promise: a key is equal exactly when a call would make equal requests."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.context import Context
from app.core.data import Data
from app.core.scope import Scope
from app.engine.request import request_key
from tests.fakes.plans import Bench

pytestmark = pytest.mark.virtual_time


def key(spec: dict[str, Any], **scope: Any) -> Any:
    bench = Bench({"params": {"p": {"in": "query"}, "q": {"in": "query"}}, "calls": {"a": {"path": "/a", **spec}}})
    return request_key(bench.plan.steps[0], Scope({name: Data.of(value) for name, value in scope.items()}), Context("r1"))


async def test_what_the_request_does_not_name_changes_nothing() -> None:
    """Only what it is made of counts."""
    assert key({"path": "/a/{p}"}, p=1, q=1) == key({"path": "/a/{p}"}, p=1, q=2)
    assert key({"path": "/a/{p}"}, p=1) != key({"path": "/a/{p}"}, p=2)


async def test_a_call_that_cannot_be_made_has_a_key_too() -> None:
    """Skipped, or not computable; another than when it can."""
    assert key({"when": "p"}, p=False) == ("skipped",)
    assert key({"path": "/a/{p}"}, p=None) != key({"path": "/a/{p}"}, p=1)


async def test_the_key_of_each_is_that_of_its_requests_in_order() -> None:
    """A list in another order is another request."""
    spec = {"path": "/a/{item}", "each": "p"}
    assert key(spec, p=[1, 2]) == key(spec, p=[1, 2])
    assert key(spec, p=[1, 2]) != key(spec, p=[2, 1])
    assert key(spec, p=None) == ()
