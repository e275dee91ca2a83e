"""The restart of a rollback waits for people as that of a change does, and is not asked for twice.

Real ledger, real scripts and jobs on a simulated host; apt, dpkg and snapper are played, and so is
the host's power.
"""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from sqlmodel import Session

from tests.contract.attempt_bench import Fate
from tests.contract.test_attempt_reboots import START, Once, site_of
from tests.contract.test_attempt_reboots import Site as Powered
from tests.contract.test_reboots import (
    backup_runs,
    manners,
    olga_logs_in,
    somebody_schedules_a_shutdown,
)
from tests.contract.test_woken_controllers import stall
from wavemend.execution.rollback import roll_back_host
from wavemend.execution.rollback_end import RollbackEnd
from wavemend.ledger import audit, rollbacks
from wavemend.outcomes import Outcome
from wavemend.policy.care import Presence, RestorePointRule
from wavemend.policy.profiles import RebootRule
from wavemend.rollbacks import RollbackRequest
from wavemend.steps.prepare import prepare_host
from wavemend.steps.roll_back import case_of

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

SNAPPER = """\
#!/bin/sh
case "$*" in
  *list*) printf 'number,description\\n17,wavemend-r-1-web1\\n' ;;
  *rollback*) echo "$*" >>'{rolled}' ;;
esac
"""


@dataclass
class Site:
    """A patched host whose disk goes back with its next boot."""

    host: Powered
    rolled: Path
    """Each time that snapper was told to put the disk back, a line."""

    def roll_back(self, fate: Fate | None = None) -> RollbackEnd:
        """Take the host back as a new process would, for an operator."""
        bench = self.host.bench
        with bench.ledger.reading() as book:
            case = case_of(book, bench.plan, ("web1",), requested_by="olga", reason="slow")
        request = RollbackRequest(
            requested_by="olga", reason="slow", case=case, outside_window=True
        )
        return roll_back_host(self.host.hands(fate), bench.order(), request)

    def state(self) -> tuple[int, int, int]:
        """Return how often the disk was put back, restarts told, and rollbacks written down."""
        put_back = len(self.rolled.read_text().splitlines()) if self.rolled.exists() else 0
        with self.host.bench.ledger.reading() as book:
            return put_back, self.host.told, len(rollbacks.of_rollout(book, "r-1"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    host = site_of(tmp_path / "lab", RebootRule.NEVER)
    machine, bench = host.machine, host.bench
    rolled = tmp_path / "rolled"
    played = machine.state / "bin" / "snapper"
    played.write_text(SNAPPER.format(rolled=rolled))
    played.chmod(0o755)
    packages = machine.folder / "packages.json"
    before = packages.read_text()

    def boot() -> None:
        if rolled.exists():
            packages.write_text(before)
        machine.boot()

    host.when_told = boot
    bench.profile = replace(
        bench.profile, restore_point=RestorePointRule(kind="snapper", required=True)
    )
    prepare_host(bench.hands(), bench.take_lease(), bench.plan, bench.host, bench.profile)
    assert host.attempt() is Outcome.PATCHED
    return Site(host, rolled)


@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        (olga_logs_in, "logged in: olga pts/0"),
        (backup_runs, "asked not to be shut down by backup: "),
        (somebody_schedules_a_shutdown, "reboot is scheduled on the host already"),
    ],
)
def test_no_disk_is_put_back_for_a_restart_that_would_wait(
    site: Site, meanwhile: Callable[[Powered], None], words: str
) -> None:
    meanwhile(site.host)

    end = site.roll_back()

    assert end.outcome is Outcome.BLOCKED
    assert end.detail.startswith(
        f"it takes effect with a restart, and it is not restarted now: {words}"
    )
    assert site.state() == (0, 0, 0)


@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        (olga_logs_in, "not restarted: logged in: olga pts/0; "),
        (backup_runs, "not restarted: asked not to be shut down by backup: "),
    ],
)
def test_whoever_comes_when_the_disk_is_put_back_is_not_cut_off(
    site: Site, meanwhile: Callable[[Powered], None], words: str
) -> None:
    end = site.roll_back(Once(f"before {START}", lambda: meanwhile(site.host)))

    assert (end.outcome, site.state()) == (Outcome.NEEDS_HUMAN, (1, 0, 1))
    assert end.detail.startswith(f"it takes effect with a restart: {words}")
    assert end.detail.endswith(
        "; nothing else is begun on it before: restart it by hand, and scan it"
    )


