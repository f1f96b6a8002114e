"""A CPU-bound function: the nearest airports of a place among all of them, by great circle. Run it in a process."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt
from typing import Any

from app.demo.data import airports

EARTH_KM = 6371.0088
"""Mean radius (IUGG)."""


def distance_km(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """The great-circle distance, by the haversine formula."""
    a, b = radians(lat), radians(other_lat)
    half = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(other_lon - lon) / 2) ** 2
    return 2 * EARTH_KM * asin(min(1.0, sqrt(half)))


def nearest(lat: float, lon: float, limit: int = 5) -> list[dict[str, Any]]:
    """The `limit` airports next to a place, nearest first, the one right there left out."""
    distances = [(distance_km(lat, lon, raw["lat"], raw["lon"]), code) for code, raw in airports().items()]
    distances.sort()
    return [
        {"iata": code, "name": airports()[code]["name"], "city": airports()[code]["city"], "km": round(km, 1)} for km, code in distances if km > 0.5
    ][:limit]
