"""What the house style bans is not in app/: checked over the syntax tree, so that words in texts do not count."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "app").rglob("*.py"))
LONGEST = 300
BANNED = {"asyncio.wait_for", "asyncio.get_event_loop", "asyncio.ensure_future", "yaml.load", "eval", "exec", "pickle.loads", "print"}
"""`wait_for` swallows cancellation on 3.11; `get_event_loop` finds or makes one by accident; `ensure_future` leaves tasks without an owner."""
WIDE = {"Exception", "BaseException", "everything"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")
DRAWERS = {"utils", "util", "helpers", "common", "base", "manager", "misc"}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def wrong(rule: Callable[[Path], Iterator[str]]) -> list[str]:
    """Every place that breaks a rule, as `file: what`."""
    return [f"{path.relative_to(ROOT)}: {what}" for path in FILES for what in rule(path)]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_a_module_says_what_it_is_for() -> None:
    """One file, one idea; its first line says it."""
    assert not wrong(lambda path: iter([] if ast.get_docstring(tree(path)) else ["no docstring"]))


def test_a_file_is_one_idea() -> None:
    """Over 300 lines it is two."""

    def rule(path: Path) -> Iterator[str]:
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST:
            yield f"{lines} lines"

    assert not wrong(rule)


def test_a_function_fits_a_screen() -> None:
    """60 lines at most, its docstring and the functions in it included; what only puts parts together may have more."""

    def rule(path: Path) -> Iterator[str]:
        for node in functions(path):
            if (lines := (node.end_lineno or 0) - node.lineno + 1) > 60:
                yield f"{node.name} has {lines} lines"

    assert not wrong(rule)


def test_public_names_state_their_promise() -> None:
    """One sentence at least."""

    def rule(path: Path) -> Iterator[str]:
        for node in tree(path).body:
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                and not node.name.startswith("_")
                and not ast.get_docstring(node)
            ):
                yield node.name

    assert not wrong(rule)


def test_banned_calls_are_not_made() -> None:
    """See BANNED."""

    def rule(path: Path) -> Iterator[str]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in BANNED:
                yield f"{name} in line {node.lineno}"

    assert not wrong(rule)


def test_no_base_http_middleware() -> None:
    """It hides disconnects: pure ASGI only."""

    def rule(path: Path) -> Iterator[str]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom):
                yield from (alias.name for alias in node.names if alias.name == "BaseHTTPMiddleware")

    assert not wrong(rule)


def test_no_fault_is_swallowed() -> None:
    """Whoever catches `Exception` or wider, or a cancellation, raises again or tells of it; `pass` is no handler."""

    def rule(path: Path) -> Iterator[str]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler):
                caught = set(re.findall(r"\w+", ast.unparse(node.type))) if node.type is not None else {"everything"}
                does = {type(inner) for statement in node.body for inner in ast.walk(statement)}
                if caught & (WIDE | {"CancelledError"}) and not does & {ast.Raise, ast.Call, ast.Return}:
                    yield f"line {node.lineno} swallows {', '.join(sorted(caught))}"

    assert not wrong(rule)


def test_imports_stand_at_the_top() -> None:
    """No import inside a function; the few lazy ones are by name, with their reason beside them."""

    def rule(path: Path) -> Iterator[str]:
        for function in functions(path):
            yield from (f"line {node.lineno}" for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom))

    assert not wrong(rule)


def test_nothing_is_left_unfinished() -> None:
    """No notes to come back to, no stubs."""
    assert not wrong(lambda path: (match[0] for match in UNFINISHED.finditer(path.read_text(encoding="utf-8"))))


def test_there_is_no_drawer_for_everything() -> None:
    """No utils, helpers, common, base, manager."""
    assert not [str(path) for path in FILES if path.stem in DRAWERS]
