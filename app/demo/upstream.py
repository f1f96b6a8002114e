"""One sample upstream as a process: `python -m app.demo.upstream NAME FD LATENCY`, started by `fleet.py`.

It serves on the listening socket that it inherits, and ends when its standard input does: so it never outlives the demo,
however that ends.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import threading

import uvicorn

from app.demo.service import far_away


def end_with_parent() -> None:
    """Waits for the end of standard input, which is the other end of a pipe that only the demo holds; then ends the process."""
    while os.read(0, 1024):
        pass
    os._exit(0)


def main(name: str, fd: int, latency: float) -> None:
    """Serves the sample of this name for ever."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    app = importlib.import_module(f"app.demo.{name}").app
    config = uvicorn.Config(far_away(app, latency) if latency else app, log_level="warning", access_log=False, timeout_keep_alive=75, lifespan="off")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=fd)])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