@pytest.mark.parametrize("place", ["before a write", "after a write"])
def test_a_word_to_restart_that_is_old_before_it_is_sent_stays_unsent(
    site: Site, place: str
) -> None:
    """Whether the controller stalls before its intent is written, or after."""

    def is_due(book: Session) -> bool:
        rows = rollbacks.of_rollout(book, "r-1")
        if place == "before a write":  # the next one is that of its intent
            return any(row.state == "running" for row in rows)
        return any(rollbacks.restarts_of(book, row.id) for row in rows)

    end = site.roll_back(stall(site.host.bench, place, is_due))

    assert (end.outcome, site.state()) == (Outcome.NEEDS_HUMAN, (1, 0, 1))
    assert "not rebooted: the word took too long to the host" in end.detail
    with site.host.bench.ledger.reading() as book:
        (row,) = rollbacks.of_rollout(book, "r-1")
        assert rollbacks.restarts_of(book, row.id) == 1


def test_people_and_inhibitors_are_passed_over_where_the_profile_says_so(site: Site) -> None:
    manners(site.host, users=Presence.IGNORE, inhibitors=Presence.IGNORE)
    olga_logs_in(site.host)
    backup_runs(site.host)

    end = site.roll_back()

    assert (end.outcome, end.detail) == (Outcome.ROLLED_BACK, "the old versions are back")
    assert site.state() == (1, 1, 1)


def test_a_disk_that_waits_for_its_restart_is_not_put_back_again_and_the_host_stays_held(
    site: Site,
) -> None:
    site.roll_back(Once(f"before {START}", lambda: olga_logs_in(site.host)))
    (site.host.machine.state / "bin" / "who").unlink()  # she has gone home

    again = site.roll_back()

    with site.host.bench.ledger.reading() as book:
        (row,) = rollbacks.of_rollout(book, "r-1")
        held = rollbacks.waits_for_boot(book, "web1")
        last = audit.events(book, "r-1")[-1]
    words = f"rollback {row.id} puts its disk back with its next restart"
    assert (again.outcome, again.detail) == (
        Outcome.BLOCKED,
        f"{words}: restart it by hand, and scan it",
    )
    assert (held, last.kind) == (again.detail, "rollback.refused")
    assert site.state() == (1, 0, 1)


@contextmanager
def package_manager_at_work(site: Site, seconds: float) -> Iterator[None]:
    """Have the host's package manager in use, as by a timer that renews its index."""
    root = site.host.machine.root
    with subprocess.Popen(("sleep", str(seconds))) as holder:
        threading.Thread(target=holder.wait, daemon=True).start()  # else it is seen for ever
        its = root / "proc" / str(holder.pid)
        (its / "fd").mkdir(parents=True)
        (its / "comm").write_text("apt-get\n")
        (its / "fd" / "3").symlink_to(root / "var/lib/dpkg/lock-frontend")
        try:
            yield
        finally:
            holder.kill()


def test_a_timer_that_renews_an_index_decides_over_no_rollback(site: Site) -> None:
    with package_manager_at_work(site, 2):
        end = site.roll_back()

    assert (end.outcome, end.detail) == (Outcome.ROLLED_BACK, "the old versions are back")
    assert site.state() == (1, 1, 1)


def test_nor_over_the_restart_of_a_disk_that_is_put_back_already(site: Site) -> None:
    with ExitStack() as timers:
        begin = partial(timers.enter_context, package_manager_at_work(site, 2))
        end = site.roll_back(Once(f"before {START}", begin))

    assert (end.outcome, end.detail) == (Outcome.ROLLED_BACK, "the old versions are back")
    assert site.state() == (1, 1, 1)


def test_who_is_longer_at_work_keeps_the_disk_as_it_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wavemend.execution.looks.LOCK_SECONDS", 1.0)
    with package_manager_at_work(site, 60):
        end = site.roll_back()

    assert end.outcome is Outcome.BLOCKED
    assert "the package manager is in use by " in end.detail
    assert site.state() == (0, 0, 0)


def test_a_host_that_somebody_restarts_meanwhile_is_not_restarted_once_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    power, naps = site.host.when_told, site.host.sleep

    def nap(seconds: float) -> None:
        if seconds == 10.0:  # the one that waits for the lock
            power()
        naps(seconds)

    monkeypatch.setattr(site.host, "sleep", nap)
    with ExitStack() as timers:
        begin = partial(timers.enter_context, package_manager_at_work(site, 30))
        end = site.roll_back(Once(f"before {START}", begin))

    assert (end.outcome, end.detail) == (Outcome.ROLLED_BACK, "the old versions are back")
    assert site.state() == (1, 0, 1)
