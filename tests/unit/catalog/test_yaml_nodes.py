"""YAML text to nodes: the core schema of YAML 1.2, places, bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.faults import Fault, Faults
from app.catalog.nodes import Leaf, Table, plain
from app.catalog.yaml_nodes import MAX_DEPTH, MAX_NODES, read


def parsed(text: str) -> tuple[Any, list[Fault]]:
    faults = Faults()
    node = read(text, "f.yaml", faults, lambda written, place: None)
    return (plain(node) if node is not None else None), list(faults.found)


def only(text: str) -> Fault:
    (fault,) = parsed(text)[1]
    return fault


@pytest.mark.parametrize(("text", "value"), [
    ("on", "on"), ("off", "off"), ("yes", "yes"), ("No", "No"), ("12:30", "12:30"), ("2026-01-01", "2026-01-01"), ("1_000", "1_000"), ("=", "="),
    ("true", True), ("True", True), ("TRUE", True), ("false", False), ("tRue", "tRue"), ("~", None), ("null", None), ("Null", None), ("", None),
    ("12", 12), ("-12", -12), ("+12", 12), ("010", 10), ("0o17", 15), ("0x1F", 31), ("0b1", "0b1"), ("1e3", 1000.0), ("1.", 1.0), (".5", 0.5),
    ("-1.5e-3", -0.0015), ("1e", "1e"), (".", "."), ("1.2.3", "1.2.3"), ("'12'", "12"), ('"true"', "true"),
    ("12345678901234567890123", 12345678901234567890123),
])  # fmt: skip
def test_scalars_have_the_types_of_the_core_schema(text: str, value: object) -> None:
    """https://yaml.org/spec/1.2.2/#103-core-schema; quoted ones are texts."""
    found, faults = parsed(f"k: {text}\n")
    assert not faults
    assert found == {"k": value}
    assert type(found["k"]) is type(value)


@pytest.mark.parametrize("text", [".inf", "-.INF", ".nan", "1e999", "9" * 309, "9" * 500, "0x" + "f" * 256, "0x" + "f" * 5000, "0o" + "7" * 5000])
def test_numbers_that_json_does_not_have_are_faults(text: str) -> None:
    """Infinity, NaN, beyond float64, of absurd length."""
    assert "number" in only(f"k: {text}\n").message


def test_keys_are_texts() -> None:
    """`404`, `true` and `on` as keys are what is written."""
    assert parsed("404: a\ntrue: b\non: c\n~: d\n")[0] == {"404": "a", "true": "b", "on": "c", "~": "d"}


def test_every_key_and_value_knows_its_place() -> None:
    """File, line and column, from 1; of a quoted scalar the quote's, of a list or mapping its first key's or bracket's."""
    node = read('# x\na:\n  - "b"\n  - {c: é, d: 1}\n', "f.yaml", Faults(), lambda written, place: None)
    assert isinstance(node, Table)
    items = node.get("a")
    assert (node.key("a").line, node.key("a").column) == (2, 1)
    assert [(one.place.line, one.place.column) for one in items.items] == [(3, 5), (4, 5)]  # type: ignore[union-attr]
    inner = items.items[1]  # type: ignore[union-attr]
    assert isinstance(inner, Table)
    assert (inner.key("d").line, inner.key("d").column) == (4, 12)


@pytest.mark.parametrize(("text", "line", "column"), [
    ("a: 1\na: 2\n", 2, 1), ("a:\n  b: 1\n  c: 2\n  b: 3\n", 4, 3), ("a: {b: 1, 'b': 2}\n", 1, 11), ("a: !!str 1\n", 1, 4),
    ("a: !own {b: 1}\n", 1, 4),
    ("a:\n  <<: {b: 1}\n", 2, 3), ("? [a]\n: b\n", 1, 3), ("a: *x\n", 1, 4), ("a: &x [*x]\n", 1, 8), ("a: 1\n---\nb: 2\n", 2, 1),
    ("a: [1\n", 2, 1),
    ("a: b: c\n", 1, 5), ("\ta: 1\n", 1, 1), ("a: \x07\n", 1, 4), ("", 1, 1), ("# nothing\n", 1, 1), ("a: @b\n", 1, 4), ("a: %b\n", 1, 4),
])  # fmt: skip
def test_what_is_refused_is_refused_at_its_place(text: str, line: int, column: int) -> None:
    """Duplicate keys, tags, merge keys, keys that are no texts, wrong aliases, a second document, no YAML, nothing."""
    fault = only(text)
    assert (fault.line, fault.column) == (line, column), fault


