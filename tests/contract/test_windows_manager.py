"""Windows Update is read, rehearsed, driven and judged on a simulated host.

The host is played: what it says of Windows is what documents say. The connection is real.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import pytest

from tests.windows_host.driving import FAR
from tests.windows_host.host import WindowsHost
from tests.windows_host.state import Fault, scenario
from tests.windows_host.wire import Wire
from tests.windows_host.world import winhost
from wavemend.errors import TransportError
from wavemend.execution.drift import transaction_drift
from wavemend.execution.jobs import JobSpec, JobState, JobView, read_job, start_job
from wavemend.hosts import Facts, Host, ManagerOptions
from wavemend.managers.windows_update import WindowsUpdateManager
from wavemend.outcomes import PackageOutcome
from wavemend.packages import JobEnd, JobScript, Target
from wavemend.transport import Transport
from wavemend.transports.winrm import connect

WIN1 = Host(name="win1", tenant="acme", address="win1.example", manager="windows_update")
SECONDS = 900.0


@dataclass
class Visit:
    """One played host, and the manager that is tried on it."""

    windows: WindowsHost
    reach: Callable[[], Transport]
    manager: WindowsUpdateManager
    host: Host = WIN1
    jobs: int = field(default=0)

    @contextmanager
    def connected(self) -> Iterator[Transport]:
        transport = self.reach()
        try:
            yield transport
        finally:
            transport.close()

    def look(self) -> Facts:
        now = datetime.fromtimestamp(self.windows.clock.now(), UTC)
        with self.connected() as transport:
            return self.manager.read_facts(
                self.host, transport, now, refresh=False, deadline=SECONDS
            )

    def run(self, script: JobScript) -> JobView:
        """Run a job to its end; the host's time passes while it is asked."""
        self.jobs += 1
        spec = JobSpec(
            attempt_id=f"a-{self.jobs:030d}", nonce=f"{self.jobs:032d}", fence=1, script=script
        )
        with self.connected() as transport:
            view = start_job(transport, spec, deadline=SECONDS)
            for _ in range(1_000):
                if view.state is not JobState.RUNNING:
                    break
                self.windows.advance(30)
                view = read_job(transport, spec.attempt_id, spec.nonce, deadline=SECONDS)
        return view

    def tell(self, transport: Transport) -> None:
        boot_id = self.manager.boot_seen(transport, deadline=SECONDS).boot_id
        self.manager.tell_reboot(
            transport, boot_id=boot_id, fence=1, not_after=FAR, deadline=SECONDS
        )

    def restart(self) -> None:
        with self.connected() as transport:
            self.tell(transport)
        self.windows.advance(3_600)

    def boot(self) -> str:
        try:
            with self.connected() as transport:
                seen = self.manager.boot_seen(transport, deadline=SECONDS)
                return seen.boot_id if seen.is_up else ""
        except TransportError:
            return ""


def in_memory(name: str, *, kinds: tuple[str, ...] = ()) -> Visit:
    windows = WindowsHost(scenario(name))
    options = ManagerOptions(sources=("chocolatey",), update_kinds=kinds)
    wire = Wire(windows)
    return Visit(windows=windows, reach=lambda: wire, manager=WindowsUpdateManager(options=options))


def wanted(facts: Facts, *names: str) -> tuple[Target, ...]:
    return tuple(
        Target(name=update.name, arch=update.arch, version=update.candidate)
        for update in facts.pending
        if not update.not_taken and not update.held and (not names or update.name in names)
    )


def judged(
    visit: Visit, targets: tuple[Target, ...], before: Facts, view: JobView
) -> dict[str, tuple[PackageOutcome, str]]:
    end = JobEnd(exit_status=view.exit_status, log=view.log)
    results = visit.manager.judge(targets, before, visit.look(), end)
    return {result.name: (result.outcome, result.detail) for result in results}


def test_a_month_is_installed_over_winrm_and_proven_after_the_restart() -> None:
    with winhost("ok_reboot") as world:
        visit = Visit(
            windows=world.windows,
            reach=lambda: connect(world.host, world.login),
            manager=WindowsUpdateManager(),
            host=world.host,
        )
        before = visit.look()
        targets = wanted(before)
        with visit.connected() as transport:
            rehearsal = visit.manager.rehearse(transport, targets, deadline=SECONDS)
        view = visit.run(visit.manager.apply_script(targets))
        found = judged(visit, targets, before, view)

    assert before.simulated
    assert transaction_drift(targets, rehearsal) == ""
    assert (view.state, view.exit_status) == (JobState.ENDED, 0)
    assert {outcome for outcome, _ in found.values()} == {PackageOutcome.INSTALLED}


