"""`merganser batch`: an endpoint for every row of a file, resumable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from app.api.body import Bodies
from app.api.params import Params, compile_params
from app.api.problems import Fault, Problem, verdict
from app.api.render import sources_of
from app.catalog.load import Loaded
from app.catalog.schema import Body
from app.commands.catalogs import loaded, settings
from app.commands.results import Answered, Results
from app.commands.rows import BODY, BadInput, Input, Row
from app.commands.service import running
from app.commands.words import HeaderOption, asked, context, named, read_headers, refuse
from app.core.data import Data, encode
from app.engine.plan import Inputs, Plan
from app.engine.run import run
from app.main import Service
from app.settings import Settings

SOME_FAILED = 1
NEEDS_ARGUMENTS = True


def batch(
    words: Annotated[list[str], typer.Argument(metavar="[CATALOG] ENDPOINT", show_default=False, help="The catalog may be left out.")],
    input: Annotated[Path, typer.Option("--input", "-i", help="CSV with a header line, or NDJSON: one row, one run.", exists=True, dir_okay=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="NDJSON, or CSV by its name: a line per row, in the order of their ends.")],
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", min=1, max=10_000, help="Rows at once.")] = 10,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Runs those rows again that failed in an earlier run.")] = False,
    header: HeaderOption = None,
) -> None:
    """Run an endpoint for every row of a file; a re-run goes on.

    Columns are params by name; an empty cell is not given; `body` is the request's body. A row that fails is a line with its error,
    and stops no other. Stopped or killed, the same command goes on from there: no row is lost, none is in the output twice.
    The input may be a pipe; the output is a regular file. Exit code 0: all rows answered. 1: some failed, or did not run.
    2: the input cannot be read or the output not written.

    [bold]Example[/bold]

    merganser batch config/demo.yaml trip --input airports.csv --output trips.ndjson --concurrency 20
    """
    given = asked(words)
    catalog = loaded(given.catalog)
    endpoint = named(catalog.catalog.endpoints, given.endpoint)
    if endpoint.proxy is not None or given.pairs:
        refuse("a batch runs an endpoint with calls, and its params are the columns of the input")
    job = Job(given.endpoint or "", concurrency, read_headers(header))
    try:
        with Input.opened(input) as source:
            check_columns(source, job.endpoint, endpoint.params)
            with Results.opened(output, retry_failed=retry_failed) as results:
                done = [results.has(row) for row in source.rows()]  # all of it is read once: what is wrong is found before anything runs
                todo = (row for row, is_done in zip(source.rows(), done, strict=False) if not is_done)
                with progress(len(done), sum(done)) as tick:
                    tally = asyncio.run(run_all(settings(), catalog, job, todo, results, tick))
    except BadInput as bad:
        refuse(str(bad))
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here", err=True)
        raise
    typer.echo(f"{len(done)} rows: {sum(done)} done before, {tally.answered} answered, {tally.failed} failed", err=True)
    missing = len(done) - sum(done) - tally.answered - tally.failed
    if missing:
        typer.echo(f"merganser: {missing} rows did not run: {input} became shorter meanwhile", err=True)
    if missing or tally.failed:
        raise typer.Exit(SOME_FAILED)


@dataclass(frozen=True, slots=True)
class Job:
    """What every row has in common."""

    endpoint: str
    concurrency: int
    headers: list[tuple[str, str]]


@dataclass(slots=True)
class Tally:
    """How it went."""

    answered: int = 0
    failed: int = 0


def check_columns(given: Input, endpoint: str, params: object) -> None:
    """Refuses CSV that has no column of a param by any name: the header line is missing, or it is another file."""
    found = given.columns()
    if found is not None and isinstance(params, dict) and params and not set(found) & set(params):
        raise BadInput(f"{given.path}: no column is a param of '{endpoint}'; the header line names some of: {', '.join(params)}")


async def run_all(given: Settings, catalog: Loaded, job: Job, todo: Iterator[Row], results: Results, tick: Callable[[], None]) -> Tally:
    """Runs the rows, `concurrency` at once; the queue between reader and workers is short, so memory is too. BadInput ends it."""
    tally = Tally()
    queue: asyncio.Queue[Row | None] = asyncio.Queue(job.concurrency * 2)
    async with running(given, catalog) as service:
        plan = service.plans[job.endpoint]
        ask = Ask(service, plan, compile_params(plan.spec), Bodies(plan.spec.body or Body()), job.headers)

        async def worker() -> None:
            while (row := await queue.get()) is not None:
                answered = await ask.row(row)
                results.add(row, answered)
                tally.failed += answered.error is not None
                tally.answered += answered.error is None
                tick()

        with first_bad_input():
            async with asyncio.TaskGroup() as group:
                for _ in range(job.concurrency):
                    group.create_task(worker())
                for row in todo:
                    await queue.put(row)
                for _ in range(job.concurrency):
                    await queue.put(None)
    return tally


@contextmanager
def first_bad_input() -> Iterator[None]:
    """Of tasks that could not read or write, what the first has to say."""
    try:
        yield
    except ExceptionGroup as several:
        if found := [one for one in several.exceptions if isinstance(one, BadInput)]:
            raise found[0] from several
        raise


@dataclass(frozen=True, slots=True)
class Ask:
    """Runs a row."""

    service: Service
    plan: Plan
    params: Params
    bodies: Bodies
    headers: list[tuple[str, str]]

    async def row(self, row: Row) -> Answered:
        """The row's answer, or its error as a problem document; raises nothing but cancellation."""
        about = context(self.plan.method, self.headers, f"row-{row.number}")
        try:
            values = self.params.bind_json(row.params(self.plan.spec))
            body, faults = self._body(row)
            if faults:
                raise Problem(422, errors=faults)
            answer = await run(self.plan, Inputs(values, about, body), self.service.runtime)
            problem = verdict(self.plan, answer)
        except Problem as refused:
            problem = refused
        if problem is not None:
            return Answered(error=problem.document(about.id))
        return Answered(answer.data.raw, answer.complete, sources_of(answer.outcomes))

    def _body(self, row: Row) -> tuple[Data | None, list[Fault]]:
        """The row's body by the rules of the endpoint, JSON or a text that is JSON."""
        body = row.given.get(BODY)
        return self.bodies.taken(b"" if body is None else body.encode() if isinstance(body, str) else encode(body))


@contextmanager
def progress(total: int, done: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr, if that is a terminal; yields what to call for each row."""
    console = Console(stderr=True)
    columns = (TextColumn("rows"), BarColumn(None), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("rows", total=total, completed=done)
        yield lambda: bar.advance(task)
