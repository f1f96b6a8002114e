"""Whether `module:function` is there, told from the module's source: nothing of the user's runs during `check`."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path


def problem(target: str, folder: Path) -> str | None:
    """Why the target of a Python upstream cannot be called; None where nothing speaks against it."""
    module, _, function = target.partition(":")
    if module.split(".")[0] in sys.builtin_module_names:
        return None if hasattr(importlib.import_module(module), function) else f"the module '{module}' has no '{function}'"
    spec = _spec(module, folder)
    if spec is None:
        return f"no module '{module}' beside the catalog, nor installed"
    if spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except OSError as error:
        return f"the module '{module}' cannot be read: {error.strerror}"
    except (SyntaxError, ValueError, RecursionError) as error:
        return f"the module '{module}' is no Python: {getattr(error, 'msg', error)}, line {getattr(error, 'lineno', '?')}"
    names = set(_bound(tree.body))
    return None if names & {function, "*", "__getattr__"} else f"the module '{module}' has no '{function}'"


def functions(target: str, folder: Path) -> list[str]:
    """The names that a module binds, for a hint."""
    spec = _spec(target.partition(":")[0], folder)
    try:
        return [] if spec is None or not spec.origin else list(_bound(ast.parse(Path(spec.origin).read_bytes()).body))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []


def _spec(module: str, folder: Path) -> ModuleSpec | None:
    """The module's spec, found from the catalog's folder first, without importing its parents."""
    search: Sequence[str] | None = None
    spec: ModuleSpec | None = None
    name = ""
    for part in module.split("."):
        spec = PathFinder.find_spec(part, [str(folder)]) if not name else None
        name = f"{name}.{part}" if name else part
        if (spec := spec or _installed(name, search)) is None:
            return None
        search = spec.submodule_search_locations or []
    return spec


def _installed(name: str, search: Sequence[str] | None) -> ModuleSpec | None:
    """What Python's own finders say, those of editable installs among them."""
    for finder in sys.meta_path:
        if (spec := finder.find_spec(name, search)) is not None:
            return spec
    return None


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    """The names that a module's statements bind, those inside of `if` and `try` too; `*` where another module says."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
        else:
            for _, inner in ast.iter_fields(node):
                if isinstance(inner, list):
                    yield from _bound([one for one in inner if isinstance(one, ast.stmt)])
                    yield from (name for one in inner if isinstance(one, ast.ExceptHandler) for name in _bound(one.body))
