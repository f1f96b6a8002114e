"""Formats beside JSON, as JSON values: XML, RSS and Atom, CSV, text. All raise DecodeFailed for what they cannot read.

Bodies come from outside: entities and document types that declare anything are refused (they make much of little), and what
a body becomes is bounded by its own size.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from typing import Any
from xml.parsers import expat

import feedparser
import xmltodict

from app.core.errors import DecodeFailed, TooLarge

MAX_CSV = 64 * 1024 * 1024
"""Bytes that the keys of a CSV's objects may take in all: a long header before many short rows grows without bound."""

csv.field_size_limit(2**31 - 1)  # of the whole process; a body is bounded by its `max_body`

_NOT_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7"})
"""Python's codecs that are no charset of the web; some take quadratic time."""

_DECLARED = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
_GROWING = re.compile(r"<!(ENTITY|ATTLIST)")
"""Declarations by which a small document becomes a large one."""


def text(body: bytes, charset: str | None) -> str:
    """The text, by its charset or as UTF-8, without a byte order mark."""
    try:
        codec = codecs.lookup(charset or "utf-8")
        if codec.name.replace("_", "-") in _NOT_CHARSETS:
            raise DecodeFailed("an unknown charset")
        decoded = body.decode(codec.name)
    except (LookupError, UnicodeError) as exc:
        raise DecodeFailed("a text that its charset does not fit") from exc
    return decoded.removeprefix("\ufeff")


class _Guarded:
    """What xmltodict takes for expat: parsers that refuse a document type which declares something of its own."""

    @staticmethod
    def ParserCreate(encoding: str | None, separator: str | None) -> expat.XMLParserType:
        """A parser of expat."""
        parser = expat.ParserCreate(encoding, separator)
        parser.StartDoctypeDeclHandler = _refuse_subset
        return parser


def _refuse_subset(name: str, system_id: str | None, public_id: str | None, has_internal_subset: int) -> None:
    if has_internal_subset:
        raise ValueError("a document type that declares something")


def xml(body: bytes, charset: str | None) -> Any:
    """The root element as the only key, repeated elements as a list, attributes as `@name`, text beside them as `#text`."""
    try:
        return xmltodict.parse(body if charset is None else text(body, charset), expat=_Guarded)
    except (expat.ExpatError, ValueError, LookupError) as exc:
        raise DecodeFailed("no XML that can be read") from exc


def feed(body: bytes, charset: str | None) -> dict[str, Any]:
    """RSS or Atom: `{title, link, items: [{title, link, id, published, summary}]}`, null for what is not there.

    HTML in it is sanitised. `published` falls back to `updated`, the only date that Atom asks for.
    """
    declared = _DECLARED.match(body)
    content = text(body, charset or (declared[1].decode() if declared else "utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else None))
    if _GROWING.search(content):
        raise DecodeFailed("a feed that declares entities")
    parsed = _parsed_feed(content[found.end() if (found := _DECLARATION.match(content)) else 0 :])
    return {
        "title": parsed.feed.get("title"),
        "link": parsed.feed.get("link"),
        "items": [
            {
                "title": entry.get("title"),
                "link": entry.get("link"),
                "id": entry.get("id"),
                "published": entry.get("published") if "published" in entry else entry.get("updated"),
                "summary": entry.get("summary"),
            }
            for entry in parsed.entries
        ],
    }


def _parsed_feed(content: str) -> Any:
    # A file: feedparser takes bytes for a file's name or a URL first.
    source = io.BytesIO(content.encode("utf-8", "replace"))
    try:
        parsed = feedparser.parse(source, response_headers={"content-type": "application/xml; charset=utf-8"}, resolve_relative_uris=False)
    except Exception as exc:  # it promises to raise nothing, and its parsers for broken feeds raise anything
        raise DecodeFailed("no feed that can be read") from exc
    if not parsed.get("version"):
        raise DecodeFailed("no feed that can be read")
    return parsed


def table(body: bytes, charset: str | None) -> list[dict[str, str | None]]:
    """CSV (RFC 4180) as a list of objects by its header line; null where a row ends early, a failure where it has more."""
    reader = csv.reader(io.StringIO(text(body, charset), newline=""), strict=True)
    try:
        header = next((row for row in reader if row), [])
        rows = [row for row in reader if row]
    except csv.Error as exc:
        raise DecodeFailed("no CSV that can be read") from exc
    if sum(map(len, header), len(header)) * len(rows) > MAX_CSV:
        raise TooLarge
    if any(len(row) > len(header) for row in rows):
        raise DecodeFailed("a row that is longer than the header")
    return [dict(zip(header, row + [None] * (len(header) - len(row)), strict=True)) for row in rows]
