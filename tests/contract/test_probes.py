"""Probes see what users of a host see, take no longer than they may, and never call ill well.

Real sockets, HTTP and TLS servers on this machine; real scripts on a simulated host.
"""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.attempt_bench import Bench, Fate
from tests.contract.local_root import LocalRoot
from tests.contract.test_attempt_deaths import bench_of, installs
from tests.contract.test_attempt_reboots import START, Once
from tests.contract.test_attempt_second_look import WHOLE, hold
from wavemend.errors import ConnectionLost
from wavemend.evidence import ProbeResult
from wavemend.execution.attempt import attempt_host
from wavemend.execution.outside import port_trouble, url_trouble
from wavemend.execution.probes import run_probes
from wavemend.hosts import Host
from wavemend.ledger import attempts
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.policy.care import Probe, ProbeKind
from wavemend.testing.feed_server import (
    FeedServer,
    Reply,
    black_hole,
    closed_port,
    dripping,
    feed_server,
    make_certificate,
    silent_port,
)
from wavemend.testing.simulated.machine import Machine
from wavemend.transport import CommandResult, Transport

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

HERE = "127.0.0.1"


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        yield made


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 204, 301, 304, 399])
def test_an_address_that_answers_below_400_is_well(server: FeedServer, status: int) -> None:
    assert url_trouble(server.answer("/health", Reply(status=status)), 5) == ""


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_an_address_that_answers_400_or_more_is_ill(server: FeedServer, status: int) -> None:
    address = server.answer("/health", Reply(b"all is well, status 200", status=status))

    assert url_trouble(address, 5) == f"it answers with status {status}"


def test_a_redirect_is_followed_on_the_same_host_and_its_end_counts(server: FeedServer) -> None:
    ill = server.answer("/ill", Reply(status=500))
    away = server.answer("/away", Reply(status=302, headers={"Location": ill}))
    home = server.answer("/home", Reply(status=302, headers={"Location": "/well"}))
    server.answer("/well", Reply(b"ok"))

    assert url_trouble(home, 5) == ""
    assert url_trouble(away, 5) == "it answers with status 500"


def test_a_redirect_to_another_host_says_nothing_about_this_one(server: FeedServer) -> None:
    other = server.base.replace(HERE, "localhost")
    server.answer("/well", Reply(b"ok"))
    away = server.answer("/away", Reply(status=302, headers={"Location": f"{other}/well"}))

    assert url_trouble(away, 5) == "it leads to another host, localhost"
    assert [path for path, _ in server.requests] == ["/away"]


def test_an_address_that_leads_in_a_circle_is_ill(server: FeedServer) -> None:
    circle = server.answer("/circle", Reply(status=302, headers={"Location": "/circle"}))

    assert url_trouble(circle, 5) == "it leads on more than 5 times"


def test_a_certificate_that_nobody_vouches_for_is_ill(tmp_path: Path) -> None:
    with feed_server(make_certificate(tmp_path)) as server:
        trouble = url_trouble(server.answer("/health", Reply(b"ok")), 5)

    assert "CERTIFICATE_VERIFY_FAILED" in trouble


def test_an_endless_body_costs_nothing(server: FeedServer) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65_536

    began = time.monotonic()
    assert url_trouble(server.answer("/flood", Reply(pieces=endless)), 30) == ""
    assert time.monotonic() - began < 25


def test_headers_that_drip_in_end_with_the_deadline(server: FeedServer) -> None:
    began, over = time.monotonic(), threading.Event()
    slow = Reply(raw=dripping(b"HTTP/1.1 100 Continue\r\n\r\n", over, 0.02))
    try:
        assert url_trouble(server.answer("/drip", slow), 1) == "no answer within 1 s"
    finally:
        over.set()
    assert time.monotonic() - began < 4


def test_an_address_where_nobody_speaks_ends_with_the_deadline() -> None:
    for nobody in (silent_port, black_hole):
        began = time.monotonic()
        with nobody() as base:
            assert url_trouble(base, 1)
        assert time.monotonic() - began < 4
    with closed_port() as base:
        assert "ConnectionError" in url_trouble(base, 5)


# --- ports ---------------------------------------------------------------------------------------


def test_a_port_that_opens_is_well_and_one_that_does_not_is_named() -> None:
    with socket.create_server((HERE, 0)) as listening:
        port = listening.getsockname()[1]
        assert port_trouble(HERE, port, 5) == ""

    assert port_trouble(HERE, port, 5) == f"port {port} of {HERE}: Connection refused"
    assert "no-such-host.invalid" in port_trouble("no-such-host.invalid", 80, 5)


def test_a_port_that_never_answers_ends_with_the_deadline() -> None:
    began = time.monotonic()
    with black_hole() as base:
        assert port_trouble(HERE, int(base.rpartition(":")[2]), 1)
    assert time.monotonic() - began < 4


# --- on the host ---------------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path: Path) -> tuple[Bench, Machine]:
    return bench_of(tmp_path / "lab")


HostOf = tuple[Bench, Machine]


def probed(bench: Bench, *probes: Probe) -> tuple[ProbeResult, ...]:
    return run_probes(bench.hands(), bench.host, probes)


def service(bench: Bench, name: str) -> str:
    (result,) = probed(bench, Probe(name="it", kind=ProbeKind.SERVICE, service=name))
    assert result.ok == (not result.detail)
    return result.detail


def script(machine: Machine, path: str, text: str) -> None:
    machine.put(path, f"#!/bin/sh\n{text}\n")
    (machine.root / path.lstrip("/")).chmod(0o755)


