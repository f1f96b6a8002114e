"""Values by place: no value changes the structure of what it is written into."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import ExpressionFailed
from app.core.scope import Scope
from app.expressions.bind import form_binder, header_binder, path_binder, query_binder, urlencode
from app.expressions.marks import mark
from app.expressions.syntax import ExpressionSyntax

VALUES = st.text(min_size=1) | st.sampled_from(["..", ".", "%2e%2e", "a/b", "..\\", "?x", "#y", "%", "a\r\nb", "ü/雪", "\x00", ";", "//", "\ud800"])
LEGAL = re.compile(r"/[A-Za-z0-9/%._~!$&'()*+,;=:@-]*")

PATHS = ["/a/{x}/end", "/a/pre-{x}.json", "/{x}{y}", "/.{x}/e", "/%2e{x}", "/{x}.", "/{x}-{y}/{y}"]


@given(st.sampled_from(PATHS), VALUES, VALUES)
def test_no_value_changes_a_paths_structure(template: str, x: str, y: str) -> None:
    """As many segments as written, none a dot segment, all of legal characters; or the call fails."""
    try:
        path = path_binder(template)(Scope(x=x, y=y))
    except ExpressionFailed:
        return
    assert LEGAL.fullmatch(path)
    assert path.count("/") == template.count("/")
    for segment, written in zip(path.split("/"), template.split("/"), strict=True):
        assert unquote(segment, errors="strict") == unquote(written.replace("{x}", x).replace("{y}", y)) or "%" in x + y
        assert not written or unquote(segment) not in ("", ".", "..")


@pytest.mark.parametrize("value", ["../admin", "a?b=c", "a#b", "%2e%2e%2f", "a b+c", "ñandú/雪", "a\nb", "...", "~", "\\"])
def test_a_path_value_arrives_as_it_is(value: str) -> None:
    """In one segment."""
    path = path_binder("/echo/{p}/end")(Scope(p=value))
    assert [unquote(segment) for segment in path.split("/")] == ["", "echo", value, "end"]


@pytest.mark.parametrize("value", ["..", ".", "", None, [], {}, ["a"], "\ud800"])
def test_some_values_are_no_path(value: Any) -> None:
    """Dot segments, nothing, lists and objects."""
    with pytest.raises(ExpressionFailed):
        path_binder("/a/{p}/b")(Scope(p=value))


@pytest.mark.parametrize("template", ["/a/{p}{q}", "/a/.{p}", "/a/{p}.", "/a/%2e{p}", "/a/%2E{p}"])
def test_pieces_of_a_segment_make_no_dot_segment_together(template: str) -> None:
    """However it is put together."""
    with pytest.raises(ExpressionFailed):
        path_binder(template)(Scope(p=".", q="."))


def test_the_catalogs_own_path_stays_as_written() -> None:
    """Encoded where it is no legal path; numbers and booleans are written as in JSON."""
    binder = path_binder("/a%2Fb/ü x/100%/{n}/{t}/")
    assert binder(Scope(n=1.5, t=True)) == "/a%2Fb/%C3%BC%20x/100%25/1.5/true/"
    assert path_binder("/x/").constant == "/x/"
    assert (binder.names, binder.constant) == ({"n", "t"}, None)
    assert path_binder("/x/" + mark("{a}/b"))(Scope()) == "/x/%7Ba%7D/b"


@pytest.mark.parametrize("template", ["a", "", "{p}", "/a?b=c", "/a#b", "/{p", "http://x/y"])
def test_what_is_no_path_is_a_fault(template: str) -> None:
    """Parameters go under `query`."""
    with pytest.raises(ExpressionSyntax):
        path_binder(template)


# --- query


def test_query_values_are_written_by_type() -> None:
    """A list repeats, null is left out alone and in text, an empty text stays."""
    entries = {"l": "{l}", "n": "{n}", "in": "is {n}", "e": "{e}", "t": "is {e}", "b": True, "f": 1.5, "many": ["{one}", 2, "{n}"], "none": None}
    binder = query_binder(entries)
    assert binder(Scope(l=["x", 1, None], n=None, e="", one=1)) == [
        ("l", "x"), ("l", "1"), ("e", ""), ("t", "is "), ("b", "true"), ("f", "1.5"), ("many", "1"), ("many", "2"),
    ]  # fmt: skip
    assert binder.names == {"l", "n", "e", "one"}
    assert query_binder({"a": 1, "b": "x"}).constant == [("a", "1"), ("b", "x")]


@pytest.mark.parametrize("value", [{"a": 1}, [["a"]], [{}]])
def test_an_object_has_no_place_in_a_query(value: Any) -> None:
    """Nor a list in a list."""
    with pytest.raises(ExpressionFailed):
        query_binder({"q": "{v}"})(Scope(v=value))


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=5))
def test_a_query_is_read_back_as_it_was(pairs: list[tuple[str, str]]) -> None:
    """Nothing in a name or value makes another pair."""
    try:
        text = urlencode(pairs)
    except ExpressionFailed:
        assert any("\ud800" <= sign <= "\udfff" for pair in pairs for sign in "".join(pair))
        return
    assert re.fullmatch(r"[A-Za-z0-9%._~=&-]*", text)
    assert parse_qsl(text, keep_blank_values=True) == pairs


# --- headers


@given(st.text())
def test_no_value_breaks_out_of_a_header(value: str) -> None:
    """Controls fail, the rest goes as UTF-8."""
    try:
        ((name, text),) = header_binder({"X-A": "v {v}"})(Scope(v=value))
    except ExpressionFailed:
        assert re.search("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]", value)
        return
    assert name == "x-a"
    assert text.encode("latin-1").decode() == f"v {value}"


def test_headers_leave_null_out_and_take_no_lists() -> None:
    """Names in lower case, in the order of the catalog."""
    binder = header_binder({"X-B": "{v.b}", "X-N": "{v.n}", "X-T": "is {v.n}", "x-i": 7})
    assert binder(Scope(v={"b": True})) == (("x-b", "true"), ("x-i", "7"))
    with pytest.raises(ExpressionFailed):
        binder(Scope(v={"b": [1]}))
    with pytest.raises(ExpressionSyntax) as fault:
        header_binder({"x-a": "{nope."})
    assert fault.value.where == ("x-a",)


# --- forms


def test_a_form_is_sent_as_forms_are() -> None:
    """A space is a plus, lists repeat, null alone is left out and is nothing in a text."""
    binder = form_binder({"ü": "é+/ &", "n": "{n}", "t": "x{n}", "flag": True, "many": ["x", "{i}"], "l": "{l}"})
    body = binder(Scope(n=None, i=7, l=[1, None, "z"]))
    assert b" " not in body
    assert parse_qsl(body.decode()) == [("ü", "é+/ &"), ("t", "x"), ("flag", "true"), ("many", "x"), ("many", "7"), ("l", "1"), ("l", "z")]
    with pytest.raises(ExpressionFailed):
        form_binder({"o": "{o}"})(Scope(o={"a": 1}))
