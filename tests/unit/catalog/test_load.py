"""A catalog resolved: defaults merged, includes added, shorthands written out, references followed."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.catalog import defaults
from app.catalog.faults import CatalogFaults, CatalogUnreadable, Faults, Place, as_json, as_text
from app.catalog.include import MAX_FILES
from app.catalog.load import load as load_file
from app.catalog.nodes import Table, plain, planted
from app.catalog.schema import Breaker, Cache, Retry
from tests.unit.catalog.conftest import FaultsOf, Load

A = {"upstream": "u", "path": "/a"}
URL = "http://127.0.0.1:1"
BASE = {"upstreams": {"u": {"url": URL}}, "endpoints": {"x": {"get": "/x", "calls": {"a": A}}}}


def dumped(**top: Any) -> str:
    return json.dumps({**BASE, **top})


# --- defaults


def test_a_call_has_the_policies_of_its_upstream_and_that_those_of_the_defaults(load: Load) -> None:
    """defaults < upstream < call; mappings deeply, lists replaced."""
    found = load(dumped(
        defaults={"upstream": {"retry": {"attempts": 3, "on": [503]}, "cache": {"ttl": "1s"}, "breaker": {}, "max_body": "1KiB"}},
        upstreams={"u": {"url": URL, "retry": {"on": [500]}, "cache": {"stale_if_error": "1m"}}},
        endpoints={"x": {"get": "/x", "calls": {"a": A, "b": {**A, "retry": {"backoff": "1ms"}, "max_body": "2KiB", "decode": "text"}}}},
    )).catalog  # fmt: skip
    assert found.upstreams["u"].retry == Retry(attempts=3, on=[500])
    assert found.upstreams["u"].breaker == Breaker()
    calls = found.endpoints["x"].calls
    assert calls["a"].retry == Retry(attempts=3, on=[500])
    assert calls["a"].cache == Cache(ttl="1s", stale_if_error="1m")
    assert calls["a"].max_body == 1024
    assert calls["b"].retry == Retry(attempts=3, on=[500], backoff="1ms")
    assert (calls["b"].max_body, calls["b"].decode) == (2048, "text")


@pytest.mark.parametrize("off", ["off", None])
def test_off_takes_an_inherited_policy_away(load: Load, off: str | None) -> None:
    """`off` or null, at any level; a policy named again below starts afresh."""
    found = load(dumped(
        defaults={"upstream": {"retry": {"attempts": 3}, "timeout": "1s", "coalesce": True},
                  "endpoint": {"live": {"every": "1s"}, "limit": {"rate": "1/s"}}},
        upstreams={"u": {"url": URL, "retry": off}, "v": {"url": URL}},
        endpoints={"x": {"get": "/x", "live": off, "limit": off, "calls": {
            "again": {**A, "retry": {}}, "none": {**A, "upstream": "v", "retry": off, "timeout": off, "coalesce": off}}}},
    )).catalog  # fmt: skip
    assert found.upstreams["u"].retry is None
    endpoint = found.endpoints["x"]
    assert (endpoint.live, endpoint.limit) == (None, None)
    assert endpoint.calls["again"].retry == Retry()
    assert (endpoint.calls["none"].retry, endpoint.calls["none"].timeout) == (None, None)
    assert endpoint.calls["none"].coalesce is (False if off else None)


def test_a_calls_own_forward_replaces_the_endpoints(load: Load) -> None:
    """It is the one override that is not merged."""
    calls = {"a": A, "b": {**A, "forward": {"headers": ["x-b"]}}, "c": {**A, "forward": {}}, "d": {**A, "forward": "off"}}
    endpoint = {"get": "/x", "forward": {"headers": ["x-a"], "query": ["q"]}, "calls": calls}
    found = load(dumped(endpoints={"x": endpoint})).catalog.endpoints["x"].calls
    assert [(found[name].forward.headers, found[name].forward.query) for name in "abcd"] == [(["x-a"], ["q"]), (["x-b"], []), ([], []), ([], [])]


def test_shorthands_are_written_out(load: Load) -> None:
    """A number of concurrency or redirects, a rate, a lone star."""
    upstream = {"url": URL, "concurrency": 8, "rate": "600/m", "redirects": 2}
    found = load(
        dumped(upstreams={"u": upstream}, endpoints={"x": {"get": "/x", "forward": {"headers": ["*"], "query": "*"}, "calls": {"a": A}}})
    ).catalog
    u = found.upstreams["u"]
    assert u.concurrency is not None
    assert u.rate is not None
    assert (u.concurrency.max, u.concurrency.queue, u.rate.rate, u.rate.burst, u.redirects.max) == (8, 100, 10.0, None, 2)
    assert (found.endpoints["x"].forward.headers, found.endpoints["x"].forward.query) == ("*", "*")


def test_what_cannot_be_inherited_is_not(load: Load) -> None:
    """HTTP's keys by a Python upstream, `live` by what is not GET or a proxy, credentials of another kind."""
    found = load(dumped(
        defaults={"upstream": {"headers": {"x": "1"}, "auth": {"bearer": "t"}, "timeout": "1s"},
                  "endpoint": {"live": {"every": "1s"}, "envelope": "data"}},
        upstreams={"u": {"url": URL, "auth": {"header": {"name": "x-k", "value": "k"}}}, "p": {"python": "json:loads"}},
        endpoints={"x": {"post": "/x", "calls": {"a": A}}, "y": {"get": "/y", "proxy": {"upstream": "u", "path": "/"}},
                   "z": {"get": "/z", "calls": {"a": A}}},
    )).catalog  # fmt: skip
    assert (found.upstreams["p"].headers, found.upstreams["p"].timeout) == ({}, 1.0)
    assert found.upstreams["u"].auth is not None
    assert found.upstreams["u"].auth.bearer is None
    assert [found.endpoints[name].live is None for name in "xyz"] == [True, True, False]
    assert [found.endpoints[name].envelope for name in "xyz"] == ["data", "full", "data"]