def test_a_service_is_asked_of_the_init_that_the_host_has(host: HostOf) -> None:
    bench, machine = host
    script(machine, "/etc/init.d/shop", 'test "$1" = status && echo "shop is running"')
    script(machine, "/etc/init.d/till", 'echo "till is running"; exit 3')

    assert service(bench, "shop") == ""
    assert service(bench, "till") == "till is not up: exit status 3 till is running"
    assert "exit status 90 this host has no systemd, no OpenRC" in service(bench, "cellar")


def test_under_systemd_only_systemd_decides(host: HostOf) -> None:
    bench, machine = host
    script(machine, "/etc/init.d/shop", "exit 0")
    (machine.root / "run/systemd/system").mkdir(parents=True)

    # The simulated systemctl says of every service that it is inactive.
    assert service(bench, "shop") == "shop is not up: exit status 3 inactive"


@pytest.mark.parametrize("name", ["-H root@elsewhere", "../../bin/true", "--version"])
def test_what_is_no_name_of_a_service_is_never_up(host: HostOf, name: str) -> None:
    assert "it is no name of a service" in service(host[0], name)


def test_a_lost_connection_fails_its_own_probe_and_the_next_one_gets_a_new_one(
    host: HostOf,
) -> None:
    bench, machine = host
    connections = []

    class Cut(LocalRoot):
        def run(self, argv: object, **rest: object) -> CommandResult:
            if argv == ("cut",):
                raise ConnectionLost("the line was cut")
            return super().run(argv, **rest)  # type: ignore[arg-type]

    def connect(_: Host) -> Transport:
        connections.append(Cut(machine.root, extra=machine.environment("root")))
        return connections[-1]

    bench.connect = connect
    results = probed(
        bench, *[Probe(name=name, argv=(name,)) for name in ("true", "cut", "true", "false")]
    )

    assert [result.ok for result in results] == [True, False, True, False]
    assert results[1].detail == "lost: the line was cut"
    assert len(connections) == 2


# --- in an attempt -------------------------------------------------------------------------------


def watching(bench: Bench, *probes: Probe) -> None:
    bench.profile = replace(bench.profile, probes=probes)


def leaping(bench: Bench, fate: Fate | None = None) -> Callable[[], Outcome]:
    """Return the attempt with a stopwatch that runs while the controller sleeps."""
    leapt = [0.0]

    def sleep(seconds: float) -> None:
        leapt[0] += seconds
        time.sleep(min(seconds, 0.2))

    hands = replace(bench.hands(fate), sleep=sleep, monotonic=lambda: time.monotonic() + leapt[0])
    return lambda: attempt_host(hands, bench.order())


def test_a_host_that_was_ill_before_the_change_is_blocked_and_not_blamed_on_it(
    host: HostOf,
) -> None:
    bench, machine = host
    with closed_port() as base:
        watching(bench, Probe(name="shop", kind=ProbeKind.URL, url=f"{base}/health"))
        assert attempt_host(bench.hands(), bench.order()) is Outcome.BLOCKED

    row = bench.row()
    assert row.reason.startswith("unhealthy before the change: probe shop: ConnectionError")
    assert not row.touched
    assert installs(machine) == {}


def test_a_host_that_is_ill_after_the_change_has_failed_though_all_is_installed(
    host: HostOf, server: FeedServer
) -> None:
    bench, machine = host
    url = f"http://{{address}}:{server.base.rpartition(':')[2]}/health"
    bench.host = replace(bench.host, address=HERE)
    server.answer("/health", Reply(b"ok"), Reply(status=503))
    watching(bench, Probe(name="shop", kind=ProbeKind.URL, url=url))

    assert leaping(bench)() is Outcome.FAILED
    assert bench.row().reason == "probe shop: it answers with status 503"
    assert set(bench.packages().values()) == {PackageOutcome.INSTALLED}
    assert installs(machine) == WHOLE
    proof = attempts.evidence_of(bench.row())
    assert proof is not None
    assert [(probe.name, probe.ok) for probe in proof.probes] == [("shop", False)]


def test_a_service_may_take_its_time_to_come_up_after_the_change(
    host: HostOf, server: FeedServer
) -> None:
    bench, _ = host
    slow = [Reply(b"ok"), *[Reply(status=503)] * 4, Reply(b"ok")]
    watching(bench, Probe(name="shop", kind=ProbeKind.URL, url=server.answer("/health", *slow)))

    assert leaping(bench)() is Outcome.PATCHED
    assert len(server.requests) == 6


def test_nobody_waits_for_the_services_of_a_host_whose_update_failed(
    host: HostOf, server: FeedServer
) -> None:
    bench, machine = host
    ill = (Reply(b"ok"), Reply(status=503))
    watching(bench, Probe(name="shop", kind=ProbeKind.URL, url=server.answer("/health", *ill)))
    fate = Once(f"before {START}", lambda: hold(machine))

    assert leaping(bench, fate)() is Outcome.FAILED
    assert "wm-slow: still at 1.0" in bench.row().reason
    assert len(server.requests) == 2  # before the change, and once after it


def test_a_start_that_is_repeated_does_not_take_a_drained_host_for_an_ill_one(
    host: HostOf, server: FeedServer
) -> None:
    bench, _ = host
    replies = (Reply(b"ok"), Reply(b"ok"))
    watching(bench, Probe(name="shop", kind=ProbeKind.URL, url=server.answer("/shop", *replies)))
    lost: list[int] = []

    def cut() -> None:
        server.answer("/shop", Reply(status=503))
        lost.append(1)
        raise ConnectionLost("the line was cut")

    fate = Once(f"before {START}", cut)
    done = leaping(bench, fate)()

    assert lost == [1]
    assert done is Outcome.FAILED  # after the change it is ill; before it, nobody asked again
    assert set(bench.packages().values()) == {PackageOutcome.INSTALLED}
