"""docs/design.md speaks of the house as it is: files, layers, the order of the policies."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from app.core.executor import Executor
from app.main import open_blocking, open_service
from app.policies.stack import ORDER
from app.upstream.registry import most_threads

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/design.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:app|tests|bench|docs)/[\w./-]*)`", PAGE)))


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_is_there(name: str) -> None:
    """Files and folders."""
    found = ROOT / name
    assert found.is_dir() if name.endswith("/") else found.is_file()


def test_the_layers_are_those_that_lint_holds() -> None:
    """In the same order; packages of one row beside each other."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    held = [[re.sub(r"[() ]", "", name) for name in layer.split("|")] for layer in contracts[0]["layers"]]
    table = PAGE.split("## Layers", 1)[1].split("\n## ", 1)[0]
    told = [
        [name.removesuffix(".py").rstrip("/").replace("/", ".") for name in re.findall(r"`(app/[\w/.]+)`", row.split("|")[1])]
        for row in table.splitlines()
        if row.startswith("| `")
    ]
    flat = [sorted(layer) for layer in told]
    assert flat[1:] == [sorted(layer) for layer in held[3:]]
    assert flat[0] == ["app.cli", "app.commands"] == [held[1][0], held[2][0]]


def test_the_order_of_the_policies_is_theirs() -> None:
    """All of them, outermost first."""
    assert " > ".join(ORDER) in PAGE


def test_the_functions_that_are_named_exist() -> None:
    """Where the page says."""
    names = {open_service.__name__, open_blocking.__name__, most_threads.__name__, Executor.shutdown.__name__}
    assert all(f"`{name}`" in PAGE or f".{name}`" in PAGE for name in names)


@pytest.mark.parametrize("page", ["design.md", "from-krakend.md"])
def test_links_lead_somewhere(page: str) -> None:
    """To files of ours."""
    targets = [t.partition("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", (ROOT / "docs" / page).read_text()) if not re.match(r"[a-z]+:", t)]
    assert not [t for t in targets if t and not (ROOT / "docs" / t).exists()]
