"""The functions beyond JMESPath's own, and its own where the library strays."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import ExpressionFailed
from app.expressions.expression import parse_expression
from app.expressions.functions import OURS

ROWS = [{"id": "a", "kind": "x", "n": 1}, {"id": "b", "kind": "y", "n": 2}, {"id": "c", "kind": "x", "n": 3}, {"kind": None}, 7]
DOCUMENT = {
    "rows": ROWS,
    "n": 7,
    "word": "b",
    "object": {"a": 1, "b": None},
    "none": None,
    "mixed": [1, True, 1.0, "1", [1], [True], {"a": 1}, {"a": 1.0}],
}


def value(text: str) -> Any:
    """The expression's value over the document."""
    return parse_expression(text).search(DOCUMENT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lookup(rows, 'id', 'b').n", 2),
        ("lookup(rows, 'id', 'z')", None),
        ("lookup(rows, 'n', `1`).id", "a"),
        ("lookup(rows, 'n', `true`)", None),
        ("index_by(rows, 'kind').x.id", "c"),
        ("keys(index_by(rows, 'n'))", ["1", "2", "3"]),
        ("group_by(rows, 'kind').x[*].id", ["a", "c"]),
        ("keys(group_by(rows, 'kind'))", ["x", "y"]),
        ("unique(['q', 'p', 'q'])", ["q", "p"]),
        ("unique(mixed)", [1, True, "1", [1], [True], {"a": 1}]),
        ("pick(object, ['b', 'z'])", {"b": None}),
        ("omit(object, ['b', 'z'])", {"a": 1}),
        ("add(n, `0.5`)", 7.5),
        ("sub(n, `9`)", -2),
        ("mul(n, n)", 49),
        ("div(n, `2`)", 3.5),
        ("div(`6`, `2`)", 3),
        ("mod(`-7`, `3`)", 2),
        ("mod(`7`, `-3`)", -2),
        ("round(`2.5`)", 3),
        ("round(`-2.5`)", -3),
        ("round(`2.675`, `2`)", 2.68),
        ("round(`1234`, `-2`)", 1200),
        ("round(`1e300`)", 10**300),
        ("round(`0.1`, `1000`)", 0.1),
        ("round(`5`, `3`)", 5),
        ("concat('a', word, n, `true`, `1.5`)", "ab7true1.5"),
        ("to_number('nan')", None),
        ("to_number('1_000')", None),
        ("to_number(' -1.5e3 ')", -1500.0),
        ("to_number('007')", 7),
        ("to_number('12345678901234567890123')", 12345678901234567890123),
        ("to_string(object)", '{"a":1,"b":null}'),
        ("contains(mixed, `2`)", False),
        ("contains('abc', 'b')", True),
        ("contains('abc', n)", False),
        ("contains([`true`], `1`)", False),
    ],
)
def test_functions_give(text: str, expected: Any) -> None:
    """As `docs/expressions.md` describes them; texts as keys, an integer where it comes out even, halves away from zero."""
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "lookup(none, 'a', n)",
        "lookup(rows, none, n)",
        "lookup(rows, 'id', none)",
        "index_by(none, 'a')",
        "group_by(none, 'a')",
        "unique(none)",
        "pick(none, ['a'])",
        "pick(object, none)",
        "omit(none, ['a'])",
        "add(none, n)",
        "sub(n, none)",
        "mul(none, none)",
        "div(n, none)",
        "mod(none, n)",
        "round(none)",
        "round(none, `2`)",
        "concat('a', none)",
        "div(none, `0`)",
    ],
)
def test_of_null_each_is_null(text: str) -> None:
    """Null in, null out."""
    assert value(text) is None
    assert text.partition("(")[0] in OURS


@pytest.mark.parametrize(
    "text",
    [
        "lookup(object, 'a', n)",
        "index_by([{k: rows}], 'k')",
        "add('1', n)",
        "add(`true`, n)",
        "div(n, `0`)",
        "mod(n, `0`)",
        "pick(object, [n])",
        "concat(object)",
        "mul(`1e200`, `1e200`)",
        "sum([`1e308`, `1e308`])",
        "round(n, `0.5`)",
        "unique(n)",
        "to_number('1e999')",
    ],
)
def test_what_does_not_fit_is_a_failure(text: str) -> None:
    """Wrong types, division by zero, overflow."""
    with pytest.raises(ExpressionFailed):
        value(text)
