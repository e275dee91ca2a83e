"""A real pacman brings exact versions in and takes them back, and what it leaves behind is told."""

import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.contract.pacman_bench import PROGRAMS, ArchRoot, Package, lacks, target
from tests.unit.pacman_cases import ARCH
from wavemend.hosts import LOCK_LEFT_BEHIND, Conffiles, ManagerOptions
from wavemend.managers.pacman import explain_exit
from wavemend.outcomes import PackageOutcome
from wavemend.testing.manager_contract import ManagerContract, Trial
from wavemend.versions import pacman_key

pytestmark = pytest.mark.skipif(bool(lacks()), reason=f"not installed here: {lacks()}")

OLD = (
    Package(name="zip", version="1.0-1"),
    Package(name="lib", version="1.0-1"),
    Package(name="mid", version="1-1", depends=("lib",)),
    Package(name="app", version="1.0-1", depends=("mid",)),
    Package(name="conf", version="1.0-1", files={"etc/conf": "old\n"}, backup=("etc/conf",)),
)
NEW = (
    Package(name="zip", version="1.1-1"),
    Package(name="lib", version="1.1-1"),
    Package(name="mid", version="1-1", depends=("lib",)),
    Package(name="app", version="1.1-1", depends=("mid",)),
    Package(name="conf", version="1.1-1", files={"etc/conf": "new\n"}, backup=("etc/conf",)),
)
ZIP = target("zip", "1.1-1")


@pytest.fixture
def arch(tmp_path: Path) -> ArchRoot:
    """A host with everything at its old version, and the new ones offered."""
    root = ArchRoot(tmp_path)
    root.install(*OLD)
    root.offer(*NEW)
    return root


def test_a_look_reads_what_is_pending_and_leaves_the_hosts_own_databases_alone(
    arch: ArchRoot,
) -> None:
    own = arch.db / "sync/core.db"
    before = own.read_bytes()

    pending = arch.pending()

    names = ("app", "conf", "lib", "zip")
    assert {name: update.candidate for name, update in pending.items()} == dict.fromkeys(
        names, "1.1-1"
    )
    assert pending["zip"].origin == "core"
    assert own.read_bytes() == before
    assert not (arch.db / "db.lck").exists()


def test_without_a_refresh_the_last_look_at_the_mirrors_counts(arch: ArchRoot) -> None:
    assert arch.look(refresh=False).pending == ()
    arch.look()
    assert [update.name for update in arch.look(refresh=False).pending] == [
        "app",
        "conf",
        "lib",
        "zip",
    ]


def test_updates_that_were_built_for_each_other_come_together(arch: ArchRoot) -> None:
    pending = arch.pending()

    assert pending["lib"].brings == (target("app", "1.1-1"),)
    assert pending["app"].brings == (target("lib", "1.1-1"),)
    assert pending["zip"].brings == ()


def test_a_partial_upgrade_is_refused_and_names_what_is_missing(arch: ArchRoot) -> None:
    arch.look()

    refused = arch.manager.rehearse(arch.host, [target("lib", "1.1-1")], deadline=60)
    whole = arch.manager.rehearse(
        arch.host, [target("lib", "1.1-1"), target("app", "1.1-1")], deadline=60
    )

    assert refused.refusal == ("a partial upgrade, which Arch does not support: lib goes with app")
    assert whole.refusal == ""
    assert whole.installs == (target("app", "1.1-1"), target("lib", "1.1-1"))


def test_nothing_comes_in_that_was_built_for_a_held_package(arch: ArchRoot) -> None:
    arch.configure(ignored="lib")
    pending = arch.pending()

    assert pending["lib"].held
    assert pending["app"].not_taken == "it needs the new lib, which is on hold"
    refused = arch.manager.rehearse(arch.host, [target("app", "1.1-1")], deadline=60)
    assert refused.refusal.endswith("app needs the new lib, which is on hold")


