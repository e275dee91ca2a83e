"""A plan's packages reach apt-get as data, exactly, and a second look says what became of them."""

import dataclasses
import shutil
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.local_root import LocalRoot
from tests.unit.apt_cases import LAB, RECORDED, Replies, read, recorded
from wavemend.errors import PlanError
from wavemend.hosts import (
    Conffiles,
    Facts,
    InstalledPackage,
    ManagerOptions,
    PendingUpdate,
    Services,
)
from wavemend.managers.apt import APT, AptManager, explain_exit
from wavemend.managers.apt.parse import read_sizes
from wavemend.managers.apt.targets import word_of
from wavemend.managers.reading.sections import Section
from wavemend.outcomes import PackageOutcome, PackageResult
from wavemend.packages import JobEnd, JobScript, Target, Transaction


def target(name: str, version: str, arch: str = "all") -> Target:
    return Target(name=name, arch=arch, version=version)


ZIP = target("zip", "3.0-13+deb12u1", "amd64")
REPLACE = ManagerOptions(conffiles=Conffiles.REPLACE, services=Services.RESTART)


def rehearsed(name: str) -> Transaction:
    return RECORDED.rehearse(Replies(recorded(name)), [ZIP], deadline=60)


def test_a_rehearsal_names_everything_that_would_be_installed() -> None:
    assert rehearsed("rehearse-as-planned") == Transaction(
        installs=(target("lab-conffile", "1.1"), ZIP), removals=()
    )
    assert rehearsed("rehearse-new-dependency").installs == (
        target("lab-dep", "1.0"),
        target("lab-newdep", "1.1"),
    )


def test_a_rehearsal_knows_its_size_where_apt_says_it() -> None:
    sized, unsized = rehearsed("rehearse-with-sizes"), rehearsed("rehearse-as-planned")

    assert (sized.download_bytes, sized.install_bytes) == (498_456 + 230_316, 147_000)
    assert (unsized.download_bytes, unsized.install_bytes) == (None, None)


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ("After this operation, 0 B of additional disk space will be used.", 0),
        ("After this operation, 1,024 kB of additional disk space will be used.", 1_024_000),
        ("After this operation, 12.3 MB of additional disk space will be used.", 12_300_000),
        ("After this operation, 2.5 GB disk space will be freed.", -2_500_000_000),
        ("After this operation, many B of additional disk space will be used.", None),
    ],
)
def test_room_is_read_in_apts_own_units(words: str, size: int | None) -> None:
    assert read_sizes(Section(lines=(words,), errors=(), status=0)) == (0, size)
    assert read_sizes(Section(lines=(words,), errors=(), status=100)) == (None, None)


def test_a_rehearsal_names_what_would_be_removed() -> None:
    assert rehearsed("rehearse-removal").removals == ("lab-victim",)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("rehearse-held", "Held packages were changed"),
        ("rehearse-held", "namely lab-held"),
        ("rehearse-unmet", "lab-unmet : Depends: lab-nowhere but it is not installable"),
        ("rehearse-version-gone", "Version '9.9' for 'zip' was not found"),
    ],
)
def test_a_refusal_names_its_cause(case: str, words: str) -> None:
    transaction = rehearsed(case)

    assert words in transaction.refusal
    assert transaction.installs == ()


HOSTILE = [
    ("", "1", "all"),
    ("a", "1", "all"),
    ("-oAPT::x", "1", "all"),
    ("--purge", "1", "all"),
    ("foo;reboot", "1", "all"),
    ("foo bar", "1", "all"),
    ("foo\nbar", "1", "all"),
    ("$(reboot)", "1", "all"),
    ("`id`", "1", "all"),
    ("foo*", "1", "all"),
    ("foo^", "1", "all"),
    ("../foo.deb", "1", "all"),
    ("Foo", "1", "all"),
    ("f\u00f6\u00f6", "1", "all"),
    ("foo", "", "all"),
    ("foo", "1 2", "all"),
    ("foo", "1;id", "all"),
    ("foo", "1\n", "all"),
    ("foo", "1/unstable", "all"),
    ("foo", "1.0-", "all"),
    ("foo", "1.0+", "all"),
    ("foo", "~1", "all"),
    ("foo", "1" * 300, "all"),
    ("foo", "1", ""),
    ("foo", "1", "all=2"),
    ("foo", "1", "all\n"),
]


