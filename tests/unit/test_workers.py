"""The promise: the end reaches every worker, also one that was about to be started again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from app.workers import PAUSE, Workers


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # the child ends at once
def test_a_worker_that_died_is_not_started_again_once_the_end_has_begun(tmp_path: Path) -> None:
    """The signal comes while the watching process pauses before it starts another."""

    def dies(_: Path) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    workers = Workers(1, dies, tmp_path)
    before = signal.signal(signal.SIGALRM, workers.take)
    try:
        workers.start()
        signal.setitimer(signal.ITIMER_REAL, PAUSE / 2)
        began = time.monotonic()
        assert workers.watch() == 0
        assert time.monotonic() - began < 3 * PAUSE
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert workers.born == {}
