"""What the house style bans is not in app/: checked over the syntax tree, so that words in texts do not count."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "app").rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in FILES]
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def dotted(node: ast.expr) -> str:
    return ast.unparse(node)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    """One file, one idea; its first line says it."""
    assert ast.get_docstring(tree(path)), "no module docstring"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_file_is_under_300_lines(path: Path) -> None:
    """Over that it is two ideas."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_public_names_have_docstrings(path: Path) -> None:
    """One sentence that states the promise."""
    bare = [
        node.name
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert not bare


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_banned_calls_are_not_made(path: Path) -> None:
    """`wait_for` swallows cancellation on 3.11; `get_event_loop` finds or makes one by accident; `uuid1` tells the machine."""
    banned = {"asyncio.wait_for", "asyncio.get_event_loop", "asyncio.ensure_future", "yaml.load", "eval", "exec", "pickle.loads"}
    found = [f"{dotted(n.func)} in line {n.lineno}" for n in ast.walk(tree(path)) if isinstance(n, ast.Call) and dotted(n.func) in banned]
    assert not found


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_no_base_http_middleware(path: Path) -> None:
    """It hides disconnects: pure ASGI only."""
    names = {alias.name for n in ast.walk(tree(path)) if isinstance(n, ast.ImportFrom) for alias in n.names}
    assert "BaseHTTPMiddleware" not in names


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_no_fault_is_swallowed(path: Path) -> None:
    """Never `except Exception` or wider to keep going: such a handler raises, or tells of the fault."""
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = dotted(node.type) if node.type is not None else "everything"
        if any(word in caught.replace("(", " ").replace(")", " ").replace(",", " ").split() for word in ("Exception", "BaseException", "everything")):
            does = [type(n) for stmt in node.body for n in ast.walk(stmt)]
            assert ast.Raise in does or ast.Call in does, f"line {node.lineno} swallows {caught}"
        if "CancelledError" in caught:
            does = [type(n) for stmt in node.body for n in ast.walk(stmt)]
            assert ast.Raise in does or ast.Call in does or ast.Return in does, f"line {node.lineno} swallows a cancellation"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_imports_stand_at_the_top(path: Path) -> None:
    """No import inside a function; lazy commands are the one exception, by name, in cli.py and the commands that serve."""
    inside = [
        n.lineno
        for f in ast.walk(tree(path))
        if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef)
        for n in ast.walk(f)
        if isinstance(n, ast.Import | ast.ImportFrom)
    ]
    assert not inside


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_nothing_is_left_unfinished(path: Path) -> None:
    """No notes to come back to, no stubs."""
    text = path.read_text(encoding="utf-8")
    assert not UNFINISHED.search(text)
    assert "NotImplementedError" not in text or path.name == "calendar.py", "the package holidays raises it"


def test_no_drawer_for_everything() -> None:
    """No utils, helpers, common, base, manager."""
    assert not [name for name in NAMES if Path(name).stem in {"utils", "util", "helpers", "common", "base", "manager", "misc"}]
