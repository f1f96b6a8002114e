"""Log lines to a stream, from a thread of their own: the event loop never waits for a terminal, a pipe or a disk."""

from __future__ import annotations

import atexit
import threading
from collections import deque
from typing import BinaryIO

BOUND = 20_000
"""Lines that wait at most; further ones are dropped and counted."""
PAUSE = 0.02
"""Seconds between two writes under load: the thread takes the interpreter's lock fifty times a second, not once a line."""


class Writer:
    """`put` takes a line and returns at once; a daemon thread writes what has gathered. `close` writes the rest."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lines: deque[bytes] = deque()
        self._wanted = threading.Event()
        self._writing = threading.Lock()
        self._closed = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def put(self, line: bytes) -> None:
        """Takes one line, newline included."""
        if len(self._lines) >= BOUND:
            self.dropped += 1
            return
        self._lines.append(line)
        if self._closed:
            self._flush()
        elif not self._wanted.is_set():
            self._wanted.set()

    def close(self) -> None:
        """Writes what is left, for at most a second if the stream is stuck; later lines go through at once."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self._wanted.set()
        self._thread.join(1.0)
        if self._writing.acquire(timeout=1.0):
            self._writing.release()
            self._flush()

    def _run(self) -> None:
        pause = threading.Event()
        while not self._closed:
            self._wanted.wait()
            self._wanted.clear()
            self._flush()
            pause.wait(PAUSE)

    def _flush(self) -> None:
        with self._writing:
            lines = []
            while self._lines:
                lines.append(self._lines.popleft())
            if lines:
                try:
                    self._stream.write(b"".join(lines))
                    self._stream.flush()
                except (OSError, ValueError):  # the reader of our output has gone: nobody is left to tell
                    self.dropped += len(lines)