def test_what_a_held_package_needs_is_free_to_come(arch: ArchRoot) -> None:
    arch.configure(ignored="app")

    assert arch.pending()["lib"].not_taken == ""
    assert arch.manager.rehearse(arch.host, [target("lib", "1.1-1")], deadline=60).refusal == ""


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_exact_versions_come_in_and_nothing_else(arch: ArchRoot, shell: str) -> None:
    arch.look()

    results, end = arch.apply(ZIP, shell=shell)

    assert end.exit_status == 0
    assert [(item.before, item.after, item.outcome) for item in results] == [
        ("1.0-1", "1.1-1", PackageOutcome.INSTALLED)
    ]
    assert arch.look(refresh=False).version_of("lib") == "1.0-1"


def test_the_way_back_uses_the_package_files_the_host_kept(arch: ArchRoot) -> None:
    arch.look()
    arch.apply(ZIP)
    before = arch.look(refresh=False)

    back = [target("zip", "1.0-1")]
    rehearsed = arch.manager.rehearse(arch.host, back, deadline=60)
    end = arch.run(arch.manager.undo_script(back))
    (result,) = arch.manager.judge(back, before, arch.look(refresh=False), end)

    assert (rehearsed.refusal, rehearsed.installs) == ("", tuple(back))
    assert (result.after, result.outcome) == ("1.0-1", PackageOutcome.INSTALLED)


def test_a_version_that_is_to_be_had_nowhere_changes_nothing(arch: ArchRoot) -> None:
    arch.look()

    rehearsed = arch.manager.rehearse(arch.host, [target("zip", "9.0-1")], deadline=60)
    results, end = arch.apply(target("app", "9.0-1"), ZIP)

    assert rehearsed.refusal == "not in a repository and not in the cache: zip-9.0-1"
    assert end.exit_status == 71
    assert [item.after for item in results] == ["1.0-1", "1.0-1"]
    assert [item.outcome for item in results] == [
        PackageOutcome.NOT_OFFERED,
        PackageOutcome.FAILED,
    ]
    assert results[1].detail == "still at 1.0-1: error: to be had nowhere: app-9.0-1"


def test_a_hold_set_after_the_plan_stops_the_job_before_it_changes_anything(
    arch: ArchRoot,
) -> None:
    arch.look()
    arch.configure(ignored="zip")

    (result,), end = arch.apply(ZIP)

    assert end.exit_status == 72
    assert result.outcome is PackageOutcome.HELD


def test_a_download_that_fails_changes_nothing(arch: ArchRoot) -> None:
    arch.look()
    (arch.repository / NEW[0].file).unlink()

    (result,), end = arch.apply(ZIP)

    assert end.exit_status == 73
    assert (result.outcome, result.after) == (PackageOutcome.FAILED, "1.0-1")
    assert "zip-1.1-1-any.pkg.tar.gz" in result.detail


def test_a_package_file_that_is_not_the_repositorys_is_not_installed(arch: ArchRoot) -> None:
    arch.look()
    (arch.repository / NEW[0].file).write_bytes(NEW[0].build() + b"something else")

    (result,), end = arch.apply(ZIP)

    assert end.exit_status == 73
    assert result.after == "1.0-1"


def test_an_edited_configuration_file_stays_and_is_named(arch: ArchRoot) -> None:
    (arch.root / "etc/conf").write_text("the administrator's\n")
    arch.look()

    (result,), _ = arch.apply(target("conf", "1.1-1"))

    assert result.outcome is PackageOutcome.CONFFILE_KEPT
    assert result.detail == "kept the host's own /etc/conf"
    assert (arch.root / "etc/conf").read_text() == "the administrator's\n"
    assert (arch.root / "etc/conf.pacnew").read_text() == "new\n"


