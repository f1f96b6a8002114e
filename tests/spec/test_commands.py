"""The promises of the commands: what goes to stdout, what to stderr, and the exit code."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CATALOG = """
name: Ponds
upstreams:
  ponds: {python: "ponds:pond"}
endpoints:
  pond:
    get: /ponds/{name}
    params: {name: {in: path, pattern: "[a-z]+"}, deep: {in: query, type: boolean}}
    calls:
      it: {upstream: ponds, args: {name: "{name}"}, required: true}
      other: {upstream: ponds, args: {name: "{it.next}"}}
    response: {depth: "{it.depth}", next: "{other.depth}"}
  raw:
    get: /raw
    proxy: {upstream: web, path: /}
"""
ALONE = CATALOG.partition("  raw:")[0]
"""Without the proxy, whose upstream is not there."""
FUNCTION = """
async def pond(name):
    return {"depth": {"big": 3.5, "small": 1}[name], "next": "small" if name == "big" else "none"}
"""
BROKEN = {
    "boom": 'def pond(name): ...\nraise ValueError("two\\nlines")\n',
    "leaves": "import sys\ndef pond(name): ...\nsys.exit(0)\n",
    "needs": "import nowhere_to_be_found\ndef pond(name): ...\n",
}
WHY = {
    "boom": "ValueError: two lines (boom.py:2)",
    "leaves": "SystemExit: 0 (leaves.py:3)",
    "needs": "ModuleNotFoundError: No module named 'nowhere_to_be_found' (needs.py:1)",
}
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("commands")
    (place / "merganser.yaml").write_text(CATALOG.replace("endpoints:", '  web: {url: "http://127.0.0.1:9"}\nendpoints:', 1))
    (place / "faulty.yaml").write_text(CATALOG.replace("required", "requierd"))
    (place / "ponds.py").write_text(FUNCTION)
    (place / "in.csv").write_text("name\nbig\n")
    for name, text in BROKEN.items():
        (place / f"{name}.py").write_text(text)
        (place / f"{name}.yaml").write_text(ALONE.replace("ponds:pond", f"{name}:pond"))
    (place / "latin.csv").write_bytes(b"name\nm\xe1r\n")
    return place


def merganser(folder: Path, *words: str, given: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *words], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, input=given,
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip


def test_a_closed_pipe_ends_a_command_quietly(folder: Path) -> None:
    """With the code of a tool that SIGPIPE ended, and no word about it."""
    reads, writes = os.pipe()
    os.close(reads)
    told = subprocess.run(
        [sys.executable, "-m", "app", "schema"], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writes, stderr=subprocess.PIPE, check=False, timeout=50,
    )  # fmt: skip
    os.close(writes)
    assert (told.returncode, told.stderr) == (141, b"")


def test_call_answers_on_stdout_and_draws_on_stderr(folder: Path) -> None:
    """JSON that a pipe can read; a line per call; 0 for a partial answer too."""
    told = merganser(folder, "call", "pond", "name=big")
    assert told.returncode == 0
    assert json.loads(told.stdout)["data"] == {"depth": 3.5, "next": 1}
    assert [line.split()[0] for line in told.stderr.splitlines()[:2]] == ["it", "other"]
    assert told.stderr.rstrip().endswith("complete")
    partial = merganser(folder, "call", "pond", "name=small", "-q")
    assert (partial.returncode, json.loads(partial.stdout)["complete"]) == (0, False)


def test_a_call_that_failed_is_exit_1_with_the_problem(folder: Path) -> None:
    """As a server would have answered."""
    told = merganser(folder, "call", "merganser.yaml", "pond", "name=sea")
    assert told.returncode == 1
    assert json.loads(told.stdout)["status"] == 502
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["call", "pond", "name=BIG", "deep=perhaps"], ["name must match", "deep must be"]),
        (["call", "pnod", "name=big"], ["did you mean 'pond'?"]),
        (["call", "raw"], ["is a proxy"]),
        (["call", "nowhere.yaml", "pond"], ["nowhere.yaml"]),
        (["serve", "nowhere.yaml"], ["nowhere.yaml"]),
        (["batch", "raw", "-i", "ponds.py", "-o", "x"], ["a batch runs an endpoint with calls"]),
        (["batch", "pond", "-i", "in.csv", "-o", "nodir/out.ndjson"], ["nodir/out.ndjson cannot be written: No such file"]),
        (["batch", "pond", "-i", "in.csv", "-o", "."], [". cannot be written: Is a directory"]),
        (["batch", "pond", "-i", "latin.csv", "-o", "out.ndjson"], ["latin.csv: this is not UTF-8"]),
        (["watch", "ftp://x", "pond"], ["'ftp://x' is no URL of a server"]),
        (["watch", "::::", "pond"], ["'::::' is no URL of a server"]),
        (["watch", "http://127.0.0.1:99999", "pond"], ["is no URL of a server"]),
    ],
)
def test_what_cannot_be_asked_is_exit_2_and_named(folder: Path, words: list[str], said: list[str]) -> None:
    """Every fault, nothing on stdout."""
    told = merganser(folder, *words)
    assert (told.returncode, told.stdout) == (2, "")
    assert all(word in told.stderr for word in said), told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("words", [["call", "faulty.yaml", "pond"], ["plan", "faulty.yaml", "pond"], ["serve", "faulty.yaml", "--port", "0"]])
def test_a_faulty_catalog_stops_every_command(folder: Path, words: list[str]) -> None:
    """Its faults on stderr, exit 1."""
    told = merganser(folder, *words)
    assert (told.returncode, told.stdout) == (1, "")
    assert "faulty.yaml:10:" in told.stderr
    assert "did you mean 'required'?" in told.stderr


def test_check_has_the_faults_on_stdout(folder: Path) -> None:
    """It is what it was asked for."""
    assert "did you mean 'required'?" in merganser(folder, "check", "faulty.yaml").stdout


def test_plan_says_who_waits_for_whom(folder: Path) -> None:
    """In words, or as a diagram."""
    words = merganser(folder, "plan", "pond").stdout
    assert words.index("at once:") < words.index("  it:") < words.index("then:") < words.index("needs it")
    assert merganser(folder, "plan", "merganser.yaml", "pond", "--mermaid").stdout.startswith("flowchart")


def test_infer_prints_what_can_be_pasted(folder: Path) -> None:
    """Under the calls of the endpoint."""
    told = merganser(folder, "infer", "pond", "name=big", "--format", "json")
    calls = json.loads(told.stdout)["endpoints"]["pond"]["calls"]
    assert calls["it"]["schema"]["properties"]["depth"] == {"type": "number"}
    assert told.returncode == 0


def test_a_setting_that_cannot_be_used_is_named_without_its_value(folder: Path) -> None:
    """It may be a secret."""
    told = merganser(folder, "serve", MERGANSER_PORT="secret-by-mistake")
    assert told.returncode == 2
    assert "MERGANSER_PORT" in told.stderr
    assert "secret-by-mistake" not in told.stderr + told.stdout


@pytest.mark.parametrize("words", [["serve", "--port", "0"], ["plan", "pond"]])
def test_a_url_of_no_redis_is_exit_2_without_its_password(folder: Path, words: list[str]) -> None:
    """Before anything starts."""
    told = merganser(folder, *words, MERGANSER_REDIS_URL="bogus://u:canary@h/0")
    assert (told.returncode, told.stdout) == (2, "")
    assert "MERGANSER_REDIS_URL: " in told.stderr
    assert "canary" not in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("words", [["call", "{}", "pond", "name=big"], ["plan", "{}"], ["serve", "{}"], ["serve", "{}", "--workers", "2"]])
def test_a_function_that_cannot_be_imported_is_told_in_a_line(folder: Path, words: list[str], name: str) -> None:
    """Its upstream, what was raised and where; exit 1, and no port is opened. Of several workers each says it."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        told = merganser(folder, *(word.replace("{}", f"{name}.yaml") for word in words), MERGANSER_PORT=str(port))
    assert (told.returncode, told.stdout) == (1, "")
    assert set(told.stderr.splitlines()) == {f"merganser: upstream 'ponds': {name}:pond cannot be imported: {WHY[name]}"}


