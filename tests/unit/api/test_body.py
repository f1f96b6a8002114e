"""Request bodies: JSON alone, bounded, strict, with every fault of the schema."""

from typing import Any

import pytest
from starlette.types import Message, Receive

from app.api.body import Bodies, ClientGone, parse_strict
from app.api.problems import Problem
from app.catalog.schema import Body
from app.core.depth import MAX_DEPTH

PERSON = {
    "type": "object", "required": ["name"], "additionalProperties": False,
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0}},
}  # fmt: skip
JSON = {"content-type": "application/json"}


def sending(*chunks: bytes, whole: bool = True) -> Receive:
    """What a server tells of a body in these pieces."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False} if whole else {"type": "http.disconnect"})

    async def receive() -> Message:
        return messages.pop(0)

    return receive


async def read(body: Body, *chunks: bytes, headers: dict[str, str] | None = None, whole: bool = True) -> tuple[Any, list[Any]]:
    """The value and the places of faults."""
    fields = {"transfer-encoding": "chunked"} if chunks and "content-length" not in (headers or {}) else {}
    raw = [(n.encode(), v.encode()) for n, v in {**fields, **(headers or {})}.items()]
    data, faults = await Bodies(body).read({"headers": raw}, sending(*chunks, whole=whole))
    return data.value if data is not None else None, [tuple(fault["loc"]) for fault in faults]


def a_body(schema: Any = None, **keys: Any) -> Body:
    """A declared body."""
    return Body.model_validate({"schema": schema, **keys} if schema is not None else keys)


async def test_a_good_body_is_parsed() -> None:
    """In as many pieces as it comes."""
    assert await read(a_body(PERSON), b'{"name": ', b'"Ann"}', headers=JSON) == ({"name": "Ann"}, [])


async def test_every_fault_has_its_place() -> None:
    """A missing property's place is where it should be."""
    assert set((await read(a_body(PERSON), b'{"name": "", "age": -1}', headers=JSON))[1]) == {("body", "name"), ("body", "age")}
    assert (await read(a_body(PERSON), b'{"age": 1}', headers=JSON))[1] == [("body", "name")]
    assert (await read(a_body(PERSON), b"[]", headers=JSON))[1] == [("body",)]


async def test_a_required_body_must_be_there() -> None:
    """Whatever its type would be; one that is not required is null."""
    assert await read(a_body(required=True)) == (None, [("body",)])
    assert await read(a_body(required=True), b"", headers=JSON) == (None, [("body",)])
    assert await read(a_body(required=True), headers={"content-length": "0", "content-type": "text/plain"}) == (None, [("body",)])
    assert await read(a_body()) == (None, [])


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "application/merge-patch+json", "APPLICATION/JSON"])
async def test_json_has_many_names(kind: str) -> None:
    """application/json and +json."""
    assert await read(a_body(), b"1", headers={"content-type": kind}) == (1, [])


@pytest.mark.parametrize("headers", [
    {"content-type": "text/plain"}, {"content-type": "text/json-ish"}, {"content-type": "+json"}, {}, {**JSON, "content-encoding": "gzip"},
])  # fmt: skip
async def test_anything_else_is_a_415(headers: dict[str, str]) -> None:
    """A content coding too: nothing that we take is compressed."""
    with pytest.raises(Problem) as caught:
        await read(a_body(), b"1", headers=headers)
    assert caught.value.status == 415


@pytest.mark.parametrize("headers", [{**JSON, "content-length": "2049"}, JSON])
async def test_a_body_over_its_limit_is_a_413(headers: dict[str, str]) -> None:
    """As announced, unread; or as sent, at the piece that is too much."""
    with pytest.raises(Problem) as caught:
        await read(a_body(max="2KiB"), *[b" " * 1000] * 3, headers=headers)
    assert caught.value.status == 413


async def test_half_a_body_is_no_request() -> None:
    """The client has gone."""
    with pytest.raises(ClientGone):
        await read(a_body(), b'{"a":', headers=JSON, whole=False)


@pytest.mark.parametrize("raw", [
    b"{", b'{"a": 1,}', b'{"a": 1} {}', b"{'a': 1}", b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": "\xff"}', b'{"a": "\xed\xa0\x80"}', b'"\xc0\xaf"',
    '{"a": 1}'.encode("utf-16"), b'{"a": "\\ud800"}', b'"\x00"', b"1\x00", b'"\n"', b"01", b"nope", b"1e400", b"[" * 100_000, b"\xef\xbb\xbf1", b"",
    b"1" + b"0" * 309, b"-1" + b"0" * 320, b'{"a": [1' + b"0" * 4000 + b"]}", b" " * 31 + str(2**1024).encode() + b" ",
    b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
])  # fmt: skip
def test_what_is_no_strict_json_is_a_400(raw: bytes) -> None:
    """RFC 8259, one value, no number beyond float64, at most 200 deep."""
    with pytest.raises(Problem) as caught:
        parse_strict(raw)
    assert caught.value.status == 400


@pytest.mark.parametrize(("raw", "value"), [
    (b"9007199254740993", 2**53 + 1), (b"123456789012345678901234567890", 123456789012345678901234567890), (b'"\\u0000"', "\0"),
    (str(2**1023).encode(), 2**1023), (b'["' + b"1" * 400 + b'"]', ["1" * 400]), (b"0." + b"1" * 400, float("0." + "1" * 400)),
    (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None), (b'"' + b"[" * 500 + b'"', "[" * 500), (b' {"\\ud83e\\udd86": "\xc3\xb1"}\n', {"\U0001f986": "ñ"}),
])  # fmt: skip
def test_unusual_json_is_taken_exactly(raw: bytes, value: Any) -> None:
    """Integers as far as float64 goes, digits and brackets in texts, escaped NUL."""
    got = parse_strict(raw)
    assert value is None or got == value
