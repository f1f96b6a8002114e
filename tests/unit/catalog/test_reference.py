"""What is generated from the models: the editors' schema and the reference; complete, fresh, and true of our catalogs."""

from __future__ import annotations

import json
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from app.catalog.descriptions import KEYS
from app.catalog.editor_schema import json_schema, models, written_default
from app.catalog.faults import Faults
from app.catalog.nodes import plain
from app.catalog.reference import reference
from app.catalog.shape import known_keys
from app.catalog.yaml_nodes import read
from tests.unit.catalog.conftest import FaultsOf, Load

ROOT = Path(__file__).parents[3]
CATALOGS = sorted((ROOT / "config").glob("*.yaml"))


def test_the_written_schema_is_fresh() -> None:
    """`make docs` writes it."""
    assert json.loads((ROOT / "config" / "merganser.schema.json").read_text()) == json_schema()


def test_the_written_reference_is_fresh() -> None:
    """`make docs` writes it."""
    assert (ROOT / "docs" / "catalog.md").read_text() == reference()


def test_every_key_has_a_description_and_no_description_is_left_over() -> None:
    """A new key comes with its sentence."""
    keys = {name: {field.alias or key for key, field in model.model_fields.items()} for name, model in models().items()}
    keys["Catalog"] |= {"include", "defaults"}
    assert {name: set(texts) for name, texts in KEYS.items()} == {**keys, "Defaults": {"upstream", "endpoint"}}


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.name)
def test_our_catalogs_keep_the_editors_schema(path: Path) -> None:
    """An editor marks nothing in them."""
    node = read(path.read_text(), str(path), Faults(), lambda written, place: None)
    assert node is not None
    errors = jsonschema_rs.validator_for(json_schema(), offline=True).iter_errors(plain(node))
    assert [f"{list(error.instance_path)}: {error.message}" for error in errors] == []


def test_the_schema_is_one_of_2020_12() -> None:
    """It says so, and it is."""
    assert json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(json_schema())


@pytest.mark.parametrize("catalog", [
    {"upstreams": {"u": {"concurrency": 0}}}, {"upstreams": {"u": {"timeout": "soon"}}}, {"upstreams": {"u": {"retry": "on"}}},
    {"endpoints": {"e": {"surprise": 1}}},
    {"endpoints": {"e": {"calls": {"a": {"path": "/"}}}}}, {"defaults": {"call": {}}}, {"auth": {"a": {"type": "basic"}}}, {"surprise": 1},
])  # fmt: skip
def test_the_schema_refuses_what_check_refuses(catalog: dict[str, object]) -> None:
    """Unknown keys, values of another kind, what is missing."""
    assert not jsonschema_rs.validator_for(json_schema(), offline=True).is_valid(catalog)


OF_UPSTREAMS = "retry hedge breaker concurrency rate cache auth tls redirects timeout coalesce headers query".split()
OF_ENDPOINTS = "forward live auth allow limit tags params response body".split()
OF_CALLS = "retry hedge cache forward every headers query after form variables schema".split()
WHERE = {
    "": "include defaults upstreams endpoints auth cors".split(), "defaults": ["upstream", "endpoint"],
    "defaults upstream": OF_UPSTREAMS, "defaults endpoint": OF_ENDPOINTS,
    "upstreams u": OF_UPSTREAMS, "endpoints e": OF_ENDPOINTS, "endpoints e calls c": OF_CALLS, "endpoints e params q": ["items", "enum"],
}  # fmt: skip


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("value", ["${NOT_SET:-off}", "${NOT_SET:-}"])
def test_the_schema_accepts_off_and_nothing_from_the_environment(faults_of: FaultsOf, where: str, value: str) -> None:
    """Wherever `check` does: `retry: ${RETRY:-off}` is a switch."""
    editor, accepted = jsonschema_rs.validator_for(json_schema(), offline=True), 0
    for key in WHERE[where]:
        call = {"upstream": "u", "path": "/"}
        catalog: dict[str, Any] = {
            "upstreams": {"u": {"url": "http://h"}}, "defaults": {"upstream": {}, "endpoint": {}},
            "endpoints": {"e": {"get": "/", "params": {"q": {"type": "array"}}, "calls": {"c": call}}},
        }  # fmt: skip
        reduce(getitem, where.split(), catalog)[key] = value
        if not faults_of(yaml.safe_dump(catalog)):
            accepted += 1
            assert editor.is_valid(catalog), key
    assert accepted or value == "${NOT_SET:-off}"


def test_defaults_are_shown_as_they_are_written() -> None:
    """Durations, sizes and shares with their units; and as such they are what the models say."""
    some = (("Retry", "backoff"), ("Body", "max"), ("Breaker", "failures"), ("Cors", "max_age"))
    assert [written_default(model, key) for model, key in some] == ["25ms", "1MiB", "50%", "12h"]
    for name, model in models().items():
        keys = [field.alias or key for key, field in model.model_fields.items()]
        given = {key: default for key in keys if (default := written_default(name, key)) is not None}
        required = {key for key, field in model.model_fields.items() if field.is_required()}
        if not required and name != "Credentials":
            assert model.model_validate(given) == model(), name


def test_the_known_keys_of_a_place_are_those_of_its_model() -> None:
    """What `did you mean` chooses from."""
    assert "timeout" in known_keys(("upstreams", "u"))
    assert set(known_keys(("upstreams", "u", "retry"))) == set(KEYS["Retry"])
    assert set(known_keys(("auth", "a", "jwt"))) >= {"jwks"}
    assert {"include", "defaults", "endpoints"} <= set(known_keys(()))


def test_the_example_of_the_reference_head_is_what_the_file_begins_with(load: Load) -> None:
    """The demo's first line is the one that the reference tells editors' users to write."""
    first = (ROOT / "config" / "demo.yaml").read_text().splitlines()[0]
    assert first in reference()
    assert yaml.safe_load(first) is None
