"""docs/tutorial.md, section 8: its script and its function run as they are written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/tutorial.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(kind: str, section: str) -> list[str]:
    """The code of a section."""
    return [text for name, text in BLOCK.findall(PAGE.split(f"\n## {section}", 1)[1].split("\n## ", 1)[0]) if name == kind]


class Sample(BaseHTTPRequestHandler):
    """Both sample upstreams; the sky of Sydney is out."""

    SAYS: ClassVar[dict[str, Any]] = {
        "LIS": {"city": "Lisbon", "lat": 1},
        "KEF": {"city": "Reykjavik", "lat": 2},
        "SYD": {"city": "Sydney", "lat": 3},
    }

    def do_GET(self) -> None:
        """An airport, or the sky."""
        place = self.SAYS.get(self.path.rpartition("/")[2])
        found = place if place is not None else None if "lat=3" in self.path else {"sun": {"sets": "20:17"}}
        self.send_response(200 if found else 503)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The reader's folder after section 8, with upstreams where the catalog says."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Sample) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        [first], more = blocks("yaml", "2."), blocks("yaml", "8.")
        catalog = yaml.safe_load(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{server.server_port}", first))
        for key, text in zip(("upstreams", "endpoints"), more, strict=True):
            catalog[key].update(yaml.safe_load(text))
        (tmp_path / "merganser.yaml").write_text(yaml.safe_dump(catalog, sort_keys=False))
        for name, text in zip(("tonight.py", "packing.py"), blocks("python", "8."), strict=True):
            (tmp_path / name).write_text(text)
        yield tmp_path
        server.shutdown()


def run(folder: Path, *command: str) -> str:
    """What a command prints."""
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True, timeout=60
    ).stdout.decode()


@pytest.mark.slow
def test_the_script_prints_the_evenings(folder: Path) -> None:
    """A partial answer is told as one."""
    assert run(folder, "tonight.py").splitlines() == ["LIS 20:17 ", "KEF 20:17 ", "SYD None (not all is known)"]


@pytest.mark.slow
def test_the_function_asks_the_service_that_runs_it(folder: Path) -> None:
    """Without a server, too."""
    answer = json.loads(run(folder, "-m", "app", "call", "packing", "iata=LIS"))
    assert answer["data"] == {"advice": {"for": "Lisbon", "take": "sunglasses"}}
