"""Dates of header fields are GMT, whatever their form and wherever we run."""

from __future__ import annotations

import time

import pytest

from app.core.http_date import moment


@pytest.mark.parametrize("text", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_all_three_forms_name_the_same_moment(text: str, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9110 section 5.6.7."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    assert moment(text) == 784111777
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("text", ["", "soon", "2026-11-23"])
def test_what_is_no_date_is_refused(text: str) -> None:
    """Nobody guesses."""
    with pytest.raises(ValueError, match="date"):
        moment(text)
