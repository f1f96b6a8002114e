"""Frames of clients: which are messages, which can be answered by their id, which end the connection."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.messages import Named, Ping, Subscribe, Unsubscribe, Unusable, read, write


@pytest.mark.parametrize("text", [
    "", "{", "[]", "7", '"ping"', "null", "{}", '{"type": 7}', '{"type": "nonsense"}', '{"type": "part"}', '{"type": "ping", "payload": NaN}',
    '{"type": "ping"} {"type": "ping"}', '{"type": "subscribe", "payload": {"endpoint": "x"}}', '{"type": "unsubscribe"}',
    '{"type": "unsubscribe", "id": 7}',
    '{"type": "subscribe", "id": "", "payload": {"endpoint": "x"}}', '{"type": "subscribe", "id": 7, "payload": {"endpoint": "x"}}',
    json.dumps({"type": "subscribe", "id": "x" * 129, "payload": {"endpoint": "x"}}), '{"type": "connection_init", "payload": {"token": 7}}',
    '{"type": "ping", "payload": ' + "[" * 7000 + "]" * 7000 + "}", "\ud800",
])  # fmt: skip
def test_what_is_no_message_is_unusable(text: str) -> None:
    """It ends the connection with 4400."""
    with pytest.raises(Unusable):
        read(text)


@pytest.mark.parametrize("payload", [
    {}, {"endpoint": 7}, {"endpoint": None}, {"endpoint": "x", "live": "yes"}, {"endpoint": "x", "live": 1}, {"endpoint": "x", "resume": "x"},
    {"endpoint": "x", "resume": {"epoch": "e", "offset": -1}}, {"endpoint": "x", "resume": {"epoch": "e", "offset": "1"}},
    {"endpoint": "x", "resume": {"epoch": "e", "offset": True}}, {"endpoint": "x", "min_interval_ms": -1}, {"endpoint": "x", "min_interval_ms": True},
    {"endpoint": "x", "params": []}, None, "x",
], ids=json.dumps)  # fmt: skip
def test_a_subscribe_with_a_good_id_can_be_answered(payload: object) -> None:
    """It is `invalid_request` for that id."""
    assert read(json.dumps({"type": "subscribe", "id": "a", "payload": payload})) == Named("a")
    assert read('{"type": "subscribe", "id": "a"}') == Named("a")


@pytest.mark.parametrize("text", [
    r'{"type": "subscribe", "id": "a", "payload": {"endpoint": "x", "params": {"q": "\ud83d"}}}',
    r'{"type": "subscribe", "id": "a", "payload": {"endpoint": "x", "params": {"\ude00": ["\ud83d\ude00"]}}}',
    r'{"\ud83d": "\ud83d", "type": "subscribe", "payload": 5, "id": "a"}',
    r'{"type": "subscribe", "id": "\u0061", "payload": {"endpoint": "\ud83d", "params": {"q": ' + "[" * 300 + "]" * 300 + "}}}",
])  # fmt: skip
def test_a_subscribe_with_half_an_emoji_can_be_answered(text: str) -> None:
    """The grammar of JSON has it (RFC 8259 section 8.2), and other subscriptions of the connection are not to suffer."""
    assert read(text) == Named("a")


@pytest.mark.parametrize("text", [
    r'{"type": "subscribe", "id": "\ud83d", "payload": {"endpoint": "x"}}', r'{"type": "subscribe", "payload": {"endpoint": "\ud83d"}}',
    r'{"type": "subscribe", "id": ["\ud83d"], "payload": {"endpoint": "x"}}', r'{"type": "\ud83d", "id": "a"}', r'["\ud83d"]', r'"\ud83d"',
    r'{"type": ["\ud83d"], "id": "a"}', r'{"type": "ping", "id": "a", "payload": "\ud83d"}',
    r'{"type": "connection_init", "id": "a", "payload": {"token": "\ud83d"}}', '{"type": "connection_init", "id": "a", "payload": 5}',
    r'{"type": "subscribe", "id": "a", "payload": {"endpoint": "x", "params": {"q": NaN, "r": "\ud83d"}}}',
    r'{"type": "subscribe", "id": "a", "payload": {"endpoint": "x", "params": {"r": "\ud83d"}}',
])  # fmt: skip
def test_only_a_subscribe_is_answered_by_its_id(text: str) -> None:
    """Of an id that is text, in what is JSON. For anything else an id means nothing."""
    with pytest.raises(Unusable):
        read(text)


@pytest.mark.parametrize("deep", [201, 900, 1100, 7000])
def test_a_subscribe_that_nests_too_deep_can_be_answered(deep: int) -> None:
    """However deep, and whatever is in it. A ping has nothing to be answered by, nor has what nests in the id."""
    nested = "[" * (deep - 3) + '"}]\\"["' + "]" * (deep - 3)
    payload = f'{{"endpoint": "x", "params": {{"q": {nested}}}}}'
    assert read(f'{{"type": "subscribe", "payload": {payload}, "id": "a"}}') == Named("a")
    with pytest.raises(Unusable):
        read(f'{{"type": "ping", "id": "a", "payload": {payload}}}')
    with pytest.raises(Unusable):
        read(f'{{"type": "subscribe", "payload": {payload}, "id": {nested}}}')


def test_200_levels_are_none_too_many() -> None:
    """What is read can be written."""
    said = read('{"type": "subscribe", "id": "a", "payload": {"endpoint": "x", "params": {"q": ' + "[" * 197 + "]" * 197 + "}}}")
    assert isinstance(said, Subscribe)


def test_unknown_fields_are_ignored() -> None:
    """On every level."""
    said = read('{"type": "subscribe", "x": 1, "id": "a", "payload": {"endpoint": "e", "y": [1], "resume": {"epoch": "e", "offset": 1, "z": 0}}}')
    assert isinstance(said, Subscribe)
    assert said.payload.resume is not None
    assert said.payload.resume.offset == 1


def test_integers_of_params_are_exact() -> None:
    """Whatever their size."""
    said = read('{"type": "subscribe", "id": "a", "payload": {"endpoint": "e", "params": {"n": 123456789012345678901234567890}}}')
    assert isinstance(said, Subscribe)
    assert said.payload.params == {"n": 123456789012345678901234567890}


def test_an_unknown_id_may_be_anything() -> None:
    """To unsubscribe is never a fault."""
    assert read(json.dumps({"type": "unsubscribe", "id": "x" * 300})) == Unsubscribe("x" * 300)


def test_the_payload_of_a_ping_is_kept_as_it_came() -> None:
    """It is echoed byte for byte."""
    said = read('{"type": "ping", "payload": {"a": 1.0, "b": 18446744073709551616}}')
    assert isinstance(said, Ping)
    assert write(Ping(said.payload)) == '{"type":"ping","payload":{"a": 1.0, "b": 18446744073709551616}}'


@given(st.text(max_size=60) | st.dictionaries(st.sampled_from(["type", "id", "payload", "x"]), st.one_of(
    st.sampled_from(["subscribe", "ping", "pong", "unsubscribe", "connection_init"]), st.integers(), st.none(),
    st.dictionaries(st.text(max_size=9), st.integers()),
)).map(json.dumps))  # fmt: skip
def test_nothing_that_a_client_sends_is_a_fault_of_ours(text: str) -> None:
    """A message, a named one, or Unusable."""
    try:
        read(text)
    except Unusable:
        return
