"""What apk prints on Alpine of several years is read to the last step, and nothing is guessed."""

import pytest

from wavemend.errors import PlanError
from wavemend.hosts import ManagerOptions, Services
from wavemend.managers.apk import APK, ApkManager, explain_exit
from wavemend.managers.apk.pending import pinned_names, read_listed
from wavemend.managers.apk.steps import Step, read_steps, troubles
from wavemend.managers.apk.wording import ApkLog
from wavemend.managers.reading.sections import Section
from wavemend.packages import Target

# Texts in the form of three releases, with other packages. Alpine 3.21, apk-tools 2.14, 2025-01.
ALPINE_3_21 = """\
fetch https://mirror.example/alpine/v3.21/main/x86_64/APKINDEX.tar.gz
fetch https://mirror.example/alpine/v3.21/community/x86_64/APKINDEX.tar.gz
(1/3) Upgrading toolbox (2.4.0-r8 -> 2.4.0-r9)
Executing toolbox-2.4.0-r9.post-upgrade
(2/3) Upgrading toolbox-binsh (2.4.0-r8 -> 2.4.0-r9)
(3/3) Upgrading tls_client (2.4.0-r8 -> 2.4.0-r9)
Executing toolbox-2.4.0-r9.trigger
OK: 7 MiB in 15 packages"""
# Alpine 3.6, apk-tools 2.7.5, 2019: its own upgrade comes first.
ALPINE_3_6 = """\
Upgrading critical system libraries and apk-tools:
(1/1) Upgrading apk-tools (2.7.1-r0 -> 2.7.2-r0)
Executing toolbox-2.2.6-r9.trigger
Continuing the upgrade transaction with new apk-tools:
(1/7) Upgrading libwm (1.4.6-r14 -> 1.4.6-r15)
(2/7) Upgrading toolbox (2.2.6-r9 -> 2.2.6-r11)
(5/7) Installing wmssl2.5-libtls (2.5.9-r2)
OK: 5 MiB in 15 packages"""
# Alpine 3.9.3, apk-tools 2.10, 2019: `apk -sv fix` of packages that are broken.
ALPINE_3_9 = """\
(1/3) Reinstalling wmfs-common (3.4.1-r1)
(2/3) Reinstalling wmfs-openrc (3.4.1-r1)
(3/3) Reinstalling wmproto (2020.1-r0)
3 errors; 41 packages, 310 dirs, 2718 files, 64 MiB"""


def steps(text: str) -> list[tuple[str, str, str, str]]:
    found, unread = read_steps(text.split("\n"))
    assert unread == ()
    return [(step.action, step.name, step.old, step.new) for step in found]


def test_an_upgrade_is_read_to_its_last_step() -> None:
    assert steps(ALPINE_3_21) == [
        ("Upgrading", name, "2.4.0-r8", "2.4.0-r9")
        for name in ("toolbox", "toolbox-binsh", "tls_client")
    ]


def test_apks_own_upgrade_and_new_packages_are_steps_too() -> None:
    assert steps(ALPINE_3_6) == [
        ("Upgrading", "apk-tools", "2.7.1-r0", "2.7.2-r0"),
        ("Upgrading", "libwm", "1.4.6-r14", "1.4.6-r15"),
        ("Upgrading", "toolbox", "2.2.6-r9", "2.2.6-r11"),
        ("Installing", "wmssl2.5-libtls", "", "2.5.9-r2"),
    ]


def test_what_is_installed_again_stays_at_its_version() -> None:
    assert steps(ALPINE_3_9)[0] == ("Reinstalling", "wmfs-common", "", "3.4.1-r1")


def test_a_removal_and_a_package_of_a_tagged_repository_are_read() -> None:
    found, _ = read_steps(
        ["(1/2) Purging zip (3.0-r11)", "(2/2) Upgrading nginx@edge (1.24.0-r1 -> 1.26.0-r0)"]
    )

    assert found == (
        Step(action="Purging", name="zip", old="3.0-r11", new=""),
        Step(action="Upgrading", name="nginx", old="1.24.0-r1", new="1.26.0-r0"),
    )


def test_a_numbered_line_that_is_no_known_step_is_kept() -> None:
    assert read_steps(["(1/1) Frobnicating zip (3.0-r11)"]) == (
        (),
        ("(1/1) Frobnicating zip (3.0-r11)",),
    )


def section(*lines: str, errors: tuple[str, ...] = (), status: int = 0) -> Section:
    return Section(lines=lines, errors=errors, status=status)


def test_of_several_candidates_of_a_package_the_newest_counts() -> None:
    told = "x86_64 {openssl} (Apache-2.0) [upgradable from: libssl3-3.1.4-r9]"

    listed, unread = read_listed(
        section(f"libssl3-3.1.4-r11 {told}", f"libssl3-3.1.4-r10 {told}", "WARNING: old index")
    )

    assert [(row.name, row.old, row.new) for row in listed.values()] == [
        ("libssl3", "3.1.4-r9", "3.1.4-r11")
    ]
    assert unread == ()
    assert read_listed(section("x [upgradable from: y]"))[1] == ("x [upgradable from: y]",)


def test_world_pins_what_it_holds_and_not_what_it_only_wants_newer() -> None:
    world = section(
        "alpine-base", "openssl=3.1.4-r5", "nginx<1.25", "jq~1.6", "curl>8", "zip><Q1abc=",
        "git@edge", "redis=7.2.4-r0@edge", "!mysql", "vim>=9",
    )  # fmt: skip

    assert pinned_names(world) == {"openssl", "nginx", "jq", "zip", "redis"}


def test_an_error_is_told_with_the_lines_that_explain_it() -> None:
    told = section(
        errors=(
            "ERROR: unable to select packages:",
            "  openssl-3.1.4-r6:",
            "    breaks: world[openssl=3.1.4-r5]",
        ),
        status=1,
    )

    assert troubles(told) == (
        "ERROR: unable to select packages: openssl-3.1.4-r6: breaks: world[openssl=3.1.4-r5]",
    )


def test_exit_statuses_are_counted_errors_or_known_or_unknown() -> None:
    assert explain_exit(0) == "apk reports success"
    assert explain_exit(3) == "apk counted 3 errors"
    assert explain_exit(99) == "apk could not open its database, or get its lock"
    assert explain_exit(142) == "exit status 142, which apk does not document"
    assert explain_exit(None) == "the transaction's end was never recorded"


def test_a_trigger_that_fails_is_its_packages_failure() -> None:
    line = "ERROR: toolbox-1.36.1-r19.trigger: script exited with error 127"

    assert ApkLog().failed(["OK: 8 MiB", line]) == {
        "toolbox": "its trigger failed: script exited with error 127"
    }


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("", "1-r0"),
        ("--purge", "1-r0"),
        ("a;b", "1-r0"),
        ("$(id)", "1-r0"),
        ("a b", "1-r0"),
        ("a@edge", "1-r0"),
        ("a\n", "1-r0"),
        ("a", ""),
        ("a", "1-1"),
        ("a", "1-r0;id"),
        ("a", "latest"),
    ],
)
def test_what_apk_does_not_allow_never_reaches_a_host(name: str, version: str) -> None:
    with pytest.raises(PlanError):
        APK.apply_script([Target(name=name, arch="x86_64", version=version)])


def test_restarting_services_is_refused_and_not_left_out_in_silence() -> None:
    manager = ApkManager(options=ManagerOptions(services=Services.RESTART))

    with pytest.raises(PlanError, match="no tool of its own"):
        manager.apply_script([Target(name="a", arch="x86_64", version="1-r0")])