@pytest.mark.parametrize("words", [["check"], ["serve"], ["call", "pond", "name=big"]])
def test_an_env_file_that_cannot_be_read_is_told_in_a_line(folder: Path, tmp_path: Path, words: list[str]) -> None:
    """Exit 2, as for a catalog that cannot be read."""
    (tmp_path / ".env").write_bytes(b"NAME=M\xe1r\n")
    told = merganser(tmp_path, *words, MERGANSER_CATALOG=str(folder / "merganser.yaml"))
    assert (told.returncode, told.stdout, told.stderr) == (2, "", "merganser: .env cannot be read: it is no UTF-8 text\n")


def test_a_catalog_may_come_through_a_pipe(folder: Path) -> None:
    """It is read once, also by `serve`, which here gets as far as the port that is in use."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for words, code in ((["check", "/dev/stdin"], 0), (["serve", "/dev/stdin", "--port", str(taken.getsockname()[1])], 1)):
            told = merganser(folder, *words, given=ALONE.replace("ponds:pond", "os.path:join"))
            assert told.returncode == code, told.stderr
    assert told.stderr.endswith("the port is in use\n")


def test_infer_leaves_out_what_no_catalog_could_hold(folder: Path) -> None:
    """A schema too deep for `check` is told, exit 1; the deepest that is not is printed."""
    (folder / "ponds_below.py").write_text("def pond(name):\n    return eval('[' * int(name) + ']' * int(name))\n")
    (folder / "below.yaml").write_text(ALONE.replace("ponds:pond", "ponds_below:pond").replace("[a-z]+", "[0-9]+").replace("{it.next}", "1"))
    printed = merganser(folder, "infer", "below.yaml", "pond", "name=95")
    assert (printed.returncode, printed.stdout.count("items:"), printed.stderr) == (0, 94, "")
    told = merganser(folder, "infer", "below.yaml", "pond", "name=96")
    assert (told.returncode, told.stdout.count("items:")) == (1, 0)
    assert told.stderr == "it: no schema (it would nest deeper than the 100 levels of a catalog)\n"


@pytest.mark.parametrize("run", ["async", "thread", "process"])
def test_what_functions_print_is_not_on_stdout(tmp_path: Path, run: str) -> None:
    """There stands the answer, for the next command of a pipe."""
    define = "async def" if run == "async" else "def"
    (tmp_path / "chatty.py").write_text(f"print('at import')\n{define} talk():\n    print('at work', flush=True)\n    return 1\n")
    (tmp_path / "merganser.yaml").write_text(
        f"upstreams: {{u: {{python: 'chatty:talk', run: {run}}}}}\nendpoints: {{e: {{get: /e, calls: {{a: {{upstream: u}}}}}}}}\n"
    )
    ended = merganser(tmp_path, "call", "e")
    assert (ended.returncode, json.loads(ended.stdout)["data"]) == (0, {"a": 1})
    assert "at import" in ended.stderr
    assert "at work" in ended.stderr
