"""apk's scripts run under the real busybox and change only what was planned.

The apk here is a stand-in (standin_apk.py) that prints what apk-tools prints: there is none for
this system. What apk itself does is not proven by these tests.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.contract import standin_apk
from tests.contract.local_root import LocalRoot
from tests.contract.standin_apk import Standin
from tests.unit.pacman_cases import NOON
from wavemend.hosts import Conffiles, Facts, Host, ManagerOptions, PendingUpdate
from wavemend.managers.apk import ApkManager
from wavemend.outcomes import PackageOutcome, PackageResult
from wavemend.packages import JobEnd, JobScript, Target
from wavemend.transport import OUTPUT_BOUND, CommandResult

pytestmark = pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox is not installed")

ALPINE = Host(name="alp1", tenant="acme", address="192.0.2.1", manager="apk")
START: dict[str, Any] = {
    "installed": {
        "busybox": "1.36.1-r15",
        "ssl_client": "1.36.1-r15",
        "zip": "3.0-r10",
        "conf": "1.0-r0",
        "nginx": "1.24.0-r1",
    },
    "offered": {
        "busybox": "1.36.1-r19",
        "ssl_client": "1.36.1-r19",
        "zip": "3.0-r11",
        "conf": "1.1-r0",
        "nginx": "1.24.0-r7",
    },
    "older": {"zip": ["3.0-r10"]},
    "along": {"busybox": ["ssl_client"], "ssl_client": ["busybox"]},
    "origins": {"ssl_client": "busybox"},
    "world": ["alpine-baselayout", "busybox", "conf", "nginx=1.24.0-r1", "zip"],
    "conffile": "conf",
}


class BusyboxHost(LocalRoot):
    """A host whose every command is busybox' own."""

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Run a script by busybox' sh."""
        shell = ("busybox", "ash") if argv[0] == "/bin/sh" else (argv[0],)
        return super().run((*shell, *argv[1:]), stdin=stdin, deadline=deadline, bound=bound)


