"""`merganser demo`: the sample upstreams and a catalog over them, with one command."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

import app
from app.commands.catalogs import USAGE, loaded, settings
from app.commands.serve import Host, Port, Workers
from app.demo import fleet

TRY = {
    "demo": ("/trips/MAD", "/trips/NRT", "/board/LHR", "/tours?stops=LIS&stops=KEF&stops=SYD", "/delays/CDG"),
    "shop": ("/products/mallard-mug", "/products", "/search?q=duck"),
    "profile": ("/people/ada", "/people/ada/feed"),
    "soap": ("/rates/JPY", "/orders/1001"),
}
"""What to try first, by catalog."""


def demo(
    catalog: Annotated[str, typer.Option(help="Which of the sample catalogs: demo, shop, profile or soap.")] = "demo",
    latency: Annotated[float, typer.Option(min=0, max=10_000, help="Milliseconds of distance, about, between us and the samples.")] = 40.0,
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
) -> None:
    """Start the sample upstreams and serve a catalog over them.

    The samples are small HTTP services on loopback, over real data: airports, sun and moon, holidays, formats of a country.
    Ctrl-C stops everything.

    [bold]Examples[/bold]

    merganser demo

    merganser demo --catalog shop --latency 120 --port 9000
    """
    given = settings()
    path = find(catalog)
    signal.signal(signal.SIGTERM, _interrupt)
    typer.echo("Starting the sample upstreams ...", err=True)
    try:
        with fleet.running(fleet.named_in(path), latency / 1000) as urls:
            os.environ.update({fleet.variable(name): url for name, url in urls.items()})
            found = loaded(path)
            server = importlib.import_module("app.server")
            address, number = host or given.host, given.port if port is None else port
            welcome(catalog, urls, f"http://{'127.0.0.1' if address == '0.0.0.0' else address}:{number}")  # noqa: S104 - compared
            code = server.serve(given, found, address, number, workers or given.workers)
    except fleet.SampleFailed as failed:
        typer.echo(f"merganser: {failed}", err=True)
        raise typer.Exit(1) from failed
    raise typer.Exit(code)


def find(name: str) -> Path:
    """The sample catalog of this name: in the working directory, or where this program lies."""
    folders = (Path("config"), Path(), Path(app.__file__).parent.parent / "config")
    for folder in folders:
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    typer.echo(f"merganser: there is no sample catalog '{name}'; there are {', '.join(TRY)}", err=True)
    raise typer.Exit(USAGE)


def welcome(catalog: str, urls: Mapping[str, str], here: str) -> None:
    """Prints what to open, on stderr, in colours on a terminal."""
    typer.secho(f"\nMerganser serves config/{catalog}.yaml on {here}", err=True, bold=True)
    typer.secho("over " + ", ".join(f"{name} {url.removeprefix('http://')}" for name, url in urls.items()), err=True, dim=True)
    typer.echo("", err=True)
    for path in TRY.get(catalog, ()):
        quoted = f'"{here}{path}"' if "?" in path or "&" in path else f"{here}{path}"
        typer.echo(f"  curl {quoted}", err=True)
    first = TRY[catalog][0] if catalog in TRY else "/"
    typer.echo(f"  curl -N -H 'Accept: text/event-stream' {here}{first}", err=True)
    typer.echo(f"\n  {here}/docs       every endpoint with its parameters", err=True)
    typer.echo(f"  {here}/console    try them, watch them live", err=True)
    typer.secho("\nCtrl-C stops everything.\n", err=True, dim=True)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