def test_after_the_restart_the_build_is_the_new_one() -> None:
    visit = in_memory("ok_reboot")
    before = visit.look()
    targets = wanted(before)
    view = visit.run(visit.manager.apply_script(targets))
    waiting = visit.look()
    visit.restart()
    after = visit.look()

    assert waiting.reboot_reasons
    assert waiting.newest_kernel != waiting.running_kernel
    assert (after.boot_id != before.boot_id, after.reboot_reasons) == (True, ())
    assert after.running_kernel == after.newest_kernel == "10.0.20348.4773"
    assert judged(visit, targets, before, view)["KB5075906"][0] is PackageOutcome.INSTALLED
    assert visit.boot() == after.boot_id


def test_a_host_that_still_services_its_boot_is_not_up() -> None:
    visit = in_memory("ok_reboot")
    visit.windows.state.lies.servicing_seconds = 600
    visit.run(visit.manager.apply_script(wanted(visit.look())))
    with visit.connected() as transport:
        visit.tell(transport)

    boots = []
    for _ in range(100):
        visit.windows.advance(10)
        boots.append(visit.boot())
    first = next(number for number, boot in enumerate(boots) if boot)

    assert first >= 30, "the port answers long before servicing is done"
    assert set(boots[first:]) == {visit.look().boot_id}


def test_one_failure_leaves_the_others_installed_and_gets_one_more_try() -> None:
    visit = in_memory("fail_and_continue")
    before = visit.look()
    targets = wanted(before)
    view = visit.run(visit.manager.apply_script(targets))
    found = judged(visit, targets, before, view)
    end = JobEnd(exit_status=view.exit_status, log=view.log)
    after = visit.look()

    assert view.exit_status == 2
    outcome, detail = found["KB5077863"]
    assert outcome is PackageOutcome.FAILED
    assert "0x80070643 ERROR_INSTALL_FAILURE" in detail
    assert found["KB5075906"][0] is PackageOutcome.INSTALLED
    again = visit.manager.next_round(targets, before, after, end, rounds=1, restarted=False)
    assert [target.name for target in again.targets] == ["KB5077863"]
    assert again.reboot_first


def test_an_update_that_the_boot_rolls_back_is_a_loop_and_left_alone_the_second_time() -> None:
    visit = in_memory("loop_after_reboot")
    before = visit.look()
    targets = wanted(before)
    looped = targets[0].name
    for _ in range(2):
        first = visit.look()
        view = visit.run(visit.manager.apply_script(wanted(first, looped)))
        visit.restart()
        outcome, detail = judged(visit, wanted(first, looped), first, view)[looped]

        assert outcome is PackageOutcome.FAILED
        assert detail.startswith("update loop: ")
    (update,) = [update for update in visit.look().pending if update.name == looped]
    assert update.withheld.startswith("update loop: installed on ")


def test_a_download_that_fails_says_so() -> None:
    visit = in_memory("download_failure")
    before = visit.look()
    targets = wanted(before)
    view = visit.run(visit.manager.apply_script(targets))
    failed = [word for outcome, word in judged(visit, targets, before, view).values() if word]

    assert any("download failed" in word for word in failed)


def test_an_update_that_vanishes_before_the_job_is_refused_or_not_offered() -> None:
    visit = in_memory("superseded")
    before = visit.look()
    targets = wanted(before)
    script = visit.manager.apply_script(targets)
    visit.windows.supersede(targets[0].arch)
    with visit.connected() as transport:
        rehearsal = visit.manager.rehearse(transport, targets, deadline=SECONDS)
    view = visit.run(script)
    outcome, detail = judged(visit, targets, before, view)[targets[0].name]

    assert rehearsal.refusal.startswith(f"{targets[0].name}: not offered any more")
    assert outcome is PackageOutcome.NOT_OFFERED
    assert detail.startswith("not offered any more: ")
    assert visit.windows.installs(targets[0].arch) == 0


