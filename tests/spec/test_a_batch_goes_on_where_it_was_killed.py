"""The promise: a re-run of a batch goes on where a killed one stopped: no row lost, none twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CATALOG = """
upstreams:
  numbers: {python: "numbers_of:double"}
endpoints:
  double:
    get: /double/{n}
    params: {n: {in: path, type: integer}}
    calls:
      it: {upstream: numbers, args: {n: "{n}"}}
    response: "{it}"
"""
FUNCTION = """
import asyncio

async def double(n):
    if n % 10 == 7:
        raise ValueError("no sevens")
    await asyncio.sleep(0.01)
    return {"twice": n * 2}
"""
ROWS = 120


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    (tmp_path / "numbers_of.py").write_text(FUNCTION)
    (tmp_path / "in.csv").write_text("n,note\n" + "".join(f'{n},"a, b"\n' for n in range(ROWS)))
    return tmp_path


def command(folder: Path, output: str, *more: str) -> list[str]:
    words = ["batch", "catalog.yaml", "double", "--input", "in.csv", "--output", output, "--concurrency", "4", *more]
    return [sys.executable, "-m", "app", *words]


def run(folder: Path, output: str, *more: str, given: str | None = None, limits: str = ":") -> subprocess.CompletedProcess[str]:
    """`given` comes through a pipe as stdin; `limits` is what the shell does before."""
    return subprocess.run(
        ["sh", "-c", f'{limits}; exec "$@"', "sh", *command(folder, output, *more)], cwd=folder, input=given,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip


def killed_after(folder: Path, output: str, lines: int) -> None:
    """Starts a batch and kills it, without warning, once so many lines are there."""
    process = subprocess.Popen(
        command(folder, output), cwd=folder, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    path, end = folder / output, time.monotonic() + 30
    while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < lines):
        assert time.monotonic() < end
        time.sleep(0.005)  # asks a process of its own how far it is: there is nothing to await
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_no_row_is_lost_and_none_is_there_twice(folder: Path) -> None:
    """Killed twice, run a third time: every row once, failed ones with their error; exit 1 because some failed."""
    for lines in (10, 50):
        killed_after(folder, "out.ndjson", lines)
    last = run(folder, "out.ndjson")
    results = [json.loads(line) for line in (folder / "out.ndjson").read_text().splitlines()]
    assert sorted(result["row"] for result in results) == list(range(1, ROWS + 1))
    assert all(result["data"] == {"twice": int(result["params"]["n"]) * 2} for result in results if "error" not in result)
    assert {int(result["params"]["n"]) % 10 for result in results if "error" in result} == {7}
    assert (last.returncode, "120 rows:" in last.stderr) == (1, True)


def test_a_half_written_line_is_run_again(folder: Path) -> None:
    """What the kill cut off is no row."""
    run(folder, "out.ndjson")
    path = folder / "out.ndjson"
    path.write_bytes(path.read_bytes()[:-25])
    again = run(folder, "out.ndjson")
    assert "119 done before, " in again.stderr
    assert sorted(json.loads(line)["row"] for line in path.read_text().splitlines()) == list(range(1, ROWS + 1))


def test_a_finished_batch_has_nothing_to_do(folder: Path) -> None:
    """CSV as well: the same bytes, exit 0 once nothing is left that failed."""
    first = run(folder, "out.csv")
    before = (folder / "out.csv").read_bytes()
    second = run(folder, "out.csv")
    assert first.returncode == 1
    assert (second.returncode, (folder / "out.csv").read_bytes()) == (0, before)
    assert "120 done before, 0 answered, 0 failed" in second.stderr


def test_a_file_without_the_params_is_refused_before_anything_runs(folder: Path) -> None:
    """Exit code 2, and no output."""
    (folder / "in.csv").write_text("x,y\n1,2\n")
    refused = run(folder, "out.ndjson")
    assert refused.returncode == 2
    assert "no column is a param of 'double'" in refused.stderr
    assert not (folder / "out.ndjson").exists()


def test_a_row_whose_body_breaks_the_rules_of_the_endpoint_is_a_line_with_its_error(folder: Path) -> None:
    """As REST holds a request's body to its schema; the other rows run."""
    (folder / "catalog.yaml").write_text(
        CATALOG.replace("get: /double/{n}\n    params: {n: {in: path, type: integer}}", "post: /double\n    body: {schema: {required: [n]}}").replace(
            '"{n}"', '"{body.n}"'
        )
    )
    (folder / "in.csv").write_text('body\n"{""n"": 1}"\n"{""m"": 1}"\n"{"\n')
    last = run(folder, "out.ndjson")
    results = {result["row"]: result for line in (folder / "out.ndjson").read_text().splitlines() for result in [json.loads(line)]}
    assert results[1]["data"] == {"twice": 2}
    assert {row: result["error"]["status"] for row, result in results.items() if "error" in result} == {2: 422, 3: 400}
    assert (last.returncode, "1 answered, 2 failed" in last.stderr) == (1, True)


def test_a_pipe_is_an_input_too(folder: Path) -> None:
    """Every row runs, once; given again, nothing is left to do."""
    given = "".join(f'{{"n": {n}}}\n' for n in range(5))
    for told in ("5 rows: 0 done before, 5 answered, 0 failed", "5 rows: 5 done before, 0 answered, 0 failed"):
        done = run(folder, "out.ndjson", "--input", "/dev/stdin", given=given)
        assert (done.returncode, told in done.stderr) == (0, True)
    assert sorted(json.loads(line)["data"]["twice"] for line in (folder / "out.ndjson").read_text().splitlines()) == [0, 2, 4, 6, 8]


def test_a_pipe_is_no_output(folder: Path) -> None:
    """A line instead of a wait without end, exit code 2."""
    refused = run(folder, "/dev/stdout")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "merganser: /dev/stdout is no regular file: a batch reads its output again to go on\n"


def test_a_disk_that_is_full_is_told_and_the_rest_runs_later(folder: Path) -> None:
    """A line, exit code 2; with space again, every row is there once."""
    stopped = run(folder, "out.ndjson", limits="ulimit -f 4")
    assert (stopped.returncode, stopped.stderr) == (2, "merganser: out.ndjson cannot be written: File too large\n")
    assert 0 < (folder / "out.ndjson").read_bytes().count(b"\n") < ROWS
    run(folder, "out.ndjson")
    assert sorted(json.loads(line)["row"] for line in (folder / "out.ndjson").read_text().splitlines()) == list(range(1, ROWS + 1))


def test_an_input_that_becomes_shorter_is_no_success(folder: Path) -> None:
    """Rows that were counted and did not run are told, exit code 1."""
    (folder / "numbers_of.py").write_text("def double(n):\n    open('in.csv', 'w').close()\n    return n\n")
    (folder / "in.csv").write_text("n,note\n" + f"1,{'x' * 1000}\n" * 2000)
    cut = run(folder, "out.ndjson")
    assert (cut.returncode, "rows did not run: in.csv became shorter" in cut.stderr) == (1, True)
