"""A hundred test peers fit into one process and answer fifty threads, each host by itself."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.contract.winrm_peer_bench import (
    USERS,
    pywinrm_on,
    ran_by_pywinrm,
    repeats,
    trusted,
)
from tests.winrm_peer import Peer, run_tls

HOSTS, THREADS = 100, 50
MEMORY_BOUND = 40 * 1024
"""KiB both sides together may grow by; measured: 12 MiB sealed, 20 MiB over TLS."""


def resident() -> int:
    """KiB of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


@pytest.mark.parametrize("tls", [False, True], ids=["sealed", "tls"])
def test_a_hundred_hosts_in_fifty_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    # Told to use no proxy, requests sets this variable for a moment and takes it away again, under
    # the eyes of the other threads (KeyError in one of some hundred runs): here it stays.
    monkeypatch.setenv("no_proxy", "*")
    ca = trusted(tmp_path) if tls else None
    before, threads = resident(), threading.active_count()
    with ExitStack() as stack:
        peers = [
            stack.enter_context(
                Peer(users=USERS, runner=repeats, tls=run_tls() if tls else None, cbt="strict")
            )
            for _ in range(HOSTS)
        ]

        def run(number: int) -> bytes:
            return ran_by_pywinrm(
                pywinrm_on(peers[number], ca), f"tool.exe {number}", f"{number}".encode() * 500
            ).stdout

        with ThreadPoolExecutor(THREADS) as pool:
            printed = list(pool.map(run, range(HOSTS)))
        grown = resident() - before
        connections = [peer.counters().connections for peer in peers]
        failures = [peer.counters().decrypt_failures for peer in peers]
    assert printed == [f"tool.exe {n}|".encode() + f"{n}".encode() * 500 for n in range(HOSTS)]
    assert connections == [1] * HOSTS
    assert failures == [0] * HOSTS
    assert grown < MEMORY_BOUND
    assert threading.active_count() == threads
