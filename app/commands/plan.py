"""`merganser plan`: what an endpoint will do, before it does."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from app.catalog.load import Loaded
from app.commands.catalogs import loaded, settings
from app.commands.service import running
from app.commands.words import Words, asked, named
from app.engine.explain import describe, mermaid
from app.engine.plan import Plan
from app.settings import Settings


def plan(
    words: Words,
    as_mermaid: Annotated[bool, typer.Option("--mermaid", help="A Mermaid flowchart instead of text.")] = False,
) -> None:
    """Show the plan of an endpoint: who waits for whom, and for how long.

    Which calls start at once, what the others wait for, each call's policies from the outside in, and the longest that an answer can take.
    With a catalog alone, the plans of all its endpoints.

    [bold]Examples[/bold]

    merganser plan config/demo.yaml trip

    merganser plan config/demo.yaml trip --mermaid > trip.mmd
    """
    given = asked(words)
    plans = asyncio.run(plans_of(settings(), loaded(given.catalog)))
    chosen = [named(plans, given.endpoint)] if given.endpoint or not given.catalog else list(plans.values())
    for number, one in enumerate(chosen):
        typer.echo(("\n\n" if number else "") + (mermaid(one) if as_mermaid else describe(one)))


async def plans_of(given: Settings, catalog: Loaded) -> dict[str, Plan]:
    """Every plan of a catalog, compiled as for serving."""
    async with running(given, catalog) as service:
        return dict(service.plans)
