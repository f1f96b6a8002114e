"""A bare JMESPath expression: parsed once, checked as far as it can be, compiled into a closure."""

from __future__ import annotations

from typing import Any, Literal

from app.core.errors import ExpressionFailed
from app.expressions.closures import Node, closure
from app.expressions.marks import veiled
from app.expressions.parser import faults_of, parsed
from app.expressions.reads import WholeScope, paths_read
from app.expressions.syntax import ExpressionSyntax


class Expression:
    """A parsed expression.

    `paths`: what it reads of the scope, as (root, field) where the field is static and as (root,) where all of it may be
    used; `names`: their roots. `lone` is the name, if the expression is nothing but one: its data need not be decoded.
    """

    __slots__ = ("_search", "lone", "names", "paths", "text")

    def __init__(self, text: str, tree: Node, paths: frozenset[tuple[str, ...]]) -> None:
        self.text = text
        self.paths = paths
        self.names = frozenset(path[0] for path in paths)
        self.lone: str | None = tree["value"] if tree["type"] == "field" and paths else None
        self._search = closure(tree)

    def search(self, document: Any) -> Any:
        """The value over a scope, or over any JSON value; ExpressionFailed where there is none. Never NaN or infinity."""
        try:
            return self._search(document)
        except (ValueError, TypeError, ArithmeticError, RecursionError) as exc:
            raise ExpressionFailed from exc

    def __repr__(self) -> str:
        return f"<Expression {self.text}>"


def parse_expression(text: str, *, over: Literal["scope", "body"] = "scope") -> Expression:
    """Parses an expression over the scope, where `@` alone is a fault, or over a decoded body. Raises ExpressionSyntax, with every fault."""
    tree = parsed(text)
    faults = list(faults_of(tree, text))
    paths: frozenset[tuple[str, ...]] = frozenset()
    if over == "scope":
        try:
            paths = paths_read(tree)
        except WholeScope:
            hint = "start from a name: a param, a call, `body`, `request`"
            faults.append(ExpressionSyntax("'@' would be the whole scope", max(text.find("@"), 0), hint))
    if faults:
        raise ExpressionSyntax.of(faults, paths)
    return Expression(veiled(text), tree, paths)