def test_the_packages_configuration_file_replaces_the_edited_one_where_the_profile_says_so(
    arch: ArchRoot,
) -> None:
    (arch.root / "etc/conf").write_text("the administrator's\n")
    arch.look()

    (result,), _ = arch.apply(
        target("conf", "1.1-1"), options=ManagerOptions(conffiles=Conffiles.REPLACE)
    )

    assert result.outcome is PackageOutcome.INSTALLED
    assert (arch.root / "etc/conf").read_text() == "new\n"
    assert (arch.root / "etc/conf.pacsave").read_text() == "the administrator's\n"


def test_a_script_that_fails_is_no_success_although_pacman_ends_with_0(arch: ArchRoot) -> None:
    script = "post_upgrade() { false; }\n"
    arch.offer(Package(name="zip", version="1.2-1", install=script), *NEW[1:])
    arch.look()

    results, end = arch.apply(target("conf", "1.1-1"), target("zip", "1.2-1"))

    assert end.exit_status == 0
    assert {item.name: (item.after, item.outcome) for item in results} == {
        "conf": ("1.1-1", PackageOutcome.INSTALLED),
        "zip": ("1.2-1", PackageOutcome.FAILED),
    }
    assert results[1].detail == "at 1.2-1, but its script failed"


def test_a_hook_that_fails_is_no_success_for_any_package(arch: ArchRoot) -> None:
    hooks = arch.root / "etc/hooks"
    hooks.mkdir()
    (hooks / "image.hook").write_text(
        "[Trigger]\nOperation = Upgrade\nType = Package\nTarget = *\n"
        "[Action]\nDescription = Building the boot image\nWhen = PostTransaction\n"
        "Exec = /usr/bin/not-there\n"
    )
    arch.look()

    (result,), end = arch.apply(ZIP)

    assert end.exit_status == 0
    assert result.outcome is PackageOutcome.FAILED
    assert result.detail == "at 1.1-1, but a hook failed: Building the boot image"


def test_a_new_dependency_counts_as_one_and_not_as_wanted(arch: ArchRoot) -> None:
    arch.offer(
        Package(name="zip", version="2-1", depends=("extra",)),
        Package(name="extra", version="1-1"),
        *NEW[1:],
    )
    pending = arch.pending()
    assert pending["zip"].brings == (target("extra", "1-1"),)

    arch.apply(target("zip", "2-1"), target("extra", "1-1"))

    assert arch.pacman("-Qdq").split() == ["extra"]
    assert "zip" in arch.pacman("-Qeq").split()


def test_an_update_that_would_remove_or_replace_another_package_says_so(arch: ArchRoot) -> None:
    arch.offer(
        Package(name="zip", version="2-1", conflicts=("mid",)),
        Package(name="newconf", version="1-1", replaces=("conf",), conflicts=("conf",)),
        *NEW[1:4],
    )
    pending = arch.pending()

    assert pending["zip"].removes == ("mid",)
    assert pending["conf"].origin == "core: replaced by newconf"
    assert pending["conf"].removes == ("conf",)
    rehearsed = arch.manager.rehearse(arch.host, [target("zip", "2-1")], deadline=60)
    assert rehearsed.refusal == "it conflicts with installed packages: mid"


def test_after_a_whole_upgrade_the_hosts_own_databases_say_so_too(arch: ArchRoot) -> None:
    arch.look()
    arch.apply(ZIP)
    assert "zip 1.0-1" in arch.pacman("-Sl", "core")

    arch.apply(*(target(name, "1.1-1") for name in ("app", "conf", "lib")))

    assert "zip 1.1-1 [installed]" in arch.pacman("-Sl", "core")
    assert not (arch.db / "db.lck").exists()


