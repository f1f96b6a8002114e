"""What an expression reads, and every fault that shows before a request."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.data import Data
from app.core.errors import ExpressionFailed
from app.core.scope import Scope
from app.expressions.expression import parse_expression
from app.expressions.marks import BEGIN, END, mark
from app.expressions.syntax import ExpressionSyntax
from app.expressions.template import parse_template


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("place", {("place",)}),
        ("a.b[0].c", {("a", "b")}),
        ("a[0].b", {("a",)}),
        ("{x: a, y: b.c}", {("a",), ("b", "c")}),
        ("claims.roles", {("claims", "roles")}),
        ("claims | roles", {("claims", "roles")}),
        ("claims.{r: roles, s: sub}", {("claims", "roles"), ("claims", "sub")}),
        ("claims.[roles, @]", {("claims", "roles"), ("claims",)}),
        ("contains(claims.roles, 'admin') && !request.method", {("claims", "roles"), ("request", "method")}),
        ("a[?x == y].z", {("a",)}),
        ("sort_by(a, &b)[*].c", {("a",)}),
        ("map(&{k: v}, a.b)", {("a", "b")}),
        ("(a || b).c", {("a",), ("b",)}),
        ("a.* | b", {("a",)}),
        ('"9.p"."x-y"', {("9.p", "x-y")}),
        ("`1`", set()),
        ("claims.*", {("claims",)}),
        ("length(claims)", {("claims",)}),
    ],
)
def test_what_an_expression_reads_is_known(text: str, paths: set[tuple[str, ...]]) -> None:
    """Roots of the scope, and the field under them where it is static; names inside of projections are no roots."""
    expression = parse_expression(text)
    assert expression.paths == paths
    assert expression.names == {path[0] for path in paths}


@pytest.mark.parametrize(("text", "lone"), [("place", "place"), ('"9.p"', "9.p"), ("a.b", None), ("a | @", None), ("'a'", None)])
def test_a_lone_name_is_told(text: str, lone: str | None) -> None:
    """Its data is spliced."""
    assert parse_expression(text).lone == lone


@pytest.mark.parametrize("text", ["@", "*", "[0]", "[*].a", "[]", "[?a]", "length(@)", "[a, @]", "{x: @}", "@.a", "@ | a", "!@", "a || @", "[1:]"])
def test_the_whole_scope_is_no_value(text: str) -> None:
    """`@` over the whole scope is a fault, in any disguise."""
    with pytest.raises(ExpressionSyntax, match="whole scope"):
        parse_expression(text)
    assert parse_expression(text, over="body")


@pytest.mark.parametrize("text", ["a[?@ == `1`]", "a[*].[@]", "sort_by(a, &@)", "a | @", "a | length(@)", "a[?length(@) > `1`]"])
def test_the_current_value_is_fine_elsewhere(text: str) -> None:
    """Inside of projections, filters and after a pipe `@` is no scope."""
    assert parse_expression(text).names == {"a"}


@pytest.mark.parametrize(
    ("text", "says", "offset"),
    [
        ("lenght(a)", "no function 'lenght'", 0),
        ("a.b | lenght(@)", "no function", 6),
        ("lookup(a, 'k')", "lookup() takes 3 arguments, not 2", 0),
        ("length(a, b)", "length() takes 1 argument, not 2", 0),
        ("round()", "round() takes 1 to 2 arguments, not 0", 0),
        ("concat()", "at least 1", 0),
        ("sort_by(a, b)", "takes an expression", 0),
        ("length(&a)", "takes a value", 0),
        ("&a", "'&'", 0),
        ("[a, &b]", "'&'", 4),
        ("a[::0]", "step by 0", 1),
        ("`NaN`", "no JSON", 0),
        ("`[1e999]`", "no JSON", 0),
        ('`"\\ud800"`', "surrogate", 2),
        ('a || `{"k": ["\\udfff"]}`', "surrogate", 14),
        ('{"\\ud800": a}', "surrogate", 2),
        ('`{"\\ud800": 1}`', "surrogate", 3),
        (f"'{mark(chr(0xD800))}'", "surrogate", 0),
        ("a.", "ends too early", 2),
        ("a[?", "ends too early", 3),
        ("", "empty", 0),
        ("{x}", "unexpected '}'", 2),
        ("a b", "unexpected 'b'", 2),
        ("a = b", "unknown token '='", 2),
        ("(" * 3000, "", 0),
        ("a[" + "9" * 5000 + "]", "", 0),
    ],
)
def test_faults_show_when_parsed(text: str, says: str, offset: int) -> None:
    """With the place, and what to write instead where that is known."""
    with pytest.raises(ExpressionSyntax) as fault:
        parse_expression(text)
    assert says in fault.value.message
    assert fault.value.offset == offset


def test_a_pair_of_surrogates_is_a_character() -> None:
    """However it is spelt."""
    assert parse_expression('`"\\ud83e\\udd86"`').search({}) == "\U0001f986"


def test_hints_say_what_was_meant() -> None:
    """Names nearby, braces that are none, arithmetic, names to be quoted."""
    for text, hint in (("lenght(a)", "did you mean 'length'?"), ("{l}", "write l"), ("a + b", "add(a, b)"), ("a.city-id", '"city-id"')):
        with pytest.raises(ExpressionSyntax) as fault:
            parse_expression(text)
        assert hint in (fault.value.hint or "")


@pytest.mark.parametrize("text", ["sum(a)", "a | length(@)", "div(`1`, `0`)", "mul(`1e308`, `10`)", "avg(['a'])", "join(',', a)", "floor('x')"])
def test_what_cannot_be_computed_is_a_failure(text: str) -> None:
    """Wrong types, division by zero, what is beyond float64; the text tells nothing of the value."""
    with pytest.raises(ExpressionFailed) as failure:
        parse_expression(text).search({"a": 4711})
    assert "4711" not in failure.value.detail


@pytest.mark.parametrize(
    ("text", "expected"), [("!a.b", False), ("!a.c", True), ("!a.l[?x]", True), ("!a.c == `true`", True), ("!a.b || a.b", 1), ("!!a.b", True)]
)
def test_not_binds_weaker_than_a_path_and_tighter_than_a_comparison(text: str, expected: object) -> None:
    """`!a.b` is `!(a.b)`; the library reads `(!a).b`, which is always null."""
    assert parse_expression(text).search({"a": {"b": 1, "l": []}}) == expected


def test_data_of_the_scope_is_decoded_only_when_named() -> None:
    """The bytes of what no expression looks into stay bytes."""
    named, other = Data.of_raw(b'{"x": 1}'), Data.of_raw(b"broken")
    assert parse_expression("a.x").search(Scope(a=named, b=other)) == 1


def test_substituted_text_in_quotes_stands_for_itself() -> None:
    """Whatever it holds; elsewhere in an expression it is a fault."""
    hostile = "it's \\ ' || @ `x` {}"
    assert parse_expression(f"concat('<{mark(hostile)}', a)").search({"a": ">"}) == f"<{hostile}>"
    for text in (mark("a"), f"a == {mark('b')}", f"a.{mark('b')}"):
        with pytest.raises(ExpressionSyntax, match="substituted"):
            parse_expression(text)
    assert "hostile" not in parse_expression(f"a == '{mark('hostile')}'").text


@pytest.mark.parametrize(
    ("text", "value"), [(mark("3"), 3), (f"[{mark('3')}, {mark('null')}]", [3, None]), ('{"k": ' + mark('["a"]') + "}", {"k": ["a"]})]
)
def test_a_substituted_value_of_a_literal_keeps_its_type(text: str, value: object) -> None:
    """It is read as JSON by itself."""
    assert parse_expression(f"`{text}`").search({}) == value


@pytest.mark.parametrize("text", ["hush", "1, 2", '"', '"hush", "x": 1', "NaN", "1e999", "[" * 5000, "", "9" * 5000])
def test_what_is_substituted_changes_no_literals_structure(text: str) -> None:
    """In a text of a literal it stands for itself; elsewhere it is one value or a fault, which does not show it."""
    assert parse_expression(f'`{{"k": "{mark(text)}"}}`').search({}) == {"k": text}
    for literal in (mark(text), f"[{mark(text)}]", f"a{mark('1')}", f"1{mark('1')}"):
        with pytest.raises(ExpressionSyntax) as fault:
            parse_expression(f"`{literal}`")
        assert "hush" not in fault.value.message


@pytest.mark.parametrize("text", ["||".join("a" * 600), "&&".join("a" * 600), "|".join("a" * 600), "a" + "[]" * 600, f"`{'[' * 300}{']' * 300}`"])
def test_a_long_expression_is_a_fault(text: str) -> None:
    """No expression exhausts the stack, neither here nor when it is asked."""
    with pytest.raises(ExpressionSyntax, match="too long or too deep"):
        parse_expression(text)


def test_every_fault_is_told_and_what_is_read_all_the_same() -> None:
    """In an expression and in a template, each with its place."""
    with pytest.raises(ExpressionSyntax) as fault:
        parse_template("{nope(a)} {abs(b.c, d)}: {sum(&e) || nope2(f)} {")
    assert [one.offset for one in fault.value.each] == [1, 11, 26, 37, 47]
    assert fault.value.paths == {("a",), ("b", "c"), ("d",), ("f",)}


@given(st.text(st.sampled_from("ab.[]{}()*@&|!<>=,:'\"`\\ 019-?" + BEGIN + END), max_size=14))
def test_no_text_breaks_the_parsers(text: str) -> None:
    """A text is an expression or a fault; so is a template, whose fault lies inside of it."""
    for parse in (parse_expression, parse_template):
        with contextlib.suppress(ExpressionSyntax):
            parse(text)
            continue
        with pytest.raises(ExpressionSyntax) as fault:
            parse(text)
        assert 0 <= fault.value.offset <= len(text)
        assert not {BEGIN, END} & set(fault.value.message)
