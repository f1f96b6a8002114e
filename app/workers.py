"""Several processes that serve one port: started by fork from a process that only watches, restarted when one dies.

Each worker has its own application and event loop; they share the bound sockets, and the kernel hands each connection to
one of them. Signals go to the watching process, which passes them on; a terminal's Ctrl-C reaches it alone.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

CALM = 5.0
"""A worker that dies younger than this is started again only after a pause."""
PAUSE = 1.0
"""Seconds before a worker that died young is started again."""
POLL = 0.05
"""Seconds between looks at the workers."""

ENDING = (signal.SIGTERM, signal.SIGINT)
"""What ends the workers."""
FORCE = signal.SIGQUIT
"""What tells a worker to end at once."""
SAME = 0.05
"""Seconds within which two signals are one: `timeout` and others signal a process and its group."""

Work = Callable[[Path], int]


class Workers:
    """The processes. `work` is run in each, with the folder through which they share metrics; it gives the exit code."""

    def __init__(self, number: int, work: Work, folder: Path) -> None:
        self.number, self.work, self.folder = number, work, folder
        self.born: dict[int, float] = {}
        self.signalled: float | None = None
        self.is_forced = False
        self.failed = False

    def start(self) -> None:
        """Starts one more, unless the end has begun. No signal comes in between: each reaches the worker, or keeps it from being started."""
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            if self.signalled is not None:
                return
            pid = os.fork()
            if pid == 0:
                os._exit(self._be_a_worker())
            self.born[pid] = time.monotonic()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)

    def _be_a_worker(self) -> int:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGTERM, FORCE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        try:
            code = self.work(self.folder)
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        return code

    def take(self, sig: int, frame: FrameType | None) -> None:
        """Passes a signal on: the first drains the workers, the second ends them."""
        now = time.monotonic()
        if self.signalled is None:
            self.signalled = now
        elif now - self.signalled > SAME:
            self.is_forced = True
        for pid in self.born:
            os.kill(pid, FORCE if self.is_forced else signal.SIGTERM)

    def watch(self) -> int:
        """Until all are gone; the exit code. One that dies is replaced; one that cannot start ends them all."""
        while self.born:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                time.sleep(POLL)
                continue
            born = self.born.pop(pid, None)
            if born is None:
                continue  # an orphan of somebody's, where this is the first process of a container
            age = time.monotonic() - born
            code = os.waitstatus_to_exitcode(status)
            if self.signalled is not None:
                self.failed = self.failed or self.is_forced or code not in (0, -signal.SIGTERM)
                continue
            if age < CALM and code > 0:
                self.take(signal.SIGTERM, None)
                self.failed = True
                continue
            if age < CALM:
                time.sleep(PAUSE)
            self.start()
        return 1 if self.failed else 0


def supervise(number: int, work: Work) -> int:
    """Runs `work` in so many processes until a signal; the exit code."""
    with tempfile.TemporaryDirectory(prefix="merganser-") as folder:
        workers = Workers(number, work, Path(folder))
        for signum in ENDING:
            signal.signal(signum, workers.take)
        for _ in range(number):
            workers.start()
        return workers.watch()
