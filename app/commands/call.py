"""`merganser call`: one answer without a server."""

from __future__ import annotations

import asyncio
import shutil
import sys
from typing import Annotated

import msgspec
import orjson
import typer

from app.api.problems import Problem, verdict
from app.api.render import Renderer
from app.catalog.load import Loaded
from app.commands.catalogs import loaded, settings
from app.commands.service import running
from app.commands.timeline import timeline
from app.commands.words import BodyOption, HeaderOption, Words, asked, inputs, named, read_headers, refuse, told
from app.core.answer import Answer
from app.engine.plan import Inputs, Plan
from app.engine.run import run
from app.settings import Settings

FAILED = 1


def call(
    words: Words,
    header: HeaderOption = None,
    body: BodyOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No timeline.")] = False,
) -> None:
    """Run one endpoint without a server.

    The answer goes to stdout as JSON, a timeline of its calls to stderr. Exit code 0: answered, complete or partial.
    1: the answer failed (then the problem document is on stdout). 2: it could not be asked.

    [bold]Examples[/bold]

    merganser call config/demo.yaml trip iata=MAD

    merganser call tour stops=LIS stops=KEF | jq .data
    """
    given = asked(words)
    catalog = loaded(given.catalog)
    endpoint = named(catalog.catalog.endpoints, given.endpoint)
    if endpoint.proxy is not None:
        refuse(f"'{given.endpoint}' is a proxy: it passes bytes through and has no answer of its own; ask the server")
    try:
        wanted = inputs(endpoint, given.pairs, read_headers(header), body)
    except Problem as problem:
        refuse(told(problem))
    plan, answer = asyncio.run(answer_of(settings(), catalog, given.endpoint or "", wanted))
    if not quiet:
        show(answer)
    problem_or_none = verdict(plan, answer)
    if problem_or_none is not None:
        tell(orjson.dumps(problem_or_none.document(wanted.context.id)))
        raise typer.Exit(FAILED)
    tell(Renderer(plan.spec, catalog.catalog.auth).body(answer))


async def answer_of(given: Settings, catalog: Loaded, name: str, wanted: Inputs) -> tuple[Plan, Answer]:
    """Runs a plan on a service that lives as long as the answer takes."""
    async with running(given, catalog) as service:
        plan = service.plans[name]
        return plan, await run(plan, wanted, service.runtime)


def show(answer: Answer) -> None:
    """The timeline, on stderr."""
    is_plain = "utf" not in (sys.stderr.encoding or "").lower()
    for line in timeline(answer, shutil.get_terminal_size().columns, is_plain=is_plain):
        typer.echo(line, err=True)


def tell(raw: bytes) -> None:
    """JSON on stdout: indented for a person, as it is for a pipe."""
    if sys.stdout.isatty():
        raw = msgspec.json.format(raw, indent=2)
    typer.echo(raw.decode())
