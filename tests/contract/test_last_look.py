"""The last look of a rollout says what is not as it was left: no more, no less, on one line."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.contract.attempt_bench import Bench
from tests.contract.test_attempt_deaths import bench_of
from tests.contract.test_attempt_second_look import change_packages, upgraded
from tests.contract.test_windows_care_views import FLEET
from wavemend.errors import ConnectionLost
from wavemend.execution.attempt import attempt_host
from wavemend.execution.hands import Hands
from wavemend.hosts import Host
from wavemend.knowledge import Intelligence
from wavemend.ledger import rollouts
from wavemend.ledger.care_tables import RollbackRow
from wavemend.outcomes import Outcome
from wavemend.policy.care import Probe, ProbeKind
from wavemend.rollout import Close, ProbeWave, RolloutView, next_action
from wavemend.steps.assess import Assessor
from wavemend.steps.waves import decide_gate, probe_host, verify_host
from wavemend.testing.feed_server import FeedServer, Reply, feed_server
from wavemend.testing.simulated.machine import Machine
from wavemend.transport import Transport

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

HostOf = tuple[Bench, Machine]
NOTHING_KNOWN = Intelligence(vulnerabilities={}, advisories={}, snapshots=())


@pytest.fixture
def host(tmp_path: Path) -> HostOf:
    return bench_of(tmp_path / "lab")


@pytest.fixture
def patched(host: HostOf) -> HostOf:
    assert attempt_host(host[0].hands(), host[0].order()) is Outcome.PATCHED
    return host


def last_look(bench: Bench, hands: Hands | None = None) -> str:
    assessor = Assessor(replace(FLEET, hosts=(bench.host,)).sealed(), NOTHING_KNOWN)
    probes = bench.profile.probes
    return verify_host(hands or bench.hands(), bench.plan, bench.host, assessor, probes)[1]


def shop(bench: Bench, url: str) -> None:
    """Declare a probe of the host's shop, as its profile has it from now on."""
    watched = (Probe(name="shop", kind=ProbeKind.URL, url=url),)
    bench.profile = replace(bench.profile, probes=watched)


def losing(bench: Bench, *said: str) -> Hands:
    """Return hands whose first connections break with these words."""
    left = list(said)

    def connect(host: Host) -> Transport:
        if left:
            raise ConnectionLost(left.pop(0))
        return bench.connect(host)

    return replace(bench.hands(), connect=connect)


def test_a_host_that_is_as_it_was_left_is_not_spoken_of(patched: HostOf) -> None:
    assert last_look(patched[0]) == ""


def test_a_version_that_is_gone_again_is_named(patched: HostOf) -> None:
    bench, machine = patched
    target = next(p.target for p in bench.plan.hosts[0].packages if p.name == "zip")
    upgraded(machine, "3.0-13")

    assert last_look(bench) == f"zip is not {target}"


def test_a_package_that_is_gone_after_it_was_taken_back_is_named(patched: HostOf) -> None:
    bench, machine = patched
    row = bench.row()
    with bench.ledger.writing() as book:
        book.add(
            RollbackRow(
                id="b-1",
                rollout_id=row.rollout_id,
                attempt_id=row.id,
                host=row.host,
                kind="packages",
                requested_by="olga",
                reason="slow",
                state="ended",
                intent_at=bench.now(),
                ended_at=bench.now(),
                outcome=Outcome.ROLLED_BACK,
                packages=b"[]",
                evidence=b"",
            )
        )
    old = {package.name: package.installed for package in bench.plan.hosts[0].packages}

    def back(data: dict[str, Any]) -> None:
        for name, version in old.items():
            data["installed"][name]["version"] = version

    change_packages(machine, back)
    bench.profile = replace(bench.profile, probes=(Probe(name="shop", argv=("false",)),))
    assert last_look(bench) == ""  # its rollback has asked its probes

    def lose(data: dict[str, Any]) -> None:
        del data["installed"]["zip"]

    change_packages(machine, lose)
    assert last_look(bench) == f"zip is not {old['zip']}"


def test_a_host_that_nothing_was_done_to_was_left_as_it_was(host: HostOf) -> None:
    bench, _ = host
    (bench.folder / "stop").write_text("fire\n")
    assert attempt_host(bench.hands(), bench.order()) is Outcome.NOT_ATTEMPTED

    assert last_look(bench) == ""


