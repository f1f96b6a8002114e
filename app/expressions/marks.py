"""Marks round text that the environment brought into the catalog, so that it is never read as an expression.

The loader marks what it substitutes for `${VAR}` and keeps the marks until it knows the place: where expressions may
stand, the parsers of this package take marked text literally; everywhere else `plain` takes the marks away. The marks
are Unicode noncharacters (Unicode 17, section 23.7: for internal use, never interchanged); a substituted text loses its own.
"""

from __future__ import annotations

import re

BEGIN = "\ufdd0"
END = "\ufdd1"
_MARKED = re.compile(f"{BEGIN}[^{END}]*{END}")
_PAIRED = re.compile(f"[^{BEGIN}{END}]*(?:{BEGIN}[^{BEGIN}{END}]*{END}[^{BEGIN}{END}]*)*")
_NONE = str.maketrans("", "", BEGIN + END)


def mark(text: str) -> str:
    """The text, marked as substituted."""
    return f"{BEGIN}{plain(text)}{END}"


def plain(text: str) -> str:
    """The text without its marks."""
    return text.translate(_NONE) if is_marked(text) else text


def veiled(text: str) -> str:
    """The text as it may be shown: what was substituted, perhaps a secret, is left out."""
    return plain(_MARKED.sub("${...}", text)) if is_marked(text) else text


def is_marked(text: str) -> bool:
    """Whether some of the text was substituted."""
    return BEGIN in text or END in text


def is_paired(text: str) -> bool:
    """Whether every mark has its fellow, as all that `mark` makes; a text may come with such characters of its own."""
    return _PAIRED.fullmatch(text) is not None
