"""A timeline of an answer's calls, as text: when each could start, how long it took, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import typer

from app.core.answer import Answer
from app.core.outcome import Outcome

COLOURS = {"ok": "green", "stale": "yellow", "fallback": "yellow", "partial": "yellow", "skipped": "bright_black", "failed": "red"}
SHORTEST = 10


def timeline(answer: Answer, width: int, *, is_plain: bool = False) -> Iterator[str]:
    """One line per call, in order of start, then the whole. `is_plain`: ASCII bars. Styled; typer drops styles off a terminal."""
    outcomes = sorted(answer.outcomes.values(), key=lambda o: o.started)
    end = max((o.ended for o in outcomes), default=answer.began)
    whole = max(end - answer.began, 1e-6)
    names = max((len(o.name) for o in outcomes), default=0)
    room = max(SHORTEST, min(60, width - names - 48))
    for outcome in outcomes:
        first = round((outcome.started - answer.began) / whole * room)
        length = max(1, round((outcome.ended - outcome.started) / whole * room))
        bar = " " * min(first, room - 1) + ("#" if is_plain else "━") * min(length, room - min(first, room - 1))
        drawn, status = (typer.style(text, fg=COLOURS[outcome.status]) for text in (f"{bar:<{room}}", outcome.status))
        yield f"{outcome.name:<{names}}  {drawn}  {_ms(outcome)}  {status}{_notes(outcome)}"
    yield f"{'':<{names}}  {'':<{room}}  {whole * 1000:7.1f} ms  {_verdict(answer)}"


def _ms(outcome: Outcome) -> str:
    return f"{(outcome.ended - outcome.started) * 1000:7.1f} ms"


def _notes(outcome: Outcome) -> str:
    notes: Mapping[str, object] = {
        "": f"{outcome.error.type}: {outcome.error.detail}" if outcome.error else None,
        "http": outcome.http_status if outcome.http_status not in (None, 200) else None,
        "attempts": outcome.attempts if outcome.attempts > 1 else None,
        "cache": outcome.cache if outcome.cache not in (None, "miss") else None,
    }
    told = [f"{name} {value}".strip() for name, value in notes.items() if value is not None]
    return f"  ({', '.join(told)})" if told else ""


def _verdict(answer: Answer) -> str:
    if answer.failed:
        return typer.style("failed", fg="red", bold=True)
    return typer.style("complete", fg="green", bold=True) if answer.complete else typer.style("partial", fg="yellow", bold=True)
