"""Whether `module:function` is there, told from the module's source: nothing of the user's runs during `check`."""

from __future__ import annotations

import ast
import importlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["constant", "any"]
"""What a name is bound to: a number, text or the like, which is never called, or anything else."""
_BINDS_UNSEEN = frozenset(("exec", "eval", "globals", "vars", "setattr", "locals"))
_CONSTANTS = (ast.Constant, ast.JoinedStr, ast.List, ast.Tuple, ast.Dict, ast.Set)


def problem(target: str, folder: Path) -> str | None:
    """Why the target of a Python upstream cannot be called; None where nothing speaks against it."""
    module, _, function = target.partition(":")
    if module in sys.builtin_module_names:
        return _verdict(target, _kinds_of(importlib.import_module(module), function))
    source = _source(module, folder)
    if source is None and module in sys.modules:  # under another file's name, as `os.path`
        return _verdict(target, _kinds_of(sys.modules[module], function))
    if source is None:
        return f"no module '{module}' beside the catalog, nor installed"
    try:
        kinds = {kind for name, kind in _names(source) if name in (function, "*", "__getattr__")}
    except OSError as error:
        return f"the module '{module}' cannot be read: {error.strerror}"
    except (SyntaxError, ValueError, RecursionError) as error:
        return f"the module '{module}' is no Python: {getattr(error, 'msg', error)}, line {getattr(error, 'lineno', '?')}"
    return _verdict(target, kinds)


def _kinds_of(module: ModuleType, name: str) -> set[Kind]:
    """What a module that is loaded anyway binds a name to."""
    return {"any" if callable(getattr(module, name)) else "constant"} if hasattr(module, name) else set()


def _verdict(target: str, kinds: set[Kind]) -> str | None:
    module, _, function = target.partition(":")
    if not kinds:
        return f"the module '{module}' has no '{function}'"
    return f"'{function}' of the module '{module}' is no function" if kinds == {"constant"} else None


def functions(target: str, folder: Path) -> list[str]:
    """The names that a module binds to what may be a function, for a hint."""
    source = _source(target.partition(":")[0], folder)
    try:
        return [name for name, kind in _names(source) if kind != "constant"] if source else []
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []


def _names(source: Path) -> Iterator[tuple[str, Kind]]:
    """The names that a module binds, and to what; `*` for one without Python source, of which nothing can be told."""
    if source.suffix != ".py":
        yield "__init__" if source.is_dir() else "*", "any"
        return
    tree = ast.parse(source.read_bytes())
    bound = list(_bound(tree.body))
    yield from bound
    anew = _bound_anew(tree)
    yield from ((name, "any") for name, kind in bound if kind == "constant" and (anew is None or anew[name] > 1))


def _bound_anew(tree: ast.Module) -> Counter[str] | None:
    """How often each name is bound, anywhere and in any way; None where a module may bind names that its source does not show."""
    nodes = list(ast.walk(tree))
    if any(isinstance(node, ast.Name) and node.id in _BINDS_UNSEEN for node in nodes):
        return None
    found = Counter(node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load))
    for node in nodes:
        if isinstance(node, ast.Global):
            found.update(node.names)
        else:
            found.update(name for field in ("name", "asname", "rest") if isinstance(name := getattr(node, field, None), str))
    return found


# --- where the source is


def _source(module: str, folder: Path) -> Path | None:
    """The file of a module, a folder for a namespace package: beside the catalog first, then installed."""
    first, *rest = module.split(".")
    return _walked([folder], [first, *rest]) or _installed(first, rest)


def _walked(places: Sequence[Path], parts: list[str]) -> Path | None:
    """The file of a dotted name below these folders."""
    for place in places:
        package, name = place / parts[0], parts[0]
        if len(parts) > 1:
            if package.is_dir() and (found := _walked([package], parts[1:])):
                return found
            continue
        for file in (package / "__init__.py", place / f"{name}.py", *(place / f"{name}{suffix}" for suffix in EXTENSION_SUFFIXES), package):
            if file.exists():
                return file
    return None


def _installed(first: str, rest: list[str]) -> Path | None:
    """What Python's own finders say of the first name (those of editable installs among them), and the files below it."""
    for finder in sys.meta_path:
        if (spec := finder.find_spec(first, None)) is None:
            continue
        if rest:
            return _walked([Path(place) for place in spec.submodule_search_locations or ()], rest)
        return Path(spec.origin or next(iter(spec.submodule_search_locations or ()), "frozen"))
    return None


# --- what it binds


def _bound(body: list[ast.stmt]) -> Iterator[tuple[str, Kind]]:
    """The names that a module's statements bind, those inside of `if` and `try` too, and to what; `*` where another module says."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, "any"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (((alias.asname or alias.name).partition(".")[0], "any") for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                kind: Kind = "constant" if isinstance(target, ast.Name) and isinstance(node.value, _CONSTANTS) else "any"
                yield from ((name.id, kind) for name in ast.walk(target) if isinstance(name, ast.Name))
        else:
            for _, inner in ast.iter_fields(node):
                if isinstance(inner, list):
                    yield from _bound([one for one in inner if isinstance(one, ast.stmt)])
                    yield from (name for one in inner if isinstance(one, ast.ExceptHandler) for name in _bound(one.body))
