"""Bodies to data: by content type, or as the catalog says."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from app.core.errors import DecodeFailed, TimedOut, TooLarge
from app.upstream.decode import ON_LOOP, Decoder, decode, reading

XML = b'<?xml version="1.0"?><user type="admin"><name>Elliot</name><tag>a</tag><tag>b</tag></user>'
ITEM = (
    "<item><title>One</title><link>http://e/1</link><guid>g</guid><pubDate>Mon, 05 Jan 2026 00:00:00 GMT</pubDate><description>s</description></item>"
)
RSS = f'<?xml version="1.0"?><rss version="2.0"><channel><title>Fé</title><link>http://e/</link>{ITEM}</channel></rss>'
ATOM = """<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Ducks</title><link href="http://example.test/"/>
<entry><title>Eider</title><link href="http://example.test/e"/><id>urn:e</id>{date}<summary>s</summary></entry></feed>"""
BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def read(body: bytes | str, content_type: str | None, how: str = "auto") -> Any:
    """The decoded value."""
    kind, charset = reading(content_type, how)
    return decode(body if isinstance(body, bytes) else body.encode(), kind, charset).value


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        (None, "json"), ("", "json"), ("application/json", "json"), ("Application/JSON; charset=utf-8", "json"), ("application/hal+json", "json"),
        ("application/problem+json", "json"), ("text/json", "json"), ("application/octet-stream", "json"), ("application/xml", "xml"),
        ("text/xml", "xml"),
        ("application/soap+xml", "xml"), ("application/rss+xml", "rss"), ("application/atom+xml;type=feed", "rss"), ("text/csv", "csv"),
        ("text/plain", "text"),
    ],
)  # fmt: skip
def test_auto_goes_by_the_content_type(content_type: str | None, kind: str) -> None:
    """JSON for JSON types and for none; what is unknown may be JSON."""
    assert reading(content_type, "auto")[0] == kind


@pytest.mark.parametrize("content_type", ["text/html", "text/html; charset=utf-8", "application/xhtml+xml"])
def test_a_page_is_no_data(content_type: str) -> None:
    """Unless the catalog wants it as text."""
    with pytest.raises(DecodeFailed):
        reading(content_type, "auto")
    assert read(b"<p>", content_type, "text") == "<p>"


@pytest.mark.parametrize("header", ["text/plain; charset=Latin-1", 'text/plain;charset="latin-1"', "text/plain ; x=y; CHARSET = latin-1 ; z=1"])
def test_a_text_has_its_charset(header: str) -> None:
    """By the content type, else UTF-8; a byte order mark is no text."""
    assert read(b"caf\xe9", header) == "café"
    assert read(b"\xef\xbb\xbfcaf\xc3\xa9", "text/plain") == "café"


@pytest.mark.parametrize("charset", ["utf-8", "ascii", "nope", "base64", "rot13", "punycode", "idna", "unicode_escape", "undefined", "utf-7"])
def test_a_charset_that_does_not_fit_or_is_none_is_refused(charset: str) -> None:
    """Python has codecs that are no charset of the web, some of them slow."""
    with pytest.raises(DecodeFailed):
        read(b"caf\xe9", f"text/plain; charset={charset}")


# --- XML


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (XML, {"user": {"@type": "admin", "name": "Elliot", "tag": ["a", "b"]}}),
        (b'<r><v unit="m">3</v><v/></r>', {"r": {"v": [{"@unit": "m", "#text": "3"}, None]}}),
        (b"<r>x</r>", {"r": "x"}),
        (b"<r/>", {"r": None}),
        (b'<r xmlns:a="urn:a"><a:b>&lt;</a:b></r>', {"r": {"@xmlns:a": "urn:a", "a:b": "<"}}),
        ('<?xml version="1.0" encoding="iso-8859-1"?><r>é</r>'.encode("latin-1"), {"r": "é"}),
        ("<r>é</r>".encode("utf-16"), {"r": "é"}),
        ("<r>é€</r>".encode("utf-16-le"), {"r": "é€"}),
        (b"<!DOCTYPE r SYSTEM 'file:///etc/passwd'><r>x</r>", {"r": "x"}),
        (
            b'<?xml version="1.0"?><!-- <r> --><!DOCTYPE r PUBLIC "-//p" "r>.dtd" ><r a="&quot;&#233;">&lt;<![CDATA[&x;]]></r>',
            {"r": {"@a": '"\xe9', "#text": "<&x;"}},
        ),
    ],
)
def test_xml_has_one_shape(body: bytes, value: Any) -> None:
    """The root as the only key, repeated elements as a list, attributes as `@name`, text beside them as `#text`."""
    assert read(body, "application/xml") == value


def test_the_charset_of_the_header_wins() -> None:
    """As RFC 7303 has it."""
    assert read("<?xml version='1.0' encoding='utf-8'?><r>é</r>".encode("latin-1"), "text/xml; charset=iso-8859-1") == {"r": "é"}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "x",
        "<r>",
        "<r></s>",
        "<r/><r/>",
        BOMB + "<r>&b;</r>",
        '<!DOCTYPE r [<!ATTLIST r a CDATA "x">]><r/>',
        "<r>&nope;</r>",
        '<!DOCTYPE r SYSTEM "x.dtd"><r>caf&eacute; &nope;x</r>',
        '<!DOCTYPE r SYSTEM "x.dtd"><r a="caf&eacute;"/>',
        '<?xml version="1.0" standalone="no"?><!-- <r> --><!DOCTYPE r PUBLIC "-//p" "x.dtd"><r>&nope;</r>',
        '<!DOCTYPE r SYSTEM "x.dtd"><!DOCTYPE r SYSTEM "x.dtd"><r/>',
        "<?a?>" * 1000 + "<!DOCTYPE",
        "<a>" * 300 + "</a>" * 300,
        '<?xml version="1.0" encoding="nope"?><r/>',
        "<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><r>&x;</r>",
    ],
)
def test_xml_that_is_broken_or_declares_something_is_refused(body: str) -> None:
    """No entity is expanded, nothing is fetched; one that a file beside the document may declare is not dropped in silence."""
    with pytest.raises(DecodeFailed):
        read(body, "text/xml")


# --- feeds


def test_feeds_have_one_shape() -> None:
    """RSS and Atom alike; null for what is not there; Atom's `updated` where it has no `published`."""
    item = {"title": "One", "link": "http://e/1", "id": "g", "published": "Mon, 05 Jan 2026 00:00:00 GMT", "summary": "s"}
    assert read(RSS, "application/rss+xml") == {"title": "Fé", "link": "http://e/", "items": [item]}
    for date in ("published", "updated"):
        feed = ATOM.replace("{date}", f"<{date}>2026-01-02T03:04:05Z</{date}>")
        entry = {"title": "Eider", "link": "http://example.test/e", "id": "urn:e", "published": "2026-01-02T03:04:05Z", "summary": "s"}
        assert read(feed, "application/atom+xml") == {"title": "Ducks", "link": "http://example.test/", "items": [entry]}
    assert read("<rss version='2.0'><channel><item/></channel></rss>", None, "rss") == {
        "title": None, "link": None, "items": [{"title": None, "link": None, "id": None, "published": None, "summary": None}],
    }  # fmt: skip


