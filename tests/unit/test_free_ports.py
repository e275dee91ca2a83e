"""Ports for servers of tests: nobody else's connection may take one before its server does."""

import socket
from pathlib import Path

import pytest

from wavemend.testing import keys
from wavemend.testing.keys import free_port


def test_no_port_is_one_that_this_machine_gives_to_connections() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())

    found = {free_port() for _ in range(200)}

    assert not [port for port in found if first <= port <= last]
    assert len(found) > 190, "a port that is free is rarely found twice"


def test_a_port_that_is_listened_on_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        port = free_port()
        server.bind(("127.0.0.1", port))
        server.listen()
        monkeypatch.setattr(keys, "_LOWEST", port)
        monkeypatch.setattr(keys, "_own_ports", lambda: port + 20)

        assert port not in {free_port() for _ in range(400)}
