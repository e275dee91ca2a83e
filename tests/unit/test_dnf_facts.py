"""What hosts with dnf4, dnf5 or zypper answer is read as it is, the same for all of them."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.apt_cases import LAB, NOON, Replies, summary
from tests.unit.rpm_cases import (
    CASES,
    MANAGERS,
    TOOLS,
    read,
    recorded,
    updates,
    with_section,
    without,
)
from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import Facts, Repository
from wavemend.packages import Target

every_tool = pytest.mark.parametrize("tool", TOOLS)
every_dnf = pytest.mark.parametrize("tool", ["dnf4", "dnf5"])
NAMES = ("held-kept-back", "cut", "locked", "index-unreachable")


@every_tool
@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_answer_gives_the_recorded_facts(tool: str, name: str) -> None:
    folder, system = TOOLS[tool]
    (path,) = (CASES / folder).glob(f"facts-{name}-{system}-*.json")

    assert summary(read(tool, recorded(tool, f"facts-{name}"))) == json.loads(path.read_text())


@every_tool
def test_security_updates_carry_the_cves_and_advisories_of_their_repository(tool: str) -> None:
    found = updates(read(tool, recorded(tool, "facts-held-kept-back")))

    assert found["wm-sec"].security
    assert found["wm-sec"].cves == ("CVE-2024-1111", "CVE-2024-2222")
    assert found["wm-sec"].advisories == ("LABSA-2024:1001",)
    assert (found["wm-sec"].installed, found["wm-sec"].candidate) == ("1:1.0-1.el9", "1:2.0-1.el9")
    assert found["wm-sec"].origin == "lab-updates"
    assert not found["wm-weak"].security


@every_tool
def test_a_security_update_without_a_cve_is_one_all_the_same(tool: str) -> None:
    conffile = updates(read(tool, recorded(tool, "facts-held-kept-back")))["wm-conffile"]

    assert (conffile.security, conffile.cves) == (True, ())


@every_tool
def test_an_update_that_passes_over_a_security_version_counts_as_security(tool: str) -> None:
    fine = updates(read(tool, recorded(tool, "facts-held-kept-back")))["wm-fine"]

    assert fine.candidate == "2.0-1.el9"  # a bug fix; 1.5 in between was the security update
    assert (fine.security, fine.cves) == (True, ("CVE-2023-9999",))
    assert fine.advisories == ("LABBA-2024:1004", "LABSA-2024:1000")


@every_tool
def test_a_locked_package_is_held_with_what_it_would_have_got(tool: str) -> None:
    facts = read(tool, recorded(tool, "facts-held-kept-back"))
    held = updates(facts)["wm-held"]

    assert facts.held == ("wm-held",)
    assert (held.held, held.candidate, held.cves) == (True, "2.0-1.el9", ("CVE-2024-3333",))


@every_tool
def test_what_an_update_brings_or_removes_is_named(tool: str) -> None:
    found = updates(read(tool, recorded(tool, "facts-held-kept-back")))

    extra = Target(name="wm-extra", arch="noarch", version="2.0-1.el9")
    assert (found["wm-newdep"].kept_back, found["wm-newdep"].brings) == (True, (extra,))
    assert found["wm-conflict"].removes == ("wm-victim",)
    assert (found["wm-unmet"].kept_back, found["wm-unmet"].brings) == (True, ())
    assert not found["wm-weak"].brings  # what it merely recommends is not installed


@every_tool
def test_a_package_that_takes_the_place_of_another_is_told_and_never_planned(tool: str) -> None:
    successor = updates(read(tool, recorded(tool, "facts-held-kept-back")))["wm-newname"]

    assert (successor.installed, successor.kept_back) == ("", True)
    assert successor.removes == ("wm-oldname",)


@every_tool
def test_an_update_that_cannot_be_had_says_why_in_the_solvers_words(tool: str) -> None:
    unmet = updates(read(tool, recorded(tool, "facts-held-kept-back")))["wm-unmet"]

    assert unmet.withheld.startswith("it cannot be resolved: ")
    assert "wm-nowhere" in unmet.withheld


def test_another_vendor_is_never_planned_on_suse() -> None:
    vendor = updates(read("zypper", recorded("zypper", "facts-held-kept-back")))["wm-vendor"]

    assert vendor.kept_back
    assert vendor.not_taken == "it would change the vendor of wm-vendor"


@every_tool
def test_a_cut_transaction_leaves_broken_packages_and_no_version_of_them(tool: str) -> None:
    facts = read(tool, recorded(tool, "facts-cut"))

    twice = [p.version for p in facts.broken if p.status == "two versions"]
    assert twice == ["2.0-1.el9", "1.0-1.el9"]
    assert facts.version_of("wm-slow") == ""


@every_dnf
def test_the_whole_packages_of_an_unfinished_transaction_are_broken_too(tool: str) -> None:
    facts = read(tool, recorded(tool, "facts-cut"))

    cut = [(p.name, p.version) for p in facts.broken if p.status == "unfinished transaction"]
    assert cut == [("wm-fine", "1.0-1.el9")]


@every_tool
def test_who_changes_packages_is_named_and_nothing_else_is_asked(tool: str) -> None:
    facts = read(tool, recorded(tool, "facts-locked"))

    assert facts.lock_holder.startswith(("dnf (", "dnf5 (", "rpm ("))
    assert (facts.pending, facts.repositories) == ((), ())
    assert facts.index_errors == (
        f"what is pending was not asked: {facts.lock_holder} changes packages",
    )


@every_tool
def test_a_repository_that_cannot_be_had_is_an_error_and_is_told_apart(tool: str) -> None:
    facts = read(tool, recorded(tool, "facts-index-unreachable"))

    assert "lab-bad" in facts.index_errors[0]
    reachable = {repository.name: repository.reachable for repository in facts.repositories}
    assert reachable == {"lab-bad": False, "lab-base": True, "lab-updates": True}


@every_tool
def test_a_repository_without_any_check_is_unsigned(tool: str) -> None:
    facts = read(tool, recorded(tool, "facts-index-unreachable"))

    signed = {repository.name: repository.signed for repository in facts.repositories}
    assert signed == {"lab-bad": True, "lab-base": False, "lab-updates": False}


@every_tool
@pytest.mark.parametrize("share", [0.0, 0.05, 0.4, 0.8, 0.99])
def test_an_answer_cut_off_anywhere_is_refused(tool: str, share: float) -> None:
    whole = recorded(tool, "facts-held-kept-back")

    with pytest.raises(HostAnswerInvalid, match="breaks off"):
        read(tool, whole[: int(len(whole) * share)])


@pytest.mark.parametrize(
    ("tool", "section"),
    [
        ("dnf4", "packages"),
        ("dnf5", "updates-unlocked"),
        ("dnf4", "tool"),
        ("zypper", "updates-all"),
    ],
)
def test_an_answer_that_lacks_a_section_is_refused(tool: str, section: str) -> None:
    answer = without(recorded(tool, "facts-held-kept-back"), section)

    with pytest.raises(HostAnswerInvalid, match=section):
        read(tool, answer)


@every_tool
@pytest.mark.parametrize("lines", ["", "zsh", "a\tb\tnoarch\ta.src.rpm\tsoon\t(none)"])
def test_a_package_database_that_cannot_be_read_is_refused(tool: str, lines: str) -> None:
    answer = with_section(recorded(tool, "facts-held-kept-back"), "packages", lines)

    with pytest.raises(HostAnswerInvalid, match="rpm"):
        read(tool, answer)


@every_dnf
def test_a_check_that_failed_never_reads_as_no_updates(tool: str) -> None:
    answer = recorded(tool, "facts-held-kept-back")

    failed = read(tool, with_section(answer, "updates-unlocked", "", status=1))
    odd = read(tool, with_section(answer, "updates", "Available upgrades\nsomething new", 100))
    unknown = read(tool, with_section(answer, "updates", "", status=7))

    assert failed.index_errors == ("check-update: its refresh ended with 1",)
    assert "none of them can be read" in odd.index_errors[0]
    assert "ended with 7" in unknown.index_errors[0]


def test_zypper_that_says_no_xml_never_reads_as_no_updates() -> None:
    answer = recorded("zypper", "facts-held-kept-back")
    cut = with_section(answer, "updates-all", "<?xml version='1.0'?>\n<stream>\n<update-status>")

    assert "updates-all" in read("zypper", cut).index_errors[0]


BOMB = """<?xml version='1.0'?>
<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<stream><update-status><update-list>&b;</update-list></update-status></stream>"""


def test_an_entity_bomb_is_an_error_and_is_not_unfolded() -> None:
    answer = with_section(recorded("zypper", "facts-held-kept-back"), "updates-all", BOMB)

    facts = read("zypper", answer)
    assert "wm-fine" not in updates(facts)
    assert "updates-all" in facts.index_errors[0]


@every_dnf
def test_what_plugins_say_between_the_rows_is_no_update_and_no_error(tool: str) -> None:
    said = (
        "Updating Subscription Management repositories.\n"
        "This system is not registered with an entitlement server.\n\n"
        "wm-fine.noarch   2.0-1.el9   lab-updates\n"
    )
    facts = read(tool, with_section(recorded(tool, "facts-held-kept-back"), "updates", said, 100))

    assert facts.index_errors == ()
    assert not updates(facts)["wm-fine"].held
    assert updates(facts)["wm-sec"].held


@every_dnf
def test_a_row_that_cannot_be_read_is_said(tool: str) -> None:
    answer = with_section(
        recorded(tool, "facts-held-kept-back"), "updates", "wm-fine.noarch 2.0-1.el9", 100
    )

    assert any("cannot be read" in error for error in read(tool, answer).index_errors)


DUE = """Updating Subscription Management repositories.
Core libraries or services have been updated since boot-up:
  * systemd
  * dbus-daemon

