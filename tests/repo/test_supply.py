"""What is installed is pinned, hashed, in step with pyproject.toml, and above the versions with known holes."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

LOCKS = ("requirements.lock", "requirements-dev.lock")
FLOORS = {
    "h11": "0.16.0",  # CVE-2025-43859, request smuggling
    "httptools": "0.8.0",
    "uvicorn": "0.51.0",  # response splitting, duplicate forwarded headers
    "starlette": "1.3.1",  # CVE-2026-48710, Host poisoning
    "fastapi": "0.165.0",
    "httpx": "0.28.1",
    "websockets": "13.0",
    "redis": "5.0",  # CVE-2023-28858, replies of cancelled commands
    "urllib3": "2.7.0",  # CVE-2025-66418, decompression bombs
    "orjson": "3.9.15",  # CVE-2024-27454, recursion
    "idna": "3.18",
    "pyyaml": "5.4",
    "anyio": "4.14.2",
    "aiohttp": "3.14.1",  # tests and bench only
}
HOSTS = re.compile(r"p[y]pi[.]org|pythonhoste[d][.]org|registry[.]npm[j]s|de[b][.]debian[.]org")


def pinned(text: str) -> dict[str, Version]:
    """Name to the lowest pinned version."""
    found: dict[str, Version] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE):
        found[name] = min(found.get(name, Version(version)), Version(version))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(root: Path, lock: str) -> None:
    """`pip install --require-hashes` takes it."""
    blocks = re.split(r"\n(?=[a-z0-9])", (root / lock).read_text())
    assert len(blocks) > 20
    assert not [block.splitlines()[0] for block in blocks if "==" in block and "--hash=sha256:" not in block]


@pytest.mark.parametrize("lock", LOCKS)
def test_pins_are_above_the_floors(root: Path, lock: str) -> None:
    """No version with a hole that we know of."""
    pins = pinned((root / lock).read_text())
    assert not {name: str(pins[name]) for name, floor in FLOORS.items() if name in pins and pins[name] < Version(floor)}


def test_the_lock_is_in_step_with_pyproject(root: Path) -> None:
    """Every requirement, extras included, is pinned to a version that it allows."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    wanted = {"requirements.lock": [*project["dependencies"]], "requirements-dev.lock": [*project["dependencies"]]}
    for extra, requirements in project["optional-dependencies"].items():
        wanted["requirements-dev.lock"] += requirements
        if extra not in ("dev", "browser"):
            wanted["requirements.lock"] += requirements
    for lock, requirements in wanted.items():
        pins = pinned((root / lock).read_text())
        for requirement in map(Requirement, requirements):
            name = requirement.name.lower().replace("_", "-")
            assert name in pins, f"{name} is not in {lock}: run `make lock`"
            assert requirement.specifier.contains(pins[name], prereleases=True), f"{name} in {lock}: run `make lock`"


def test_both_locks_agree(root: Path) -> None:
    """Tests run with what is shipped."""
    shipped, tested = (pinned((root / lock).read_text()) for lock in LOCKS)
    assert not {name: (shipped[name], tested.get(name)) for name in shipped if shipped[name] != tested.get(name)}


def test_no_file_names_a_package_registry(root: Path) -> None:
    """Where packages come from is the machine's matter."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    named = []
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = root / name
        if path.is_file() and HOSTS.search(path.read_bytes().decode(errors="replace")):
            named.append(name)
    assert not named