_JSON = st.recursive(
    st.integers() | st.text("ab", max_size=2) | st.lists(st.integers(), max_size=2), lambda i: st.dictionaries(st.sampled_from("abcd"), i, max_size=3)
)


def over(base: Any, top: Any) -> Any:
    """The rule in four lines: mappings deeply, anything else replaced."""
    if not isinstance(base, dict) or not isinstance(top, dict):
        return top
    return {**base, **{key: over(base[key], value) if key in base else value for key, value in top.items()}}


@given(st.dictionaries(st.sampled_from("abcd"), _JSON, max_size=3), st.dictionaries(st.sampled_from("abcd"), _JSON, max_size=3))
def test_merging_is_deep_for_mappings_and_replaces_the_rest(base: dict[str, Any], top: dict[str, Any]) -> None:
    """As `docs/catalog.md` says; against a model."""
    here = Place("f", 1, 1)
    below, above = planted(base, here), planted(top, here)
    assert isinstance(below, Table)
    assert isinstance(above, Table)
    assert plain(defaults.upstream(above, below)) == over(base, top)


# --- params, bodies, values


def test_path_params_that_are_not_listed_are_texts(load: Load) -> None:
    """And every path param is required."""
    params = (
        load(dumped(endpoints={"x": {"get": "/{a}/{b}.json", "params": {"b": {"type": "integer"}}, "calls": {"a0": A}}}))
        .catalog.endpoints["x"]
        .params
    )
    assert {name: (one.place, one.type, one.required) for name, one in params.items()} == {
        "a": ("path", "string", True),
        "b": ("path", "integer", True),
    }


