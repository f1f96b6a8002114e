"""Sample upstream: sun and moon over a place, now or on a day, computed by the package astral."""

from __future__ import annotations

import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from astral import LocationInfo, Observer, SunDirection, moon
from astral.sun import elevation, golden_hour, sun
from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.demo.service import get, number, service

PHASES = (
    (1.85, "new moon"), (5.54, "waxing crescent"), (9.23, "first quarter"), (12.92, "waxing gibbous"),
    (16.61, "full moon"), (20.3, "waning gibbous"), (23.99, "last quarter"), (27.68, "waning crescent"), (99.0, "new moon"),
)  # fmt: skip
"""Days since new moon, as astral counts them (0 to 28)."""


def sky(request: Request) -> dict[str, Any]:
    """`/sky?lat=40.5&lon=-3.6&tz=Europe/Madrid&date=2026-06-21`; without a date: now."""
    lat, lon = number(request, "lat"), number(request, "lon")
    try:
        zone = ZoneInfo(request.query_params.get("tz", "UTC"))
        now = datetime.datetime.now(zone)
        day = datetime.date.fromisoformat(request.query_params.get("date") or now.date().isoformat())
        observer = LocationInfo("", "", zone.key, lat, lon).observer
    except (ValueError, ZoneInfoNotFoundError) as exc:
        raise HTTPException(422, "'tz', 'date', 'lat' or 'lon' is none") from exc
    height = elevation(observer, now)
    return {
        "local_time": now.isoformat(timespec="seconds"), "date": day.isoformat(),
        "sun": {**times(observer, day, zone), "elevation": round(height, 2), "is_up": height > -0.833},
        "moon": phase(day),
    }  # fmt: skip


def times(observer: Observer, day: datetime.date, zone: ZoneInfo) -> dict[str, Any]:
    """Rise, set and hours of daylight; near the poles there may be none, then `polar` says which."""
    try:
        found = sun(observer, day, tzinfo=zone)
    except ValueError:
        noon = datetime.datetime.combine(day, datetime.time(12), zone)
        is_day = elevation(observer, noon) > 0
        return {"rises": None, "sets": None, "golden_hour": None, "daylight_hours": 24.0 if is_day else 0.0, "polar": "day" if is_day else "night"}
    hours = (found["sunset"] - found["sunrise"]).total_seconds() / 3600 % 24
    return {
        "rises": f"{found['sunrise']:%H:%M}", "sets": f"{found['sunset']:%H:%M}", "golden_hour": golden(observer, day, zone),
        "daylight_hours": round(hours, 1), "polar": None,
    }  # fmt: skip


def golden(observer: Observer, day: datetime.date, zone: ZoneInfo) -> str | None:
    """When the evening's golden hour begins; None where the sun stays so low that it never does."""
    try:
        return f"{golden_hour(observer, day, SunDirection.SETTING, tzinfo=zone)[0]:%H:%M}"
    except ValueError:
        return None


def phase(day: datetime.date) -> dict[str, Any]:
    """The moon's age in days and the name of its phase."""
    age = moon.phase(day)
    return {"age_days": round(age, 1), "phase": next(name for bound, name in PHASES if age < bound)}


app = service(get("/sky", sky, max_age=1))
