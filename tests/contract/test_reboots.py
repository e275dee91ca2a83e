"""A restart waits for people and windows, and counts only when the right boot came and stayed.

Real ledger, real scripts and jobs on a simulated host; only its power is played here, and time
leaps while the controller waits for it.
"""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import facts, planned
from tests.contract.attempt_bench import Bench, Death, Fate
from tests.contract.test_attempt_deaths import at_each, installs
from tests.contract.test_attempt_reboots import START, Once, Site, site_of
from tests.contract.test_attempt_second_look import change_packages
from tests.contract.test_host_hooks import hook, ran
from wavemend.execution.jobs import JournalKind, read_journal
from wavemend.execution.reboot_rules import deferral
from wavemend.ledger import attempts
from wavemend.outcomes import Outcome
from wavemend.policy.care import Presence, Probe, RebootManners, When
from wavemend.policy.profiles import RebootRule
from wavemend.testing.simulated.catalogue import KERNEL

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

NEWER = "6.1.0-99-amd64"


def manners(site: Site, **changes: object) -> None:
    was = site.bench.profile
    site.bench.profile = replace(was, reboots=replace(was.reboots, **changes))  # type: ignore[arg-type]


def tool(site: Site, name: str, text: str) -> None:
    """Give the host a command that says this."""
    path = site.machine.state / "bin" / name
    path.write_text(f"#!/bin/sh\ncat <<'EOF'\n{text}\nEOF\n")
    path.chmod(0o755)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_of(tmp_path / "lab")


# --- not now -------------------------------------------------------------------------------------


def olga_logs_in(site: Site) -> None:
    tool(site, "who", "olga     pts/0        2026-03-10 21:58 (192.0.2.7)")


def backup_runs(site: Site) -> None:
    (site.machine.root / "run/systemd/system").mkdir(parents=True)
    said = "WHO UID USER PID COMM WHAT WHY MODE\nbackup 0 root 77 tar shutdown nightly copy block"
    tool(site, "systemd-inhibit", said)


def somebody_schedules_a_shutdown(site: Site) -> None:
    site.machine.put("/run/systemd/shutdown/scheduled", "USEC=1\nMODE=reboot\n")


def window_is_nearly_over(site: Site) -> None:
    manners(site, back_within=timedelta(hours=1), stable_for=timedelta(hours=1, seconds=30))


def restarts_have_their_own_window(site: Site) -> None:
    manners(site, window="sunday")


@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        (olga_logs_in, "not rebooted: logged in: olga pts/0"),
        (backup_runs, "not rebooted: asked not to be shut down by backup: "),
        (somebody_schedules_a_shutdown, "not rebooted: reboot is scheduled on the host already"),
        (window_is_nearly_over, "not rebooted: window: it may take 120 minutes, and the window"),
        (restarts_have_their_own_window, "not rebooted: restarts happen in the window sunday"),
    ],
)
def test_a_restart_that_is_due_waits_and_says_for_whom(
    site: Site, meanwhile: Callable[[Site], None], words: str
) -> None:
    fate = Once(f"before {START}", lambda: meanwhile(site))
    if meanwhile in {window_is_nearly_over, restarts_have_their_own_window}:
        meanwhile(site)

    assert site.attempt(fate) is Outcome.PATCHED_REBOOT_PENDING
    assert site.bench.row().reason.startswith(words)
    assert (site.told, site.bench.row().reboots) == (0, 0)
    assert installs(site.machine)["wm-fine:all 2.0"] == 1


@pytest.mark.parametrize("meanwhile", [olga_logs_in, backup_runs])
def test_people_and_inhibitors_are_passed_over_where_the_profile_says_so(
    site: Site, meanwhile: Callable[[Site], None]
) -> None:
    manners(site, users=Presence.IGNORE, inhibitors=Presence.IGNORE)
    fate = Once(f"before {START}", lambda: meanwhile(site))

    assert site.attempt(fate) is Outcome.PATCHED
    assert site.told == 1


def test_a_host_that_might_not_come_up_again_is_failed_and_left_running(site: Site) -> None:
    fate = Once(f"before {START}", lambda: site.machine.put(f"/boot/vmlinuz-{KERNEL}", ""))

    assert site.attempt(fate) is Outcome.FAILED
    assert "it might not come up again" in site.bench.row().reason
    assert site.told == 0


