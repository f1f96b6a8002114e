"""The Makefile names nothing that is not there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def test_every_target_is_in_the_list_of_make(root: Path) -> None:
    """`make` alone says what there is."""
    text = (root / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    listed = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    assert listed == set(phony[1].split())


def test_every_script_that_it_runs_is_there(root: Path) -> None:
    """And every one of the CI script."""
    texts = [(root / name).read_text() for name in ("Makefile", ".ci/run", ".ci/conformance.sh")]
    named = {name for text in texts for name in re.findall(r"(?:bench|tests|\.ci)/[\w./]*\w", text)}
    assert not [name for name in named if not (root / name).exists()]


def test_scripts_are_sound(root: Path) -> None:
    """Bash reads them, and stops at the first fault in them."""
    for name in (".ci/run", ".ci/conformance.sh", "bench/setup.sh"):
        subprocess.run(["bash", "-n", root / name], check=True)
        assert "set -euo pipefail" in (root / name).read_text()
        assert (root / name).stat().st_mode & 0o111, f"{name} cannot be run"


def test_the_image_is_lean_and_unprivileged(root: Path) -> None:
    """Two stages, not root, a health check without a shell, and nothing but what is needed in the context."""
    text = (root / "Dockerfile").read_text()
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    assert re.search(r"^USER (?!root|0)", text, re.MULTILINE)
    assert re.search(r'^HEALTHCHECK .*\\\n\s+CMD \["python"', text, re.MULTILINE)
    assert "/readyz" in text
    copied = {word for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE) for word in line.split()[:-1]}
    allowed = set(re.findall(r"^!(.+)$", (root / ".dockerignore").read_text(), re.MULTILINE))
    assert copied == allowed
