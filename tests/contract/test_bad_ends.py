"""A change that did not end well is not followed by a restart: nobody knows what would come up."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.test_attempt_deaths import installs
from tests.contract.test_attempt_reboots import START, Once, PoweredRoot, site_of
from wavemend.execution.attempt import attempt_host
from wavemend.hosts import Host
from wavemend.managers.apt import AptManager
from wavemend.outcomes import Outcome
from wavemend.policy.profiles import RebootRule
from wavemend.transport import OUTPUT_BOUND, CommandResult, Transport

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")


class Inhibited(PoweredRoot):
    """A host whose `shutdown` says no, as that of systemd 257 does while somebody inhibits it."""

    def run_as_root(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        if "shutdown" not in argv:
            return super().run_as_root(argv, stdin=stdin, deadline=deadline, bound=bound)
        self.site.told += 1
        said = b'Operation inhibited by "backup" (PID 77),\nreason is "nightly".\n'
        return CommandResult(exit_status=1, stdout=b"", stderr=said, dropped_bytes=0, seconds=0.1)


def test_what_a_command_to_restart_said_against_it_is_told(tmp_path: Path) -> None:
    site = site_of(tmp_path / "lab", RebootRule.ALWAYS)

    def connect(_: Host) -> Transport:
        site.machine.refresh_proc()
        return Inhibited(site)

    hands = replace(site.hands(), connect=connect)
    assert attempt_host(hands, site.bench.order()) is Outcome.PATCHED_REBOOT_PENDING
    assert site.bench.row().reason == (
        "it was told to reboot, and its boot id has not changed: the command ended with 1 "
        'Operation inhibited by "backup" (PID 77), reason is "nightly".'
    )


class Sour(AptManager):
    """Calls no end a good one, as a declaration may."""

    def end_trouble(self, status: int | None) -> str:
        return f"exit status {status}: failed"


@pytest.mark.parametrize("rule", [RebootRule.IF_NEEDED, RebootRule.ALWAYS])
def test_a_host_is_not_restarted_after_an_end_that_is_no_good_one(
    tmp_path: Path, rule: RebootRule
) -> None:
    site = site_of(tmp_path / "lab", rule)
    hands = replace(site.hands(), manager=lambda _: Sour())
    assert attempt_host(hands, site.bench.order()) is Outcome.FAILED
    assert site.bench.row().reason == "every version is in place, but exit status 0: failed"
    assert (site.told, site.bench.row().reboots) == (0, 0)
    assert installs(site.machine)["wm-fine:all 2.0"] == 1


class Forgetful(AptManager):
    """Keeps no account of the scripts that run when all versions are in, as pacman's hooks do."""

    def end_trouble(self, status: int | None) -> str:
        return "hooks may not have run" if status is None else super().end_trouble(status)


def test_versions_alone_prove_nothing_where_a_power_cut_may_have_kept_scripts_from_running(
    tmp_path: Path,
) -> None:
    site = site_of(tmp_path / "lab", package="wm-slow")

    def cut() -> None:
        """Cut the job when every version is in and its end is not written down yet."""
        end = next((site.machine.root / "var/lib/wavemend/jobs").iterdir()) / "rc"
        until = time.monotonic() + 30
        while not end.exists() and time.monotonic() < until:
            time.sleep(0.1)
        end.unlink()
        site.machine.boot()

    hands = replace(site.hands(Once(f"after {START}", cut)), manager=lambda _: Forgetful())
    assert attempt_host(hands, site.bench.order()) is Outcome.FAILED
    assert site.bench.row().reason == "every version is in place, but hooks may not have run"
    assert site.told == 0
    assert installs(site.machine)["wm-slow:all 2.0"] == 1
