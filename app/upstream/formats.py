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

_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_UTF_16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}
"""How UTF-16 begins (XML 1.0 appendix F)."""
_MISC = r"(?>[ \t\r\n]+|<\?.*?\?>|<!--.*?-->)*+"
_LITERAL = r"""(?:"[^"]*"|'[^']*')"""
_DOCTYPE = rf"""<!DOCTYPE\s+[^\s\[>"']+(?:\s+(?:SYSTEM|PUBLIC\s+{_LITERAL})(?:\s+{_LITERAL})?)?\s*(?:\[\s*\]\s*)?>"""
_PROLOG = re.compile(rf"\A({_MISC})(?:{_DOCTYPE}{_MISC})?", re.DOTALL | re.ASCII)
"""What stands before the root element (XML 1.0 section 2.8), up to a document type that declares something of its own."""
_ROOT = re.compile(r"<((?:\w+:)?(?:rss|rdf|feed|channel))\b", re.ASCII | re.IGNORECASE)
_DECLARING = re.compile(r"<!(DOCTYPE|ENTITY|ATTLIST)")


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
        parser.StartDoctypeDeclHandler = _refuse_doctype
        return parser


def _refuse_doctype(name: str, system_id: str | None, public_id: str | None, has_internal_subset: int) -> None:
    raise ValueError("a document type that declares something")


def _document(body: bytes, charset: str | None) -> str:
    """The text of an XML document, by the header's charset, its own declaration or how it begins (RFC 7303 section 3)."""
    declared = _DECLARED.match(body)
    return text(body, charset or (declared[1].decode() if declared else _UTF_16.get(body[:2])))


def xml(body: bytes, charset: str | None) -> Any:
    """The root element as the only key, repeated elements as a list, attributes as `@name`, text beside them as `#text`.

    A document type that only names a file is left out: the file is never read, and with it expat would drop, silently, every
    entity that the file may declare. Without it such an entity is a fault.
    """
    try:
        return xmltodict.parse(_PROLOG.sub(r"\1", _document(body, charset)), expat=_Guarded)
    except (expat.ExpatError, ValueError, LookupError) as exc:
        raise DecodeFailed("no XML that can be read") from exc


def feed(body: bytes, charset: str | None) -> dict[str, Any]:
    """RSS or Atom: `{title, link, items: [{title, link, id, published, summary}]}`, null for what is not there.

    HTML in it is sanitised. `published` falls back to `updated`, the only date that Atom asks for. Faults of its XML are
    forgiven, but for a document that ends before its root element does.
    """
    content = _PROLOG.sub("", _document(body, charset))
    root = _ROOT.search(content)
    if _DECLARING.search(content, 0, root.start() if root else len(content)):
        raise DecodeFailed("a document type that declares something")
    parsed = _parsed_feed(content)
    if parsed.bozo and root and not re.search(rf"</{re.escape(root[1])}\s*>", content, re.IGNORECASE):
        raise DecodeFailed("a feed that breaks off")
    is_atom = parsed.version.startswith("atom")
    return {
        "title": parsed.feed.get("title"),
        "link": _link(parsed.feed, is_atom),
        "items": [
            {
                "title": entry.get("title"),
                "link": _link(entry, is_atom),
                "id": entry.get("id"),
                "published": entry.get("published") if "published" in entry else entry.get("updated"),
                "summary": entry.get("summary"),
            }
            for entry in parsed.entries
        ],
    }


def _link(holder: Any, is_atom: bool) -> Any:
    """Where it leads. An RSS `guid` may be a link, an Atom `id` is none: feedparser takes both."""
    link = holder.get("link")
    if not is_atom:
        return link
    alternates = [found["href"] for found in holder.get("links", ()) if found.get("rel") == "alternate" and "href" in found]
    return link if link in alternates else next(iter(alternates), None)


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
    """CSV (RFC 4180) as a list of objects by its header line; null where a row ends early, a failure where it has more.

    A name twice is a failure, it would lose a column. Columns without a name or a value, as spreadsheets export them, are left out.
    """
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
    if "" in header:
        header, rows = _without_empty_columns(header, rows)
    if len(set(header)) < len(header):
        raise DecodeFailed("a header with a name twice")
    return [dict(zip(header, row + [None] * (len(header) - len(row)), strict=True)) for row in rows]


def _without_empty_columns(header: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The table without the columns that have neither a name nor any value."""
    kept = [at for at, name in enumerate(header) if name or any(row[at] for row in rows if at < len(row))]
    return [header[at] for at in kept], [[row[at] for at in kept if at < len(row)] for row in rows]
