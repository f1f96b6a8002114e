"""What every test has: its kind of event loop, and skips where a program that it drives is not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.fakes.virtual_time import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
ROOT = Path(__file__).parent.parent
NEEDS = {"redis": ("redis-server",), "browser": ("chromium", "chromium-browser", "google-chrome")}
"""Marker to the programs of which one must be there."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test whose program is not installed. (CI installs them, see .ci/run.)"""
    for marker, programs in NEEDS.items():
        if item.get_closest_marker(marker) and not any(shutil.which(program) for program in programs):
            pytest.skip(f"needs {programs[0]}")


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on MERGANSER_* variables of the machine that it runs on."""
    for name in list(os.environ):
        if name.startswith(("MERGANSER_", "DEMO_")) and name != "MERGANSER_CMD":
            monkeypatch.delenv(name)


@pytest.fixture
def root() -> Path:
    """The folder of this repository."""
    return ROOT
