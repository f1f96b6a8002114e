"""The words of a command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from app.api.problems import Problem
from app.catalog.schema import Body, Endpoint, Param
from app.commands.words import Asked, asked, inputs, named, read_body, read_headers, told

ENDPOINT = Endpoint(
    get="/cities/{city}",
    params={
        "city": Param.model_validate({"in": "path", "pattern": "^[a-z]+$"}),
        "days": Param.model_validate({"in": "query", "type": "integer", "default": 3}),
        "tags": Param.model_validate({"in": "query", "type": "array"}),
        "lang": Param.model_validate({"in": "header"}),
    },
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["trip"], Asked(None, "trip", ())),
        (["trip", "iata=MAD"], Asked(None, "trip", (("iata", "MAD"),))),
        (["config/demo.yaml", "trip"], Asked(Path("config/demo.yaml"), "trip", ())),
        (["demo.yaml", "trip", "a=1", "a=2"], Asked(Path("demo.yaml"), "trip", (("a", "1"), ("a", "2")))),
        (["demo.yaml"], Asked(Path("demo.yaml"), None, ())),
        (["odd=name.yaml", "trip"], Asked(Path("odd=name.yaml"), "trip", ())),
        (["trip", "q=a=b c"], Asked(None, "trip", (("q", "a=b c"),))),
        (["trip", "q="], Asked(None, "trip", (("q", ""),))),
    ],
)
def test_a_catalog_may_be_left_out(words: list[str], expected: Asked) -> None:
    """`[CATALOG] ENDPOINT k=v ...`"""
    assert asked(words) == expected


def test_a_file_of_an_endpoints_name_is_no_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a word means does not hang on what lies about; a file is spelt as one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trip").touch()
    for words in (["trip"], ["trip", "n=a"]):
        assert (asked(words).catalog, asked(words).endpoint) == (None, "trip")
    assert asked(["./trip"]) == Asked(Path("trip"), None, ())
    assert asked(["trip", "board"]) == Asked(Path("trip"), "board", ())


def test_watch_takes_no_catalog(capsys: pytest.CaptureFixture[str]) -> None:
    """Its first word is the endpoint, however it is spelt; a second is no value."""
    assert asked(["trip.yaml", "n=a.yaml"], takes_catalog=False) == Asked(None, "trip.yaml", (("n", "a.yaml"),))
    with pytest.raises(typer.Exit):
        asked(["demo.yaml", "trip"], takes_catalog=False)
    assert "'trip' is no NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["a", "b", "c"], ["trip", "a=1", "b"], ["trip", "=1"]])
def test_a_word_that_is_neither_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and it is named."""
    with pytest.raises(typer.Exit) as ended:
        asked(words)
    assert ended.value.exit_code == 2
    assert f"'{words[-1]}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given",
    [
        lambda: asked(["trip", "q=a\udcff"]),
        lambda: asked(["\udcff.yaml", "trip"]),
        lambda: read_headers(["x: \udcff"]),
        lambda: read_body('"\udcff"'),
    ],
)
def test_an_argument_that_is_no_utf8_is_refused(given: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, in one line; Python makes lone surrogates of such bytes."""
    with pytest.raises(typer.Exit) as ended:
        given()
    assert ended.value.exit_code == 2
    told_of = capsys.readouterr().err
    assert told_of.count("\n") == 1
    assert "is no UTF-8" in told_of
    assert "\\udcff" in told_of


def test_a_near_name_is_offered(capsys: pytest.CaptureFixture[str]) -> None:
    """did you mean 'trip'?"""
    with pytest.raises(typer.Exit):
        named({"trip": 1, "board": 2}, "tripp")
    assert "did you mean 'trip'?" in capsys.readouterr().err


def test_values_are_typed_as_over_http() -> None:
    """Path, query and header params; lists; defaults."""
    wanted = inputs(ENDPOINT, [("city", "madrid"), ("days", "5"), ("tags", "a"), ("tags", "b"), ("lang", "es")])
    assert wanted.params == {"city": "madrid", "days": 5, "tags": ["a", "b"], "lang": "es"}
    assert inputs(ENDPOINT, [("city", "madrid")]).params["days"] == 3


def test_every_fault_is_told_at_once() -> None:
    """By name, in words."""
    with pytest.raises(Problem) as refused:
        inputs(ENDPOINT, [("city", "MADRID"), ("days", "many"), ("dyas", "3")])
    lines = told(refused.value).splitlines()
    assert [line.split()[0] for line in lines] == ["city", "days", "dyas"]
    assert "did you mean 'days'?" in lines[2]


def test_a_body_is_strict_json() -> None:
    """Given as it is, or as @FILE."""
    assert inputs(ENDPOINT, [("city", "madrid")], body='{"a": 1}').body.value == {"a": 1}  # type: ignore[union-attr]
    with pytest.raises(Problem):
        inputs(ENDPOINT, [("city", "madrid")], body="{a: 1}")


@pytest.mark.parametrize(("body", "status"), [(None, 422), ('{"z": 1}', 422), ('{"k": "' + "x" * 100 + '"}', 413), ('{"k": 1}', None)])
def test_a_body_is_held_to_the_endpoints_rules(body: str | None, status: int | None) -> None:
    """Required, schema and size, as over HTTP."""
    rules = Body.model_validate({"required": True, "max": 60, "schema": {"type": "object", "required": ["k"]}})
    endpoint = ENDPOINT.model_copy(update={"body": rules})
    if status is None:
        assert inputs(endpoint, [("city", "madrid")], body=body).body.value == {"k": 1}  # type: ignore[union-attr]
    else:
        with pytest.raises(Problem) as refused:
            inputs(endpoint, [("city", "madrid")], body=body)
        assert refused.value.status == status


def test_headers_are_written_as_for_curl() -> None:
    """`name: value`"""
    assert read_headers(["Accept-Language: es", "X: a:b"]) == [("Accept-Language", "es"), ("X", "a:b")]
    with pytest.raises(typer.Exit):
        read_headers(["no header"])