def test_a_quoted_merge_key_is_a_key() -> None:
    """Only the plain `<<` is one of YAML 1.1."""
    assert parsed('"<<": 1\n')[0] == {"<<": 1}


def test_after_a_duplicate_key_reading_goes_on() -> None:
    """All faults at once."""
    assert len(parsed("a: 1\na: 2\nb: !t 3\nb: 4\n")[1]) == 3


@pytest.mark.parametrize("text", ["a: *x\nb: !t 3\n", "b: !t 3\n---\na: 1\n"])
def test_after_a_wrong_alias_and_before_a_second_document_reading_goes_on(text: str) -> None:
    """So do they."""
    found, faults = parsed(text)
    assert len(faults) == 2
    assert found is not None


@pytest.mark.parametrize("sign", ["\x85", "\u2028", "\u2029"])
def test_a_line_break_of_older_yaml_is_a_fault_where_it_stands(sign: str) -> None:
    """In a text of any kind and in a comment; the places of what follows are those that an editor shows. Escaped it is a character."""
    found, faults = parsed(f'# a{sign}b\na: "x{sign}y"\nb: x{sign}y\nc: !t 1\n')
    assert [(fault.line, fault.column) for fault in faults] == [(1, 4), (2, 6), (3, 5), (4, 4)]
    assert found == {"a": "x y", "b": "x y", "c": "1"}
    told = f"\\u{ord(sign):04X}"
    assert told in (faults[0].hint or "")
    assert parsed(f'a: "x{told}y"\n') == ({"a": f"x{sign}y"}, [])


def test_aliases_are_expanded() -> None:
    """An alias is the value that it names, as often as it is used; as a key its text."""
    assert parsed("a: &x {b: [1]}\nc: *x\nd: &k text\n*k : e\n")[0] == {"a": {"b": [1]}, "c": {"b": [1]}, "d": "text", "text": "e"}


def test_a_bomb_of_aliases_is_refused_before_it_grows() -> None:
    """At most 100,000 nodes, aliases expanded."""
    text = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    assert f"{MAX_NODES:,}" in only(text).message


def test_the_number_of_nodes_is_bounded() -> None:
    """100,000 are good, one more is not."""
    assert not parsed("[" + "x," * (MAX_NODES - 1) + "]")[1]
    assert f"{MAX_NODES:,}" in only("[" + "x," * MAX_NODES + "]").message


@pytest.mark.parametrize("text", ["[" * 5000, "{a: " * 5000, "- " * 5000 + "x", "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)])
def test_depth_is_bounded(text: str) -> None:
    """No document exhausts the stack."""
    assert parsed(text)[1]


def test_depth_counts_through_aliases() -> None:
    """Nesting by aliases is nesting."""
    half = MAX_DEPTH // 2 + 1
    assert "deep" in only(f"a: &x {'[' * half}{']' * half}\nb: {'[' * half}*x{']' * half}\n").message


@given(st.text(alphabet=st.sampled_from(list("ab:-?[]{},&*!|>'\"%@`#\n\t \\0.~$<")) | st.characters(exclude_categories=["Cs"]), max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    """A tree, or faults with places inside of the text; never an exception."""
    found, faults = parsed(text)
    assert found is not None or faults or text.strip()
    for fault in faults:
        assert 1 <= fault.line <= text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + text.count("\u2029") + 2
        assert fault.column >= 1


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co", "Zl", "Zp"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcé", min_size=1, max_size=3), inner, max_size=3), max_leaves=8,
))  # fmt: skip
def test_json_is_yaml(value: object) -> None:
    """Every JSON document without escaped surrogate pairs and raw U+2028 and U+2029 is read as what it is."""
    found, faults = parsed(json.dumps(value, ensure_ascii=False))
    assert not faults
    assert found == value


def test_a_leaf_shows_what_was_written() -> None:
    """Long ones are cut."""
    node = read("x" * 200, "f.yaml", Faults(), lambda written, place: None)
    assert isinstance(node, Leaf)
    assert len(node.shown) < 70
