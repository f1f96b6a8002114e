"""`${VAR}`, `${VAR:-default}`, `${file:PATH}` and the literal `$${` in a catalog's values.

What is substituted stays data wherever it lands: in a template its braces are doubled, in a literal of an expression its
quotes are escaped, and anywhere else inside an expression it is refused. So no secret is ever read as an expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from app.catalog.faults import Faults, Place
from app.catalog.nodes import Items, Leaf, Node, Pieces, Substituted, Table
from app.catalog.yaml_nodes import Spoilt

MAX_FILE = 1024 * 1024
_STEP = re.compile(r"\$\$\{(?:[^{}]*\})?|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INSIDE = "what is substituted is never read as an expression: put it between '...' inside of one"


def interpolator(environ: Mapping[str, str], folder: Path, faults: Faults) -> Callable[[str, Place], Pieces | None]:
    """A function from source text to its pieces. It tells each fault at the place that it is given, and raises `Spoilt`."""

    def pieces_of(text: str, place: Place) -> Pieces | None:
        if "${" not in text:
            return None
        found: list[str | Substituted] = []
        at, is_good = 0, True
        while step := _STEP.search(text, at):
            found.append(text[at : step.start()])
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
        return (*found, text[at:])

    return pieces_of


def _value(inner: str, environ: Mapping[str, str], folder: Path) -> str:
    """What stands for `${inner}`. ValueError(message, hint) where there is nothing."""
    if inner.startswith("file:"):
        return _file(inner.removeprefix("file:"), folder)
    name, has_default, default = inner.partition(":-")
    if not _NAME.fullmatch(name):
        raise ValueError(f"'${{{inner}}}' is no variable", "write ${VAR}, ${VAR:-default} or ${file:PATH}; $${ for the characters themselves")
    if has_default:
        if "${" in default:
            raise ValueError(f"the default of '{name}' holds another '${{'", "defaults are plain text")
        return environ.get(name) or default
    if name not in environ:
        raise ValueError(f"the variable '{name}' is not set", f"set it, or give a default: ${{{name}:-...}}")
    return environ[name]


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


# --- what was substituted, by where it lands


def as_template(pieces: Pieces) -> str:
    """The text of a template in which what was substituted is literal. ValueError where it stands inside an expression."""
    text, depth, quote = "", 0, ""
    for piece in pieces:
        if isinstance(piece, Substituted):
            text += _literal(piece.text, quote) if depth else piece.text.replace("{", "{{").replace("}", "}}")
            continue
        text += piece
        depth, quote = _walk(piece, depth, quote)
    return text


def as_expression(pieces: Pieces) -> str:
    """A bare expression in which what was substituted stands in literals only. ValueError where it does not."""
    text, quote = "", ""
    for piece in pieces:
        text += _literal(piece.text, quote) if isinstance(piece, Substituted) else piece
        if not isinstance(piece, Substituted):
            _, quote = _walk(piece, 1, quote)
    return text


def _literal(text: str, quote: str) -> str:
    """The text inside a raw string ('...') or a JSON literal (`...`) of JMESPath, which it cannot end."""
    if quote == "'" and "\\" not in text:
        return text.replace("'", "\\'")
    if quote == "`" and "\\" not in text:
        return text.replace("`", "\\`")
    raise ValueError(_INSIDE)


def _walk(text: str, depth: int, quote: str) -> tuple[int, str]:
    """How deep in braces, and in which quotes, one is after a piece of a template."""
    at = 0
    while at < len(text):
        char = text[at]
        if depth == 0:
            if text[at : at + 2] in ("{{", "}}"):
                at += 1
            elif char == "{":
                depth = 1
        elif quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "'\"`":
            quote = char
        elif char in "{}":
            depth += 1 if char == "{" else -1
        at += 1
    return depth, quote


def settled(node: Node, faults: Faults, text_of: Callable[[Pieces], str]) -> Node:
    """The tree with every substituted text written as its place wants it: `as_template` or `as_expression`."""
    if isinstance(node, Items):
        return replace(node, items=tuple(settled(item, faults, text_of) for item in node.items))
    if isinstance(node, Table):
        return replace(node, entries={k: replace(e, node=settled(e.node, faults, text_of)) for k, e in node.entries.items()})
    return _settled_leaf(node, faults, text_of)


def _settled_leaf(leaf: Leaf, faults: Faults, text_of: Callable[[Pieces], str]) -> Leaf:
    if leaf.pieces is None or not isinstance(leaf.value, str):
        return leaf
    try:
        return replace(leaf, value=text_of(leaf.pieces))
    except ValueError as reason:
        faults.spoil(leaf.place, f"{leaf.shown}: {reason}")
        return leaf