class AlpineRoot:
    """A root directory with the stand-in in it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        for path in ("etc/apk", "var"):
            (self.root / path).mkdir(parents=True)
        (self.root / "etc/os-release").write_text("ID=alpine\nVERSION_ID=3.19.1\n")
        (self.root / "etc/apk/repositories").write_text("https://mirror.lab/v3.19/main\n# old\n")
        (self.root / "proc").symlink_to("/proc")
        tools = folder / "bin"
        tools.mkdir()
        for applet in subprocess.check_output(["busybox", "--list"], text=True).split():
            (tools / applet).symlink_to(shutil.which("busybox") or "")
        apk = tools / "apk"
        apk.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {standin_apk.__file__} "$@"\n')
        apk.chmod(0o755)
        self.tools = tools
        self.host = BusyboxHost(self.root, tools)
        self.folder = folder
        self.manager = ApkManager()
        self.change(**START)

    def change(self, **state: object) -> None:
        """Change what the stand-in knows."""
        standin = Standin(self.root)
        if (self.root / "standin.json").exists():
            standin.load()
        standin.state.update(state)
        standin.save()

    def look(self, *, refresh: bool = True) -> Facts:
        """Look at the host."""
        return self.manager.read_facts(ALPINE, self.host, NOON, refresh=refresh, deadline=120)

    def pending(self) -> dict[str, PendingUpdate]:
        """Return the pending updates by name."""
        return {update.name: update for update in self.look().pending}

    def run(self, job: JobScript) -> JobEnd:
        """Run a job as the detached runner does."""
        script = self.folder / "script"
        script.write_text(job.text)
        inner = '"$@" </dev/null 2>&1'
        argv = ("/bin/sh", "-c", inner, "job", "busybox", "ash", str(script), *job.args)
        result = self.host.run(argv, deadline=60)
        return JobEnd(exit_status=result.exit_status, log=result.stdout)

    def apply(
        self, *targets: Target, options: ManagerOptions | None = None
    ) -> tuple[tuple[PackageResult, ...], JobEnd]:
        """Look, run the job, look again, and judge."""
        manager = ApkManager(options=options) if options else self.manager
        before = self.look(refresh=False)
        end = self.run(manager.apply_script(targets))
        return manager.judge(targets, before, self.look(refresh=False), end), end


@pytest.fixture
def alpine(tmp_path: Path) -> AlpineRoot:
    return AlpineRoot(tmp_path)


def target(name: str, version: str) -> Target:
    return Target(name=name, arch="x86_64", version=version)


ZIP = target("zip", "3.0-r11")


def test_a_look_reads_what_is_installed_from_which_source_and_what_is_pending(
    alpine: AlpineRoot,
) -> None:
    facts = alpine.look()

    assert (facts.os_id, facts.arch, facts.release_keys[-1]) == ("alpine", "x86_64", "alpine-3.19")
    assert [(p.name, p.version, p.source) for p in facts.installed][3] == (
        "ssl_client",
        "1.36.1-r15",
        "busybox",
    )
    assert facts.index_errors == ()
    assert [(item.name, item.reachable) for item in facts.repositories] == [
        ("https://mirror.lab/v3.19/main", True)
    ]


def test_updates_that_go_together_name_each_other(alpine: AlpineRoot) -> None:
    pending = alpine.pending()

    assert pending["zip"].brings == ()
    assert pending["busybox"].brings == (target("ssl_client", "1.36.1-r19"),)
    assert pending["busybox"].not_taken == ""


def test_a_package_that_world_pins_is_held(alpine: AlpineRoot) -> None:
    facts = alpine.look()

    nginx = {item.name: item for item in facts.pending}["nginx"]
    assert (nginx.held, nginx.candidate) == (True, "1.24.0-r7")
    assert facts.held == ("nginx",)


def test_an_update_that_removes_another_package_says_so(alpine: AlpineRoot) -> None:
    alpine.change(removes={"zip": ["conf"]})

    assert alpine.pending()["zip"].not_taken == "it would remove conf"


def test_exact_versions_come_in_and_world_stays_as_it_was(alpine: AlpineRoot) -> None:
    world = (alpine.root / "etc/apk/world").read_text()

    rehearsed = alpine.manager.rehearse(alpine.host, [ZIP], deadline=60)
    (result,), end = alpine.apply(ZIP)

    assert (rehearsed.refusal, rehearsed.installs) == ("", (ZIP,))
    assert (end.exit_status, result.outcome) == (0, PackageOutcome.INSTALLED)
    assert (alpine.root / "etc/apk/world").read_text() == world
    assert alpine.look(refresh=False).version_of("busybox") == "1.36.1-r15"


def test_the_way_back_pins_nothing(alpine: AlpineRoot) -> None:
    alpine.apply(ZIP)
    world = (alpine.root / "etc/apk/world").read_text()
    back = [target("zip", "3.0-r10")]

    rehearsed = alpine.manager.rehearse(alpine.host, back, deadline=60)
    before = alpine.look(refresh=False)
    end = alpine.run(alpine.manager.undo_script(back))
    (result,) = alpine.manager.judge(back, before, alpine.look(refresh=False), end)

    assert rehearsed.installs == tuple(back)
    assert (result.after, result.outcome) == ("3.0-r10", PackageOutcome.INSTALLED)
    assert (alpine.root / "etc/apk/world").read_text() == world


def test_what_is_not_in_the_plan_does_not_happen(alpine: AlpineRoot) -> None:
    (result,), end = alpine.apply(target("busybox", "1.36.1-r19"))

    assert end.exit_status == 71
    assert "not in the plan: Upgrading ssl_client" in end.log.decode()
    assert (result.after, result.outcome) == ("1.36.1-r15", PackageOutcome.FAILED)


def test_a_removal_that_was_not_planned_does_not_happen(alpine: AlpineRoot) -> None:
    alpine.change(removes={"zip": ["conf"]})

    _, end = alpine.apply(ZIP)

    assert end.exit_status == 71
    assert alpine.look(refresh=False).version_of("conf") == "1.0-r0"


def test_another_version_than_planned_does_not_come_in(alpine: AlpineRoot) -> None:
    (result,), end = alpine.apply(target("zip", "3.0-r10"))
    alpine.change(offered={**START["offered"], "zip": "3.0-r12"})
    (later,), ended = alpine.apply(ZIP)

    assert result.outcome is PackageOutcome.INSTALLED  # it is there already
    assert end.exit_status == ended.exit_status == 71
    assert (later.after, later.outcome) == ("3.0-r10", PackageOutcome.NOT_OFFERED)


def test_a_script_that_fails_leaves_a_broken_package_and_the_repair_mends_it(
    alpine: AlpineRoot,
) -> None:
    alpine.change(fails=["zip"])

    (result,), end = alpine.apply(ZIP)

    assert end.exit_status == 1
    assert result.outcome is PackageOutcome.FAILED
    assert result.detail.startswith("half done (iF, 3.0-r11): ERROR: zip-3.0-r11.post-upgrade")
    assert alpine.run(alpine.manager.repair_script()).exit_status == 0
    assert alpine.look(refresh=False).broken == ()


def test_an_edited_configuration_file_stays_or_is_replaced_as_the_profile_says(
    alpine: AlpineRoot,
) -> None:
    (alpine.root / "etc/conf").write_text("the administrator's\n")
    conf = target("conf", "1.1-r0")

    (kept,), _ = alpine.apply(conf)
    assert kept.detail == "kept the host's own /etc/conf"
    assert kept.outcome is PackageOutcome.CONFFILE_KEPT

    alpine.change(installed={**START["installed"]})
    (alpine.root / "etc/conf.apk-new").unlink()
    (taken,), _ = alpine.apply(conf, options=ManagerOptions(conffiles=Conffiles.REPLACE))
    assert taken.outcome is PackageOutcome.INSTALLED
    assert (alpine.root / "etc/conf").read_text() == "of 1.1-r0\n"
    assert (alpine.root / "etc/conf.apk-old").read_text() == "the administrator's\n"


def test_a_database_that_is_locked_is_said_to_be(alpine: AlpineRoot) -> None:
    alpine.change(locked=True)

    (result,), end = alpine.apply(ZIP)

    assert end.exit_status == 99
    assert "temporarily unavailable" in result.detail


def test_a_repository_that_cannot_be_reached_never_reads_as_nothing_pending(
    alpine: AlpineRoot,
) -> None:
    alpine.change(unreachable=True)

    facts = alpine.look()

    assert facts.index_errors == (
        "WARNING: fetching https://mirror.lab/v3.19/main: temporary error (try again later)",
    )
    assert [item.reachable for item in facts.repositories] == [False]


def diskless(alpine: AlpineRoot, status: str) -> None:
    """Let the host look like one that runs from memory; `lbu` is played here."""
    for name, text in (
        ("df", "echo 'Filesystem x'; echo 'tmpfs 1'"),
        ("lbu", f'[ "$1" = status ] && printf "%s" "{status}" || echo committed'),
    ):
        tool = alpine.tools / name
        tool.unlink(missing_ok=True)
        tool.write_text(f"#!/bin/sh\n{text}\n")
        tool.chmod(0o755)


def test_a_host_that_runs_from_memory_saves_what_was_changed(alpine: AlpineRoot) -> None:
    job = alpine.manager.apply_script([ZIP])
    diskless(alpine, "")

    end = alpine.run(job)

    assert end.exit_status == 0
    assert end.log.decode().rstrip().endswith("committed")


def test_a_host_that_runs_from_memory_with_changes_of_its_own_is_left_alone(
    alpine: AlpineRoot,
) -> None:
    job = alpine.manager.apply_script([ZIP])
    diskless(alpine, "U etc/motd")

    end = alpine.run(job)

    assert end.exit_status == 74
    assert standin_version(alpine, "zip") == "3.0-r10"


def standin_version(alpine: AlpineRoot, name: str) -> str:
    text = (alpine.root / "lib/apk/db/installed").read_text()
    return text.partition(f"P:{name}\nV:")[2].partition("\n")[0]
