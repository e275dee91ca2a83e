"""The last look of a rollout says what is not as it was left: no more, no less, on one line."""

import shutil
from collections.abc import Callable
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
from wavemend.ledger.care_tables import RollbackRow
from wavemend.outcomes import Outcome
from wavemend.steps.assess import Assessor
from wavemend.steps.waves import verify_host
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
    return verify_host(hands or bench.hands(), bench.plan, bench.host, assessor)[1]


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
    assert last_look(bench) == ""

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