def test_the_window_must_hold_the_whole_restart_to_the_second(site: Site) -> None:
    order = site.bench.order()
    seen = replace(facts("web1"), reboot_reasons=("flag",))
    latest = order.plan.window_end - RebootManners().back_within

    assert deferral(order, seen, latest) == ""
    assert deferral(order, seen, latest + timedelta(seconds=1)).startswith("window: ")


# --- coming back ---------------------------------------------------------------------------------


def test_a_boot_id_that_changed_without_a_boot_is_not_believed(site: Site) -> None:
    def pretend() -> None:
        site.machine.boot()
        hardware = site.machine.folder / "hardware.json"
        hardware.write_text(json.dumps({"boots": 2, "booted_at": time.time() - 90_000}))

    site.when_told = pretend

    assert site.attempt() is Outcome.PATCHED_REBOOT_PENDING
    assert "its boot id changed, but it has been up for 9" in site.bench.row().reason


def newer_kernel(site: Site) -> None:
    """Install a newer kernel, whole, as an update would have."""

    def add(data: dict[str, dict[str, dict[str, object]]]) -> None:
        name = f"linux-image-{KERNEL}"
        data["installed"][f"linux-image-{NEWER}"] = {
            **data["installed"][name],
            "name": f"linux-image-{NEWER}",
        }

    change_packages(site.machine, add)  # type: ignore[arg-type]
    for part in ("vmlinuz", "initrd.img"):
        site.machine.put(f"/boot/{part}-{NEWER}", "there\n")


def test_a_host_that_comes_back_with_its_old_kernel_has_failed_and_both_are_named(
    site: Site,
) -> None:
    newer_kernel(site)

    assert site.attempt() is Outcome.FAILED
    reason = site.bench.row().reason
    assert reason.startswith("after the restart: it came back with the kernel")
    assert KERNEL in reason
    assert NEWER in reason
    assert site.told == 1


def test_a_host_that_comes_back_with_its_new_kernel_is_patched(site: Site) -> None:
    newer_kernel(site)

    def boot_it() -> None:
        site.machine.boot()
        site.machine.put("/proc/sys/kernel/osrelease", f"{NEWER}\n")

    site.when_told = boot_it

    assert site.attempt() is Outcome.PATCHED
    proof = attempts.evidence_of(site.bench.row())
    assert proof is not None
    assert (proof.kernel_before, proof.kernel_after) == (KERNEL, NEWER)


class Slow(Site):
    """A host whose controller's time goes on by naps, and that does things while it naps."""

    naps: list[Callable[[], None]]

    def sleep(self, seconds: float) -> None:
        if not self.told:
            time.sleep(min(seconds, 0.3))
            return
        self.leapt += seconds
        if self.naps:
            self.naps.pop(0)()


def slow(site: Site, *naps: Callable[[], None]) -> Slow:
    made = Slow(site.machine)
    made.bench = site.bench
    made.bench.connect = made.connect
    made.naps = list(naps)
    return made


def nothing() -> None:
    return


def test_a_host_that_boots_again_within_its_time_is_in_a_boot_loop(site: Site) -> None:
    looping = slow(site, nothing, nothing, site.machine.boot)
    manners(looping, stable_for=timedelta(minutes=2))

    assert looping.attempt() is Outcome.FAILED
    assert "boot loop: it came up again within" in looping.bench.row().reason
    assert looping.told == 1


def test_a_host_that_stays_in_its_new_boot_for_its_time_is_patched(site: Site) -> None:
    steady = slow(site)
    manners(steady, stable_for=timedelta(minutes=2))

    began = time.monotonic()
    assert steady.attempt() is Outcome.PATCHED
    # Its controller's time is ours and the naps: on a busy machine looks take seconds too.
    assert steady.leapt + time.monotonic() - began >= 120
    assert steady.leapt > 60


def test_a_host_that_goes_away_within_its_time_and_stays_away_is_unreachable(site: Site) -> None:
    dying = slow(site)
    dying.naps = [nothing, nothing, dying.lose_power]
    manners(dying, stable_for=timedelta(minutes=1))

    assert dying.attempt() is Outcome.UNREACHABLE
    assert dying.bench.row().reason == "after the change: off: web1 is off"


def test_a_line_that_breaks_for_a_moment_after_the_restart_is_no_boot_loop(site: Site) -> None:
    blinking = slow(site)

    def back() -> None:
        blinking.off = False

    blinking.naps = [nothing, nothing, blinking.lose_power, nothing, back]
    manners(blinking, stable_for=timedelta(minutes=1))

    assert blinking.attempt() is Outcome.PATCHED


