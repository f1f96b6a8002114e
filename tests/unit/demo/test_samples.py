"""The sample upstreams: real answers, clear errors, the same every time."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from app.demo import airports, board, calendar, data, formats, ledger, nearby, profile, shop, sky, soap
from app.demo.fleet import SAMPLES, named_in, variable


async def ask(app: Starlette, path: str, method: str = "GET", **keys: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sample") as client:
        return await client.request(method, path, **keys)


async def test_airports_are_known_by_code_in_any_case() -> None:
    """And found by the start of their city."""
    assert (await ask(airports.app, "/airports/mad")).json()["city"] == "Madrid"
    found = (await ask(airports.app, "/airports?q=lond&country=GB")).json()
    assert {"LHR", "LGW"} <= {one["iata"] for one in found["airports"]}


@pytest.mark.parametrize(
    ("app", "path", "status"),
    [
        (airports.app, "/airports/ZZZZ", 404), (airports.app, "/airports?limit=x", 422), (sky.app, "/sky?lat=a&lon=1", 422), (sky.app, "/sky", 422),
        (sky.app, "/sky?lat=1&lon=1&tz=Moon/Base", 422), (sky.app, "/sky?lat=1&lon=1&tz=../x", 422), (sky.app, "/sky?lat=1&lon=1&date=soon", 422),
        (calendar.app, "/holidays/ZZ", 404), (calendar.app, "/holidays/ES?from=soon", 422), (formats.app, "/formats/ZZZ", 404),
        (board.app, "/board/ZZZ", 404), (shop.app, "/products/horse-mug", 404), (profile.app, "/users/nobody", 404),
        (soap.app, "/prices/sea.csv", 404),
        (airports.app, "/nothing", 404),
    ],
)  # fmt: skip
async def test_what_there_is_not_is_a_clear_error(app: Starlette, path: str, status: int) -> None:
    """JSON with `error`, never a 500."""
    response = await ask(app, path)
    assert response.status_code == status
    assert response.json()["error"]


async def test_near_the_poles_the_sun_may_not_rise() -> None:
    """`polar` says which."""
    winter = (await ask(sky.app, "/sky?lat=78.2&lon=15.5&tz=Arctic/Longyearbyen&date=2026-12-21")).json()["sun"]
    summer = (await ask(sky.app, "/sky?lat=78.2&lon=15.5&tz=Arctic/Longyearbyen&date=2026-06-21")).json()["sun"]
    assert (winter["polar"], winter["daylight_hours"], winter["rises"]) == ("night", 0.0, None)
    assert (summer["polar"], summer["daylight_hours"]) == ("day", 24.0)


async def test_holidays_have_both_names() -> None:
    """English and the country's own, from a day on."""
    coming = (await ask(calendar.app, "/holidays/ES?from=2026-12-01&limit=2")).json()["items"]
    assert [one["date"] for one in coming] == ["2026-12-08", "2026-12-25"]
    assert (coming[1]["name"], coming[1]["local_name"], coming[1]["in_days"]) == ("Christmas Day", "Natividad del Señor", 24)


async def test_every_country_of_an_airport_has_formats_and_holidays() -> None:
    """No trip is without them."""
    missing = []
    for country in sorted({facts["country"] for facts in data.airports().values()}):
        answers = [await ask(formats.app, f"/formats/{country}"), await ask(calendar.app, f"/holidays/{country}?limit=1")]
        missing += [country for answer in answers if answer.status_code != 200]
    assert not missing


async def test_money_is_written_as_in_the_country() -> None:
    """CLDR knows."""
    assert (await ask(formats.app, "/formats/ES")).json()["currency"]["example"] == "1.234,50\xa0€"
    assert (await ask(formats.app, "/formats/JP")).json()["local_name"] == "日本"


def test_the_nearest_airports_of_one_do_not_hold_it() -> None:
    """Nearest first."""
    madrid = airports.facts("MAD")
    found = nearby.nearest(madrid["lat"], madrid["lon"], 3)
    assert found[0]["iata"] == "TOJ"
    assert [one["km"] for one in found] == sorted(one["km"] for one in found)


def test_a_great_circle_is_measured_right() -> None:
    """Madrid to New York: 5,770 km or so."""
    assert nearby.distance_km(40.4936, -3.5668, 40.6398, -73.7789) == pytest.approx(5763, rel=0.01)


def test_the_ledger_is_built_once_and_the_same_every_time(tmp_path: Path) -> None:
    """Real airports and distances."""
    for name in ("a", "b"):
        ledger.build(tmp_path / name)
    with sqlite3.connect(tmp_path / "a") as one, sqlite3.connect(tmp_path / "b") as two:
        assert one.execute("SELECT * FROM routes").fetchall() == two.execute("SELECT * FROM routes").fetchall()
        assert one.execute("SELECT count(*) FROM routes").fetchone()[0] > 30_000
    one.close()
    two.close()


def test_fares_are_the_cheapest_first() -> None:
    """And one between two airports is found among them."""
    found = ledger.fares("MAD", 3)
    assert [row["eur"] for row in found] == sorted(row["eur"] for row in found)
    assert ledger.fare("MAD", found[0]["to"]) == found[0]
    assert ledger.fare("MAD", "MAD") is None


def test_a_flight_goes_from_on_time_to_departed() -> None:
    """By the time that is left."""
    assert [board.status(left * 60, 0) for left in (60, 29, 7, -1)] == ["on time", "boarding", "last call", "departed"]


async def test_graphql_answers_with_errors_for_nobody() -> None:
    """As GraphQL does: 200."""
    good = await ask(profile.app, "/graphql", "POST", json={"query": "q", "variables": {"login": "ada"}})
    bad = await ask(profile.app, "/graphql", "POST", json={"query": "q", "variables": {"login": "nobody"}})
    assert good.json()["data"]["user"]["contributions"] > 0
    assert (bad.status_code, bool(bad.json()["errors"])) == (200, True)


async def test_soap_answers_an_order_or_a_fault() -> None:
    """SOAP 1.1."""
    good = await ask(soap.app, "/soap/orders", "POST", content=b"<x><OrderNumber>1001</OrderNumber></x>")
    bad = await ask(soap.app, "/soap/orders", "POST", content=b"<x><OrderNumber>9</OrderNumber></x>")
    assert "<o:State>" in good.text
    assert (bad.status_code, "soap:Fault" in bad.text) == (500, True)


def test_a_catalog_names_the_samples_that_it_needs(root: Path) -> None:
    """By the variables of their URLs."""
    assert named_in(root / "config/demo.yaml") == ["airports", "sky", "calendar", "formats", "board"]
    assert named_in(root / "config/shop.yaml") == ["shop"]
    assert variable("sky") == "DEMO_SKY_URL"
    assert len(set(SAMPLES.values())) == len(SAMPLES)