Reboot is required to fully utilize these updates."""


@every_dnf
def test_a_reboot_is_due_when_the_tool_says_so_in_words_and_status(tool: str) -> None:
    answer = recorded(tool, "facts-held-kept-back")
    quiet = without(answer, "needs-restarting").replace(b"begin services\n", b"begin services\n\n")

    due = read(tool, with_section(answer, "needs-restarting", DUE, status=1))
    missing = read(tool, with_section(answer, "needs-restarting", "No such command", status=1))

    assert due.reboot_reasons[0] == "needs-restarting: dbus-daemon, systemd"
    assert missing.reboot_reasons == read(tool, quiet).reboot_reasons


@every_tool
def test_what_a_boot_loads_and_came_in_since_is_a_reason_to_reboot(tool: str) -> None:
    section = "needs-rebooting" if tool == "zypper" else "needs-restarting"
    answer = without(recorded(tool, "facts-held-kept-back"), section)
    clock = int(answer.split(b"clock ")[1].split(b".")[0])
    row = f"glibc\t2.34-100.el9\tx86_64\tglibc-2.34-100.el9.src.rpm\t{clock}\t(none)\n".encode()
    fresh = answer.replace(
        b"\nrecorded errors packages", b"\n" + row + b"\nrecorded errors packages"
    )

    assert "glibc" in read(tool, fresh).reboot_reasons[0]


@every_tool
def test_services_that_run_replaced_files_are_named(tool: str) -> None:
    answer = with_section(
        recorded(tool, "facts-held-kept-back"), "services", "sshd.service\ncrond.service"
    )

    assert read(tool, answer).reboot_reasons[-1] == (
        "services still run replaced files: crond.service, sshd.service"
    )


RIVALS = [
    ("enabled dnf-automatic.timer", ()),
    ("enabled dnf-automatic.timer\napplies yes", ("dnf-automatic.timer",)),
    ("enabled dnf-automatic-install.timer", ("dnf-automatic-install.timer",)),
    ("enabled yum-cron.service\napplies no", ()),
    ("enabled transactional-update.timer", ("transactional-update.timer",)),
    ("running packagekitd (812)", ("packagekitd (812)",)),
]


@every_tool
@pytest.mark.parametrize(("lines", "found"), RIVALS)
def test_who_else_updates_the_host_is_named(tool: str, lines: str, found: tuple[str, ...]) -> None:
    answer = with_section(recorded(tool, "facts-held-kept-back"), "rivals", lines)

    assert read(tool, answer).rivals == found


def test_later_settings_overrule_earlier_ones_and_disabled_repositories_are_none() -> None:
    settings = (
        "[main]\ngpgcheck=1\n"
        "[baseos]\nenabled=1\n"
        "[extra]\nenabled=1\ngpgcheck=0\n"
        "[strict]\ngpgcheck=0\nrepo_gpgcheck = yes\n"
        "[off]\nenabled=0\n"
        "[extra]\npkg_gpgcheck = True\n"
    )
    answer = with_section(recorded("dnf4", "facts-held-kept-back"), "repo-settings", settings)

    assert read("dnf4", answer).repositories == (
        Repository(name="baseos", reachable=True, signed=True),
        Repository(name="extra", reachable=True, signed=True),
        Repository(name="strict", reachable=True, signed=True),
    )


@given(
    st.sampled_from(sorted(TOOLS)),
    st.integers(min_value=0, max_value=30_000),
    st.binary(min_size=1, max_size=40),
)
def test_no_answer_whatever_it_holds_is_more_than_refused(
    tool: str, place: int, junk: bytes
) -> None:
    answer = recorded(tool, "facts-held-kept-back")
    damaged = answer[:place] + junk + answer[place:]
    with contextlib.suppress(HostAnswerInvalid):
        MANAGERS[tool].read_facts(LAB, Replies(damaged), NOON, refresh=False, deadline=60)


def with_installed(tool: str, arch: str) -> Facts:
    """Read a recording in which wm-sec, which is offered for x86_64, is installed for another."""
    text = recorded(tool, "facts-held-kept-back")
    row, turned = (f"wm-sec\t1:1.0-1.el9\t{kind}\t".encode() for kind in ("x86_64", arch))
    assert text.count(row) == 1
    return read(tool, text.replace(row, turned))


@every_tool
def test_an_update_from_another_architecture_says_what_it_replaces(tool: str) -> None:
    facts = with_installed(tool, "noarch")

    update = updates(facts)["wm-sec"]
    assert (update.installed, update.arch) == ("1:1.0-1.el9", "x86_64")
    assert facts.version_of("wm-sec", "x86_64") == "1:1.0-1.el9"


@every_tool
def test_another_machines_package_is_another_package(tool: str) -> None:
    facts = with_installed(tool, "i686")

    assert updates(facts)["wm-sec"].installed == ""
    assert (facts.version_of("wm-sec", "x86_64"), facts.version_of("wm-sec")) == ("", "1:1.0-1.el9")