@pytest.mark.parametrize("before", ["", "\n \t"])
@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16"])
def test_a_feed_has_its_charset(charset: str, before: str) -> None:
    """By its own declaration or byte order mark, also where white space stands before it."""
    body = (before + RSS.replace("?>", f' encoding="{charset}"?>', 1)).encode(charset)
    assert read(body, "application/rss+xml")["title"] == "Fé"


def feed_of(item: str) -> str:
    """An RSS feed with this in its one item."""
    return f'<rss version="2.0"><channel><item>{item}</item></channel></rss>'


def test_a_feed_may_speak_of_declarations() -> None:
    """Only a document type before the root element declares anything."""
    (item,) = read(feed_of("<description><![CDATA[of <!ENTITY x> and <!DOCTYPE x [ ]]></description>"), None, "rss")["items"]
    assert "ENTITY x" in item["summary"]


@pytest.mark.parametrize("cut", ["</rss>", "</channel>", "</item>", "</description>"])
def test_a_feed_that_breaks_off_is_refused(cut: str) -> None:
    """Half a feed is not taken for a whole one, nor half an item for an item."""
    whole = feed_of("<description>s</description>")
    assert len(read(whole, None, "rss")["items"]) == 1
    with pytest.raises(DecodeFailed):
        read(whole[: whole.index(cut)], None, "rss")


@pytest.mark.parametrize(
    "feed", [feed_of("<title>a &nbsp;b</title>"), feed_of("<title>a \xa0b</title>") + "<b>x", "x " + feed_of("<title>a \xa0b</title>")]
)
def test_other_faults_of_a_feed_are_forgiven(feed: str) -> None:
    """HTML's entities, and text before or behind it."""
    assert read(feed, None, "rss")["items"][0]["title"] == "a \xa0b"


