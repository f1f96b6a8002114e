"""The promise: of the client's request only what the catalog forwards goes on, and precedence is upstream < forwarded < own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.context import Context
from app.core.http import HOP_BY_HOP
from app.engine.forwarding import OURS, forwarded_headers
from tests.fakes.plans import Bench, Script

pytestmark = pytest.mark.virtual_time


def context(*headers: tuple[str, str], query: tuple[tuple[str, str], ...] = ()) -> Context:
    return Context("r1", headers=headers, query=query)


async def sent(endpoint: dict[str, Any], asked: Context, upstream: dict[str, Any] | None = None, **params: Any) -> Any:
    script = Script()
    await Bench({"calls": {"a": "/a"}, **endpoint}, script, upstream).run(params, context=asked)
    return script.calls[0]


async def test_nothing_is_forwarded_by_default() -> None:
    """No header, no query."""
    call = await sent({}, context(("cookie", "c"), ("x-a", "1"), query=(("q", "1"),)))
    assert (call.headers, call.target) == ((), "/a")


async def test_headers_are_forwarded_by_name_in_any_case() -> None:
    """Repeated ones stay repeated."""
    call = await sent({"calls": {"a": {"path": "/a", "forward": {"headers": ["X-A"]}}}}, context(("x-a", "1"), ("x-a", "2"), ("x-b", "3")))
    assert call.headers == (("x-a", "1"), ("x-a", "2"))


async def test_the_upstreams_entries_yield_to_forwarded_ones_and_those_to_the_calls() -> None:
    """By name; a null of the call lets the one below show through."""
    calls = {"a": {"path": "/a", "headers": {"X-C": "own", "x-d": "{n}"}, "query": {"c": "own"}, "forward": {"headers": "*", "query": "*"}}}
    upstream = {"headers": {"x-a": "up", "x-b": "up", "x-c": "up", "x-d": "up"}, "query": {"a": "up", "b": "up"}}
    asked = context(("x-b", "client"), ("x-c", "client"), query=(("b", "client"), ("c", "client")))
    call = await sent({"params": {"n": {"in": "query"}}, "calls": calls}, asked, upstream, n=None)
    assert dict(call.headers) == {"x-a": "up", "x-b": "client", "x-c": "own", "x-d": "up"}
    assert call.target == "/a?a=up&b=client&c=own"


async def test_a_header_in_an_expression_is_text_and_a_forwarded_one_its_octets() -> None:
    """UTF-8 where it is, else latin-1; it goes up as UTF-8 again, and as it came where it is forwarded."""
    calls = {"a": {"path": '/a/{request.headers."x-n"}', "headers": {"x-copy": '{request.headers."x-n"}'}, "forward": {"headers": ["x-n"]}}}
    for octets, text in ((b"ma\xc3\xb1ana", "ma%C3%B1ana"), (b"ma\xf1ana", "ma%C3%B1ana")):
        call = await sent({"calls": calls}, context(("x-n", octets.decode("latin-1"))))
        assert {name: value.encode("latin-1") for name, value in call.headers} == {"x-n": octets, "x-copy": b"ma\xc3\xb1ana"}
        assert call.target == f"/a/{text}"


HEADERS = st.lists(st.tuples(st.sampled_from([*sorted(HOP_BY_HOP | OURS), "x-a", "x-b", "accept", "cookie", "x-forwarded-for"]), st.text(max_size=5)))


@given(HEADERS, st.lists(st.sampled_from(["x-a", "connection", "host", "x-forwarded-for", "te", "content-length"])) | st.just("*"))
def test_hop_by_hop_and_our_own_fields_never_pass(headers: list[tuple[str, str]], rule: Any) -> None:
    """Whatever the client sends and the catalog names."""
    for name, _ in forwarded_headers(rule, context(*headers)):
        assert name not in HOP_BY_HOP | OURS
        assert rule == "*" or name in rule
        assert not (rule == "*" and name.startswith("x-forwarded-"))


def test_what_connection_names_is_hop_by_hop() -> None:
    """RFC 9110 section 7.6.1."""
    asked = context(("connection", "close, X-Secret"), ("x-secret", "s"), ("x-a", "1"))
    assert forwarded_headers("*", asked) == (("x-a", "1"),)
