"""What is wrong with an expression or a template that cannot be parsed."""

from __future__ import annotations


class ExpressionSyntax(Exception):
    """A fault of the catalog: `offset` counts characters into the text; `where` is the way to the text in a tree of values."""

    def __init__(self, message: str, offset: int = 0, hint: str | None = None, where: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint
        self.where = where

    def at(self, offset: int) -> ExpressionSyntax:
        """The same fault of a text that begins `offset` characters into a longer one."""
        return ExpressionSyntax(self.message, self.offset + offset, self.hint, self.where)

    def under(self, key: str | int) -> ExpressionSyntax:
        """The same fault, one level further down in a tree."""
        return ExpressionSyntax(self.message, self.offset, self.hint, (key, *self.where))
