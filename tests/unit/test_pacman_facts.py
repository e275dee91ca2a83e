"""What an Arch host answers is read as it is: pending, held, bound together, damaged, cut off."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.apt_cases import Replies
from tests.unit.pacman_cases import RECORDED, read, recorded
from wavemend.errors import HostAnswerInvalid, PlanError
from wavemend.hosts import LOCK_LEFT_BEHIND, Facts, ManagerOptions, PendingUpdate, Services
from wavemend.managers.pacman import PacmanManager, explain_exit
from wavemend.managers.pacman.records import Graph, Record, bonds, conflicts, names
from wavemend.managers.pacman.wording import PacmanLog
from wavemend.managers.reading.one_kernel import flavour_of, newest_kernel, reboot_reasons
from wavemend.packages import Target, Transaction


def updates(facts: Facts) -> dict[str, PendingUpdate]:
    return {update.name: update for update in facts.pending}


def target(name: str, version: str, arch: str = "x86_64") -> Target:
    return Target(name=name, arch=arch, version=version)


# --- recorded answers ----------------------------------------------------------------------------


def test_a_recorded_answer_gives_what_the_host_has_and_what_is_pending() -> None:
    facts = read(recorded("facts-pending"))

    assert (facts.os_id, facts.release_keys) == ("arch", ("arch",))
    assert facts.version_of("zip", "x86_64") == "3.0-13"
    assert len(facts.installed) == 11
    assert list(updates(facts)) == [
        "jq", "linux", "openssl", "rsync", "unzip", "wm-clash", "wm-conffile", "wm-fine",
        "wm-newdep", "xz", "zip",
    ]  # fmt: skip
    assert facts.held == ("unzip",)
    assert (facts.index_errors, facts.lock_holder, facts.broken) == ((), "", ())
    assert [(item.name, item.reachable, item.signed) for item in facts.repositories] == [
        ("core", True, True)
    ]


def test_what_an_update_brings_and_removes_is_named() -> None:
    found = updates(read(recorded("facts-pending")))

    assert found["wm-newdep"].brings == (target("wm-extra", "2.0-1", "any"),)
    assert found["wm-clash"].not_taken == "it would remove wm-fine"
    assert found["wm-fine"].not_taken == ""


def test_a_damaged_host_says_each_fault() -> None:
    facts = read(recorded("facts-damaged"))

    assert facts.lock_holder == LOCK_LEFT_BEHIND
    assert [(item.name, item.version, item.arch, item.status) for item in facts.broken] == [
        ("jq", "1.6-2", "", "iH")
    ]
    assert facts.version_of("jq") == ""
    assert "error: failed retrieving file 'core.db'" in facts.index_errors[0]
    assert [item.reachable for item in facts.repositories] == [False]


@pytest.mark.parametrize(
    ("case", "wanted", "installs", "refusal"),
    [
        ("as-planned", "3.0-14", (target("zip", "3.0-14"),), ""),
        ("conflict", "2.0-1", (), "it conflicts with installed packages: wm-fine"),
        ("nowhere", "9.9-9", (), "not in a repository and not in the cache: zip-9.9-9"),
    ],
)
def test_a_recorded_rehearsal_says_what_would_come_or_why_not(
    case: str, wanted: str, installs: tuple[Target, ...], refusal: str
) -> None:
    name = "wm-clash" if case == "conflict" else "zip"
    replies = Replies(recorded(f"rehearse-{case}"))

    transaction = RECORDED.rehearse(replies, [target(name, wanted)], deadline=60)

    assert (transaction.installs, transaction.refusal) == (installs, refusal)


def test_a_rehearsal_says_what_is_fetched_and_how_much_more_is_stored() -> None:
    replies = Replies(recorded("rehearse-as-planned"))

    assert RECORDED.rehearse(replies, [target("zip", "3.0-14")], deadline=60) == Transaction(
        installs=(target("zip", "3.0-14"),), removals=(), download_bytes=153_562, install_bytes=0
    )


@given(cut=st.integers(min_value=0, max_value=10_000))
def test_an_answer_that_is_cut_off_is_never_taken_for_facts(cut: int) -> None:
    whole = recorded("facts-pending")
    end = whole.rindex(b"recorded end end")

    with pytest.raises(HostAnswerInvalid):
        read(whole[: min(cut, end)])


def test_a_line_that_cannot_be_read_is_a_fault_of_the_index_and_not_dropped() -> None:
    text = recorded("facts-pending").replace(b"zip 3.0-13 -> 3.0-14", b"zip: something new")

    facts = read(text)

    assert "upgradable: zip: something new" in facts.index_errors


def test_an_update_that_nothing_describes_is_a_fault_and_not_dropped() -> None:
    text = recorded("facts-pending").replace(b"zip 3.0-13 -> 3.0-14", b"zip 3.0-13 -> 3.0-15")

    facts = read(text)

    assert "zip 3.0-15 is upgradable, and nothing describes it" in facts.index_errors


def test_a_list_of_packages_that_broke_off_is_no_list() -> None:
    text = re.sub(rb"status : 0\n", b"status : 1\n", recorded("facts-pending"), count=1)

    with pytest.raises(HostAnswerInvalid, match="pacman -Qi ended with 1"):
        read(text)


# --- how packages hang together ------------------------------------------------------------------


def record(name: str, version: str = "1-1", **more: tuple[str, ...]) -> Record:
    return Record(name=name, version=version, arch="any", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("relation", "package", "meant"),
    [
        ("zip", record("zip"), True),
        ("zip>=3.0", record("zip", "3.0-1"), True),
        ("zip>3.0-1", record("zip", "3.0-1"), False),
        ("zip<3.0", record("zip", "3.0-1"), False),
        ("zip=3.0", record("zip", "3.0-7"), True),
        ("libz.so=1-64", record("zlib", provides=("libz.so=1-64",)), True),
        ("libz.so=2-64", record("zlib", provides=("libz.so=1-64",)), False),
        ("sh", record("bash", provides=("sh",)), True),
        ("sh>=5", record("bash", provides=("sh",)), False),
        ("zip>=3.0", record("unzip"), False),
        ("zip<what?", record("zip", "odd."), True),
    ],
)
def test_a_dependency_means_a_package_or_what_it_provides(
    relation: str, package: Record, meant: bool
) -> None:
    assert names(relation, package) is meant


def test_a_conflict_counts_whichever_of_the_two_declares_it() -> None:
    one, other = record("a", conflicts=("b<2",)), record("b")

    assert conflicts(one, [other, one]) == ("b",)
    assert conflicts(other, [one]) == ("a",)
    assert conflicts(one, [record("b", "2-1")]) == ()


CHAIN = {
    item.name: item
    for item in (
        record("app", depends=("mid",)),
        record("mid", depends=("lib.so=1-64",)),
        record("lib", provides=("lib.so=1-64",)),
        record("alone"),
    )
}


def bound(changed: str, held: str = "") -> tuple[dict[str, list[str]], dict[str, str]]:
    found = bonds({name: CHAIN[name] for name in changed.split()}, set(held.split()), Graph(CHAIN))
    return {name: sorted(group) for name, group in found.groups.items()}, dict(found.barred)


def test_two_that_changed_come_together_also_where_one_between_them_did_not() -> None:
    groups, barred = bound("app lib alone")

    assert groups == {"app": ["app", "lib"], "lib": ["app", "lib"], "alone": ["alone"]}
    assert barred == {}


def test_one_that_changed_alone_comes_alone() -> None:
    assert bound("mid") == ({"mid": ["mid"]}, {})


def test_a_held_library_bars_what_was_built_for_its_new_form_and_all_that_goes_with_that() -> None:
    groups, barred = bound("app mid lib", held="lib")

    assert groups == {"app": ["app", "mid"], "mid": ["app", "mid"]}
    assert barred == {"app": "lib", "mid": "lib"}


def test_a_held_application_bars_nothing() -> None:
    assert bound("app lib", held="app") == ({"lib": ["lib"]}, {})


# --- kernels -------------------------------------------------------------------------------------


def test_a_kernel_whose_modules_are_gone_asks_for_a_reboot() -> None:
    kernels = {"6.6.9-arch1-1": "linux", "6.6.9-1-lts": "linux-lts"}

    assert newest_kernel("6.6.8-arch1-1", kernels) == "6.6.9-arch1-1"
    assert newest_kernel("6.6.8-1-lts", kernels) == "6.6.9-1-lts"
    assert reboot_reasons("6.6.9-arch1-1", kernels, ()) == ()
    assert reboot_reasons("6.6.8-arch1-1", kernels, ()) == (
        "kernel 6.6.8-arch1-1 runs, and its modules are gone, 6.6.9-arch1-1 is installed",
    )


def test_a_host_without_a_kernel_of_its_own_never_asks_for_one() -> None:
    assert reboot_reasons("6.18.44", {}, ()) == ()
    assert reboot_reasons("6.18.44", {}, ("sshd.service", "dbus.service")) == (
        "services still run replaced files: dbus.service, sshd.service",
    )


@pytest.mark.parametrize(
    ("release", "flavour"),
    [("6.6.8-arch1-1", ""), ("6.6.8-1-lts", "lts"), ("6.6.8-zen1-1-zen", "zen"), ("6.6.8", "")],
)
def test_the_flavour_of_a_kernel_is_its_last_word(release: str, flavour: str) -> None:
    assert flavour_of(release) == flavour


# --- words ---------------------------------------------------------------------------------------


def test_an_exit_status_nobody_documents_is_unknown() -> None:
    assert explain_exit(0) == "pacman reports success"
    assert explain_exit(42) == "exit status 42, which pacman does not document"
    assert explain_exit(None) == "the transaction's end was never recorded"


def test_a_failed_script_is_its_own_packages_and_a_failed_hook_everybodys() -> None:
    script = ["upgrading zip...", "error: command failed to execute correctly", "upgrading jq..."]
    hook = [
        "upgrading zip...",
        ":: Running post-transaction hooks...",
        "(1/2) Arming ConditionNeedsUpdate...",
        "(2/2) Updating linux initcpios...",
        "error: command failed to execute correctly",
    ]

    assert PacmanLog().failed(script) == {"zip": "its script failed"}
    assert PacmanLog().failed(hook) == {"": "a hook failed: Updating linux initcpios"}
    assert PacmanLog().failed(["upgrading zip...", "upgrading jq..."]) == {}


def test_a_script_cannot_shift_its_failure_on_another_package() -> None:
    lines = [
        "upgrading zip...",
        "upgrading jq...",
        "error: command failed to execute correctly",
        "upgrading jq...",
    ]

    assert "" in PacmanLog().failed(lines)


@pytest.mark.parametrize(
    ("name", "version", "arch"),
    [
        ("", "1-1", "any"),
        ("-Rns", "1-1", "any"),
        ("a;b", "1-1", "any"),
        ("$(id)", "1-1", "any"),
        ("a b", "1-1", "any"),
        ("a\n", "1-1", "any"),
        ("a*", "1-1", "any"),
        ("../a", "1-1", "any"),
        ("a", "1", "any"),
        ("a", "1-1;id", "any"),
        ("a", "1 1-1", "any"),
        ("a", "$(id)-1", "any"),
        ("a", "1-1", "any/../x"),
        ("a", "1-1", ""),
        ("a" * 300, "1-1", "any"),
    ],
)
def test_what_pacman_does_not_allow_never_reaches_a_host(
    name: str, version: str, arch: str
) -> None:
    wrong = [target(name, version, arch)]

    for call in (RECORDED.apply_script, RECORDED.undo_script):
        with pytest.raises(PlanError):
            call(wrong)
    with pytest.raises(PlanError):
        RECORDED.rehearse(Replies(b""), wrong, deadline=60)


def test_an_empty_plan_and_one_that_names_a_package_twice_are_refused() -> None:
    with pytest.raises(PlanError, match="no package is named"):
        RECORDED.apply_script([])
    with pytest.raises(PlanError, match="twice"):
        RECORDED.apply_script([target("a", "1-1"), target("a", "2-1")])


def test_restarting_services_is_refused_and_not_left_out_in_silence() -> None:
    manager = PacmanManager(options=ManagerOptions(services=Services.RESTART))

    with pytest.raises(PlanError, match="no tool of its own that restarts services"):
        manager.apply_script([target("a", "1-1")])
