"""Sample upstream: the departures of an airport, changing every few seconds; and the same from a service in poor health.

The clock of the board runs thirty times as fast as ours, so that one sees flights board and leave.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.demo.data import airports
from app.demo.ledger import AIRLINES, HUBS
from app.demo.service import Json, get, not_found, service

SPEED = 30
"""Seconds of the board in one of ours."""
EVERY = 11 * 60
"""Seconds of the board between two departures."""


def board(request: Request) -> dict[str, Any]:
    """`/board/MAD`: the next departures."""
    code = request.path_params["code"].upper()
    if code not in airports():
        raise not_found(f"airport {code[:8]}")
    now = int(time.time() * SPEED)
    first = now // EVERY - 1
    return {"airport": code, "clock": clock(now), "departures": [flight(code, slot, now) for slot in range(first, first + 8)]}


def flight(code: str, slot: int, now: int) -> dict[str, Any]:
    """One departure: all of it follows from the airport, the slot and the time."""
    dice = random.Random(f"{code} {slot}")  # noqa: S311 - the same flight every time
    destination = dice.choice([hub for hub in HUBS if hub != code])
    airline, number, gate = dice.choice(AIRLINES), dice.randint(100, 989), f"{dice.choice('ABCDE')}{dice.randint(1, 39)}"
    delay = dice.choice((0, 0, 0, 0, 10, 15, 25, 40)) * 60
    known = delay if now > slot * EVERY - 45 * 60 else 0
    leaves_in = slot * EVERY + known - now
    return {
        "flight": f"{''.join(w[0] for w in (airline + ' Air').split()[:2])}{number}", "airline": airline, "to": destination,
        "city": airports()[destination]["city"], "departs": clock(slot * EVERY), "expected": clock(slot * EVERY + known) if known else None,
        "gate": gate if leaves_in < 50 * 60 else None, "status": status(leaves_in, known),
    }  # fmt: skip


def status(leaves_in: int, delay: int) -> str:
    """What the board says of a flight that leaves in so many seconds."""
    if leaves_in < 0:
        return "departed"
    if leaves_in < 8 * 60:
        return "last call"
    if leaves_in < 30 * 60:
        return "boarding"
    return "delayed" if delay else "on time"


def clock(moment: int) -> str:
    """Hours and minutes of the board."""
    return time.strftime("%H:%M", time.gmtime(moment))


async def moody(request: Request) -> Response:
    """`/delays/MAD`: minutes of delay; one answer in four is an error, one in six takes its time."""
    code = request.path_params["code"].upper()
    if code not in airports():
        raise not_found(f"airport {code[:8]}")
    mood = random.random()  # noqa: S311 - a bad day
    if mood < 0.25:
        return Json({"error": "not now"}, status_code=503)
    if mood < 0.42:
        await asyncio.sleep(0.8)
    dice = random.Random(f"{code} {int(time.time() / 20)}")  # noqa: S311
    return Json(
        {"airport": code, "average_delay_minutes": dice.randint(0, 45), "cause": dice.choice(("fog", "crew", "late arrival", "a flock of ducks"))}
    )


app = service(get("/board/{code}", board, max_age=0), Route("/delays/{code}", moody))
