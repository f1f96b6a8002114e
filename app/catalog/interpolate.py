"""`${VAR}`, `${VAR:-default}`, `${file:PATH}` and the literal `$${` in a catalog's values.

What is substituted stays data wherever it lands: where expressions may stand it is marked (`app/expressions/marks.py`),
and their parsers take it literally or refuse it. So no secret is ever read as an expression, nor shown in a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from app.catalog.faults import Faults, Place
from app.catalog.nodes import Items, Node, Pieces, Substituted, Table
from app.catalog.yaml_nodes import Spoilt
from app.expressions.marks import is_marked, mark, plain

MAX_FILE = 1024 * 1024
_STEP = re.compile(r"\$\$\{(?:[^{}]*\})?|\$\{")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def interpolator(environ: Mapping[str, str], folder: Path, faults: Faults) -> Callable[[str, Place], Pieces | None]:
    """A function from source text to its pieces. It tells each fault at the place that it is given, and raises `Spoilt`."""

    def pieces_of(text: str, place: Place) -> Pieces | None:
        if "${" not in text:
            return (plain(text),) if is_marked(text) else None
        found: list[str | Substituted] = []
        at, is_good = 0, True
        while step := _STEP.search(text, at):
            found.append(plain(text[at : step.start()]))
            if step[0].startswith("$$"):
                found.append(Substituted(step[0][1:], "$${"))
                at = step.end()
                continue
            end = text.find("}", step.end())
            if end < 0:
                faults.spoil(place, "a '${' without its '}'", "write `$${` for the characters themselves")
                raise Spoilt
            name = text[step.end() : end]
            try:
                found.append(Substituted(_value(name, environ, folder), name.partition(":-")[0]))
            except ValueError as reason:
                is_good = False
                message, hint = reason.args
                faults.add(place, message, hint)
            at = end + 1
        if not is_good:
            faults.spoilt.add(place)
            raise Spoilt
        return (*found, plain(text[at:]))

    return pieces_of


def _value(inner: str, environ: Mapping[str, str], folder: Path) -> str:
    """What stands for `${inner}`. ValueError(message, hint) where there is nothing."""
    if inner.startswith("file:"):
        return _file(inner.removeprefix("file:"), folder)
    name, has_default, default = inner.partition(":-")
    if not _NAME.fullmatch(name):
        raise ValueError(f"'${{{inner}}}' is no variable", "write ${VAR}, ${VAR:-default} or ${file:PATH}; $${ for the characters themselves")
    if "${" in default:
        raise ValueError(f"the default of '{name}' holds another '${{'", "defaults are plain text")
    value = environ.get(name) or (default if has_default else environ.get(name))
    if value is None:
        raise ValueError(f"the variable '{name}' is not set", f"set it, or give a default: ${{{name}:-...}}")
    if _SURROGATE.search(value):
        raise ValueError(f"the variable '{name}' is no UTF-8 text", None)
    return value


def _file(name: str, folder: Path) -> str:
    try:
        with (folder / name).open("rb") as file:
            raw = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no file name"
        raise ValueError(f"the file '{name}' cannot be read: {reason}", None) from None
    if len(raw) > MAX_FILE:
        raise ValueError(f"the file '{name}' is over {MAX_FILE >> 20} MiB", None)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise ValueError(f"the file '{name}' is no UTF-8 text", None) from None
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


# --- what was substituted, where expressions may stand


def marked(node: Node) -> Node:
    """The tree with what was substituted in its texts marked, so that the parsers of expressions take it literally."""
    if isinstance(node, Items):
        return replace(node, items=tuple(marked(item) for item in node.items))
    if isinstance(node, Table):
        return replace(node, entries={key: replace(entry, node=marked(entry.node)) for key, entry in node.entries.items()})
    if node.pieces is None or not isinstance(node.value, str):
        return node
    return replace(node, value="".join(mark(piece.text) if isinstance(piece, Substituted) else piece for piece in node.pieces))
