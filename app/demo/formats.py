"""Sample upstream: money, numbers and dates as a country writes them, from the CLDR in the package babel."""

from __future__ import annotations

import datetime
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date
from babel.languages import get_official_languages
from babel.numbers import format_currency, format_decimal, get_currency_name, get_currency_symbol, get_territory_currencies
from starlette.requests import Request

from app.demo.service import get, not_found, service

ENGLISH = Locale("en")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def locale_of(country: str) -> Locale:
    """The locale of most people in a country: of its likely or first official language, else English."""
    likely = str(get_global("likely_subtags").get(f"und_{country}", "en")).split("_")[0]
    official = get_official_languages(country, de_facto=True)
    for language in (*(() if not official or likely in official else official), likely, "en"):
        try:
            return Locale.parse(f"{language}_{country}")
        except (UnknownLocaleError, ValueError):
            continue
    return ENGLISH


def formats(request: Request) -> dict[str, Any]:
    """`/formats/ES`"""
    country = request.path_params["country"].upper()
    if country not in ENGLISH.territories:
        raise not_found(f"country {country[:8]}")
    locale = locale_of(country)
    currencies = get_territory_currencies(country)
    currency = currencies[0] if currencies else None
    today = datetime.datetime.now(datetime.UTC).date()
    return {
        "country": country, "name": ENGLISH.territories[country], "local_name": locale.territories.get(country),
        "language": locale.get_language_name("en"), "locale": str(locale),
        "currency": currency and {
            "code": currency, "name": get_currency_name(currency, locale=ENGLISH), "symbol": get_currency_symbol(currency, locale=locale),
            "example": format_currency(1234.5, currency, locale=locale),
        },
        "number": format_decimal(1234567.891, locale=locale), "date": format_date(today, "full", locale=locale),
        "short_date": format_date(today, "short", locale=locale), "week_starts": WEEKDAYS[locale.first_week_day],
    }  # fmt: skip


app = service(get("/formats/{country}", formats, max_age=600))
