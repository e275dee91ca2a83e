"""Rehearsals and logs of dnf4, dnf5 and zypper say the same of the same packages, and no more."""

import dataclasses

import pytest

from tests.unit.apt_cases import Replies
from tests.unit.rpm_cases import MANAGERS, TOOLS, read, recorded
from wavemend.errors import PlanError
from wavemend.hosts import Facts
from wavemend.managers.dnf.exits import EXIT_MEANING as DNF_EXITS
from wavemend.managers.rpm.logs import RpmLog
from wavemend.managers.rpm.targets import checked
from wavemend.managers.zypper.exits import EXIT_MEANING as ZYPPER_EXITS
from wavemend.outcomes import PackageOutcome, PackageResult
from wavemend.packages import JobEnd, Target, Transaction

every_tool = pytest.mark.parametrize("tool", TOOLS)


def target(name: str, version: str = "2.0-1.el9", arch: str = "noarch") -> Target:
    return Target(name=name, arch=arch, version=version)


def rehearsed(tool: str, name: str) -> Transaction:
    replies = Replies(recorded(tool, f"rehearse-{name}"))
    return MANAGERS[tool].rehearse(replies, [target("wm-fine")], deadline=60)


@every_tool
def test_a_rehearsal_names_everything_that_would_come_in(tool: str) -> None:
    transaction = rehearsed(tool, "new-dependency")

    assert transaction.installs == (target("wm-extra"), target("wm-newdep"))
    assert (transaction.removals, transaction.refusal) == ((), "")


@every_tool
def test_a_rehearsal_as_planned_holds_epochs_and_the_kernel_beside_the_old_one(tool: str) -> None:
    transaction = rehearsed(tool, "as-planned")

    fine, secure = target("wm-fine"), target("wm-sec", "1:2.0-1.el9", "x86_64")
    assert set(transaction.installs) > {fine, secure}
    assert len(transaction.installs) == 3
    assert (transaction.removals, transaction.refusal) == ((), "")


@every_tool
def test_a_package_of_another_name_that_would_be_gone_is_a_removal(tool: str) -> None:
    assert rehearsed(tool, "removal").removals == ("wm-oldname",)


REFUSALS = [
    ("conflict", "wm-victim"),
    ("unmet", "wm-nowhere"),
    ("held", "wm-held"),
    ("version-gone", "wm-fine"),
]


@every_tool
@pytest.mark.parametrize(("name", "words"), REFUSALS)
def test_a_refusal_names_its_cause(tool: str, name: str, words: str) -> None:
    transaction = rehearsed(tool, name)

    assert words in transaction.refusal
    assert transaction.installs == ()


def test_an_update_that_would_enable_a_module_stream_is_refused() -> None:
    answer = recorded("dnf4", "rehearse-as-planned")
    streams = b"Enabling module streams:\n webserver      1.14\n\nTransaction Summary"
    odd = answer.replace(b"\nTransaction Summary", b"\n" + streams)

    refusal = MANAGERS["dnf4"].rehearse(Replies(odd), [target("a")], deadline=60).refusal
    assert refusal == "it would enable the module streams webserver:1.14"


@every_tool
def test_an_older_version_is_never_taken_for_an_update(tool: str) -> None:
    transaction = rehearsed(tool, "downgrade")

    assert transaction.installs == ()
    # zypper leaves it out without a word: then it is missing.
    assert transaction.refusal == ("" if tool == "zypper" else "it would downgrade wm-sec")


def test_a_change_of_vendor_is_refused_on_suse() -> None:
    assert rehearsed("zypper", "vendor").refusal == "it would change the vendor of wm-vendor"


@pytest.mark.parametrize(("tool", "known"), [("dnf5", True), ("zypper", True), ("dnf4", False)])
def test_sizes_are_told_where_the_tool_tells_them(tool: str, known: bool) -> None:
    assert (rehearsed(tool, "as-planned").download_bytes is not None) is known


@every_tool
def test_an_unknown_exit_status_of_a_rehearsal_is_a_refusal(tool: str) -> None:
    answer = recorded(tool, "rehearse-as-planned")
    ended = answer.rpartition(b"end rehearsal ")[0]
    odd = ended + b"end rehearsal 77" + answer[len(ended) + len(b"end rehearsal 0") :]

    refusal = MANAGERS[tool].rehearse(Replies(odd), [target("a")], deadline=60).refusal
    assert "exit status 77" in refusal