@pytest.mark.parametrize(("name", "version", "arch"), HOSTILE)
def test_what_debian_policy_does_not_allow_is_refused(name: str, version: str, arch: str) -> None:
    for call in (
        lambda: APT.apply_script([target(name, version, arch)]),
        lambda: APT.rehearse(Replies(b""), [target(name, version, arch)], deadline=60),
    ):
        with pytest.raises(PlanError):
            call()


@pytest.mark.parametrize(
    ("name", "version"),
    [("libstdc++6", "12.2.0-14+deb12u1"), ("0ad", "1:0.0.26-3~b1"), ("g++", "4:12.2.0-3")],
)
def test_what_debian_policy_allows_is_taken(name: str, version: str) -> None:
    assert word_of(target(name, version, "amd64")) == f"{name}:amd64={version}"


def test_an_empty_list_of_targets_is_refused() -> None:
    with pytest.raises(PlanError, match="no package is named"):
        APT.apply_script([])


def test_a_package_named_twice_is_refused() -> None:
    with pytest.raises(PlanError, match="twice"):
        APT.apply_script([target("foo", "1"), target("foo", "2")])


def test_the_order_of_targets_does_not_change_the_job() -> None:
    targets = [target("zoo", "1"), target("abc", "2"), ZIP]

    assert APT.apply_script(targets) == APT.apply_script(targets[::-1])


def test_the_job_removes_nothing_asks_nothing_and_waits_for_a_lock_a_bounded_time() -> None:
    args = APT.apply_script([ZIP]).args

    assert args[-3:] == ("install", "--", "zip:amd64=3.0-13+deb12u1")
    for option in (
        "-y",
        "--no-remove",
        "--no-install-recommends",
        "-oDpkg::Options::=--force-confdef",
        "-oDpkg::Options::=--force-confold",
        "-oDPkg::Lock::Timeout=120",
        "-oAPT::Get::Allow-Downgrades=false",
    ):
        assert option in args


def test_going_back_allows_older_versions_and_still_removes_nothing() -> None:
    args = AptManager(options=REPLACE).undo_script([ZIP]).args

    assert args[-3:] == ("install", "--", "zip:amd64=3.0-13+deb12u1")
    assert {"-oAPT::Get::Allow-Downgrades=true", "--no-remove"} <= set(args)
    assert "-oAPT::Get::Allow-Downgrades=false" not in args
    assert "-oDpkg::Options::=--force-confold" in args, "an undo replaces no edited file"
    with pytest.raises(PlanError):
        APT.undo_script([target("zip", "")])


def test_what_a_profile_replaces_is_not_left_to_the_packages_default() -> None:
    args = AptManager(options=REPLACE).apply_script([ZIP]).args

    assert args[2:4] == ("a", "new")
    assert "-oDpkg::Options::=--force-confnew" in args
    assert not [word for word in args if word.endswith(("force-confold", "force-confdef"))]


CONTROL = """Package: foo
Version: {version}
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: test
"""


def debian_package(folder: Path, version: str) -> Path:
    tree = folder / version
    for name, text in {
        "DEBIAN/control": CONTROL.format(version=version),
        "DEBIAN/conffiles": "/etc/foo.conf\n",
        "etc/foo.conf": f"of {version}\n",
    }.items():
        (tree / name).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        (tree / name).write_text(text)
    build = ("dpkg-deb", "--root-owner-group", "-Zgzip", "-b", str(tree), f"{tree}.deb")
    subprocess.run(build, check=True, capture_output=True)
    return Path(f"{tree}.deb")


@pytest.fixture
def dpkg(tmp_path: Path) -> tuple[str, ...]:
    """Return the real dpkg, on a root of its own with `foo` 1, whose file somebody edited."""
    if not shutil.which("dpkg-deb"):
        pytest.skip("dpkg is not installed")
    for name in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"):
        (tmp_path / "root" / name).mkdir(parents=True)
    for name in ("status", "available"):
        (tmp_path / "root/var/lib/dpkg" / name).touch()
    words = ("--force-not-root", "--force-script-chrootless", "--log=/dev/null")
    dpkg = ("dpkg", f"--root={tmp_path}/root", *words)
    run_dpkg(dpkg, "-i", str(debian_package(tmp_path, "1")))
    (tmp_path / "root/etc/foo.conf").write_text("edited\n")
    return dpkg


