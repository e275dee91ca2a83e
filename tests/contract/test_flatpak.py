"""A real flatpak beside a real pacman: one manager looks at both, changes both and judges both."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract import flatpak_bench, pacman_bench
from tests.contract.flatpak_bench import FlatpakRoot
from tests.contract.local_root import LocalRoot
from tests.contract.pacman_bench import ArchRoot, Package, target
from tests.unit.pacman_cases import ARCH, NOON
from wavemend.errors import PlanError
from wavemend.hosts import Facts, ManagerOptions, PendingUpdate
from wavemend.managers import MANAGERS, Manager
from wavemend.managers.beside import joined
from wavemend.outcomes import PackageOutcome
from wavemend.packages import JobEnd, JobScript, Target

LACKING = flatpak_bench.lacks() or pacman_bench.lacks()
pytestmark = pytest.mark.skipif(bool(LACKING), reason=f"not installed here: {LACKING}")

TOOL = "org.lab.Tool"
PLACE = "flatpak/x86_64/stable"


class Both:
    """One host with both, each with an update pending."""

    def __init__(self, folder: Path) -> None:
        self.paks = FlatpakRoot(folder / "flatpak")
        self.paks.install()
        self.arch = ArchRoot(folder)
        self.arch.install(Package(name="zip", version="1.0-1"))
        self.arch.offer(Package(name="zip", version="1.1-1"))
        self.host = LocalRoot(self.arch.root, self.arch.host.bin, extra=self.paks.environment)
        self.manager: Manager = MANAGERS["pacman"](ManagerOptions(sources=("flatpak",)))
        self.arch.host = self.host

    def look(self, *, refresh: bool = True) -> Facts:
        return self.manager.read_facts(ARCH, self.host, NOON, refresh=refresh, deadline=300)

    def offer(self) -> PendingUpdate:
        (update,) = [item for item in self.look().pending if item.name == TOOL]
        return update


@pytest.fixture
def both(tmp_path: Path) -> Both:
    made = Both(tmp_path)
    made.paks.publish("2.0")
    return made


def tool(commit: str) -> Target:
    return Target(name=TOOL, arch=PLACE, version=commit)


def test_flatpaks_stand_beside_packages_and_name_where_they_come_from(both: Both) -> None:
    facts = both.look()

    assert facts.index_errors == ()
    assert [(item.name, item.arch) for item in facts.installed] == [
        ("org.lab.Platform", "flatpak/x86_64/1"),
        (TOOL, PLACE),
        ("zip", "any"),
    ]
    assert [(item.name, item.arch, item.origin) for item in facts.pending] == [
        (TOOL, PLACE, "lab"),
        ("zip", "any", "core"),
    ]
    assert both.offer().installed == facts.version_of(TOOL, PLACE)
    (remote,) = [item for item in facts.repositories if item.name.startswith("flatpak")]
    assert (remote.name, remote.reachable, remote.signed) == ("flatpak: lab", True, False)


def test_packages_and_flatpaks_come_in_together_by_exact_versions_and_go_back(both: Both) -> None:
    before = both.look()
    offer = both.offer()
    targets = [target("zip", "1.1-1"), tool(offer.candidate)]

    rehearsed = both.manager.rehearse(both.host, targets, deadline=120)
    end = both.arch.run(both.manager.apply_script(targets))
    after = both.look()
    results = both.manager.judge(targets, before, after, end)

    assert (rehearsed.refusal, rehearsed.installs) == ("", tuple(sorted(targets)))
    assert [item.outcome for item in results] == [PackageOutcome.INSTALLED] * 2
    assert after.pending == ()

    back = [target("zip", "1.0-1"), tool(offer.installed)]
    end = both.arch.run(both.manager.undo_script(back))
    results = both.manager.judge(back, after, both.look(), end)
    assert [(item.after, item.outcome) for item in results] == [
        (offer.installed, PackageOutcome.INSTALLED),
        ("1.0-1", PackageOutcome.INSTALLED),
    ]


def test_after_a_failure_of_one_part_nothing_more_is_changed_and_its_status_is_the_jobs(
    both: Both,
) -> None:
    before = both.look()
    offer = both.offer()
    targets = [target("zip", "7.7-7"), tool(offer.candidate)]

    end = both.arch.run(both.manager.apply_script(targets))
    after = both.look()

    assert end.exit_status == 71
    assert after.version_of(TOOL, PLACE) == before.version_of(TOOL, PLACE)
    results = {item.name: item for item in both.manager.judge(targets, before, after, end)}
    assert results[TOOL].outcome is PackageOutcome.FAILED
    assert results["zip"].outcome is PackageOutcome.NOT_OFFERED


def test_a_masked_flatpak_is_held(both: Both) -> None:
    both.paks.run("mask", "org.lab.T*")

    offer = both.offer()

    assert offer.held
    refused = both.manager.rehearse(both.host, [tool(offer.candidate)], deadline=120)
    assert refused.refusal == f"{TOOL} is on hold"
    # flatpak itself says "Nothing to do" and ends with 0: the second look tells the truth.
    before = both.look()
    end = both.arch.run(both.manager.apply_script([tool(offer.candidate)]))
    (result,) = both.manager.judge([tool(offer.candidate)], before, both.look(), end)
    assert (end.exit_status, result.outcome) == (0, PackageOutcome.HELD)


def test_a_flatpak_that_needs_a_new_runtime_is_kept_back(both: Both) -> None:
    both.paks.publish("3.0", runtime="2")

    assert both.offer().not_taken == "it would add or remove other packages"


def test_a_remote_that_cannot_be_reached_never_reads_as_nothing_pending(both: Both) -> None:
    both.paks.repository.rename(both.paks.folder / "gone")

    facts = both.look()

    assert any(error.startswith("flatpak remote lab: ") for error in facts.index_errors)
    assert [r.reachable for r in facts.repositories if r.name.startswith("flatpak")] == [False]


def test_a_commit_that_does_not_exist_changes_nothing(both: Both) -> None:
    before = both.look()
    wanted = [tool("0" * 64)]

    end = both.arch.run(both.manager.apply_script(wanted))
    (result,) = both.manager.judge(wanted, before, both.look(), end)

    assert end.exit_status == 1
    assert result.outcome is PackageOutcome.NOT_OFFERED
    assert result.after == result.before


def test_a_host_where_flatpak_installed_nothing_has_none_and_that_is_no_fault(both: Both) -> None:
    empty = replace(both.host, extra={**both.paks.environment, "FLATPAK_SYSTEM_DIR": "/nowhere"})
    facts = both.manager.read_facts(ARCH, empty, NOON, refresh=False, deadline=300)

    assert [item.name for item in facts.installed] == ["zip"]
    assert facts.index_errors == ()


@pytest.mark.parametrize(
    ("name", "arch", "commit"),
    [
        ("$(id)", PLACE, "0" * 64),
        ("--all", PLACE, "0" * 64),
        (TOOL, "flatpak/x86_64/a b", "0" * 64),
        (TOOL, PLACE, "latest"),
        (TOOL, PLACE, "0" * 63 + ";"),
    ],
)
def test_what_is_no_reference_or_no_commit_is_refused(name: str, arch: str, commit: str) -> None:
    manager = MANAGERS["pacman"](ManagerOptions(sources=("flatpak",)))

    with pytest.raises(PlanError):
        manager.apply_script([Target(name=name, arch=arch, version=commit)])


def test_an_unknown_source_is_refused_by_name() -> None:
    with pytest.raises(PlanError, match="no source is called 'brew'"):
        MANAGERS["pacman"](ManagerOptions(sources=("brew",)))


def test_a_job_cut_before_its_end_is_told_by_what_is_there(both: Both) -> None:
    before = both.look()
    offer = both.offer()

    lost = JobEnd(exit_status=None, log=b"")
    (result,) = both.manager.judge([tool(offer.candidate)], before, both.look(), lost)

    assert result.outcome is PackageOutcome.FAILED
    assert result.detail.endswith("the transaction's end was never recorded")


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_each_part_of_a_joined_job_gets_its_own_arguments_however_many(
    shell: str, tmp_path: Path
) -> None:
    first = JobScript(text='printf "%s|" "$#" "$@"; cd /; exit 0', args=tuple("abcdefghijkl"))
    last = JobScript(text='printf "%s|" "$#" "$@"; exit 7', args=("a b", "$(id)", "'\"", "*"))
    job = joined([first, last, first])
    script = tmp_path / "job"
    script.write_text(job.text)

    program = ["busybox", "ash"] if shell == "busybox" else [shell]
    done = subprocess.run([*program, str(script), *job.args], capture_output=True, check=False)

    assert done.returncode == 7
    assert done.stdout == b"12|a|b|c|d|e|f|g|h|i|j|k|l|4|a b|$(id)|'\"|*|"