HOSTILE = [
    ("", "1-1", "noarch"),
    ("-y", "1-1", "noarch"),
    ("+foo", "1-1", "noarch"),
    ("~foo", "1-1", "noarch"),
    ("foo;reboot", "1-1", "noarch"),
    ("foo bar", "1-1", "noarch"),
    ("foo\nbar", "1-1", "noarch"),
    ("foo*", "1-1", "noarch"),
    ("$(id)", "1-1", "noarch"),
    ("@group", "1-1", "noarch"),
    ("/etc/passwd", "1-1", "noarch"),
    ("f\u00f6\u00f6", "1-1", "noarch"),
    ("foo", "1", "noarch"),
    ("foo", "1-", "noarch"),
    ("foo", "1-1-1", "noarch"),
    ("foo", "%{lua:x}-1", "noarch"),
    ("foo", "1-1\n", "noarch"),
    ("foo", "x:1-1", "noarch"),
    ("foo", "1-" + "1" * 300, "noarch"),
    ("foo", "1-1", ""),
    ("foo", "1-1", "noarch --nogpgcheck"),
]


@every_tool
@pytest.mark.parametrize(("name", "version", "arch"), HOSTILE)
def test_what_rpm_does_not_allow_is_refused(tool: str, name: str, version: str, arch: str) -> None:
    bad, manager = [target(name, version, arch)], MANAGERS[tool]

    for call in (manager.apply_script, manager.undo_script):
        with pytest.raises(PlanError):
            call(bad)
    with pytest.raises(PlanError):
        manager.rehearse(Replies(b""), bad, deadline=60)


@pytest.mark.parametrize(
    ("name", "version"),
    [("libstdc++", "11.5.0-5.el9_5"), ("gtk+2.0", "1:2.24-3~rc1^git"), ("389-ds-base", "2.5-1")],
)
def test_what_rpm_allows_is_taken(name: str, version: str) -> None:
    assert checked([target(name, version)])[0].name == name


@every_tool
def test_no_package_and_a_package_twice_are_refused(tool: str) -> None:
    with pytest.raises(PlanError, match="no package is named"):
        MANAGERS[tool].apply_script([])
    with pytest.raises(PlanError, match="twice"):
        MANAGERS[tool].apply_script([target("a", "1-1"), target("a", "2-1")])


@every_tool
def test_the_order_of_targets_does_not_change_the_job(tool: str) -> None:
    targets = [target("zoo"), target("abc"), target("mid")]

    assert MANAGERS[tool].apply_script(targets) == MANAGERS[tool].apply_script(targets[::-1])


@every_tool
def test_an_undo_leaves_kernels_where_they_are_and_says_so_when_nothing_else_is_asked(
    tool: str,
) -> None:
    kernel = target("kernel-core", "5.14.0-427.el9", "x86_64")

    assert MANAGERS[tool].undo_script([kernel, target("zip", "1-1")]).args[-1].startswith("zip")
    with pytest.raises(PlanError, match="kernels are not taken back"):
        MANAGERS[tool].undo_script([kernel])


def end(tool: str, name: str, status: int) -> JobEnd:
    return JobEnd(exit_status=status, log=recorded(tool, f"transaction-{name}"))


def facts(tool: str, **versions: str) -> Facts:
    """Return the host as recorded, with these packages at other versions and nothing pending."""
    seen = read(tool, recorded(tool, "facts-held-kept-back"))
    installed = tuple(
        dataclasses.replace(p, version=versions.get(p.name.replace("-", "_"), p.version))
        for p in seen.installed
    )
    return dataclasses.replace(seen, installed=installed)


def judged(tool: str, targets: list[Target], ended: JobEnd, **now: str) -> dict[str, PackageResult]:
    results = MANAGERS[tool].judge(targets, facts(tool), facts(tool, **now), ended)
    return {result.name: result for result in results}


