"""Before a port is open: what is bound, what is wrong with it, what workers should know."""

from __future__ import annotations

import resource
import socket
from pathlib import Path

import pytest

from app.catalog.load import load_text
from app.server import FAILED, bind, kept_per_process, serve, spare_connections
from app.settings import Settings

CATALOG = "upstreams: {u: {url: 'http://127.0.0.1:1'}}\nendpoints: {x: {get: /x, calls: {a: {upstream: u, path: /}}}}\n"


def test_a_port_in_use_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In words, exit 1."""
    loaded = load_text(CATALOG, folder=tmp_path, environ={})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert serve(Settings(_env_file=None), loaded, "127.0.0.1", port, 1) == FAILED
    assert capsys.readouterr().err == f"merganser: cannot listen on 127.0.0.1:{port}: the port is in use\n"


def test_a_name_is_bound_on_all_its_addresses_and_nobody_can_connect_yet() -> None:
    """`localhost` may be two; with port 0 they share the one that was free."""
    sockets = bind("localhost", 0)
    ports = {sock.getsockname()[1] for sock in sockets}
    assert len(ports) == 1
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", ports.pop())) != 0
    for sock in sockets:
        sock.close()


def test_connections_take_half_of_the_descriptors() -> None:
    """Each may need one upstream too; the soft limit is raised where the system allows."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        got = spare_connections(200)
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert 16 <= got <= 200
        assert got <= soft // 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_counts_per_process_is_known(tmp_path: Path) -> None:
    """`limit`, `rate` and `live` of the catalog: with several workers and no Redis each counts by itself."""
    plain = load_text(CATALOG, folder=tmp_path, environ={})
    assert kept_per_process(plain) == []
    more = CATALOG.replace("get: /x,", "get: /x, live: {every: 1s}, limit: {rate: 1/s},").replace("url:", "rate: 5/s, url:")
    assert kept_per_process(load_text(more, folder=tmp_path, environ={})) == ["limit", "rate", "live"]