def run_dpkg(dpkg: tuple[str, ...], *args: str) -> str:
    done = subprocess.run([*dpkg, *args], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return done.stdout.decode()


@pytest.mark.parametrize(
    "of_the_host", [(), ("--force-confnew",), ("--force-confdef", "--force-confold")]
)
@pytest.mark.parametrize(
    ("options", "stays"), [(ManagerOptions(), "edited\n"), (REPLACE, "of 2\n")]
)
def test_which_file_stays_is_the_profiles_to_say_whatever_the_host_forces(
    dpkg: tuple[str, ...],
    tmp_path: Path,
    of_the_host: tuple[str, ...],
    options: ManagerOptions,
    stays: str,
) -> None:
    mark = "-oDpkg::Options::="
    args = AptManager(options=options).apply_script([ZIP]).args
    ours = [word.removeprefix(mark) for word in args if word.startswith(mark)]

    run_dpkg(dpkg, *of_the_host, *ours, "-i", str(debian_package(tmp_path, "2")))

    assert (tmp_path / "root/etc/foo.conf").read_text() == stays


def test_no_command_takes_what_is_not_signed() -> None:
    for job in (APT.apply_script([ZIP]), APT.undo_script([ZIP]), APT.repair_script()):
        assert "-oAPT::Get::AllowUnauthenticated=false" in job.args
        assert "--allow-unauthenticated" not in job.args


def test_the_script_holds_no_data_and_is_the_same_for_every_plan() -> None:
    assert APT.apply_script([ZIP]).text == APT.apply_script([target("foo", "1")]).text


APT_GET = """\
#!/bin/sh
if [ "$1" = -s ]; then cat "$WAVEMEND_ROOT/simulation" 2>/dev/null; exit 0; fi
printf '%s\\n' "$@" >"$WAVEMEND_ROOT/argv"
env >"$WAVEMEND_ROOT/env"
cat >"$WAVEMEND_ROOT/stdin"
mkdir -p "$WAVEMEND_ROOT/etc"
echo mine >"$WAVEMEND_ROOT/etc/foo.conf"
echo theirs >"$WAVEMEND_ROOT/etc/foo.conf.dpkg-dist"
touch -d 2001-01-01 "$WAVEMEND_ROOT/etc/foo.conf.dpkg-dist"
exit 100
"""


@pytest.fixture
def host(tmp_path: Path) -> LocalRoot:
    """Return a host whose apt-get only writes down how it was called, and fails."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {
        "apt-get": APT_GET,
        "dpkg-query": '#!/bin/sh\necho "foo: $2"\n',
    }.items():
        program = programs / name
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/old.conf.dpkg-dist").write_text("from an earlier update\n")
    return LocalRoot(tmp_path, bin=programs)


@pytest.mark.parametrize("job", [APT.apply_script([ZIP]), APT.repair_script()])
def test_a_job_waits_while_another_program_fetches_packages(
    host: LocalRoot, job: JobScript
) -> None:
    # A process that holds the lock, as /proc shows it, until somebody has waited once.
    process = host.root / "proc/77"
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_text("unattended-upgr\n")
    (process / "fd/5").symlink_to(host.root / "var/cache/apt/archives/lock")
    (host.root / "proc/locks").write_text("1: POSIX  ADVISORY  WRITE 77 00:01:1 0 EOF\n")
    assert host.bin is not None
    sleep = host.bin / "sleep"
    sleep.write_text(
        f"#!/bin/sh\n[ ! -e {host.root}/argv ] && rm {process}/fd/5 && : >{host.root}/slept\n"
    )
    sleep.chmod(0o755)
    for name, said in (("dpkg", ""), ("dpkg-query", "foo=1 iHR")):  # cut while it was unpacked
        (host.bin / name).write_text(f"#!/bin/sh\necho {said} | sed /^$/d\n")
        (host.bin / name).chmod(0o755)

    run_job(host, job)

    assert (host.root / "slept").exists(), "apt-get would have failed at once"
    assert (host.root / "argv").exists()


SAYS = {
    "apt-get": "echo '0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.'",
    "dpkg": "echo amd64",
    "dpkg-query": "printf '%s\\t3\\tamd64\\tsource\\t3\\tii \\n' dpkg zip",
    "apt-config": "exit 0",
    "needrestart": "exit 0",
}
"""A host that is up to date."""


HALF = ("half", "iF")


@pytest.mark.parametrize(
    ("entries", "runs", "broken"),
    [
        ((), False, []),
        (("tmp.i",), False, []),
        (("0000", "0001"), False, [("dpkg", "interrupted")]),
        (("0000",), True, []),
        (("0000", "0001"), False, [HALF]),
    ],
)
def test_a_dpkg_that_was_killed_at_its_very_end_is_seen_and_not_called_whole(
    host: LocalRoot, entries: tuple[str, ...], runs: bool, broken: list[tuple[str, str]]
) -> None:
    assert host.bin is not None
    for name, text in SAYS.items():
        (host.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (host.bin / name).chmod(0o755)
    files = {
        "proc/uptime": "100.0 1.0\n",
        "proc/sys/kernel/random/boot_id": "b-1\n",
        "proc/77/comm": "dpkg\n",
        "proc/locks": "1: POSIX  ADVISORY  WRITE 77 00:01:1 0 EOF\n",
        "etc/os-release": "ID=debian\n",
        **{f"var/lib/dpkg/updates/{name}": "Package: zip\n" for name in entries},
    }
    for file, text in files.items():
        (host.root / file).parent.mkdir(parents=True, exist_ok=True)
        (host.root / file).write_text(text)
    if runs:
        (host.root / "proc/77/fd").mkdir()
        (host.root / "proc/77/fd/3").symlink_to(host.root / "var/lib/dpkg/lock")

    if HALF in broken:
        with (host.bin / "dpkg-query").open("a") as script:
            script.write("printf 'half\\t3\\tamd64\\tsource\\t3\\tiF \\n'\n")
    facts = APT.read_facts(LAB, host, datetime.now(UTC), refresh=False, deadline=60)

    assert [(package.name, package.status) for package in facts.broken] == broken
    assert facts.version_of("zip") == "3"


def run_apply(host: LocalRoot, targets: list[Target]) -> subprocess.CompletedProcess[bytes]:
    return run_job(host, APT.apply_script(targets))


def run_job(host: LocalRoot, job: JobScript) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/bin/sh", "-c", job.text, "job", *job.args],
        input=b"this must not reach apt-get",
        capture_output=True,
        env=host.environment(),
        check=False,
    )


def test_the_script_ends_with_apt_gets_own_exit_status_and_lists_kept_files(
    host: LocalRoot,
) -> None:
    done = run_apply(host, [target("foo", "2")])

    assert done.returncode == 100
    assert done.stdout == b"wavemend-kept foo /etc/foo.conf\n"


def test_apt_get_gets_exactly_the_arguments_no_stdin_and_a_quiet_environment(
    host: LocalRoot,
) -> None:
    targets = [target("foo", "2"), ZIP]
    run_apply(host, targets)

    args = APT.apply_script(targets).args
    assert (host.root / "argv").read_text().splitlines() == list(args[4:])
    assert (host.root / "stdin").read_bytes() == b""
    environment = (host.root / "env").read_text().splitlines()
    for setting in (
        "DEBIAN_FRONTEND=noninteractive",
        "NEEDRESTART_MODE=l",
        "APT_LISTCHANGES_FRONTEND=none",
        "UCF_FORCE_CONFFOLD=1",
        "LC_ALL=C.UTF-8",
    ):
        assert setting in environment


STEPS = "Inst foo [1] (2 lab:stable [amd64]) []\nInst zip (3.0-13 lab:stable [amd64])\n"


@pytest.mark.parametrize(
    "more",
    [
        "Inst bar (1 lab:stable [amd64])",
        "Inst foo:i386 [1] (2 lab:stable [i386])",
        "Inst zip [3.0-13] (3.0-14 lab:stable [amd64])",
        "Remv bar [1]",
        "Purg bar [1]",
        "Inst in a form of another apt",
    ],
)
def test_what_came_between_the_rehearsal_and_the_change_is_not_done(
    host: LocalRoot, more: str
) -> None:
    targets = [target("foo", "2", "amd64"), target("zip", "3.0-13", "amd64")]
    (host.root / "simulation").write_text(f"Reading package lists...\n{STEPS}Conf foo (2)\n")
    assert run_apply(host, targets).returncode == 100, "its own exit status: it was called"
    (host.root / "argv").unlink()

    (host.root / "simulation").write_text(f"{STEPS}{more}\n")
    done = run_apply(host, targets)

    assert (done.returncode, (host.root / "argv").exists()) == (72, False)
    assert done.stdout.decode() == f"E: not in the plan, so nothing was begun: {more}; \n"
    assert "nothing was changed" in APT.end_trouble(72)

    assert run_job(host, APT.undo_script(targets)).returncode == 100, "the way back may need more"


@given(
    st.from_regex(r"[a-z0-9][a-z0-9+.\-]{1,20}", fullmatch=True),
    st.from_regex(r"([0-9]{1,2}:)?[0-9][A-Za-z0-9.+~\-]{0,20}[A-Za-z0-9~]", fullmatch=True),
)
def test_every_allowed_name_and_version_makes_one_word_that_is_no_option(
    name: str, version: str
) -> None:
    word = word_of(target(name, version, "amd64"))

    assert word == f"{name}:amd64={version}"
    assert not word.startswith("-")
    assert not set(word) & set(" \t\n'\"$`;&|<>*?[]{}()\\#!^/")


BEFORE = read(recorded("facts-held-phased-kept-back"))
AFTER = read(recorded("facts-half-configured-reboot-due"))
LOG = recorded("transaction-one-failed")
PLANNED = [
    target("lab-conffile", "1.1"),
    target("lab-postinst", "1.1"),
    target("lab-slow", "1.1"),
    target("lab-reboot", "1.1"),
    target("lab-skip", "1.2"),
    ZIP,
]


def judged(
    targets: list[Target],
    after: Facts = AFTER,
    *,
    status: int | None = 100,
    log: bytes = LOG,
    before: Facts = BEFORE,
) -> dict[str, PackageResult]:
    end = JobEnd(exit_status=status, log=log)
    return {result.name: result for result in APT.judge(targets, before, after, end)}


def test_one_failing_package_leaves_the_others_installed() -> None:
    results = judged(PLANNED)

    assert {name: result.outcome for name, result in results.items()} == {
        "lab-conffile": PackageOutcome.CONFFILE_KEPT,
        "lab-postinst": PackageOutcome.FAILED,
        "lab-reboot": PackageOutcome.INSTALLED,
        "lab-skip": PackageOutcome.INSTALLED,
        "lab-slow": PackageOutcome.INSTALLED,
        "zip": PackageOutcome.INSTALLED,
    }
    assert list(results) == sorted(results)
    assert results["lab-conffile"].detail == "kept the host's own /etc/lab-conffile.conf"
    failed = results["lab-postinst"]
    assert (failed.before, failed.after) == ("1.0", "1.1")
    assert "half done (iF, 1.1)" in failed.detail
    assert "post-installation script subprocess returned error exit status 1" in failed.detail


def test_a_file_that_gave_way_is_named_with_where_the_hosts_own_is() -> None:
    after = _with_version(BEFORE, "zip", ZIP.version)
    log = b"wavemend-replaced zip /etc/zip.conf\n"

    result = judged([ZIP], after, status=0, log=log)["zip"]
    assert result.outcome is PackageOutcome.INSTALLED
    assert result.detail == "replaced /etc/zip.conf; the host's own is beside it"


def test_a_package_that_was_to_be_new_and_is_not_there_is_a_failure() -> None:
    results = judged([target("wm-extra", "2.0")], BEFORE, log=b"")

    assert results["wm-extra"].outcome is PackageOutcome.FAILED
    assert results["wm-extra"].detail == "not installed: apt-get reports an error"
    there = InstalledPackage(
        name="wm-extra", version="2.0", arch="all", source="wm-extra", source_version="2.0"
    )
    after = dataclasses.replace(BEFORE, installed=(*BEFORE.installed, there))
    new = judged([target("wm-extra", "2.0")], after)["wm-extra"]
    assert (new.before, new.after, new.outcome) == ("", "2.0", PackageOutcome.INSTALLED)


def test_an_undo_that_did_not_go_back_says_why_and_not_that_nothing_is_offered() -> None:
    older = target("zip", "3.0-12", "amd64")

    result = judged([older], BEFORE, log=b"E: Sub-process returned an error code\n")["zip"]
    assert result.outcome is PackageOutcome.FAILED
    assert result.detail.startswith("still at 3.0-13: ")


def test_an_exit_status_of_zero_installs_nothing_by_itself() -> None:
    results = judged(PLANNED, BEFORE, status=0, log=b"everything is fine, SUCCESS, rc=0\n")

    outcomes = {result.outcome for result in results.values()}
    assert PackageOutcome.INSTALLED not in outcomes
    assert results["zip"].detail == "still at 3.0-13: apt-get reports success"


@given(st.binary(max_size=400))
def test_text_that_a_package_prints_never_makes_an_outcome_better(noise: bytes) -> None:
    results = judged([target("lab-postinst", "1.1"), target("lab-held", "1.1")], log=noise)

    assert results["lab-postinst"].outcome is PackageOutcome.FAILED
    assert results["lab-held"].outcome is PackageOutcome.HELD


def test_an_installed_package_is_installed_whatever_the_exit_status_was() -> None:
    for status in (0, 100, 137, None):
        assert judged([ZIP], status=status)["zip"].outcome is PackageOutcome.INSTALLED


def test_held_phased_and_vanished_packages_have_outcomes_of_their_own() -> None:
    gone = target("lab-newdep", "1.0.5")
    results = judged([target("lab-held", "1.1"), target("lab-phased", "1.1"), gone], BEFORE)

    assert results["lab-held"].outcome is PackageOutcome.HELD
    assert results["lab-phased"].outcome is PackageOutcome.PHASED
    assert results["lab-newdep"].outcome is PackageOutcome.NOT_OFFERED
    assert results["lab-newdep"].detail == "1.0.5 is not offered, 1.1 is"


def test_without_a_good_index_nothing_is_called_not_offered() -> None:
    blind = dataclasses.replace(BEFORE, pending=(), index_errors=("E: no network",))

    assert judged([ZIP], blind, log=b"")["zip"].outcome is PackageOutcome.FAILED


def test_a_lock_that_was_not_released_is_named_with_its_holder() -> None:
    result = judged([ZIP], BEFORE, log=recorded("transaction-locked"))["zip"]

    assert result.outcome is PackageOutcome.FAILED
    assert "It is held by process" in result.detail


def test_a_disk_that_ran_full_is_named_with_its_package() -> None:
    log = (
        b"dpkg: error processing archive"
        b" /tmp/apt-dpkg-install-x/0-zip_3.0-13+deb12u1_amd64.deb (--unpack):\n"
        b" cannot copy extracted data: failed to write (No space left on device)\n"
        b"E: Sub-process /usr/bin/dpkg returned an error code (1)\n"
    )
    detail = judged([ZIP], BEFORE, log=log)["zip"].detail

    assert "No space left on device" in detail


def test_a_version_that_somebody_else_brought_is_a_failure_that_says_so() -> None:
    other = _with_version(BEFORE, "zip", "3.0-14")

    result = judged([ZIP], other)["zip"]
    assert result.outcome is PackageOutcome.FAILED
    assert result.after == "3.0-14"
    assert "something else" in result.detail


def test_a_package_that_is_gone_is_a_failure() -> None:
    rest = tuple(package for package in BEFORE.installed if package.name != "zip")

    result = judged([ZIP], dataclasses.replace(BEFORE, installed=rest))["zip"]
    assert (result.outcome, result.after) == (PackageOutcome.FAILED, "")


def test_architectures_of_one_name_are_judged_apart() -> None:
    both = [
        InstalledPackage(name="libc6", version=v, arch=a, source="glibc", source_version=v)
        for a, v in (("amd64", "2"), ("i386", "1"))
    ]
    offer = PendingUpdate(name="libc6", arch="i386", installed="1", candidate="2", origin="x")
    after = dataclasses.replace(BEFORE, installed=tuple(both), pending=(offer,))
    before = dataclasses.replace(
        after, installed=(dataclasses.replace(both[1], arch="amd64"), both[1])
    )
    targets = [target("libc6", "2", "i386"), target("libc6", "2", "amd64")]

    results = APT.judge(targets, before, after, JobEnd(exit_status=100, log=b""))

    assert [(r.arch, r.outcome) for r in results] == [
        ("amd64", PackageOutcome.INSTALLED),
        ("i386", PackageOutcome.FAILED),
    ]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "success"),
        (100, "error"),
        (1, "does not document"),
        (137, "does not document"),
        (None, "never recorded"),
    ],
)
def test_an_exit_status_that_apt_does_not_document_is_unknown(
    status: int | None, words: str
) -> None:
    assert words in explain_exit(status)


def _with_version(facts: Facts, name: str, version: str) -> Facts:
    installed = tuple(
        dataclasses.replace(package, version=version) if package.name == name else package
        for package in facts.installed
    )
    return dataclasses.replace(facts, installed=installed)
