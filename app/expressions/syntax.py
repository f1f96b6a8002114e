"""What is wrong with an expression or a template that cannot be parsed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(eq=False)
class ExpressionSyntax(Exception):
    """A fault of the catalog: `offset` counts characters into the text; `where` is the way to the text in a tree of values.

    `more` has further faults of the same text, `paths` what the text reads of the scope all the same, as far as that can be told.
    """

    message: str
    offset: int = 0
    hint: str | None = None
    where: tuple[str | int, ...] = ()
    more: tuple[ExpressionSyntax, ...] = ()
    paths: frozenset[tuple[str, ...]] = frozenset()

    def __post_init__(self) -> None:
        """The message is the exception's text."""
        super().__init__(self.message)

    @classmethod
    def of(cls, faults: Sequence[ExpressionSyntax], paths: frozenset[tuple[str, ...]] = frozenset()) -> ExpressionSyntax:
        """All faults of one text in one: the first, with the others."""
        first, *others = [one for fault in faults for one in fault.each]
        every_path = paths.union(*(fault.paths for fault in faults))
        return cls(first.message, first.offset, first.hint, first.where, tuple(others), every_path)

    @property
    def each(self) -> tuple[ExpressionSyntax, ...]:
        """Every fault of the text, this one first."""
        return (self, *self.more)

    @property
    def names(self) -> frozenset[str]:
        """The roots of `paths`."""
        return frozenset(path[0] for path in self.paths)

    def at(self, offset: int) -> ExpressionSyntax:
        """The same fault of a text that begins `offset` characters into a longer one."""
        more = tuple(one.at(offset) for one in self.more)
        return ExpressionSyntax(self.message, self.offset + offset, self.hint, self.where, more, self.paths)

    def under(self, key: str | int) -> ExpressionSyntax:
        """The same fault, one level further down in a tree."""
        more = tuple(one.under(key) for one in self.more)
        return ExpressionSyntax(self.message, self.offset, self.hint, (key, *self.where), more, self.paths)
