"""Logs: what lines look like, what is left out of them, and that nobody waits for them."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from app.core.events import AttemptEnded, BreakerChanged, RequestEnded, SchemaDrifted
from app.telemetry.logs import Logs, setup
from app.telemetry.metrics import Metrics
from app.telemetry.redaction import HIDDEN, redacted
from app.telemetry.telemetry import Telemetry
from app.telemetry.writer import BOUND, Writer

GOOD = AttemptEnded("sky", "sun", 0.01, None, 200)
BAD = AttemptEnded("sky", "sun", 0.01, "connect", None, blames_upstream=True)


class Output:
    """Where lines go, as JSON once they have been written."""

    def __init__(self) -> None:
        self.stream = io.BytesIO()
        self.logs: Logs = setup("info", "json", stream=self.stream)
        self.telemetry = Telemetry(Metrics(), self.logs)

    def lines(self) -> list[dict[str, Any]]:
        self.logs.writer.close()
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def output() -> Iterator[Output]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield Output()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_request_is_one_line(output: Output) -> None:
    """Request id, endpoint, status, ms, calls."""
    output.telemetry.emit(RequestEnded("trip", "GET", 200, 0.0124, "r-1", True, 6))
    (line,) = output.lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info", "event": "request", "request_id": "r-1", "endpoint": "trip", "method": "GET", "status": 200, "ms": 12.4,
        "calls": 6, "complete": True,
    }  # fmt: skip


def test_probes_that_went_well_are_not_logged(output: Output) -> None:
    """`/readyz` every second is noise; one that failed is not."""
    output.telemetry.emit(RequestEnded("-", "GET", 200, 0.001, "r-1"))
    output.telemetry.emit(RequestEnded("-", "GET", 404, 0.001, "r-2"))
    assert [line["request_id"] for line in output.lines()] == ["r-2"]


def test_an_upstream_that_goes_down_is_told_once_and_so_is_its_return(output: Output) -> None:
    """Five failures in a row, then as many more as you like: one line; the next success: one line."""
    for event in (*[BAD] * 9, GOOD, GOOD, BAD, GOOD):
        output.telemetry.emit(event)
    assert [(line["event"], line["upstream"]) for line in output.lines()] == [("upstream down", "sky"), ("upstream up", "sky")]


def test_failures_that_are_the_clients_fault_do_not_count(output: Output) -> None:
    """A 404 says that the upstream lives."""
    for _ in range(20):
        output.telemetry.emit(BAD)
        output.telemetry.emit(AttemptEnded("sky", "sun", 0.01, "status", 404))
    assert output.lines() == []


def test_an_attempt_that_was_cancelled_says_nothing(output: Output) -> None:
    """Its client left, its rival won, or its time went in a queue of ours: neither a failure nor a sign of life."""
    cancelled, queued = (AttemptEnded("sky", "sun", 0.01, failure, None) for failure in ("cancelled", "timeout"))
    for event in (*[queued] * 9, BAD, BAD, cancelled, BAD, BAD, queued, BAD, cancelled):
        output.telemetry.emit(event)
    assert [line["event"] for line in output.lines()] == ["upstream down"]


def test_an_open_breaker_is_down_until_all_are_closed(output: Output) -> None:
    """Of several urls, too; a success on one does not end it."""
    for origin, state in (("a", "open"), ("b", "open"), ("a", "half_open"), ("a", "closed")):
        output.telemetry.emit(BreakerChanged("sky", origin, state))  # type: ignore[arg-type]
    output.telemetry.emit(GOOD)
    output.telemetry.emit(BreakerChanged("sky", "b", "closed"))
    assert [line["event"] for line in output.lines()] == ["upstream down", "upstream up"]


def test_a_place_that_drifts_is_told_once(output: Output) -> None:
    """The metric counts every time."""
    for where in ("/a", "/a", "/b"):
        output.telemetry.emit(SchemaDrifted("trip", "sun", where, "is no number"))
    assert [line["where"] for line in output.lines()] == ["/a", "/b"]


def test_lines_of_libraries_have_the_same_shape(output: Output) -> None:
    """One format for all, with the logger's name."""
    logging.getLogger("uvicorn.error").warning("odd %s", "thing")
    logging.getLogger("httpx").info("GET https://h/?secret=1")
    (line,) = output.lines()
    assert (line["event"], line["level"], line["logger"]) == ("odd thing", "warning", "uvicorn.error")


def test_a_traceback_shows_no_values(output: Output) -> None:
    """Local variables may be secrets."""
    password = "hunter2"
    try:
        raise ValueError(f"password={password}")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = output.lines()
    assert "ValueError" in line["exception"]
    assert "hunter2" not in json.dumps(line)


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cr3t-t0ken-value", "authorization=Basic czNjcjN0OnM=", "http://user:s3cr3t@host/x", "https://h/x?q=s3cr3t",
        "api_key: s3cr3t", '{"password": "s3cr3t"}', "cookie: s3cr3t=1", "client_secret=s3cr3t&x=1", "token=s3cr3t",
    ],
)  # fmt: skip
def test_secrets_are_taken_out(text: str) -> None:
    """The second net: wherever a text came from."""
    assert "s3cr3t" not in redacted(text)
    assert HIDDEN in redacted(text)


def test_a_line_cannot_be_forged() -> None:
    """Control characters are shown, not sent to the terminal (ASVS 16.4.1); newlines are JSON's matter."""
    assert redacted("a\x1b[31mred\rb") == "a\\x1b[31mred\\x0db"


def test_nobody_waits_for_a_stuck_output() -> None:
    """A full pipe blocks the writer's thread alone; what is too much is dropped and counted."""
    let_go, started = threading.Event(), threading.Event()

    class Stuck(io.BytesIO):
        def write(self, data: Any) -> int:
            started.set()
            let_go.wait(10)
            return len(data)

    writer = Writer(Stuck())
    writer.put(b"first\n")
    assert started.wait(5)
    for _ in range(BOUND + 5):
        writer.put(b"line\n")
    assert writer.dropped == 5
    let_go.set()
    writer.close()


def test_a_reader_that_has_gone_is_no_fault() -> None:
    """`merganser serve | head`."""

    class Gone(io.BytesIO):
        def write(self, data: Any) -> int:
            raise BrokenPipeError

    writer = Writer(Gone())
    writer.put(b"line\n")
    writer.close()
    assert writer.dropped == 1


def test_what_is_put_before_the_end_is_written() -> None:
    """Nothing is lost at a clean end."""
    stream = io.BytesIO()
    writer = Writer(stream)
    for number in range(1000):
        writer.put(b"%d\n" % number)
    writer.close()
    assert stream.getvalue().splitlines() == [b"%d" % number for number in range(1000)]


def test_what_comes_after_the_end_is_written_at_once() -> None:
    """The server's last words, when the service has closed."""
    stream = io.BytesIO()
    writer = Writer(stream)
    writer.close()
    writer.put(b"bye\n")
    writer.close()
    assert stream.getvalue() == b"bye\n"