def test_a_host_that_runs_an_older_kernel_again_is_named(patched: HostOf) -> None:
    bench, machine = patched
    ran = (machine.root / "proc/sys/kernel/osrelease").read_text().strip()

    def boot_older(kernel: str) -> Callable[[Host], Transport]:
        def connect(of: Host) -> Transport:
            made = bench.connect(of)
            machine.put("/proc/sys/kernel/osrelease", f"{kernel}\n")
            return made

        return connect

    hands = replace(bench.hands(), connect=boot_older("5.10.0-1-amd64"))

    assert last_look(bench, hands) == f"it runs 5.10.0-1-amd64, not {ran} any more"


def test_one_broken_connection_casts_no_doubt_on_a_host_that_was_patched(patched: HostOf) -> None:
    bench, _ = patched

    assert last_look(bench, losing(bench, "broken pipe")) == ""


def test_what_a_host_says_stays_on_its_own_line(patched: HostOf) -> None:
    bench, _ = patched
    said = "no route\nweb2: zip is not 2\u2028web3: gone"

    told = last_look(bench, losing(bench, said, said))

    assert told.splitlines() == [f"{ConnectionLost.reason}: no route web2: zip is not 2 web3: gone"]


# --- services that were well after the change -----------------------------------------------------


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        yield made


def leaping(bench: Bench) -> Hands:
    """Return hands whose patience runs out while they sleep."""
    leapt = [0.0]

    def sleep(seconds: float) -> None:
        leapt[0] += seconds

    return replace(bench.hands(), sleep=sleep, monotonic=lambda: time.monotonic() + leapt[0])


def test_a_service_that_died_since_the_change_is_named_at_the_last_look(
    host: HostOf, server: FeedServer
) -> None:
    bench, _ = host
    shop(bench, server.answer("/health", Reply(b"ok")))
    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    assert last_look(bench) == ""

    server.answer("/health", Reply(status=503))

    assert last_look(bench, leaping(bench)) == "probe shop: it answers with status 503"


def test_one_answer_that_failed_casts_no_doubt_on_a_host_that_is_well(
    host: HostOf, server: FeedServer
) -> None:
    bench, _ = host
    shop(bench, server.answer("/health", Reply(b"ok")))
    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED

    server.answer("/health", Reply(status=503), Reply(b"ok"))

    assert last_look(bench, leaping(bench)) == ""


def test_who_was_not_changed_is_not_asked(host: HostOf, server: FeedServer) -> None:
    bench, _ = host
    (bench.folder / "stop").write_text("fire\n")
    assert attempt_host(bench.hands(), bench.order()) is Outcome.NOT_ATTEMPTED
    shop(bench, server.answer("/health", Reply(status=503)))

    assert last_look(bench) == ""
    assert server.requests == []


def test_a_service_that_died_since_the_pilot_fails_its_gate_and_nothing_further_starts(
    host: HostOf, server: FeedServer
) -> None:
    bench, _ = host
    shop(bench, server.answer("/health", Reply(b"ok")))
    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    server.answer("/health", Reply(status=503))
    lease, wave = bench.take_lease(), bench.plan.waves[0]
    with bench.ledger.writing() as book:
        rollouts.record_step(book, lease, "prepared", bench.now())

    action = next_action(bench.plan, replace(read_view(bench), probed=True), bench.now())
    assert action == ProbeWave(wave, (bench.host.name,))
    said = probe_host(leaping(bench), bench.plan, bench.host, bench.profile.probes)
    with bench.ledger.writing() as book:
        detail = f"{bench.host.name}: {said}"
        rollouts.record_step(book, lease, action.step, bench.now(), detail=detail)

    # Another process judges: all it knows is in the ledger.
    numbers = decide_gate(bench.hands(), bench.take_lease(), wave)
    assert not numbers.passed
    assert numbers.reason.endswith(f"not well any more: {bench.host.name}")
    assert read_view(bench).attempts[bench.host.name].unwell == said
    assert isinstance(next_action(bench.plan, read_view(bench), bench.now()), Close)


def read_view(bench: Bench) -> RolloutView:
    with bench.ledger.reading() as book:
        return rollouts.read_view(book, bench.plan.rollout)