def test_a_wsus_that_does_not_answer_leaves_nothing_to_plan() -> None:
    facts = in_memory("wsus_error").look()

    assert facts.pending == ()
    assert "WU_E_PT_HTTP_STATUS_SERVICE_UNAVAIL" in facts.index_errors[0]
    (repository,) = facts.repositories
    assert (repository.name.startswith("WSUS http"), repository.reachable) == (True, False)


def test_definitions_come_in_by_defender_and_are_proven_by_its_version() -> None:
    visit = in_memory("definition_only", kinds=("definitions",))
    before = visit.look()
    targets = wanted(before)
    view = visit.run(visit.manager.apply_script(targets))

    assert not wanted(in_memory("definition_only").look()), "only where the profile takes them"
    assert [target.name for target in targets] == ["KB2267602"]
    assert judged(visit, targets, before, view)["KB2267602"][0] is PackageOutcome.INSTALLED
    assert not visit.look().reboot_reasons


def test_a_hotpatch_needs_no_restart_and_is_told_apart() -> None:
    visit = in_memory("hotpatch_host")
    before = visit.look()
    targets = wanted(before)
    view = visit.run(visit.manager.apply_script(targets))
    after = visit.look()

    assert [p.module for p in before.installed if p.name == before.codename] == ["hotpatch"]
    assert judged(visit, targets, before, view)["KB5075942"][0] is PackageOutcome.INSTALLED
    assert (after.os_version, after.reboot_reasons) == ("10.0.26100.32313", ())


def test_packages_of_chocolatey_come_in_with_the_same_job() -> None:
    visit = in_memory("third_party")
    before = visit.look()
    targets = wanted(before)
    view = visit.run(visit.manager.apply_script(targets))
    found = judged(visit, targets, before, view)

    assert "notepadplusplus" in before.held
    assert found["7zip"] == (PackageOutcome.INSTALLED, "")
    assert found["KB890830"][0] is PackageOutcome.INSTALLED


def test_a_host_that_must_restart_first_installs_nothing_and_asks_for_a_round() -> None:
    visit = in_memory("reboot_first")
    before = visit.look()
    targets = wanted(before)
    view = visit.run(visit.manager.apply_script(targets))
    end = JobEnd(exit_status=view.exit_status, log=view.log)
    again = visit.manager.next_round(targets, before, visit.look(), end, rounds=1, restarted=False)

    assert view.exit_status == 4
    assert set(again.targets) == set(targets)
    assert again.reboot_first


def test_a_combined_update_that_is_permanent_stays_and_says_why() -> None:
    visit = in_memory("rollback_ssu_lcu")
    before = visit.look()
    lcu = next(p for p in before.installed if p.name == "KB5075906" and p.version == "r200")
    target = Target(name=lcu.name, arch=lcu.arch, version=f"before {before.os_version}")
    view = visit.run(visit.manager.undo_script([target]))
    outcome, detail = judged(visit, (target,), before, view)[lcu.name]

    assert outcome is PackageOutcome.FAILED
    assert "0x800F0825 CBS_E_CANNOT_UNINSTALL: the package is permanent" in detail


def test_an_update_that_can_be_removed_is_gone_after_the_restart() -> None:
    visit = in_memory("ok_reboot")
    visit.run(visit.manager.apply_script(wanted(visit.look(), "KB5075906")))
    visit.restart()
    before = visit.look()
    lcu = next(p for p in before.installed if p.name == "KB5075906" and p.version == "r200")
    target = Target(name=lcu.name, arch=lcu.arch, version=f"before {before.os_version}")
    view = visit.run(visit.manager.undo_script([target]))
    waiting = judged(visit, (target,), before, view)[lcu.name]
    visit.restart()
    after = visit.look()

    assert waiting == (PackageOutcome.INSTALLED, "removed, which takes effect with a restart")
    assert judged(visit, (target,), before, view)[lcu.name][1] == "taken back"
    assert after.os_version == "10.0.20348.4171"
    assert [update.name for update in after.pending if update.name == lcu.name] == [lcu.name]


@pytest.mark.parametrize("how", ["no_result", "truncated", "error"])
def test_a_search_that_gives_no_answer_is_a_trouble_and_no_empty_list(
    how: Literal["no_result", "truncated", "error"],
) -> None:
    visit = in_memory("ok_reboot")
    visit.windows.state.faults.append(Fault(script="job_status", how=how, times=99))
    facts = visit.look()

    assert facts.pending == ()
    assert facts.index_errors[0].startswith("the search for updates: ")
    assert facts.boot_id
