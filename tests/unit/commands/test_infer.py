"""What `infer` prints, as the catalog's own reader takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.catalog.faults import Faults
from app.catalog.interpolate import interpolator
from app.catalog.nodes import Items, Node, Table
from app.catalog.yaml_nodes import MAX_DEPTH, read
from app.commands.infer import ABOVE, as_yaml, depth

ODD = [
    "1e5",
    "0o17",
    "12e03",
    "12:30",
    "on",
    "<<",
    "=",
    "~",
    "null",
    ".inf",
    "1_000",
    "",
    "${HOME}",
    "$${HOME}",
    "a: b",
    "- ",
    "2026-11-23",
    "\u2028",
    "\U0010ffff",
]
TEXTS = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


def valued(node: Node) -> Any:
    if isinstance(node, Items):
        return [valued(item) for item in node.items]
    return {key: valued(entry.node) for key, entry in node.entries.items()} if isinstance(node, Table) else node.value


def taken(text: str) -> Any:
    """The value of a text of YAML, where HOME is set; no fault in it."""
    faults = Faults()
    node = read(text, "x.yaml", faults, interpolator({"HOME": "/root"}, Path(), faults))
    assert (node is not None, list(faults.found)) == (True, [])
    return valued(node) if node is not None else None


@example(names=ODD)
@given(names=st.lists(TEXTS, unique=True, max_size=5))
def test_a_schema_is_read_as_it_was_meant(names: list[str]) -> None:
    """Whatever the names in the data: a text stays that text, and nothing is substituted."""
    schema = {"type": "object", "properties": {name: {"type": ["string", "null"]} for name in names}, "required": names}
    assert taken(as_yaml(schema)) == schema


def test_what_looks_like_a_number_or_a_variable_is_quoted() -> None:
    """So that other readers take it for a text as well; a key has no `$${`, since nothing is substituted there."""
    assert as_yaml({"1e5": "0o17", "${A}": "${A}", "plain": "1 a"}) == '"1e5": "0o17"\n"${A}": "$${A}"\nplain: 1 a\n'


@pytest.mark.parametrize("more", [0, 1])
def test_the_depth_of_a_catalog_is_that_of_its_reader(more: int) -> None:
    """What is just not too deep can be read."""
    schema: Any = {}
    while ABOVE + depth({"schema": schema}) < MAX_DEPTH + more:
        schema = {"items": schema}
    faults = Faults()
    read(as_yaml({"endpoints": {"x": {"calls": {"it": {"schema": schema}}}}}), "x.yaml", faults, lambda text, place: None)
    assert len(faults.found) == more