def test_null_is_a_value_of_bodies_and_fallbacks(load: Load) -> None:
    """Elsewhere null is as if nothing were written."""
    found = load(
        dumped(endpoints={"x": {"get": "/x", "summary": None, "calls": {"a": {**A, "fallback": None, "body": None, "query": None}, "b": A}}})
    ).catalog
    calls = found.endpoints["x"].calls
    assert (calls["a"].has_fallback, calls["a"].has_body, calls["a"].query) == (True, True, {})
    assert (calls["b"].has_fallback, calls["b"].has_body) == (False, False)


# --- schemas in files


def test_a_schema_may_stand_in_a_file(load: Load, tmp_path: Path) -> None:
    """`file.json#/pointer`; what it refers to comes along, inside of the file and in others."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "unit.json").write_text(json.dumps({"unit": {"enum": ["c", "f"]}}))
    shapes = {
        "a~b": {"person": {"type": "object", "properties": {"name": {"$ref": "#/name"}, "unit": {"$ref": "more/unit.json#/unit"}}}},
        "name": {"type": "string"},
    }
    (tmp_path / "shapes.json").write_text(json.dumps(shapes))
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "unit": {"enum": ["c", "f"]}}}
    calls = {"a": {**A, "schema": "shapes.json#/a~0b/person"}, "b": {**A, "schema": {"items": {"$ref": "shapes.json#/name"}}}}
    endpoint = {"post": "/x", "body": {"schema": "shapes.json#/a~0b/person"}, "calls": calls}
    found = load(dumped(endpoints={"x": endpoint})).catalog.endpoints["x"]
    assert found.calls["a"].json_schema == schema
    assert found.calls["b"].json_schema == {"items": {"type": "string"}}
    assert found.body is not None
    assert found.body.json_schema == schema


def test_a_schema_that_refers_to_itself_keeps_its_reference(load: Load, tmp_path: Path) -> None:
    """A tree of nodes is put under `$defs`."""
    (tmp_path / "tree.json").write_text(json.dumps({"node": {"type": "object", "properties": {"kids": {"items": {"$ref": "#/node"}}}}}))
    schema = (
        load(dumped(endpoints={"x": {"get": "/x", "calls": {"a": {**A, "schema": "tree.json#/node"}}}})).catalog.endpoints["x"].calls["a"].json_schema
    )
    assert isinstance(schema, dict)
    name = schema["properties"]["kids"]["items"]["$ref"].removeprefix("#/$defs/")
    assert schema["$defs"][name]["properties"]["kids"]["items"] == {"$ref": f"#/$defs/{name}"}


NUMBER = {"type": "integer"}


@pytest.mark.parametrize(("file", "reference", "expected"), [
    ({"properties": {"n": {"$ref": "#num"}}, "$defs": {"z": {"$anchor": "num", **NUMBER}}}, "s.json", {"n": NUMBER}),
    ({"$defs": {"z": {"$anchor": "num", "properties": {"n": NUMBER}}}}, "s.json#num", {"n": NUMBER}),
    ({"$id": "urn:s", "properties": {"n": {"$ref": "urn:s#/$defs/n"}}, "$defs": {"n": NUMBER}}, "s.json", {"n": NUMBER}),
    ({"$defs": {"a": {"$id": "urn:a", "properties": {"n": {"$ref": "#/$defs/b"}}, "$defs": {"b": NUMBER}}}}, "s.json#/$defs/a", {"n": NUMBER}),
    ({"a": {"properties": {"default": {"$ref": "#/n"}, "enum": {"$ref": "#/n"}}}, "n": NUMBER}, "s.json#/a", {"default": NUMBER, "enum": NUMBER}),
    ({"properties": {"c": {"const": {"$ref": "#/gone"}}}}, "s.json", {"c": {"const": {"$ref": "#/gone"}}}),
    ({"$defs": {"a b": {"properties": {"n": NUMBER}}}}, "s.json#/$defs/a%20b", {"n": NUMBER}),
])  # fmt: skip
def test_references_are_pointers_anchors_and_names_of_the_files_own(
    load: Load, tmp_path: Path, file: dict[str, Any], reference: str, expected: dict[str, Any]
) -> None:
    """What looks like a reference inside of data, or is a property's name, is none."""
    (tmp_path / "s.json").write_text(json.dumps(file))
    schema = load(dumped(endpoints={"x": {"get": "/x", "calls": {"a": {**A, "schema": reference}}}})).catalog.endpoints["x"].calls["a"].json_schema
    assert isinstance(schema, dict)
    assert schema["properties"] == expected
    assert "$id" not in schema


