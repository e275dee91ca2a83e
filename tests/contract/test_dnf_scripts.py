"""The jobs of dnf, yum and zypper run as written: exact words, bounded waits, nothing asked."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.local_root import LocalRoot
from wavemend.execution.jobs import LOG_BOUND
from wavemend.hosts import Conffiles, ManagerOptions
from wavemend.managers.beside import joined
from wavemend.managers.dnf import DnfManager
from wavemend.managers.rpm.logs import RpmLog
from wavemend.managers.zypper import ZypperManager
from wavemend.packages import JobScript, Target

FINE = Target(name="fine", arch="noarch", version="1:2.0-1.el9")
REPLACING = ManagerOptions(conffiles=Conffiles.REPLACE)

RECORDS = """#!/bin/sh
printf '%s\\n' "$0" "$@" >"$WAVEMEND_ROOT/argv"
read -r answer && echo "asked: $answer"
{then}
exit {status}
"""


def program(root: LocalRoot, name: str, text: str) -> Path:
    assert root.bin is not None
    path = root.bin / name
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def root(tmp_path: Path) -> LocalRoot:
    """A host whose tools are stand-ins that write down what they are asked."""
    for folder in ("root/etc", "root/proc", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    made = LocalRoot(tmp_path / "root", tmp_path / "bin")
    program(made, "rpm", "#!/bin/sh\necho fine\n")
    program(made, "sleep", "#!/bin/sh\nexit 0\n")
    return made


def stand_in(root: LocalRoot, name: str, *, status: int = 0, then: str = "") -> Path:
    return program(root, name, RECORDS.format(status=status, then=then))


def run(root: LocalRoot, script: JobScript) -> tuple[int, list[str]]:
    path = root.root / "job.sh"
    path.write_text(script.text)
    done = root.run(("sh", str(path), *script.args), deadline=60)
    return done.exit_status, done.stdout.decode().split("\n")


def argv(root: LocalRoot) -> list[str]:
    return (root.root / "argv").read_text().split("\n")[1:-1]


def test_dnf_is_asked_for_exactly_the_planned_build_and_never_asks_back(root: LocalRoot) -> None:
    stand_in(root, "dnf", status=77)

    status, log = run(root, DnfManager().apply_script([FINE]))

    assert status == 77
    assert argv(root)[-2:] == ["install", "fine-1:2.0-1.el9.noarch"]
    assert "-y" in argv(root)
    assert not {"--allowerasing", "--nogpgcheck", "--skip-broken"} & set(argv(root))
    assert log[0] == "wavemend-tool dnf4"
    assert not any(line.startswith("asked:") for line in log)


LONG = "warning: %post(fine-2.0-1.el9.noarch) scriptlet failed, exit status 3"


def test_a_script_that_failed_is_found_in_a_log_of_which_only_the_end_is_read_back(
    root: LocalRoot,
) -> None:
    pages = f"yes 'Verifying' | head -c {2 * LOG_BOUND}"
    stand_in(root, "dnf", then=f"echo '{LONG}'; {pages}")
    job = DnfManager().apply_script([FINE])
    (root.root / "job.sh").write_text(job.text)
    log = root.root / "log"

    run = ("sh", "-c", 'log=$1; shift; sh "$@" >"$log" 2>&1', "-", str(log))
    assert root.run((*run, str(root.root / "job.sh"), *job.args), deadline=60).exit_status == 0

    read_back = log.read_bytes()[-LOG_BOUND:].decode().splitlines()
    found = RpmLog(meanings={}, tool="dnf4", names=frozenset({"fine"})).failed(read_back)
    assert found == {"fine": "its %post script failed: exit status 3"}


def test_an_undo_names_the_older_build(root: LocalRoot) -> None:
    stand_in(root, "dnf")
    run(root, DnfManager().undo_script([FINE]))
    assert argv(root)[-2:] == ["downgrade", "fine-1:2.0-1.el9.noarch"]

    stand_in(root, "zypper")
    run(root, ZypperManager().undo_script([FINE]))
    assert argv(root)[-4:] == ["--oldpackage", "--name", "--", "fine.noarch=1:2.0-1.el9"]


def test_zypper_installs_exact_packages_and_never_patches(root: LocalRoot) -> None:
    stand_in(root, "zypper", status=102)

    status, _ = run(root, ZypperManager().apply_script([FINE]))

    assert status == 102
    words = argv(root)
    assert words[-3:] == ["--name", "--", "fine.noarch=1:2.0-1.el9"]
    assert "-n" in words
    assert "--no-recommends" in words
    assert "--no-force-resolution" in words
    assert not {"patch", "--oldpackage", "--no-gpg-checks"} & set(words)


def test_each_generation_of_dnf_is_told_apart(root: LocalRoot) -> None:
    assert root.bin is not None
    yum = stand_in(root, "yum")
    assert run(root, DnfManager().apply_script([FINE]))[1][0] == "wavemend-tool yum"
    assert "--setopt=install_weak_deps=False" not in argv(root)

    dnf5 = stand_in(root, "dnf5")
    assert run(root, DnfManager().apply_script([FINE]))[1][0] == "wavemend-tool dnf5"

    (root.bin / "dnf").symlink_to(dnf5)
    assert run(root, DnfManager().apply_script([FINE]))[1][0] == "wavemend-tool dnf5"

    for path in (root.bin / "dnf", dnf5, yum):
        path.unlink()
    stand_in(root, "dnf")
    assert run(root, DnfManager().apply_script([FINE]))[1][0] == "wavemend-tool dnf4"


EDITED = 'echo new >"$WAVEMEND_ROOT/etc/fine.conf.rpmnew"'


@pytest.mark.parametrize(
    ("options", "file", "beside", "word"),
    [
        (ManagerOptions(), "mine\n", "rpmnew", "kept"),
        (REPLACING, "new\n", "rpmsave", "replaced"),
    ],
    ids=["keep", "replace"],
)
def test_an_edited_configuration_file_stays_or_goes_as_the_profile_says(
    root: LocalRoot, options: ManagerOptions, file: str, beside: str, word: str
) -> None:
    conf = root.root / "etc/fine.conf"
    conf.write_text("mine\n")
    stand_in(root, "dnf", then=EDITED)

    _, log = run(root, DnfManager(options=options).apply_script([FINE]))

    assert conf.read_text() == file
    assert (root.root / f"etc/fine.conf.{beside}").exists()
    assert f"wavemend-{word} fine /etc/fine.conf" in log


def test_somebody_who_never_ends_is_named_and_nothing_is_begun(root: LocalRoot) -> None:
    stand_in(root, "dnf")
    (root.root / "proc/77").mkdir()
    (root.root / "proc/77/comm").write_text("packagekitd\n")
    lock = root.root / "var/lib/dnf/rpmdb_lock.pid"
    lock.parent.mkdir(parents=True)
    lock.write_text("77")  # dnf writes no end of line

    status, log = run(root, DnfManager().apply_script([FINE]))

    assert status == 200
    assert "wavemend-locked 77 packagekitd;" in log
    assert not (root.root / "argv").exists()


def test_a_lock_left_by_a_process_that_is_gone_holds_nobody_up(root: LocalRoot) -> None:
    stand_in(root, "dnf")
    lock = root.root / "var/lib/dnf/rpmdb_lock.pid"
    lock.parent.mkdir(parents=True)
    lock.write_text("78")

    assert run(root, DnfManager().apply_script([FINE]))[0] == 0


SPEC = """Name: {name}
Version: {version}
Release: 1
Summary: test
License: none
BuildArch: noarch
%description
A package without files.
%files
"""


@pytest.fixture
def real_rpm(root: LocalRoot, tmp_path: Path) -> LocalRoot:
    """The same host with the real rpm, on a database of its own, with packages without files."""
    if not shutil.which("rpmbuild"):
        pytest.skip("rpmbuild is not installed")
    assert root.bin is not None
    (root.bin / "rpm").unlink()
    home = tmp_path / "home"
    home.mkdir()
    (home / ".rpmmacros").write_text(f"%_dbpath {tmp_path}/db\n%_topdir {tmp_path}/top\n")
    host = LocalRoot(root.root, root.bin, extra={"HOME": str(home)})
    for name, version in (("cut", "2.0"), ("cut", "1.0"), ("whole", "1.0"), ("kernel", "5")):
        install(host, tmp_path, name, version)
    return host


def install(host: LocalRoot, folder: Path, name: str, version: str) -> None:
    spec = folder / f"{name}-{version}.spec"
    spec.write_text(SPEC.format(name=name, version=version))
    build = ("rpmbuild", "-bb", "--quiet", str(spec))
    subprocess.run(build, env=host.environment(), check=True, capture_output=True)
    package = folder / f"top/RPMS/noarch/{name}-{version}-1.noarch.rpm"
    done = host.run(("rpm", "-i", "--force", "--nodeps", "--oldpackage", str(package)), deadline=60)
    assert done.exit_status == 0, done.stderr


def there(host: LocalRoot) -> list[str]:
    listed = host.run(("rpm", "-qa", "--qf", "%{NAME}-%{VERSION}\\n"), deadline=60)
    return sorted(listed.stdout.decode().split())


def test_a_repair_takes_away_what_came_in_first_and_installs_the_rest_once_more(
    real_rpm: LocalRoot, tmp_path: Path
) -> None:
    install(real_rpm, tmp_path, "kernel", "6")
    stand_in(real_rpm, "zypper")
    assert there(real_rpm) == ["cut-1.0", "cut-2.0", "kernel-5", "kernel-6", "whole-1.0"]

    status, log = run(real_rpm, ZypperManager().repair_script())

    # 1.0 came in last: a downgrade was cut, and is finished as one.
    assert there(real_rpm) == ["cut-1.0", "kernel-5", "kernel-6", "whole-1.0"]
    assert (status, "wavemend-erases cut-2.0-1.noarch" in log) == (0, True)
    assert argv(real_rpm)[-4:] == ["--force", "--name", "--", "cut.noarch=1.0-1"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("etc/dnf/dnf.conf", "[main]\n# mine\ninstallonlypkgs = kernel,\n  cut other\nbest=1\n"),
        ("etc/zypp/zypp.conf", "[main]\nmultiversion=provides:multiversion(kernel), cut\n"),
        ("etc/zypp/multiversion.d/ours", "# ours\ncut\n"),
    ],
)
def test_what_the_hosts_configuration_keeps_beside_each_other_is_nothing_to_repair(
    real_rpm: LocalRoot, file: str, text: str
) -> None:
    stand_in(real_rpm, "zypper")
    (real_rpm.root / file).parent.mkdir(parents=True)
    (real_rpm.root / file).write_text(text)

    assert run(real_rpm, ZypperManager().repair_script())[0] == 0
    assert there(real_rpm) == ["cut-1.0", "cut-2.0", "kernel-5", "whole-1.0"]


def test_a_repair_of_a_whole_host_changes_nothing(real_rpm: LocalRoot) -> None:
    stand_in(real_rpm, "zypper")
    real_rpm.run(("rpm", "-e", "cut-2.0-1.noarch"), deadline=60)
    before = there(real_rpm)

    assert run(real_rpm, ZypperManager().repair_script())[0] == 0
    assert there(real_rpm) == before
    assert not (real_rpm.root / "argv").exists()


@pytest.mark.parametrize(("status", "ends"), [(0, 7), (102, 7), (103, 7), (107, 107), (8, 8)])
def test_what_is_joined_to_a_success_that_asks_for_a_reboot_follows_it(
    status: int, ends: int
) -> None:
    main = replace(ZypperManager().apply_script([FINE]), text=f"exit {status}", args=())
    job = joined([main, JobScript(text="exit 7", args=())])

    assert subprocess.run(["sh", "-c", job.text], check=False).returncode == ends
