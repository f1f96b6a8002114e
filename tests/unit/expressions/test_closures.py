"""Compiled expressions are what the library's interpreter says, for any expression and any document."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jmespath.visitor import Options, TreeInterpreter

from app.core.errors import ExpressionFailed
from app.expressions.expression import parse_expression
from app.expressions.functions import CatalogFunctions
from app.expressions.values import identity

NAMES = st.sampled_from(["a", "b", "c", '"d e"'])
SCALARS = st.none() | st.booleans() | st.integers(-2, 3) | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["", "a", "b", "é"])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "c", "d e"]), inner, max_size=4),
    max_leaves=20,
)
LITERALS = st.sampled_from(["`1`", "`0`", "`true`", "`null`", "`[1, 2]`", '`{"a": 1}`', "'a'", "''"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    tail = st.sampled_from(
        [".a", ".b", ".*", "[0]", "[-1]", "[*]", "[]", "[1:]", "[::-1]", ".c.a", "[0].b", ".[a, b]", ".{x: a, y: b}", "[*].a", "[?a]"]
    )
    return st.one_of(
        st.tuples(inner, tail).map(lambda t: f"({t[0]}){t[1]}"),
        st.tuples(NAMES, tail, tail).map("".join),
        pair.map(lambda t: f"{t[0]} | {t[1]}"),
        pair.map(lambda t: f"({t[0]} || {t[1]})"),
        pair.map(lambda t: f"({t[0]} && {t[1]})"),
        inner.map(lambda t: f"!({t})"),
        st.tuples(inner, st.sampled_from(["==", "!="]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(NAMES, inner).map(lambda t: f"{t[0]}[?{t[1]}]"),
        st.tuples(NAMES, inner).map(lambda t: f"{t[0]}[?@ == {t[1]}].a"),
        pair.map(lambda t: f"[{t[0]}, {t[1]}]"),
        pair.map(lambda t: f"{{x: {t[0]}, y: {t[1]}}}"),
        inner.map(lambda t: f"length({t})"),
        inner.map(lambda t: f"to_array({t})"),
        inner.map(lambda t: f"keys({t})"),
        st.tuples(inner, inner).map(lambda t: f"map(&{t[0]}, to_array({t[1]}))"),
        inner.map(lambda t: f"not_null({t}, a)"),
        inner.map(lambda t: f"sort_by(to_array({t}), &a)"),
        inner.map(lambda t: f"unique(to_array({t}))"),
        inner.map(lambda t: f"type({t})"),
    )


EXPRESSIONS = st.recursive(NAMES | LITERALS | st.just("@"), _grown, max_leaves=8)


class _Interpreter(TreeInterpreter):
    """The library's, but for its equality, which takes `[true]` for `[1]`."""

    COMPARATOR_FUNC = {  # noqa: RUF012 - the library's way
        **TreeInterpreter.COMPARATOR_FUNC,
        "eq": lambda left, right: identity(left) == identity(right),
        "ne": lambda left, right: identity(left) != identity(right),
    }


def _by_library(text: str, document: Any) -> Any:
    return _Interpreter(Options(custom_functions=CatalogFunctions())).visit(jmespath.compile(text).parsed, document)


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS, JSON)
def test_a_compiled_expression_gives_what_the_library_gives(text: str, document: Any) -> None:
    """The same value, or a failure where it raises."""
    expression = parse_expression(text, over="body")
    try:
        expected = _by_library(text, document)
    except (ValueError, TypeError, ExpressionFailed):
        with pytest.raises(ExpressionFailed):
            expression.search(document)
        return
    found = expression.search(document)
    assert found == expected
    assert repr(found) == repr(expected)


@pytest.mark.parametrize("text", ["a < b", "a >= b", "b > a"])
def test_an_order_between_a_number_and_a_text_is_null(text: str) -> None:
    """As the specification says; the library raises a TypeError."""
    assert parse_expression(text).search({"a": 1, "b": "x"}) is None


@pytest.mark.parametrize(("left", "right"), [(True, 1), ([True], [1]), ({"k": [False]}, {"k": [0]}), ([[1.0, True]], [[1, 1]])])
def test_true_is_no_number_at_any_depth(left: object, right: object) -> None:
    """In a comparison, in `contains` and in `lookup`; 1.0 is 1."""
    document = {"a": left, "b": right, "c": [1.0, {"k": 2}], "d": [1, {"k": 2.0}], "rows": [{"k": right}, {"k": left, "it": True}]}
    for text in ("a == b", "a.x == b || a == b", "contains([a], b)", "c != d"):
        assert parse_expression(text).search(document) is False
    for text in ("a != b", "a == a", "c == d", "contains([a], a)", "lookup(rows, 'k', a).it"):
        assert parse_expression(text).search(document) is True


@pytest.mark.parametrize("text", ["a < `2`", "b == 'x'", "a > `0`", "b >= 'w'"])
def test_numbers_and_texts_are_in_order_among_themselves(text: str) -> None:
    """Texts by code point."""
    assert parse_expression(text).search({"a": 1, "b": "x"}) is True
