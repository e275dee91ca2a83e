"""On real hosts of every family a change is taken back, and nothing begins without its point.

The executor itself over real SSH, real package managers; the runs of Prefect that call it are in
tests/rollouts/test_rollback_runs.py.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.contract.attempt_bench import Bench, Fate
from tests.contract.point_bench import Points
from tests.lab import HostSpec, Lab, probe
from wavemend.execution.attempt import attempt_host
from wavemend.execution.hands import Hands
from wavemend.execution.jobs import read_journal
from wavemend.execution.looks import look
from wavemend.execution.rollback import roll_back_host
from wavemend.hosts import Host
from wavemend.ledger import restore_points, rollbacks
from wavemend.ledger.care_tables import RestorePointRow
from wavemend.managers import MANAGERS
from wavemend.outcomes import Outcome
from wavemend.policy.care import Probe, RestorePointRule, RollBack
from wavemend.rollbacks import RollbackRequest
from wavemend.steps.prepare import prepare_host
from wavemend.steps.roll_back import case_of
from wavemend.transport import Login, Transport
from wavemend.transports.ssh import connect

pytestmark = pytest.mark.live

FAMILIES = {"a1": "apt", "d1": "dnf", "z1": "zypper", "p1": "pacman"}
HOSTS = (
    *(HostSpec(name, family=family, packages=("wm-fine",)) for name, family in FAMILIES.items()),
    HostSpec("a2", packages=("wm-fine",)),
    HostSpec("a3", packages=("wm-fine",)),
)
UNWELL = Probe(name="shop", argv=("grep", "-q", "^1.0", "/usr/share/wm-fine/version"))
"""Fails as soon as wm-fine is not 1.0 any more."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    found = probe()
    if found.mode is None and os.environ.get("WAVEMEND_LAB") == "required":
        pytest.fail(found.reason)
    if found.mode is None:
        pytest.skip(found.reason)
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        lab.up(HOSTS)
        yield lab
    finally:
        lab.down()


class Story(Bench):
    """One rollout of one real host, driven by its own package manager."""

    lab: Lab

    def hands(self, fate: Fate | None = None) -> Hands:
        """Return the bench's hands, with this host's manager."""
        return replace(
            super().hands(fate), manager=lambda host: MANAGERS[host.manager](host.options)
        )

    def begin(self) -> None:
        """Look with a fresh index, freeze the plan, make and prove the restore point."""
        assert look(self.hands(), self.host, refresh=True).facts is not None
        self.freeze("wm-fine")
        prepare_host(self.hands(), self.take_lease(), self.plan, self.host, self.profile)

    def attempt(self) -> Outcome:
        """Patch the host."""
        return attempt_host(self.hands(), self.order())

    def shipped(self) -> str:
        """Return the version that the host's own file system has."""
        return self.lab.exec(self.host.name, "cat", "/usr/share/wm-fine/version").stdout.strip()

    def jobs(self) -> list[str]:
        """Return the kinds of jobs in the host's own journal: attempts a, rollbacks b."""
        with closing(self.connect(self.host)) as transport:
            entries = read_journal(transport, deadline=30)
        return [entry.attempt_id[0] for entry in entries if entry.kind == "begin"]


def story(lab: Lab, folder: Path, name: str, **profile: object) -> Story:
    """Return a story of one host of the lab."""
    info = lab.info()
    where = info.host(name)
    host = Host(
        name=name,
        tenant="acme",
        address=where.address,
        port=where.port,
        manager=FAMILIES.get(name, "apt"),
    )
    login = Login(
        name="lab",
        user=info.user,
        private_key=Path(info.key).read_text(),
        known_hosts=Path(info.known_hosts).read_text(),
    )

    def reach(host: Host) -> Transport:
        return connect(host, login)

    made = Story(folder, host, reach)
    made.lab = lab
    changes = {"host_deadline": timedelta(minutes=20), **profile}
    made.profile = replace(made.profile, **changes)  # type: ignore[arg-type]
    return made


@dataclass(frozen=True, slots=True)
class Unwell:
    """What became of a host whose probe fails after its update."""

    told: Story
    point: RestorePointRow | None
    """Its restore point, before the update."""
    outcome: Outcome


