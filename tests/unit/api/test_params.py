"""Params: from text or JSON to their types, with every fault at once."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.params import Params, compile_params, parse_query
from app.api.problems import Problem
from app.catalog.schema import Endpoint


def query(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    """One declared query parameter."""
    return {name: {"in": "query", "type": kind, **more}}


def declared(params: dict[str, Any], **keys: Any) -> Params:
    """The binder of an endpoint with these params."""
    return compile_params(Endpoint.model_validate({"get": "/x", "params": params, **keys}))


ALL = declared(
    {
        **query("i", "integer", minimum=1, maximum=10, default=3),
        **query("n", "number", minimum=-1.5, exclusiveMaximum=100),
        **query("b", "boolean"),
        **query("s", "string", pattern="^[a-z-]+$", maxLength=8),
        **query("e", "string", enum=["red", "blue"]),
        **query("l", "array", items={"type": "integer", "maximum": 9}, maxItems=3),
        **query("d", "string", format="date"),
        "X-N": {"in": "header", "type": "integer"},
        "X-L": {"in": "header", "type": "array"},
    }
)


def bound(text: str, **headers: str) -> dict[str, Any]:
    """Values of a query that must be good."""
    values, faults = ALL.bind({}, parse_query(text.encode()), [(n.replace("_", "-"), v) for n, v in headers.items()])
    assert faults == []
    return values


def test_texts_become_their_types() -> None:
    """Defaults stand in, the rest is null; header names have no case; a header's list is split at commas."""
    values = bound("i=7&n=-0.5&b=true&s=ab-c&e=red&l=1&l=9&d=2026-02-28", x_n="5", x_l="a, b")
    assert values == {"i": 7, "n": -0.5, "b": True, "s": "ab-c", "e": "red", "l": [1, 9], "d": "2026-02-28", "X-N": 5, "X-L": ["a", "b"]}
    assert bound("") == {"i": 3, "n": None, "b": None, "s": None, "e": None, "l": None, "d": None, "X-N": None, "X-L": None}


@pytest.mark.parametrize(("text", "value"), [("n=3", 3), ("n=3.0", 3.0), ("n=1e1", 10.0), ("n=-0", 0)])
def test_a_number_goes_on_as_it_came(text: str, value: float) -> None:
    """One that is written as an integer is one, so that it is `3` in a text, not `3.0`."""
    got = bound(text)["n"]
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(("sent", "text"), [("caf\u00c3\u00a9", "caf\u00e9"), ("caf\u00e9", "caf\u00e9"), ("plain", "plain")])
def test_a_header_is_read_as_utf_8_where_it_is(sent: str, text: str) -> None:
    """Octets come as latin-1; what is no UTF-8 stays that."""
    assert bound("", x_l=sent)["X-L"] == [text]


@pytest.mark.parametrize("value", [10**400, -(10**400), 1e400])
def test_a_number_beyond_floats_is_none(value: float) -> None:
    """In JSON as in text: no reader of our JSON could take it."""
    for name in "in":
        with pytest.raises(Problem) as refused:
            ALL.bind_json({name: value})
        assert [fault["type"] for fault in refused.value.errors or ()] == ["type"]


def test_the_last_of_a_repeated_scalar_counts() -> None:
    """A scalar given twice is the last one."""
    assert bound("i=1&i=2")["i"] == 2


@pytest.mark.parametrize(
    ("text", "where", "rule"),
    [
        ("i=0", ["i"], "minimum"), ("i=11", ["i"], "maximum"), ("i=x", ["i"], "type"), ("i=1.5", ["i"], "type"), ("i=", ["i"], "type"),
        ("i=%D9%A3", ["i"], "type"), ("i=+1", ["i"], "type"), ("i=1_0", ["i"], "type"), ("i=" + "9" * 5000, ["i"], "type"),
        ("n=-2", ["n"], "minimum"), ("n=100", ["n"], "exclusiveMaximum"), ("n=ten", ["n"], "type"), ("n=nan", ["n"], "type"),
        ("n=" + "9" * 309, ["n"], "type"), ("i=" + "9" * 309, ["i"], "type"),
        ("n=inf", ["n"], "type"), ("n=1e999", ["n"], "type"), ("b=maybe", ["b"], "type"), ("b=True", ["b"], "type"), ("s=UPPER", ["s"], "pattern"),
        ("s=ok%0A", ["s"], "pattern"), ("s=abcdefghi", ["s"], "maxLength"), ("e=green", ["e"], "enum"), ("l=1&l=x", ["l", 1], "type"),
        ("l=10", ["l", 0], "maximum"), ("l=1&l=2&l=3&l=4", ["l"], "maxItems"), ("d=2026-02-30", ["d"], "format"),
    ],
)  # fmt: skip
def test_a_fault_names_its_place_and_rule(text: str, where: list[Any], rule: str) -> None:
    """`loc` ends in the item of a list; `type` is the keyword of JSON Schema that is broken."""
    _, faults = ALL.bind({}, parse_query(text.encode()), [])
    assert [(fault["loc"], fault["type"]) for fault in faults] == [(["query", *where], rule)]


def test_all_faults_are_told_at_once() -> None:
    """One answer names every one."""
    _, faults = ALL.bind({}, parse_query(b"i=99&e=green&b=maybe"), [("x-n", "five")])
    assert {tuple(fault["loc"]) for fault in faults} == {("query", "i"), ("query", "e"), ("query", "b"), ("header", "X-N")}


