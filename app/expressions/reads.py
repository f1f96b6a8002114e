"""What an expression reads of its scope, found in its syntax tree: roots, and the fields under them.

It follows where a value comes from: the scope, one of its names, or anything else. What is used of a name is noted when it
is used: `claims | roles`, `claims.roles` and `claims.{r: roles}` read the same.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from app.expressions.closures import Node

Source: TypeAlias = Literal["scope"] | tuple[str] | None
"""Where a value comes from: the whole scope, a name of it, or anything else."""


class WholeScope(Exception):
    """The expression uses the scope as a value: by `@`, or by a `*`, `[...]` or `[?...]` on nothing."""


def paths_read(tree: Node) -> frozenset[tuple[str, ...]]:
    """`(root, field)` where the field is static, `(root,)` where all of it may be used. Raises WholeScope."""
    paths: set[tuple[str, ...]] = set()
    _use(_follow(tree, "scope", paths), paths)
    return frozenset(paths)


def _use(source: Source, paths: set[tuple[str, ...]]) -> None:
    """Notes that a value is used as it is."""
    if source == "scope":
        raise WholeScope
    if source is not None:
        paths.add(source)


def _follow(node: Node, source: Source, paths: set[tuple[str, ...]]) -> Source:
    """Where the node's value comes from, for a value that comes from `source`; notes what is read on the way."""
    match node["type"]:
        case "field":
            return _field(node["value"], source, paths)
        case "current" if source == "scope":
            raise WholeScope
        case "current" | "identity":
            return source
        case "literal":
            return None
        case "subexpression" | "index_expression" | "pipe":
            for child in node["children"]:
                source = _follow(child, source, paths)
            return source
        case "projection" | "filter_projection" | "value_projection":
            _use(_follow(node["children"][0], source, paths), paths)
            for child in node["children"][1:]:
                _follow(child, None, paths)
        case "expref":
            _follow(node["children"][0], None, paths)
        case "index" | "slice":
            _use(source, paths)
        case _:
            for child in node["children"]:
                _use(_follow(child, source, paths), paths)
    return None


def _field(name: str, source: Source, paths: set[tuple[str, ...]]) -> Source:
    if source == "scope":
        return (name,)
    if source is not None:
        paths.add((source[0], name))
    return None