@pytest.fixture(scope="module")
def unwell(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Unwell]]]:
    """Every family's host, all at once: each probe is given its minute to recover."""
    folders = {name: tmp_path_factory.mktemp(f"unwell-{name}") for name in FAMILIES}

    def patch(name: str) -> Unwell:
        told = story(lab, folders[name], name, probes=(UNWELL,), roll_back=RollBack.HOST)
        told.begin()
        with told.ledger.reading() as book:
            point = restore_points.point_of(book, "r-1", name)
        return Unwell(told, point, told.attempt())

    with ThreadPoolExecutor(len(FAMILIES)) as pool:
        yield {name: pool.submit(patch, name) for name in FAMILIES}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_host_whose_probe_fails_after_its_update_is_taken_back_by_itself(
    unwell: dict[str, Future[Unwell]], name: str
) -> None:
    found = unwell[name].result()

    assert found.point is not None
    assert (found.point.proven, found.point.detail) == (
        True,
        "1 of 1 old versions can still be had",
    )
    assert found.outcome is Outcome.ROLLED_BACK
    assert found.told.row().reason.startswith("probe shop: exit status 1")
    assert found.told.shipped() == "1.0"
    assert found.told.jobs() == ["a", "b"]


def test_an_operator_takes_a_patched_host_back(lab: Lab, tmp_path: Path) -> None:
    told = story(lab, tmp_path, "a3")
    told.begin()
    assert told.attempt() is Outcome.PATCHED
    assert told.shipped() == "2.0"
    with told.ledger.reading() as book:
        case = case_of(book, told.plan, ("a3",), requested_by="olga", reason="slow")
    request = RollbackRequest(requested_by="olga", reason="slow", case=case, outside_window=True)

    end = roll_back_host(told.hands(), told.order(), request)

    assert (end.outcome, end.detail) == (Outcome.ROLLED_BACK, "the old versions are back")
    assert told.shipped() == "1.0"
    with told.ledger.reading() as book:
        (row,) = rollbacks.of_rollout(book, "r-1")
    assert (row.outcome, row.requested_by, row.kind) == ("rolled_back", "olga", "package_versions")


# --- a required restore point --------------------------------------------------------------------


def with_points(lab: Lab, folder: Path) -> tuple[Story, Points]:
    points = Points(folder / "points")
    return story(lab, folder, "a2", restore_point=points.rule()), points


def assert_blocked(told: Story, words: str) -> None:
    """Nothing was changed, by the host's own word."""
    jobs = told.jobs()
    assert told.attempt() is Outcome.BLOCKED
    assert words in told.row().reason
    assert told.shipped() == "1.0"
    assert told.jobs() == jobs


def test_a_required_point_that_fails_leaves_the_host_as_it_is(lab: Lab, tmp_path: Path) -> None:
    told, points = with_points(lab, tmp_path)
    (points.folder.parent / "points-create").write_text("#!/bin/sh\necho no quota >&2; exit 3\n")
    told.begin()

    assert_blocked(told, "no restore point: create a restore point: it ended with 3: no quota")


def test_a_required_point_that_vanishes_before_the_change_leaves_the_host_as_it_is(
    lab: Lab, tmp_path: Path
) -> None:
    told, points = with_points(lab, tmp_path)
    told.begin()
    for name in points.names():
        (points.folder / name).unlink()

    assert_blocked(told, "the restore point wavemend-r-1-a2 is not listed")


def test_a_required_point_that_cannot_be_listed_leaves_the_host_as_it_is(
    lab: Lab, tmp_path: Path
) -> None:
    told, points = with_points(lab, tmp_path)
    told.begin()
    points.break_listing()

    assert_blocked(told, "restore points cannot be listed: find a restore point: it ended with 7")


def test_old_versions_that_the_archive_has_no_more_are_no_restore_point(
    lab: Lab, tmp_path: Path
) -> None:
    """apt-get itself calls a reinstallation of such a version a success."""
    told = story(lab, tmp_path, "a2", restore_point=RestorePointRule(required=True))
    assert look(told.hands(), told.host, refresh=True).facts is not None
    told.freeze("wm-fine")
    old = "/^Package: wm-fine$/,/^$/{/^Version: 1.0$/s/1.0/0.5/}"
    script = f"sed -i '{old}' /var/lib/apt/lists/*_Packages; rm -f /var/cache/apt/*.bin"
    assert lab.exec("a2", "sh", "-c", script).returncode == 0
    prepare_host(told.hands(), told.take_lease(), told.plan, told.host, told.profile)

    assert_blocked(told, "0 of 1 old versions can still be had; not: wm-fine 1.0")
