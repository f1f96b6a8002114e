"""Catalogs that nobody would write: each is loaded or has faults with places; nothing else ever happens."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.editor_schema import json_schema
from app.catalog.faults import CatalogFaults
from app.catalog.load import Loaded, load_text
from app.main import create_app, open_service
from app.settings import Settings

ROOT = Path(__file__).parents[3]
CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.yaml"))
RICH: dict[str, Any] = {
    "name": "Rich", "include": [], "defaults": {"upstream": {"timeout": "1s", "retry": {}}, "endpoint": {"deadline": "3s", "live": {"every": "1s"}}},
    "auth": {"k": {"type": "api_key", "keys": {"a": "sha256:" + "a" * 64}}, "j": {"type": "jwt", "jwks": "https://h/k", "algorithms": ["RS256"]}},
    "cors": {"origins": ["https://a"], "max_age": "1h"},
    "upstreams": {
        "u": {"url": "http://h", "retry": "off", "headers": {"x": "{request.id}"}, "rate": "1/s", "concurrency": 3, "redirects": 1,
              "auth": {"bearer": "${S}"}},
        "v": {"urls": ["http://a", "http://b"], "cache": {"ttl": "1s"}, "hedge": {"after": "p95"}}, "p": {"python": "json:loads", "run": "thread"},
    },
    "endpoints": {
        "e": {
            "get": "/e/{id}", "params": {"n": {"in": "query", "type": "integer", "default": 3}, "l": {"in": "query", "type": "array"}},
            "forward": {"headers": ["*"]}, "auth": ["k"], "allow": "claims.sub", "limit": {"rate": "1/s"}, "live": "off",
            "calls": {
                "a": {"upstream": "u", "path": "/{id}", "schema": {"type": "object"}, "validate": "warn", "fallback": None},
                "b": {"upstream": "v", "path": "/b", "each": "a.items", "query": {"q": "{item.x}"}, "when": "a", "after": ["a"], "null_on": [404]},
                "c": {"upstream": "p", "args": {"s": "{a}"}, "required": False}, "g": {"upstream": "u", "graphql": "{ x }", "variables": {"a": 1}},
            },
            "response": {"a": "{a}", "b": ["{b[0]}", {"c": "x{c}"}]},
        },
        "p": {"post": "/p", "body": {"schema": True}, "calls": {"a": {"upstream": "u", "path": "/p", "body": "{body}"}}},
        "x": {"get": "/x", "proxy": {"upstream": "u", "path": "/x"}},
    },
}  # fmt: skip
ENVIRON = {"S": "secret", "B": "{", "N": "1"}
STRANGE: list[Any] = [
    None, True, False, 0, -1, 3, 1.5, 10**30, "", "off", "*", "{", "}", "{{", "{a}", "{a.b}", "{@}", "{nope}", "a[", "${S}", "${B}", "${N}", "${NO}",
    "${NO:-off}",
    "$${", "1s", "-1s", "/", "/ws", "a b", "\n", "\0", "\ufdd0", "\ufdd1x", "http://h", "json:loads", "http://[", "é", "*" * 2000,
    [], [None], [1], ["a"], [["a"]], {}, {"a": 1}, {"": ""}, {"$ref": "#"}, {"$ref": "x.json#/a"}, {"merge": ["a"]}, {"type": "string"},
    {"every": "1s"}, {"upstream": "u", "path": "/"}, {"pattern": "("}, {"if": {}},
    {"pattern": "a)(b"}, {"a": {"b": 1}}, {"bearer": "a\x1b"}, {"ca": __file__}, ["integer", "null"],
    "http://h/ñ", "http://1.2.3.999", "/%ff", "os.path:basename", "||".join("a" * 600), 10**309,
]  # fmt: skip
KEYS = [
    "url", "python", "path", "calls", "pattern", "items", "headers", "form", "tls", "enum",
    "proxy", "response", "live", "get", "post", "params", "auth", "schema", "each", "merge", "", "a b", "item", "é",
    "<<", "off", "in",
]  # fmt: skip
EDITS = st.tuples(
    st.integers(0, 10_000), st.integers(0, 12), st.text(max_size=4) | st.sampled_from(["\n", "  ", "{", "}", "[", ": ", "&a ", "*a", "- ", "!", "'"])
)


def outcome(text: str) -> Loaded | None:
    """The catalog; None where it has faults, every one of which has a place in the text."""
    try:
        return load_text(text, folder=ROOT / "tests", environ=ENVIRON)
    except CatalogFaults as faulty:
        found = faulty.faults
    lines = text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + text.count("\u2029") + 2
    if not found or not all(1 <= fault.line <= lines and fault.column >= 1 and fault.message and "\n" not in str(fault) for fault in found):
        pytest.fail(f"faults without a place: {found}")
    return None


def places(node: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of a document."""
    inner = list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
    return [way, *(found for key, value in inner for found in places(value, (*way, key)))]