@pytest.mark.parametrize(
    ("pattern", "good", "bad"), [("[a-z]+", "abc", "abc1"), ("^a|b", "b", "ab"), (r"\d{3}", "123", "1234"), ("(?=a)ab", "ab", "abc")]
)
def test_a_pattern_matches_the_whole_text(pattern: str, good: str, bad: str) -> None:
    """Anchors need not be written."""
    params = declared(query("p", pattern=pattern))
    assert params.bind({}, [("p", good)], []) == ({"p": good}, [])
    assert params.bind({}, [("p", bad)], [])[1]
    assert params.bind({}, [("p", good + "\n")], [])[1]


@pytest.mark.timeout(5)
@pytest.mark.parametrize("pattern", ["(a+)+", "(a|a)*", r"(?:(a+)+)+\1", "(a*)*b"])
def test_no_pattern_takes_for_ever(pattern: str) -> None:
    """Exponential where a backtracking engine is left alone."""
    params = declared(query("p", pattern=pattern))
    assert params.bind({}, [("p", "a" * 5000 + "!")], [])[1]


def test_required_params_must_be_given() -> None:
    """Path params always, others where it is said."""
    params = declared({**query("q", required=True), "id": {"in": "path"}}, get="/x/{id}")
    _, faults = params.bind({}, [], [])
    assert [(fault["loc"], fault["type"]) for fault in faults] == [(["query", "q"], "required"), (["path", "id"], "required")]


def test_strict_query_refuses_unknown_parameters() -> None:
    """Each is named once; without it they change nothing."""
    assert declared(query("q")).bind({}, [("surprise", "1")], [])[1] == []
    _, faults = declared(query("q"), strict_query=True).bind({}, [("q", "1"), ("surprise", "1"), ("surprise", "2")], [])
    assert [fault["loc"] for fault in faults] == [["query", "surprise"]]


@pytest.mark.parametrize("forward", [{"forward": {"query": ["lang"]}}, {"calls": {"v": {"upstream": "u", "forward": {"query": ["lang"]}}}}])
def test_strict_query_knows_what_is_forwarded(forward: dict[str, Any]) -> None:
    """In a query as in JSON; with `*` everything is."""
    params = declared({**query("q"), "X-N": {"in": "header"}}, strict_query=True, **forward)
    assert params.bind({}, [("q", "1"), ("lang", "es")], [])[1] == []
    assert params.bind_json({"q": "1", "lang": "es", "X-N": "2"}) == {"q": "1", "X-N": "2"}
    with pytest.raises(Problem) as caught:
        params.bind_json({"lang": "es", "surprise": "1"})
    assert [fault["loc"] for fault in caught.value.errors or []] == [["query", "surprise"]]
    assert declared({}, strict_query=True, forward={"query": ["*"]}).bind_json({"surprise": "1"}) == {}


def test_a_header_of_json_is_one_that_http_could_bring() -> None:
    """A line end would begin another one."""
    for bad in ({"X-L": ["a", "b\r\nx-admin: 1"]}, {"X-L": "a\0"}, {"X-N": "1\n"}):
        with pytest.raises(Problem) as caught:
            ALL.bind_json(bad)
        assert [(fault["loc"], fault["type"]) for fault in caught.value.errors or []] == [(["header", next(iter(bad))], "pattern")]
    assert ALL.bind_json({"X-L": "a\tb"})["X-L"] == ["a\tb"]


def test_json_values_follow_the_same_rules() -> None:
    """Typed, or in the form of text; null is not given; a value that stands alone is a list of one."""
    assert ALL.bind_json({"i": 7, "n": 2.5, "b": 1, "s": "ab", "l": ["1", 2], "e": None}) == {
        "i": 7, "n": 2.5, "b": True, "s": "ab", "e": None, "l": [1, 2], "d": None, "X-N": None, "X-L": None,
    }  # fmt: skip
    assert ALL.bind_json({"i": "7", "l": 5, "n": 3.0})["l"] == [5]


@pytest.mark.parametrize("bad", [{"i": 7.5}, {"i": True}, {"b": 2}, {"s": 5}, {"l": [[1]]}, {"e": {}}, {"n": "nan"}, {"i": 0}])
def test_bad_json_values_are_a_422(bad: dict[str, Any]) -> None:
    """With the place that the parameter has over HTTP."""
    with pytest.raises(Problem) as caught:
        ALL.bind_json(bad)
    assert caught.value.status == 422
    assert caught.value.errors is not None
    assert caught.value.errors[0]["loc"][:2] == ["query", next(iter(bad))]


@pytest.mark.parametrize(("raw", "pairs"), [
    (b"", []), (b"a=1", [("a", "1")]), (b"a", [("a", "")]), (b"a=&&b=2&", [("a", ""), ("b", "2")]), (b"?&&==", [("?", ""), ("", "=")]),
    (b"a=x%26y%3D%2B%20%C3%B1+z", [("a", "x&y=+ ñ z")]), (b"%", [("%", "")]), (b"a=%zz", [("a", "%zz")]), ("a=ñ".encode(), [("a", "ñ")]),
])  # fmt: skip
def test_a_query_is_taken_apart(raw: bytes, pairs: list[tuple[str, str]]) -> None:
    """In order, empty values kept."""
    assert parse_query(raw) == pairs


def test_a_query_that_is_no_utf_8_is_a_400() -> None:
    """Raw or encoded."""
    for raw in (b"a=%ff%fe", b"a=\xff", b"a=%ed%a0%80"):
        with pytest.raises(Problem) as caught:
            parse_query(raw)
        assert caught.value.status == 400


@given(st.dictionaries(st.sampled_from(list("inbseld")), st.text(max_size=12)))
def test_whatever_is_sent_is_bound_or_a_fault(sent: dict[str, str]) -> None:
    """Never an exception, never a number that JSON cannot hold."""
    values, faults = ALL.bind({}, list(sent.items()), [])
    if not faults:
        json.dumps(values, allow_nan=False)
    assert not any(isinstance(value, float) and not math.isfinite(value) for value in values.values())
