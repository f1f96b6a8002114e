"""A legacy function that blocks: fares between airports, out of a SQLite file that is built at first use. Run it in a thread.

Airports and distances are real, the airlines and their fares are not.
"""

from __future__ import annotations

import os
import random
import sqlite3
import tempfile
import threading
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from app.demo.data import airports
from app.demo.nearby import distance_km

VERSION = 1
"""Of the ledger's content: another one is built beside an older."""
_HUBS = (
    "ADD AKL AMS ARN ATH ATL AUH BCN BKK BNE BOG BOM BOS BRU BUD CAI CAN CDG CGK CMN CPH CPT DEL DEN DFW DOH DUB DXB EZE FCO FRA GIG GRU GVA HAN "
    "HEL HKG HND IAH ICN IST JED JFK JNB KEF KUL LAX LHR LIM LIS LOS MAD MAN MEL MEX MIA MNL MSP MUC MXP NBO NCE NRT OPO ORD OSL OTP PEK PER PRG "
    "PTY PVG RUH SCL SEA SFO SIN SVO SYD TLV TPE VIE WAW YUL YVR YYZ ZAG ZRH"
)
HUBS = _HUBS.split()
AIRLINES = ("Teal Air", "Goosander", "Eider Lines", "Pintail Express", "Shoveler", "Wigeon Airways", "Smew Jet")
_building = threading.Lock()


def fares(origin: str, limit: int = 5) -> list[dict[str, Any]]:
    """The cheapest direct fares from an airport, in euros."""
    query = "SELECT destination, city, airline, km, minutes, fare FROM routes WHERE origin = ? ORDER BY fare LIMIT ?"
    with closing(sqlite3.connect(path())) as ledger:
        rows = ledger.execute(query, (origin, limit)).fetchall()
    return [{"to": to, "city": city, "airline": airline, "km": km, "minutes": minutes, "eur": fare} for to, city, airline, km, minutes, fare in rows]


def fare(origin: str, destination: str) -> dict[str, Any] | None:
    """The direct fare between two airports, None where nobody flies."""
    return next((row for row in fares(origin, 1000) if row["to"] == destination), None)


def path() -> Path:
    """Where the ledger is; built now if there is none yet."""
    with _building:
        return _path()


@cache
def _path() -> Path:
    place = _folder() / f"ledger-{VERSION}.sqlite"
    if not place.exists():
        unfinished = place.with_suffix(f".{os.getpid()}")
        build(unfinished)
        unfinished.replace(place)
    return place


def _folder() -> Path:
    folder = Path.home() / ".cache" / "merganser"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # no home that can be written, as in a container
        folder = Path(tempfile.mkdtemp(prefix="merganser-"))
    return folder


def build(place: Path) -> None:
    """Writes a ledger of some 60,000 routes: from each airport to a dozen hubs, near ones more likely; the same ones every time."""
    with closing(sqlite3.connect(place)) as ledger, ledger:
        ledger.execute("CREATE TABLE routes (origin TEXT, destination TEXT, city TEXT, airline TEXT, km INTEGER, minutes INTEGER, fare REAL)")
        ledger.executemany("INSERT INTO routes VALUES (?, ?, ?, ?, ?, ?, ?)", _routes())
        ledger.execute("CREATE INDEX by_origin ON routes (origin)")


def _routes() -> list[tuple[str, str, str, str, int, int, float]]:
    dice = random.Random(VERSION)  # noqa: S311 - the same ledger every time
    rows = []
    for origin, here in airports().items():
        for destination in sorted(dice.sample(HUBS, 24)):
            there = airports()[destination]
            km = distance_km(here["lat"], here["lon"], there["lat"], there["lon"])
            if destination == origin or dice.random() > 1500 / (km + 1500) + 0.15:
                continue
            price = round(19 + km * dice.uniform(0.045, 0.11), 2)
            rows.append((origin, destination, there["city"], dice.choice(AIRLINES), round(km), round(35 + km / 13), price))
    return rows
