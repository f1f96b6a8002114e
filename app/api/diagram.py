"""A plan as an SVG picture: a column per step of the way, a box per call, a line per wait. Drawn here, no script needed."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from app.engine.explain import waves
from app.engine.plan import Plan

_WIDTH, _HEIGHT, _ACROSS, _DOWN, _EDGE = 164, 44, 60, 16, 8


def svg(plan: Plan) -> str:
    """The picture, described in words for those who do not see it; styles come from the page's classes."""
    columns = waves(plan)
    places = {
        step.name: (_EDGE + number * (_WIDTH + _ACROSS), _EDGE + row * (_HEIGHT + _DOWN))
        for number, column in enumerate(columns)
        for row, step in enumerate(column)
    }
    width = 2 * _EDGE + len(columns) * _WIDTH + (len(columns) - 1) * _ACROSS
    height = 2 * _EDGE + max(len(column) for column in columns) * (_HEIGHT + _DOWN) - _DOWN
    lines = [
        _line(places[before], places[step.name], "needs" if before in step.needs else "after")
        for step in plan.steps
        for before in (*step.needs, *step.after)
    ]
    boxes = [_box(places[s.name], s.name, s.spec.upstream, s.required) for s in plan.steps]
    head = f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{escape(in_words(plan))}">'
    return "".join([head, *lines, *boxes, "</svg>"])


def in_words(plan: Plan) -> str:
    """Who starts at once, and who waits for whom."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for step in plan.steps:
        alike.setdefault((*step.needs, *(f"the end of {name}" for name in step.after)), []).append(step.name)
    told = []
    for waits, names in alike.items():
        s = "s" if len(names) == 1 else ""
        told.append(f"{_listed(names)} {f'wait{s} for {_listed(waits)}' if waits else f'start{s} at once'}")
    return "; ".join(told) + "."


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _box(place: tuple[int, int], name: str, upstream: str, is_required: bool) -> str:
    x, y = place
    kind = "call required" if is_required else "call"
    return (
        f'<g class="{kind}"><title>{escape(name)}, asks {escape(upstream)}{", required" if is_required else ""}</title>'
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
        f'<text x="{x + 10}" y="{y + 19}">{escape(_short(name))}</text>'
        f'<text class="from" x="{x + 10}" y="{y + 35}">{escape(_short(upstream))}</text></g>'
    )


def _line(start: tuple[int, int], end: tuple[int, int], kind: str) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x2, y2 = end[0], end[1] + _HEIGHT // 2
    middle = (x1 + x2) // 2
    return f'<path class="{kind}" d="M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"/><circle class="{kind}" cx="{x2 - 3}" cy="{y2}" r="3"/>'


def _short(text: str) -> str:
    return text if len(text) <= 20 else text[:19] + "…"
