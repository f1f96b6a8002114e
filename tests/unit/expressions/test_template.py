"""Texts with expressions in them, and JSON values with such texts in them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.data import Data
from app.core.errors import ExpressionFailed
from app.core.scope import Scope
from app.expressions.marks import BEGIN, END, mark, plain, veiled
from app.expressions.syntax import ExpressionSyntax
from app.expressions.template import escape, parse_template
from app.expressions.tree import parse_tree

V = {"i": 3, "f": 3.5, "t": True, "n": None, "o": {"k": [1]}, "l": [{"k": "v"}], "s": "3", "e": 1e16, "tiny": 1e-7, "big": 10**30}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[BEGIN, END]), max_size=30)


def scope() -> Scope:
    """A scope with a call's data in it."""
    return Scope(v=Data.of(V), name="brace", q="it's }")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{v.i}/{v.f}/{v.t}/{v.s}/{v.n}{v.none}.", "3/3.5/true/3/."),
        ("{v.e} {v.tiny} {v.big}", "1e+16 1e-7 1000000000000000000000000000000"),
        ("{{x}}", "{x}"),
        ("{{{name}}}", "{brace}"),
        ("}} {{", "} {"),
        ("{v.i}{v.i}", "33"),
        ("{v.i}", 3),
        ("{ v.o }", {"k": [1]}),
        ("{v.n}", None),
        ("{v.{n: s}}", {"n": "3"}),
        ("{v.{n: {m: s}}}", {"n": {"m": "3"}}),
        ("{ {n: name} }", {"n": "brace"}),
        ("{concat('}', name)}", "}brace"),
        ("{concat('it\\'s }', name)}", "it's }brace"),
        ('{"name"}', "brace"),
        ("{v.l[?k == '{']}", []),
        ('{v.l[?k == `"v"`].k | [0]}', "v"),
    ],
)
def test_a_lone_expression_keeps_its_type_and_text_is_text(text: str, expected: Any) -> None:
    """Doubled braces are literal, hashes nest, quotes hide braces."""
    assert parse_template(text).value(scope()) == expected


@pytest.mark.parametrize("text", ["{v.o} ", "a{v.l}", "{name}{v}"])
def test_a_list_or_object_in_a_text_is_a_failure(text: str) -> None:
    """It has no form there."""
    with pytest.raises(ExpressionFailed):
        parse_template(text).value(scope())


@pytest.mark.parametrize(
    ("text", "offset"),
    [("{", 0), ("a}", 1), ("{}", 1), ("{ }", 1), ("ab {a.}", 6), ("{lenght(a)}", 1), ("{ lenght(a)}", 2), ("x {'}", 2), ("{a} {@}", 5)],
)
def test_faults_tell_their_place(text: str, offset: int) -> None:
    """Counted from the start of the text."""
    with pytest.raises(ExpressionSyntax) as fault:
        parse_template(text)
    assert fault.value.offset == offset


@given(TEXTS)
def test_an_escaped_text_is_that_text(text: str) -> None:
    """And a marked one, whatever stands around it."""
    assert parse_template(escape(text)).constant == text
    assert parse_template(mark(text)).constant == text
    assert parse_template(f"{{name}}{mark(text)}{{name}}").value(scope()) == f"brace{text}brace"
    assert plain(mark(text)) == text


@given(st.lists(TEXTS.map(escape) | st.sampled_from(["{name}", "{v.i}", "{v.{n: s} | n}"]), max_size=6))
def test_pieces_are_found_again(pieces: list[str]) -> None:
    """A text put together of literal texts and expressions is evaluated piece by piece."""
    values = {"{name}": "brace", "{v.i}": "3", "{v.{n: s} | n}": "3"}
    expected = "".join(values.get(piece, piece.replace("{{", "{").replace("}}", "}")) for piece in pieces)
    found = parse_template("".join(pieces)).value(scope())
    assert str(found) == expected


def test_what_was_substituted_is_not_shown() -> None:
    """Repr, metrics and logs may show a template's text."""
    assert parse_template(f"Bearer {mark('4711')} {{name}}").text == "Bearer ${...} {name}"
    assert veiled("x") == "x"


# --- trees


def test_a_tree_keeps_types_and_order() -> None:
    """Every text in it is a template, nothing else is touched."""
    tree = parse_tree({"z": "{v.i}", "a": ["{v.l[0].k}", 1.5, True, None], "c": {"{k}": "n={v.i}"}})
    expected = {"z": 3, "a": ["v", 1.5, True, None], "c": {"{k}": "n=3"}}
    assert tree.value(scope()) == expected
    assert tree.data(scope()).raw == orjson.dumps(expected)
    assert (tree.names, tree.paths, tree.constant) == ({"v"}, {("v", "i"), ("v", "l")}, None)


def test_a_tree_without_expressions_is_constant() -> None:
    """Made once."""
    tree = parse_tree({"a": ["x", "{{y}}"]})
    assert tree.constant is not None
    assert tree.data(scope()) is tree.constant
    assert tree.constant.value == {"a": ["x", "{y}"]}


def test_the_bytes_of_lone_names_are_spliced() -> None:
    """Numbers keep their spelling, and broken bytes show that nobody decodes them."""
    raw = Data.of_raw(b'{"n": 1.00, "e": 1E+2}')
    tree = parse_tree({"all": "{a}", "list": ["{a}"], "x": "{b}"})
    assert tree.data(Scope(a=raw, b=1)).raw == b'{"all":{"n": 1.00, "e": 1E+2},"list":[{"n": 1.00, "e": 1E+2}],"x":1}'
    assert parse_tree("{a}").data(Scope(a=raw)) is raw
    assert parse_tree("{a}").lone == "a"
    assert parse_tree({"a": "{a}", "b": 10**40}).data(Scope(a=Data.of_raw(b"1.0"))).value == {"a": 1.0, "b": 10**40}


def test_what_cannot_be_computed_is_null_in_a_response_and_fails_elsewhere() -> None:
    """That value alone; inside a text, nothing; and it is told."""
    told: list[str] = []
    tree = parse_tree({"bad": "{length(v.i)}", "good": "{v.i}", "text": "a{sum(v.s)}b{v.o}c{v.i}", "deep": [{"x": "{v.s | abs(@)}"}]})
    assert tree.data_or_null(scope(), told.append).value == {"bad": None, "good": 3, "text": "abc3", "deep": [{"x": None}]}
    assert told == ["length(v.i)", "sum(v.s)", "v.o", "v.s | abs(@)"]
    with pytest.raises(ExpressionFailed):
        tree.data(scope())


def test_a_lone_surrogate_is_no_json() -> None:
    """A credential's claims can hold one; no answer does. In a response it is null, and told."""
    tree, told = parse_tree({"a": "x{claims.sub}", "b": 1}), []
    broken = Scope(claims={"sub": "\ud800"})
    with pytest.raises(ExpressionFailed):
        tree.data(broken)
    assert tree.data_or_null(broken, told.append).is_null
    assert told == ["x{claims.sub}"]
    assert tree.data_or_null(Scope(claims={"sub": "y"}), told.append).value == {"a": "xy", "b": 1}


def test_a_fault_in_a_tree_tells_the_way_to_it() -> None:
    """Keys and positions."""
    with pytest.raises(ExpressionSyntax) as fault:
        parse_tree({"x": [1, {"y": "z {nope.}"}]})
    assert (fault.value.where, fault.value.offset) == (("x", 1, "y"), 8)
