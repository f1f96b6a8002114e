"""Sample upstream: public holidays of a country, from the package holidays; as JSON, and as the RSS feed of an older time."""

from __future__ import annotations

import datetime
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape

import holidays
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.demo.service import get, not_found, number, service


@lru_cache(512)
def days(country: str, year: int) -> list[tuple[datetime.date, str, str]]:
    """Date, English name and local name of each holiday of a year, in order; NotImplementedError for an unknown country."""
    english = holidays.country_holidays(country, years=year, language="en_US")
    local = holidays.country_holidays(country, years=year, language=english.default_language)
    return sorted((day, english.get(day) or name, name) for day, name in local.items())


def upcoming(request: Request) -> dict[str, Any]:
    """`/holidays/ES?limit=3&from=2026-12-01`: the next ones from a day on, today by default."""
    country = request.path_params["country"].upper()
    limit = int(number(request, "limit", 3))
    try:
        start = datetime.date.fromisoformat(request.query_params.get("from") or today().isoformat())
        found = [*days(country, start.year), *days(country, start.year + 1)]
    except ValueError as exc:
        raise HTTPException(422, "'from' must be a date like 2026-12-24") from exc
    except NotImplementedError as exc:
        raise not_found(f"calendar of {country[:8]}") from exc
    items = [
        {"date": day.isoformat(), "weekday": f"{day:%A}", "name": name, "local_name": local, "in_days": (day - start).days}
        for day, name, local in found
        if day >= start
    ]
    return {"country": country, "items": items[:limit]}


async def feed(request: Request) -> Response:
    """`/feed/ES`: the same as RSS 2.0."""
    coming = upcoming(request)
    items = "".join(
        f"<item><title>{escape(i['name'])}</title><link>https://example.org/{i['date']}</link><guid>{i['date']}</guid>"
        f"<description>{escape(i['local_name'])}, a {i['weekday']}</description></item>"
        for i in coming["items"]
    )
    head = f"<title>Holidays of {coming['country']}</title><link>https://example.org/</link><description>What is next</description>"
    return Response(f'<?xml version="1.0"?><rss version="2.0"><channel>{head}{items}</channel></rss>', media_type="application/rss+xml")


def today() -> datetime.date:
    """The date, in UTC."""
    return datetime.datetime.now(datetime.UTC).date()


days("ES", today().year)  # now: the first use of the package takes half a second
app = service(get("/holidays/{country}", upcoming, max_age=600), Route("/feed/{country}", feed))