def test_services_may_come_up_as_long_as_the_host_itself_may(site: Site) -> None:
    up = 'test ! -e "$WAVEMEND_ROOT/run/starting"'
    waiting = slow(site)
    waiting.bench.profile = replace(
        waiting.bench.profile, probes=(Probe(name="shop", argv=("sh", "-c", up)),)
    )

    def boot_slowly() -> None:
        site.machine.boot()
        site.machine.put("/run/starting", "")

    def come_up() -> None:
        if waiting.leapt > 300:
            (site.machine.root / "run/starting").unlink(missing_ok=True)

    waiting.when_told = boot_slowly
    waiting.naps = [come_up] * 200

    assert waiting.attempt() is Outcome.PATCHED
    assert 300 < waiting.leapt < RebootManners().back_within.total_seconds() + 60


# --- restarts of their own -----------------------------------------------------------------------


def restarting(folder: Path, rule: RebootRule = RebootRule.ALWAYS) -> Site:
    """Return a host that a plan only restarts."""
    site = site_of(folder)
    (folder / "restart").mkdir(mode=0o700)
    site.bench = Bench(folder / "restart", site.bench.host, site.connect)
    site.bench.freeze(reboot=rule)
    return site


def test_a_plan_without_packages_restarts_the_host_once_and_its_journal_says_so(
    tmp_path: Path,
) -> None:
    site = restarting(tmp_path / "lab")
    log = tmp_path / "hooks.log"
    manners(site, window="sunday")  # which is this rollout's own
    site.bench.profile = replace(
        site.bench.profile,
        hooks=(hook("drain", When.BEFORE, log), hook("fill", When.AFTER, log)),
    )

    assert site.attempt() is Outcome.PATCHED
    assert (site.told, installs(site.machine)) == (1, {})
    assert ran(log) == ["drain web1", "fill web1 patched"]
    journal = read_journal(site.connect(site.bench.host), deadline=30)
    assert [entry.kind for entry in journal] == [JournalKind.BEGIN, JournalKind.END]
    assert journal[0].attempt_id == site.bench.row().id
    assert site.attempt() is Outcome.PATCHED  # asked again: as it was
    assert site.told == 1


def test_a_host_with_people_on_it_goes_on_waiting_and_is_not_drained(tmp_path: Path) -> None:
    site = restarting(tmp_path / "lab")
    log = tmp_path / "hooks.log"
    site.bench.profile = replace(site.bench.profile, hooks=(hook("drain", When.BEFORE, log),))
    olga_logs_in(site)

    assert site.attempt() is Outcome.PATCHED_REBOOT_PENDING
    assert site.bench.row().reason == "not restarted: logged in: olga pts/0"
    assert (site.told, site.bench.row().touched, ran(log)) == (0, False, [])


def test_a_host_whose_reason_to_restart_is_gone_is_left_alone(tmp_path: Path) -> None:
    site = restarting(tmp_path / "lab", RebootRule.IF_NEEDED)
    site.machine.boot()  # by its administrator, in the meantime

    assert site.attempt() is Outcome.NOTHING_TO_DO
    assert (site.told, site.bench.row().touched) == (0, False)


def test_wherever_the_worker_dies_the_host_is_restarted_once(tmp_path: Path) -> None:
    def die(at: int) -> Outcome | None:
        site, fate = restarting(tmp_path / f"lab{at}"), Fate(at=at)
        try:
            site.attempt(fate)
        except Death:
            assert site.attempt() is Outcome.PATCHED, f"{fate.struck}: {site.bench.row().reason}"
            assert site.told == 1, fate.struck
            return Outcome.PATCHED
        return None

    undisturbed = Fate()
    restarting(tmp_path / "count").attempt(undisturbed)
    outcomes = at_each(undisturbed.places, die)

    assert len(undisturbed.places) >= 18
    assert sum(outcome is Outcome.PATCHED for outcome in outcomes) >= len(undisturbed.places) - 4


def test_an_order_for_a_host_without_packages_is_a_restart(site: Site) -> None:
    order = site.bench.order()
    bare = replace(planned("web1"), packages=())
    restart = replace(order, plan=replace(order.plan, hosts=(bare,)))

    assert (order.restart_only, restart.restart_only) == (False, True)
