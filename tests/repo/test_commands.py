"""The table of commands says what the commands say."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.cli import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_the_first_line_of_the_commands_docstring(name: str) -> None:
    """One text, in two places."""
    command = getattr(importlib.import_module(f"app.commands.{name}"), name)
    assert (command.__doc__ or "").splitlines()[0] == COMMANDS[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_shows_an_example(name: str) -> None:
    """`--help` ends with something to copy."""
    command = getattr(importlib.import_module(f"app.commands.{name}"), name)
    doc = command.__doc__ or ""
    assert "[bold]Example" in doc
    assert f"merganser {name}" in doc


def test_a_light_command_does_not_import_the_server(root: Path) -> None:
    """`check` and `schema` are quick: they never pay for FastAPI, httpx, uvicorn or rich."""
    program = "import sys, app.cli; app.cli.load('check'); print(sorted({'fastapi', 'httpx', 'uvicorn', 'structlog', 'rich'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.slow
def test_help_is_quick(root: Path) -> None:
    """`merganser --help` imports no command."""
    start = time.monotonic()
    told = subprocess.run([sys.executable, "-m", "app", "--help"], cwd=root, capture_output=True, text=True, check=True)
    assert time.monotonic() - start < 5
    assert all(name in told.stdout for name in COMMANDS)