def put(node: Any, way: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at the end of a way."""
    if not way:
        return value
    if isinstance(node, dict):
        return {key: put(one, way[1:], value) if key == way[0] else one for key, one in node.items()}
    return [put(one, way[1:], value) if number == way[0] else one for number, one in enumerate(node)]


@st.composite
def mutants(draw: st.DrawFn) -> dict[str, Any]:
    """The rich catalog with some of its values replaced by strange ones, and strange keys added."""
    document: Any = RICH
    for _ in range(draw(st.integers(1, 3))):
        way = draw(st.sampled_from(places(document)[1:] or [()]))
        value = draw(st.sampled_from(STRANGE) | st.text(max_size=12))
        if draw(st.booleans()):
            value = {draw(st.sampled_from(KEYS) | st.text(max_size=5)): value}
        document = put(document, way, value)
    return document if isinstance(document, dict) else {"name": document}


def test_the_rich_catalog_is_clean() -> None:
    """What the mutants come from."""
    assert outcome(json.dumps(RICH)) is not None


SCHEMA = jsonschema_rs.validator_for(json_schema(), offline=True)


@settings(max_examples=300, deadline=None)
@given(mutants())
def test_a_mutant_is_loaded_or_has_faults(document: dict[str, Any]) -> None:
    """And what `check` accepts the editors' schema accepts."""
    text = json.dumps(document, ensure_ascii=False)
    if "\\u" in text or "\x7f" in text:
        return
    if outcome(text) is not None:
        told = [f"{list(error.instance_path)}: {error.message[:200]}" for error in SCHEMA.iter_errors(document)]
        assert told == []


@settings(max_examples=100, deadline=None)
@given(mutants())
def test_a_mutant_that_is_loaded_can_be_served(document: dict[str, Any]) -> None:
    """Whatever start-up would refuse is a fault before: upstreams, stacks, plans, params and routes are made of it."""
    loaded = outcome(json.dumps(document, ensure_ascii=False))
    if loaded is not None:
        create_app(Settings(), loaded)
        asyncio.run(opened(loaded))


async def opened(loaded: Loaded) -> None:
    """The service, opened and closed."""
    async with open_service(Settings(), loaded):
        pass


TEXT = (ROOT / "config" / "demo.yaml").read_text()


@settings(max_examples=300, deadline=None)
@given(st.lists(EDITS, max_size=4))
def test_a_text_with_typing_errors_is_loaded_or_has_faults(edits: list[tuple[int, int, str]]) -> None:
    """Characters lost, characters added, anywhere."""
    text = TEXT
    for at, lost, added in edits:
        at %= len(text) + 1
        text = text[:at] + added + text[at + lost :]
    outcome(text)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_loaded_or_have_faults(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    """As a text, with what is no UTF-8 replaced."""
    outcome(raw.decode(errors="replace"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_catalog_of_the_corpus_has_faults(path: Path) -> None:
    """Catalogs that once broke the loader, or might: each has faults, and only that."""
    assert outcome(path.read_text()) is None


def test_there_is_a_corpus() -> None:
    """Beside this file."""
    assert len(CORPUS) >= 10