@every_tool
def test_a_script_that_failed_is_a_failure_although_the_version_came_in(tool: str) -> None:
    ended = end(tool, "script-failed-files-kept", 107 if tool == "zypper" else 0)
    targets = [target("wm-fails"), target("wm-sec", "1:2.0-1.el9", "x86_64")]
    found = judged(tool, targets, ended, wm_fails="2.0-1.el9", wm_sec="1:2.0-1.el9")

    assert found["wm-fails"].outcome is PackageOutcome.FAILED
    assert found["wm-fails"].detail == ("at 2.0-1.el9, but its %post script failed: exit status 1")
    assert found["wm-sec"].outcome is PackageOutcome.INSTALLED


@every_tool
def test_a_script_that_the_transaction_set_off_in_another_package_fails_it(tool: str) -> None:
    log = b"warning: %triggerin(wm-watcher-1.0-1.el9.noarch) scriptlet failed, exit status 3\n"
    ended = JobEnd(exit_status=0, log=log)
    (result,) = judged(tool, [target("wm-fine")], ended, wm_fine="2.0-1.el9").values()

    assert result.outcome is PackageOutcome.FAILED
    assert result.detail == (
        "at 2.0-1.el9, but the %triggerin script of wm-watcher failed: exit status 3"
    )


@every_tool
def test_a_script_of_one_package_says_nothing_about_the_others(tool: str) -> None:
    log = b"warning: %post(wm-sec-1:2.0-1.el9.x86_64) scriptlet failed, exit status 3\n"
    ended = JobEnd(exit_status=0, log=log)
    targets = [target("wm-fine"), target("wm-sec", "1:2.0-1.el9", "x86_64")]
    found = judged(tool, targets, ended, wm_fine="2.0-1.el9", wm_sec="1:2.0-1.el9")

    assert found["wm-fine"].outcome is PackageOutcome.INSTALLED
    assert found["wm-sec"].outcome is PackageOutcome.FAILED


@every_tool
def test_configuration_files_that_stayed_or_went_are_named(tool: str) -> None:
    ended = end(tool, "script-failed-files-kept", 0)
    targets = [target("wm-conffile"), target("wm-config")]
    found = judged(tool, targets, ended, wm_conffile="2.0-1.el9", wm_config="2.0-1.el9")

    assert found["wm-conffile"].outcome is PackageOutcome.CONFFILE_KEPT
    assert "/etc/wm-conffile.conf" in found["wm-conffile"].detail
    assert found["wm-config"].outcome is PackageOutcome.INSTALLED
    assert found["wm-config"].detail.startswith("replaced /etc/wm-config.conf")


@every_tool
def test_a_package_that_refused_is_still_where_it_was_with_its_scripts_words(tool: str) -> None:
    ended = end(tool, "one-refused", 8 if tool == "zypper" else 1)
    found = judged(tool, [target("wm-prefails"), target("wm-fine")], ended, wm_fine="2.0-1.el9")

    refused = found["wm-prefails"]
    assert refused.outcome is PackageOutcome.FAILED
    assert refused.detail.startswith("still at 1.0-1.el9: ")
    assert "%prein(wm-prefails-2.0-1.el9.noarch) scriptlet failed" in refused.detail
    assert found["wm-fine"].outcome is PackageOutcome.INSTALLED