def test_the_holder_of_the_lock_is_named_and_waited_for(arch: ArchRoot) -> None:
    arch.look()
    lock = arch.db / "db.lck"
    with subprocess.Popen(
        ["/bin/sh", "-c", f"exec 3>{lock}; sleep 2; rm {lock}; sleep 30"], start_new_session=True
    ) as holder:
        while not lock.exists():
            time.sleep(0.05)
        facts = arch.look(refresh=False)
        began = time.monotonic()
        (result,), end = arch.apply(ZIP)
        waited = time.monotonic() - began
        holder.kill()

    assert f"({holder.pid})" in facts.lock_holder
    assert (end.exit_status, result.outcome) == (0, PackageOutcome.INSTALLED)
    assert waited >= 1


def test_a_lock_that_nobody_holds_any_more_is_told_apart_and_repaired(arch: ArchRoot) -> None:
    arch.look()
    (arch.db / "db.lck").touch()

    assert arch.look(refresh=False).lock_holder == LOCK_LEFT_BEHIND
    assert arch.run(arch.manager.repair_script()).exit_status == 0
    assert arch.look(refresh=False).lock_holder == ""


def test_a_repair_leaves_the_lock_of_a_running_pacman_alone(arch: ArchRoot) -> None:
    lock = arch.db / "db.lck"
    with lock.open("w"):
        end = arch.run(arch.manager.repair_script())

    assert end.exit_status == 75
    assert lock.exists()


def test_an_entry_that_was_never_finished_is_broken_and_repaired(arch: ArchRoot) -> None:
    (arch.db / "local/zip-1.0-1/desc").write_text("")

    facts = arch.look()
    assert [(item.name, item.version, item.status) for item in facts.broken] == [
        ("zip", "1.0-1", "iH")
    ]
    assert facts.version_of("zip") == ""

    assert arch.run(arch.manager.repair_script()).exit_status == 0
    facts = arch.look()
    assert (facts.broken, facts.version_of("zip")) == ((), "1.0-1")


def test_a_repair_that_cannot_install_again_leaves_the_entry_to_be_seen(arch: ArchRoot) -> None:
    (arch.db / "local/zip-1.0-1/desc").write_text("")
    (cached,) = arch.cache.glob("zip-1.0-1-*.pkg.tar*")
    whole = cached.read_bytes()
    cached.write_bytes(whole[:100])

    assert arch.run(arch.manager.repair_script()).exit_status not in {0, None}
    assert [item.name for item in arch.look().broken] == ["zip"]
    # The same, killed while pacman was at work.
    (arch.db / "wavemend-unfinished").mkdir(exist_ok=True)
    (arch.db / "local/zip-1.0-1").rename(arch.db / "wavemend-unfinished/zip-1.0-1")
    assert [item.name for item in arch.look().broken] == ["zip"]

    cached.write_bytes(whole)
    assert arch.run(arch.manager.repair_script()).exit_status == 0
    assert (arch.look().broken, arch.look().version_of("zip")) == ((), "1.0-1")


def test_a_repository_that_cannot_be_reached_never_reads_as_nothing_pending(
    arch: ArchRoot,
) -> None:
    arch.configure(server="file:///nowhere")

    facts = arch.look()

    assert any("failed retrieving file 'core.db'" in error for error in facts.index_errors)
    assert [(item.name, item.reachable) for item in facts.repositories] == [("core", False)]


def test_a_repository_without_a_database_never_reads_as_nothing_pending(arch: ArchRoot) -> None:
    (arch.db / "sync/core.db").unlink()

    assert arch.look(refresh=False).index_errors[0] == "no database of the repository core"


class TestPacmanByTheContract(ManagerContract):
    """What every manager must keep, on a host with one update that needs no other."""

    @pytest.fixture
    def trial(self, arch: ArchRoot) -> Trial:
        """Name the manager and the host."""
        arch.offer(NEW[0], *OLD[1:])
        return Trial(
            manager=arch.manager,
            host=ARCH,
            connect=lambda: arch.host,
            clock=lambda: datetime.now(UTC),
            version_key=pacman_key,
            programs=PROGRAMS,
            knows_exit=lambda status: "does not document" not in explain_exit(status),
        )
