"""`merganser infer`: what the upstreams answer, as JSON Schema."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import orjson
import typer
import yaml

from app.api.problems import Problem
from app.catalog.load import Loaded
from app.commands.catalogs import loaded, settings
from app.commands.words import BodyOption, HeaderOption, Words, asked, inputs, named, read_headers, refuse, told
from app.core.outcome import Outcome
from app.engine.infer import schema_of
from app.engine.plan import Inputs
from app.engine.run import run
from app.main import open_service
from app.settings import Settings

NO_DATA = 1


def infer(
    words: Words,
    runs: Annotated[int, typer.Option(min=1, max=100, help="How often the endpoint is run; what differs makes the schema wider.")] = 1,
    format: Annotated[Literal["yaml", "json"], typer.Option(help="YAML to paste into the catalog, or JSON.")] = "yaml",
    header: HeaderOption = None,
    body: BodyOption = None,
) -> None:
    """Call the upstreams of an endpoint and print a JSON Schema for each call.

    Each schema goes under its call in the catalog: it is shown in OpenAPI, and with [bold]validate: warn[/bold] you learn when the upstream changes.
    Exit code 1: a call gave no data (it is named on stderr).

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
    tell({name: {"schema": schema_of(values)} for name, values in samples.items() if values}, given.endpoint or "", format)
    if silent := [name for name, values in samples.items() if not values]:
        causes = {one.name: one.error.detail if one.error else one.status for one in seen}
        typer.echo("\n".join(f"{name}: no data ({causes.get(name, 'not run')})" for name in silent), err=True)
        raise typer.Exit(NO_DATA)


async def outcomes_of(given: Settings, catalog: Loaded, name: str, wanted: Inputs, runs: int) -> list[Outcome]:
    """What became of every call in every run."""
    seen: list[Outcome] = []
    async with open_service(given.model_copy(update={"log_level": "error"}), catalog) as service:
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
        typer.echo(yaml.safe_dump(placed, sort_keys=False, allow_unicode=True, width=120), nl=False)
