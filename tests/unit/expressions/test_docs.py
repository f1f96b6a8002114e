"""docs/expressions.md says nothing that is not so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import ExpressionFailed
from app.core.scope import Scope
from app.expressions.expression import parse_expression
from app.expressions.functions import OURS
from app.expressions.template import parse_template

PAGE = (Path(__file__).parents[3] / "docs" / "expressions.md").read_text()
SCOPE: dict[str, Any] = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])


def examples(kind: str) -> list[tuple[str, str]]:
    """The examples of the blocks of a kind: what is written, and what it gives."""
    lines = "\n".join(re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)).splitlines()
    return [(line.partition(" → ")[0].strip(), line.partition(" → ")[2].strip()) for line in lines if line]


@pytest.mark.parametrize(("text", "gives"), examples("expressions"))
def test_an_expression_gives_what_the_page_says(text: str, gives: str) -> None:
    """`failure` stands for an expression that cannot be computed."""
    if gives == "failure":
        with pytest.raises(ExpressionFailed):
            parse_expression(text).search(Scope(SCOPE))
    else:
        assert parse_expression(text).search(Scope(SCOPE)) == json.loads(gives)


@pytest.mark.parametrize(("text", "gives"), examples("templates"))
def test_a_text_gives_what_the_page_says(text: str, gives: str) -> None:
    """Types included."""
    found = parse_template(text).value(Scope(SCOPE))
    assert (type(found), found) == (type(json.loads(gives)), json.loads(gives))


def test_every_function_of_ours_is_on_the_page_with_an_example() -> None:
    """In the table, and run."""
    run = " ".join(text for text, _ in examples("expressions"))
    assert not [name for name in OURS if f"`{name}(" not in PAGE or f"{name}(" not in run]
