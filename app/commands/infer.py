"""`merganser infer`: what the upstreams answer, as JSON Schema."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import orjson
import typer
import yaml

from app.api.problems import Problem
from app.catalog.load import Loaded
from app.catalog.yaml_nodes import MAX_DEPTH, resolve
from app.commands.catalogs import loaded, settings
from app.commands.service import running
from app.commands.words import BodyOption, HeaderOption, Words, asked, inputs, named, read_headers, refuse, told
from app.core.outcome import Outcome
from app.engine.infer import schema_of
from app.engine.plan import Inputs
from app.engine.run import run
from app.settings import Settings

NO_SCHEMA = 1
ABOVE = 4
"""Levels of a catalog above what a call holds: the whole, `endpoints`, the endpoint, `calls`."""


def infer(
    words: Words,
    runs: Annotated[int, typer.Option(min=1, max=100, help="How often the endpoint is run; what differs makes the schema wider.")] = 1,
    format: Annotated[Literal["yaml", "json"], typer.Option(help="YAML to paste into the catalog, or JSON.")] = "yaml",
    header: HeaderOption = None,
    body: BodyOption = None,
) -> None:
    """Call the upstreams of an endpoint and print a JSON Schema for each call.

    Each schema goes under its call in the catalog: it is shown in OpenAPI, and with [bold]validate: warn[/bold] you learn when the upstream changes.
    Exit code 1: a call gave no data, or data too deep for a catalog's schema (it is named on stderr).

    [bold]Example[/bold]

    merganser infer config/demo.yaml trip iata=MAD --runs 3
    """
    given = asked(words)
    catalog = loaded(given.catalog)
    endpoint = named(catalog.catalog.endpoints, given.endpoint)
    if endpoint.proxy is not None:
        refuse(f"'{given.endpoint}' is a proxy: it has no calls")
    try:
        wanted = inputs(endpoint, given.pairs, read_headers(header), body)
    except Problem as problem:
        refuse(told(problem))
    seen = asyncio.run(outcomes_of(settings(), catalog, given.endpoint or "", wanted, runs))
    samples = {name: [one.data.value for one in seen if one.name == name and one.status == "ok"] for name in endpoint.calls}
    schemas = {name: {"schema": schema_of(values)} for name, values in samples.items() if values}
    placed = {name: schema for name, schema in schemas.items() if ABOVE + depth(schema) <= MAX_DEPTH}
    tell(placed, given.endpoint or "", format)
    causes = {one.name: one.error.detail if one.error else one.status for one in seen}
    silent = [f"{name}: no data ({causes.get(name, 'not run')})" for name in samples if name not in schemas]
    silent += [f"{name}: no schema (it would nest deeper than the {MAX_DEPTH} levels of a catalog)" for name in schemas if name not in placed]
    if silent:
        typer.echo("\n".join(silent), err=True)
        raise typer.Exit(NO_SCHEMA)


async def outcomes_of(given: Settings, catalog: Loaded, name: str, wanted: Inputs, runs: int) -> list[Outcome]:
    """What became of every call in every run."""
    seen: list[Outcome] = []
    async with running(given, catalog) as service:
        for _ in range(runs):
            answer = await run(service.plans[name], wanted, service.runtime)
            seen += answer.outcomes.values()
    return seen


def tell(schemas: dict[str, Any], endpoint: str, format: str) -> None:
    """Prints the schemas where they belong in the catalog."""
    placed = {"endpoints": {endpoint: {"calls": schemas}}}
    if format == "json":
        typer.echo(orjson.dumps(placed, option=orjson.OPT_INDENT_2).decode())
    else:
        typer.echo(as_yaml(placed), nl=False)


def as_yaml(value: Any) -> str:
    """The text that the catalog's reader takes for this value."""
    text: str = yaml.dump(escaped(value), Dumper=_Pasted, sort_keys=False, allow_unicode=True, width=120)
    return text


def escaped(value: Any) -> Any:
    """The value with `$${` for `${`, which the reader would substitute; not in keys, where it substitutes nothing."""
    if isinstance(value, dict):
        return {key: escaped(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


def depth(value: Any) -> int:
    """How deep mappings and lists nest: 0 for a scalar, 1 for `{}`. Without recursion."""
    levels, inner = 0, [value]
    while inner := [one for one in inner if isinstance(one, list | dict)]:
        levels += 1
        inner = [one for holder in inner for one in (holder.values() if isinstance(holder, dict) else holder)]
    return levels


class _Pasted(yaml.SafeDumper):
    """Writes YAML for our own reader: PyYAML quotes what YAML 1.1 would take for something else than a text, and here 1.2 holds."""


def _text(dumper: _Pasted, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if _is_itself(text) else '"')


def _is_itself(text: str) -> bool:
    """Whether the catalog's reader takes the raw text for this very text: it is one line, and looks like nothing else."""
    try:
        return "${" not in text and text.splitlines() == [text] and resolve(text) == text
    except ValueError:
        return False


_Pasted.add_representer(str, _text)
