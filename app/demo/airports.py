"""Sample upstream: facts about 7,884 airports, from the package airportsdata."""

from __future__ import annotations

from typing import Any

from babel import Locale
from starlette.requests import Request

from app.demo.data import airports
from app.demo.service import get, not_found, number, service

ENGLISH = Locale("en")


def facts(code: str) -> dict[str, Any]:
    """What we say of one airport; KeyError if there is none of that code."""
    raw = airports()[code]
    return {
        "iata": code, "icao": raw["icao"], "name": raw["name"], "city": raw["city"], "region": raw["subd"], "country": raw["country"],
        "country_name": ENGLISH.territories.get(raw["country"], raw["country"]), "lat": round(raw["lat"], 4), "lon": round(raw["lon"], 4),
        "elevation_ft": raw["elevation"], "tz": raw["tz"],
    }  # fmt: skip


def one(request: Request) -> dict[str, Any]:
    """`/airports/MAD`"""
    code = request.path_params["code"].upper()
    if code not in airports():
        raise not_found(f"airport {code[:8]}")
    return facts(code)


def search(request: Request) -> dict[str, Any]:
    """`/airports?q=lond&country=GB&limit=5`: by the start of city, name or code."""
    asked, country = request.query_params.get("q", "").casefold(), request.query_params.get("country", "").upper()
    limit = int(number(request, "limit", 10))
    found = [
        code
        for code, raw in airports().items()
        if (not country or raw["country"] == country)
        and (code.casefold() == asked or raw["city"].casefold().startswith(asked) or raw["name"].casefold().startswith(asked))
    ]
    return {"total": len(found), "airports": [facts(code) for code in sorted(found)[:limit]]}


airports()  # now: the first request should not wait for it
app = service(get("/airports/{code}", one, max_age=3600), get("/airports", search))
