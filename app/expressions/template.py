"""A text that may hold `{expressions}`; outside of them `{{` and `}}` are literal braces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from app.core.errors import ExpressionFailed
from app.core.scope import Scope
from app.expressions.expression import Expression, parse_expression
from app.expressions.marks import BEGIN, END, is_paired, veiled
from app.expressions.syntax import ExpressionSyntax
from app.expressions.values import written

OnNull: TypeAlias = Callable[[str], None]
"""Told the text of an expression that could not be computed, and was taken for null."""


class Template:
    """A parsed text.

    `pieces`: literal texts and expressions, in turn. `constant`: the text, where it holds no expression. `alone`: the
    expression, where the text is one and nothing else: then its value keeps its type.
    """

    __slots__ = ("alone", "constant", "names", "paths", "pieces", "text")

    def __init__(self, text: str, pieces: tuple[str | Expression, ...]) -> None:
        expressions = [piece for piece in pieces if isinstance(piece, Expression)]
        self.text = text
        self.pieces = pieces
        self.names: frozenset[str] = frozenset().union(*(e.names for e in expressions))
        self.paths: frozenset[tuple[str, ...]] = frozenset().union(*(e.paths for e in expressions))
        self.constant = None if expressions else "".join(str(piece) for piece in pieces)
        self.alone = expressions[0] if len(pieces) == 1 and expressions else None

    def value(self, scope: Scope, on_null: OnNull | None = None) -> Any:
        """Its value: of any type where it is one expression, else a text.

        Raises ExpressionFailed; with `on_null` what cannot be computed is null instead, and nothing inside a text.
        """
        if self.constant is not None:
            return self.constant
        if self.alone is None:
            return "".join([piece if type(piece) is str else _piece(piece, scope, on_null) for piece in self.pieces])  # type: ignore[arg-type]
        try:
            return self.alone.search(scope)
        except ExpressionFailed:
            if on_null is None:
                raise
            on_null(self.alone.text)
            return None

    def values(self, scope: Scope) -> list[Any]:
        """The values of its pieces, literal texts as they are."""
        return [piece if type(piece) is str else piece.search(scope) for piece in self.pieces]  # type: ignore[union-attr]

    def __repr__(self) -> str:
        return f"<Template {self.text}>"


def _piece(expression: Expression, scope: Scope, on_null: OnNull | None) -> str:
    try:
        return written(expression.search(scope))
    except ExpressionFailed:
        if on_null is None:
            raise
        on_null(expression.text)
        return ""


def parse_template(text: str) -> Template:
    """Parses a text; raises ExpressionSyntax, with every fault and its offset into the text."""
    if not is_paired(text):
        raise ExpressionSyntax("a character that cannot stand in a text", min(i for i in (text.find(BEGIN), text.find(END)) if i >= 0))
    pieces: list[str | Expression] = []
    faults: list[ExpressionSyntax] = []
    for piece in _pieces(text):
        if isinstance(piece, ExpressionSyntax):
            faults.append(piece)
        elif isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    template = Template(veiled(text), tuple(pieces))
    if faults:
        raise ExpressionSyntax.of(faults, template.paths)
    return template


def escape(text: str) -> str:
    """The template of a literal text: braces doubled."""
    return text.replace("{", "{{").replace("}", "}}")


def _pieces(text: str) -> Iterator[str | Expression | ExpressionSyntax]:
    """Literal texts and expressions in turn; for an expression that is none, its fault. After a brace without its fellow nothing can be told."""
    at = 0
    while at < len(text):
        if text[at] == BEGIN:
            end = text.find(END, at)
            yield text[at + 1 : end]
            at = end + 1
        elif text[at : at + 2] in ("{{", "}}"):
            yield text[at]
            at += 2
        elif text[at] == "{":
            if (closing := _closing(text, at)) is None:
                yield ExpressionSyntax("a brace that is never closed", at, "a literal brace is written {{")
                return
            yield _expression(text[at + 1 : closing], at + 1)
            at = closing + 1
        elif text[at] == "}":
            yield ExpressionSyntax("a brace that closes nothing", at, "a literal brace is written }}")
            return
        else:
            end = next((i for i in range(at, len(text)) if text[i] in f"{{}}{BEGIN}"), len(text))
            yield text[at:end]
            at = end


def _expression(text: str, offset: int) -> Expression | ExpressionSyntax:
    if not text.strip():
        return ExpressionSyntax("an empty expression", offset, "a literal brace is written {{")
    try:
        return parse_expression(text.strip())
    except ExpressionSyntax as fault:
        return fault.at(offset + len(text) - len(text.lstrip()))


def _closing(text: str, at: int) -> int | None:
    """Where the brace that opens at `at` is closed, if it is; braces nest, and those in quotes or substituted text do not count."""
    depth, i = 0, at
    while i < len(text):
        sign = text[i]
        if sign in "'\"`":
            i = _end_of_quote(text, i)
        elif sign == BEGIN:
            i = text.find(END, i)
        elif sign == "{":
            depth += 1
        elif sign == "}":
            depth -= 1
            if depth == 0:
                return i
        i += 1
    return None


def _end_of_quote(text: str, at: int) -> int:
    """Where the quote that opens at `at` ends; a backslash, and substituted text, hide a quote."""
    quote, i = text[at], at + 1
    while i < len(text) and text[i] != quote:
        i = text.find(END, i) if text[i] == BEGIN else i + (text[i] == "\\")
        i += 1
    return i