def test_an_inline_schema_may_call_itself_by_its_own_name(load: Load) -> None:
    """It leads nowhere else."""
    schema = {"$id": "https://e.test/s", "properties": {"n": {"$ref": "https://e.test/s#/$defs/n"}}, "$defs": {"n": NUMBER}}
    assert (
        load(dumped(endpoints={"x": {"get": "/x", "calls": {"a": {**A, "schema": schema}}}})).catalog.endpoints["x"].calls["a"].json_schema == schema
    )


@pytest.mark.parametrize("reference", ["gone.json", "shapes.json#/gone", "shapes.json#name", "text.json", "http://h/s.json", "/etc", "a\0b"])
def test_a_reference_that_leads_nowhere_is_a_fault(faults_of: FaultsOf, tmp_path: Path, reference: str) -> None:
    """No file, nothing there, no JSON, the network, itself."""
    (tmp_path / "shapes.json").write_text(json.dumps({"loop": {"$ref": "#/loop"}}))
    (tmp_path / "text.json").write_text("no json")
    (fault,) = faults_of(json.dumps({**BASE, "endpoints": {"x": {"get": "/x", "calls": {"a": {**A, "schema": reference}}}}}))
    assert fault.message.startswith("schema")


# --- many files


def test_included_files_add_to_the_main_one(load: Load, tmp_path: Path) -> None:
    """Upstreams, endpoints and auth; each file once, whatever patterns name it; the main one is passed over."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "merganser.yaml").write_text("is not read again")
    (tmp_path / "parts" / "b.yaml").write_text(json.dumps({"endpoints": {"y": {"get": "/y", "calls": {"a": A}}}, "upstreams": None}))
    (tmp_path / "c.yaml").write_text(json.dumps({"upstreams": {"v": {"url": URL}}, "auth": {"k": {"type": "api_key", "keys": {}}}}))
    found = load(dumped(include=["**/*.yaml", "parts/b.yaml", "*.yaml"])).catalog
    assert (list(found.upstreams), list(found.endpoints), list(found.auth)) == (["u", "v"], ["x", "y"], ["k"])


@pytest.mark.slow
def test_a_file_too_many_is_a_fault_at_its_pattern(faults_of: FaultsOf, tmp_path: Path) -> None:
    """A thousand are read; none of them is left out in silence."""
    (tmp_path / "0.yaml").write_text("{}")
    for number in range(1, MAX_FILES):
        (tmp_path / f"{number}.yaml").hardlink_to(tmp_path / "0.yaml")
    assert faults_of(dumped(include=["*.yaml"])) == []
    (tmp_path / "late.yml").write_text("endpoints: {late: {get: /late}}")
    (fault,) = faults_of(f'include:\n  - "*.yaml"\n  - "*.yml"\n{yaml.safe_dump(BASE)}')
    assert (fault.line, fault.message) == (3, "more than 1,000 files are included")


@pytest.mark.parametrize(("included", "line", "words"), [
    ("upstreams:\n  u: {url: 'http://h'}\n", 2, "taken"), ("cors: {origins: []}\n", 1, "unknown key 'cors'"), ("include: [x]\n", 1, "unknown key"),
    ("- a\n", 1, "mapping"), ("endpoints: 3\n", 1, "mapping"),
    ("endpoints:\n  y:\n    get: /y\n    calls: {a: {upstream: w, path: /a}}\n", 4, "unknown upstream"),
    ("a: [\n", 2, "no YAML"), ("", 1, "empty"),
])  # fmt: skip
def test_a_fault_of_an_included_file_names_it(faults_of: FaultsOf, tmp_path: Path, included: str, line: int, words: str) -> None:
    """FILE is the included one, seen from where the user stands."""
    (tmp_path / "part.yaml").write_text(included)
    (fault,) = faults_of(dumped(include=["part.yaml"]))
    assert (fault.file, fault.line) == ("part.yaml", line)
    assert words in fault.message


# --- files, and how faults are told


def test_loading_leaves_the_collection_of_garbage_as_it_was(load: Load, faults_of: FaultsOf) -> None:
    """It is off meanwhile; on again afterwards, whatever became of the catalog, and off still where it was off."""
    load(dumped())
    assert faults_of("a: [")
    assert gc.isenabled()
    gc.disable()
    try:
        load(dumped())
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_catalog_that_cannot_be_read_is_told_apart(tmp_path: Path) -> None:
    """No file, a folder, a name that is none."""
    for path in (tmp_path / "gone.yaml", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(CatalogUnreadable):
            load_file(path, {})


@pytest.mark.parametrize(("raw", "line", "column"), [(b"name: \xff", 1, 7), (b"a: 1\nb: \xe9\n", 2, 4), (b"\xff\xfea\x00", 1, 1)])
def test_a_file_that_is_no_utf_8_is_a_fault(tmp_path: Path, raw: bytes, line: int, column: int) -> None:
    """At the first byte that is none."""
    (tmp_path / "c.yaml").write_bytes(raw)
    with pytest.raises(CatalogFaults) as faulty:
        load_file(tmp_path / "c.yaml", {})
    (fault,) = faulty.value.faults
    assert (fault.line, fault.column) == (line, column)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """As editors of Windows write it."""
    (tmp_path / "c.yaml").write_bytes(b"\xef\xbb\xbf" + dumped().encode())
    assert load_file(tmp_path / "c.yaml", {}).catalog.upstreams


def test_faults_are_lines_that_compilers_write() -> None:
    """`FILE:LINE:COL: error: MESSAGE (HINT)`, in order of place, always one line each."""
    faults = Faults()
    faults.add(Place("f.yaml", 3, 1), "late\nand more")
    faults.add(Place("f.yaml", 1, 9), "early", "did you mean 'x'?")
    faults.warn(Place("f.yaml", 2, 1), "look")
    faults.add(Place("f.yaml", 1, 9), "early", "did you mean 'x'?")
    assert as_text(faults.sorted("error")) == "f.yaml:1:9: error: early (did you mean 'x'?)\nf.yaml:3:1: error: late and more\n"
    assert as_text(faults.sorted("warning")) == "f.yaml:2:1: warning: look\n"
    told = json.loads(as_json(faults.sorted("error"), faults.sorted("warning")))
    assert told["faults"][0] == {"file": "f.yaml", "line": 1, "column": 9, "message": "early", "hint": "did you mean 'x'?"}
    assert [one["message"] for one in told["warnings"]] == ["look"]
    with pytest.raises(CatalogFaults, match="2 faults"):
        faults.raise_if_any()


def test_a_schema_goes_by_the_draft_that_it_names(load: Load, faults_of: FaultsOf) -> None:
    """2020-12 where it names none; an unknown one is a fault, and nothing is fetched."""
    old = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}
    assert load(dumped(endpoints={"x": {"get": "/x", "calls": {"a": {**A, "schema": old}}}})).catalog
    for bad in ({"items": [{"type": "string"}]}, {"$schema": "http://own.example/schema"}, {"$schema": 1}):
        (fault,) = faults_of(dumped(endpoints={"x": {"get": "/x", "calls": {"a": {**A, "schema": bad}}}}))
        assert "no JSON Schema" in fault.message
