"""A simulated Windows host is reached over WinRM, and can be played by a process of its own."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.windows_host.driving import (
    LCU,
    MSRT,
    NONCE,
    ask,
    done,
    install,
    reboot,
    scanned,
    start,
    tell_restart,
)
from tests.windows_host.machine import Clock
from tests.windows_host.serve import announced
from tests.windows_host.state import Fault, load
from tests.windows_host.world import World, winhost
from wavemend.errors import ConnectionLost, HostPortClosed
from wavemend.hosts import Host
from wavemend.transport import Login, Transport
from wavemend.transports import TRANSPORTS
from wavemend.windows.jobs import Standing, windows_job


@contextlib.contextmanager
def connected(host: Host, login: Login) -> Iterator[Transport]:
    with contextlib.closing(TRANSPORTS[host.transport](host, login)) as transport:
        yield transport


def fresh(world: World) -> "contextlib.AbstractContextManager[Transport]":
    return connected(world.host, world.login)


def test_updates_go_in_over_winrm_and_the_host_comes_back_from_its_restart() -> None:
    with winhost("ok_reboot") as world:
        with fresh(world) as transport:
            assert scanned(transport) == ("KB5075906", "KB5077863", "KB890830")
            job, _ = done(transport, "install-0001", "install", install(LCU, MSRT))
            assert job.exit_status == 0
            reboot(transport)
        with fresh(world) as transport:
            assert ask(transport, "facts")["os"]["build"] == "10.0.20348.4773"
        assert world.peer.counters().boots == 1


def test_commands_that_are_no_scripts_run_too() -> None:
    with winhost("ok_reboot") as world, fresh(world) as transport:
        assert transport.run(("hostname",), deadline=10).stdout == b"WIN2022\r\n"
        configuration = transport.run(("ipconfig", "/all"), deadline=10)
        assert (configuration.exit_status, b"WIN2022" in configuration.stdout) == (0, True)
        assert transport.run(("nosuch.exe",), deadline=10).exit_status == 127


def test_a_call_that_a_restart_cuts_is_lost_and_plays_nothing() -> None:
    with winhost("ok_reboot", down_seconds=60) as world:
        with fresh(world) as transport:
            tell_restart(transport)
            world.windows.clock.advance(60)
            with pytest.raises(ConnectionLost):
                start(transport, "install-0001", "install", install(LCU))
        with pytest.raises(HostPortClosed), fresh(world):
            pass
        assert world.windows.jobs("install") == 0


def test_a_start_that_dies_half_way_leaves_a_folder() -> None:
    with winhost("ok_reboot") as world:
        world.windows.state.lies.folder_without_task = 1
        with fresh(world) as transport, pytest.raises(ConnectionLost):
            start(transport, "install-0001", "install", install(LCU))
        time.sleep(0.4)  # as long as the host is away
        with fresh(world) as transport:
            world.windows.advance(400)
            job = windows_job(transport, "install-0001", deadline=30)
        assert job.found
        assert job.standing(NONCE) is not Standing.RUNNING


def test_three_megabytes_of_noise_come_through() -> None:
    with winhost("ok_reboot") as world, fresh(world) as transport:
        world.windows.state.faults.append(Fault(script="facts", how="noise"))
        assert ask(transport, "facts")["os"]["simulated"]


def test_one_clock_drives_a_host_and_whoever_waits_for_it() -> None:
    clock = Clock(1_770_926_400)
    with winhost("ok_reboot", clock=clock) as world, fresh(world) as transport:
        start(transport, "install-0001", "install", install(LCU))
        began = clock.now()
        while windows_job(transport, "install-0001", deadline=30).exit_status is None:
            clock.advance(60)
        assert 1200 < clock.now() - began < 1500


def test_hosts_of_another_process_remember_what_was_done_to_them(tmp_path: Path) -> None:
    played = ("win1=ok_reboot", "win2=definition_only")
    argv = [sys.executable, "-m", "tests.windows_host.serve", str(tmp_path), *played]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
        for host, login in told(tmp_path, process):
            assert host.simulated
            with connected(host, login) as transport:
                done(transport, "install-0001", "install", install(MSRT))
                shown = datetime.fromisoformat(ask(transport, "facts")["utc_now"])
            assert abs(time.time() - shown.timestamp()) < 60
        process.communicate(timeout=20)
    assert load(tmp_path / "win1" / "state.json").wua.history[0].kb == "KB890830"
    assert load(tmp_path / "win2" / "state.json").begun == {"install": 1}


def told(folder: Path, process: "subprocess.Popen[bytes]") -> tuple[tuple[Host, Login], ...]:
    """Return the hosts of another process, once all of them answer."""
    for _ in range(200):
        if hosts := announced(folder):
            return hosts
        assert process.poll() is None
        time.sleep(0.1)
    raise AssertionError("no hosts were announced")