# In the words of public threads: dnf4 on RHEL 8 and Fedora, yum on CentOS 7, dnf5 on Fedora 42.
REASONS = [
    (
        "Error: Transaction test error:\n"
        "  file /etc/fine.cnf from install of wm-fine-2.0-1.el9.noarch conflicts with file from"
        " package wm-config-1.0-1.el9.noarch\n\n",
        "file /etc/fine.cnf from install of wm-fine-2.0-1.el9.noarch conflicts with file",
    ),
    (
        "Transaction failed: Rpm transaction failed.\n"
        "  - file /lib from install of wm-fine-2.0-1.el9.noarch conflicts with file from package"
        " filesystem-3.18-42.fc42.x86_64\n",
        "- file /lib from install of wm-fine-2.0-1.el9.noarch conflicts",
    ),
    (
        "Error: Transaction test error:\n"
        "  installing package wm-fine-2.0-1.el9.noarch needs 25MB more space on the /boot"
        " filesystem\n\nError Summary\n-------------\nDisk Requirements:\n"
        "   At least 25MB more space needed on the /boot filesystem.\n",
        "installing package wm-fine-2.0-1.el9.noarch needs 25MB more space on the /boot",
    ),
    (
        "Transaction check error:\n"
        "  installing package zoo-1.0-1.el7.noarch needs 9MB on the / filesystem\n\n"
        "Error Summary\n-------------\nDisk Requirements:\n"
        "  At least 9MB more space needed on the / filesystem.\n",
        "At least 9MB more space needed on the / filesystem.",
    ),
    (
        "Transaction check error:\n  package wm-fine-3.0-1.el7.x86_64 (which is newer than"
        " wm-fine-2.0-1.el7.i686) is already installed\n\nError Summary\n-------------\n",
        "package wm-fine-3.0-1.el7.x86_64 (which is newer than",
    ),
    (
        "Transaction check error:\n  file /etc/a from install of zoo-1.0-1.el7.noarch conflicts"
        " with file from package abc-1.0-1.el7.noarch\n\nError Summary\n-------------\n",
        "file /etc/a from install of zoo-1.0-1.el7.noarch conflicts with file",
    ),
    (
        "Public key for wm-fine-2.0-1.el9.noarch.rpm is not installed. Failing package is:"
        " wm-fine-2.0-1.el9.noarch\n GPG Keys are configured as: file:///etc/pki/key\n"
        "Error: GPG check FAILED\n",
        "Public key for wm-fine-2.0-1.el9.noarch.rpm is not installed.",
    ),
    (
        "Transaction failed: Signature verification failed.\n"
        'PGP check for package "wm-fine-2.0-1.el9.noarch" (/var/cache/a.rpm) from repo "lab"'
        " has failed: Problem occurred when opening the package.\n",
        'PGP check for package "wm-fine-2.0-1.el9.noarch"',
    ),
]


@pytest.mark.parametrize(("log", "words"), REASONS)
def test_why_rpm_refused_a_transaction_is_said_in_its_own_words(log: str, words: str) -> None:
    ended = JobEnd(exit_status=1, log=b"wavemend-tool dnf4\n" + log.encode())
    (result,) = judged("dnf4", [target("wm-fine")], ended).values()

    assert result.detail.startswith(f"still at 1.0-1.el9: {words}")


@every_tool
def test_success_that_changed_nothing_is_a_failure(tool: str) -> None:
    (result,) = judged(tool, [target("wm-fine")], JobEnd(exit_status=0, log=b"")).values()

    assert result.outcome is PackageOutcome.FAILED


@every_tool
def test_a_log_that_claims_success_makes_nothing_better(tool: str) -> None:
    log = b"Upgraded:\n  wm-fine-2.0-1.el9.noarch\nComplete!\n"
    (result,) = judged(tool, [target("wm-fine")], JobEnd(exit_status=0, log=log)).values()

    assert (result.outcome, result.after) == (PackageOutcome.FAILED, "1.0-1.el9")


@every_tool
def test_who_held_the_lock_is_the_reason(tool: str) -> None:
    log = b"wavemend-tool dnf4\nwavemend-locked 4711 dnf;\n"
    (result,) = judged(tool, [target("wm-fine")], JobEnd(exit_status=200, log=log)).values()

    assert "in use by 4711 dnf" in result.detail


@every_tool
def test_a_kernel_that_was_to_be_taken_back_says_why_it_was_not(tool: str) -> None:
    name = "kernel-default" if tool == "zypper" else "kernel-core"
    old = target(name, "1.0-1", "x86_64")
    (result,) = judged(tool, [old], JobEnd(exit_status=0, log=b"")).values()

    assert result.outcome is PackageOutcome.FAILED
    assert result.detail.startswith("kernels are not taken back")


@pytest.mark.parametrize(("tool", "table"), [*sorted(DNF_EXITS.items()), ("zypper", ZYPPER_EXITS)])
def test_an_exit_status_that_the_tool_does_not_document_is_unknown(
    tool: str, table: dict[int, str]
) -> None:
    log = RpmLog(meanings=table, tool=tool)

    for status in set(range(256)) - set(table):
        assert "does not document" in log.explain_exit(status)
    for status in table:
        assert "does not document" not in log.explain_exit(status)
    assert "never recorded" in log.explain_exit(None)


def test_zyppers_hundreds_of_success_are_told_apart() -> None:
    words = [ZYPPER_EXITS[status] for status in (102, 103, 106, 107)]

    assert len(set(words)) == 4
    assert "reboot" in words[0]
    assert "script" in words[3]