@pytest.mark.parametrize(("links", "link"), [
    ("", None), ('<link rel="enclosure" href="http://e/1"/>', None), ('<link href="http://e/id"/>', "http://e/id"),
    ('<link type="application/pdf" href="http://e/2"/>', "http://e/2"), ('<link rel="self" href="http://e/3"/><link href="http://e/4"/>', "http://e/4"),
])  # fmt: skip
def test_the_id_of_an_atom_entry_is_no_link(links: str, link: str | None) -> None:
    """Nor that of the feed; a `guid` of RSS is one unless it says otherwise."""
    feed = f'<feed xmlns="http://www.w3.org/2005/Atom"><id>http://e/id</id>{links}<entry><id>http://e/id</id>{links}</entry></feed>'
    value = read(feed, None, "rss")
    assert (value["link"], value["items"][0]["link"], value["items"][0]["id"]) == (link, link, "http://e/id")
    assert read(feed_of("<guid>http://e/5</guid>"), None, "rss")["items"][0]["link"] == "http://e/5"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "x",
        "/etc/hostname",
        "http://127.0.0.1:1/x",
        "<html><body/></html>",
        RSS.replace("<rss", BOMB + "<rss"),
        BOMB.encode("utf-16").decode("latin-1"),
        "<!-- <a> -->" + RSS.replace("<rss", BOMB + "<rss").removeprefix('<?xml version="1.0"?>'),
        '<!DOCTYPE b [<!-- <a> --><!ENTITY a "x">]>' + feed_of(""),
        'x\n<!ENTITY a "x">\n<!DOCTYPE b>\n' + feed_of(""),
    ],
)
def test_what_is_no_feed_is_refused(body: str) -> None:
    """Entity bombs before any parser sees them; a body that names a file or an address is no name."""
    with pytest.raises(DecodeFailed):
        read(body, "application/rss+xml")


# --- CSV


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("id,name\r\n1,Ana\r\n2,Bo\r\n", [{"id": "1", "name": "Ana"}, {"id": "2", "name": "Bo"}]),
        ('id,name\n1,"A, ""b""\nc"\n\n2\n', [{"id": "1", "name": 'A, "b"\nc'}, {"id": "2", "name": None}]),
        ("\ufeffid\n1", [{"id": "1"}]),
        ("id\n" + "x" * 200_000, [{"id": "x" * 200_000}]),
        ("id,name,,\n1,Ana,,\n2\n", [{"id": "1", "name": "Ana"}, {"id": "2", "name": None}]),
        (",name\n0,Ana\n", [{"": "0", "name": "Ana"}]),
        ("id,\n1,x\n", [{"id": "1", "": "x"}]),
        ("id,name\n", []),
        ("", []),
    ],
)
def test_csv_is_a_list_of_objects_by_its_header(body: str, value: Any) -> None:
    """Quotes and line breaks in them; null where a row ends early; no columns that hold nothing at all, as spreadsheets export them."""
    assert read(body, "text/csv; charset=utf-8") == value


@pytest.mark.parametrize("body", ["a\n1,2", 'a\n"x', 'a\n"x"y', "a,a\n1,2", "a,b,a\n1", "a,,\n1,2,3", ",a,\n1,2,3"])
def test_csv_that_does_not_fit_its_header_is_refused(body: str) -> None:
    """A row with more values than there are names would lose some, and so would a name that is there twice."""
    with pytest.raises(DecodeFailed):
        read(body, "text/csv")


def test_csv_does_not_grow_without_bound() -> None:
    """A long header before many short rows."""
    with pytest.raises(TooLarge):
        read("h" * 100_000 + "\n" + "x\n" * 100_000, "text/csv")


# --- where


async def test_small_bodies_are_decoded_on_the_loop_and_large_ones_beside_it() -> None:
    """What would hold the loop up for over a millisecond goes to a thread."""
    decoder = Decoder("u")
    before = threading.active_count()
    assert (await decoder.decode(b"[1]", None, "auto")).raw == b"[1]"
    assert (await decoder.decode(XML, "text/xml", "auto")).value["user"]["name"] == "Elliot"
    assert threading.active_count() == before
    large = b"<r>" + b"<v>1</v>" * ON_LOOP["xml"] + b"</r>"
    assert len((await decoder.decode(large, "text/xml", "auto")).value["r"]["v"]) == ON_LOOP["xml"]
    assert threading.active_count() == before + 1
    with pytest.raises(DecodeFailed):
        await decoder.decode(large[:-1], "text/xml", "auto")
    decoder.close()


async def test_decoding_ends_when_the_call_expires() -> None:
    """The caller is released, whatever the thread is at."""
    decoder = Decoder("u")
    with pytest.raises(TimedOut):
        await decoder.decode(RSS.encode() + b" " * 100_000, None, "rss", asyncio.get_running_loop().time() - 1)
    decoder.close()


@pytest.mark.parametrize("before", ["<br />\n<b>Warning</b>: x in <b>f.php</b><br />\n", '<meta charset="utf-8">\n', "<!DOCTYPE rss []>"])
def test_what_stands_before_a_feed_is_no_part_of_it(before: str) -> None:
    """A server's warnings, an empty list of declarations; where the feed itself breaks off it is refused all the same."""
    feed = '<rss version="2.0"><channel><title>T</title><item><title>A</title></item></channel></rss>'
    assert len(read(before + feed, None, "rss")["items"]) == 1
    with pytest.raises(DecodeFailed):
        read(before + feed[:80], None, "rss")


def test_columns_without_a_name_or_a_value_are_left_out_wherever_they_stand() -> None:
    """Spreadsheets use them for space."""
    assert read("a,,,b\n1,,,2\n3\n", None, "csv") == [{"a": "1", "b": "2"}, {"a": "3", "b": None}]
