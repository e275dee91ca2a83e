"""What each kind of restore point asks its tool, how it reads the answer, and what it promises.

LVM's answer is lvs 2.03.16's own, over metadata in which a thin snapshot is to be merged (made
anew by tests/contract/test_restore_point_tools.py, where LVM is); ZFS's is as zfs-list(8) says.
"""

from dataclasses import replace

import pytest

from wavemend.errors import PlanError
from wavemend.hosts import Host
from wavemend.packages import Target
from wavemend.policy.care import RESTORE_POINT_KINDS, Place, RestorePointRule
from wavemend.snapshots import (
    SNAPSHOTS,
    Ask,
    Command,
    Found,
    Listing,
    Missing,
    RestoreOnHost,
    RestoreOnWorker,
    Said,
    Subject,
    UndoPackages,
)

HOST = Host(name="web1", tenant="acme", address="192.0.2.11")
SUBJECT = Subject(host=HOST, name="wavemend-r-1-web1")
FOUND = Found(name=SUBJECT.name, reference="17")

LVS = """
  {
      "report": [
          {
              "lv": [
                  {"lv_name":"somebody-else", "lv_merging":""},
                  {"lv_name":"wavemend-r-1-web1", "lv_merging":""}
              ]
          }
      ]
  }
"""
MERGING = LVS.replace(
    '"wavemend-r-1-web1", "lv_merging":""', '"[wavemend-r-1-web1]", "lv_merging":"merging"'
)
ZFS = "rpool/ROOT/debian@autosnap_2026-11-20\nrpool/ROOT/debian@wavemend-r-1-web1\n"


def rule(kind: str, of: str = "") -> RestorePointRule:
    return RestorePointRule(kind=kind, of=of, create=("c",), find=("f",), restore=("r",))


def answers(*texts: str, asked: list[Command] | None = None) -> Ask:
    """Answer with these texts in order, the last one again and again."""
    left = list(texts)

    def ask(command: Command) -> Said:
        if asked is not None:
            asked.append(command)
        return Said(text=left.pop(0) if len(left) > 1 else left[0])

    return ask


def words(command: Command) -> str:
    return " ".join(command.argv)


@pytest.mark.parametrize(
    ("kind", "of", "answer"),
    [
        ("lvm", "vg0/root", LVS),
        ("zfs", "rpool/ROOT/debian", ZFS),
        ("snapper", "", "number,description\n0,current\n17,wavemend-r-1-web1\n"),
        ("btrfs", "", "wavemend-r-1-web1\n"),
        ("libvirt", "", "nightly\nwavemend-r-1-web1\n\n"),
        ("commands", "", " wavemend-r-1-web1 \n"),
    ],
)
def test_only_points_of_ours_are_listed(kind: str, of: str, answer: str) -> None:
    listing = SNAPSHOTS[kind](rule(kind, of)).listed(answers(answer), HOST)

    assert listing.trouble == ""
    assert [found.name for found in listing.found] == ["wavemend-r-1-web1"]


@pytest.mark.parametrize(
    ("kind", "of", "answer"),
    [
        ("lvm", "vg0/root", "  LV   VG\n  root vg0\n"),
        ("lvm", "vg0/root", '{"report": [{"vg": []}]}'),
        ("zfs", "rpool/x", "NAME  USED\n"),
        ("zfs", "rpool/x", "rpool/x@\n"),
        ("snapper", "", "# | Type | Description\n"),
        ("snapper", "", "number,description\n1,a,b\n"),
        ("snapper", "", ""),
    ],
)
def test_an_answer_in_another_form_is_no_empty_list(kind: str, of: str, answer: str) -> None:
    listing = SNAPSHOTS[kind](rule(kind, of)).listed(answers(answer), HOST)

    assert listing.found == ()
    assert listing.trouble
    assert isinstance(SNAPSHOTS[kind](rule(kind, of)).find(answers(answer), SUBJECT), Missing)


@pytest.mark.parametrize(
    ("kind", "of"),
    [
        ("lvm", ""),
        ("lvm", "root"),
        ("lvm", "vg0/root/more"),
        ("lvm", "-n/x"),
        ("lvm", 'vg0/ro"ot'),
        ("zfs", ""),
        ("zfs", "-r"),
        ("zfs", "rpool@snap"),
        ("btrfs", "data"),
        ("snapper", "--no-dbus"),
        ("libvirt", "--domain"),
        ("libvirt", "qemu:///system two words"),
    ],
)
def test_what_is_kept_must_be_a_thing_of_that_tool(kind: str, of: str) -> None:
    with pytest.raises(PlanError, match=r"restore_point\.of is"):
        SNAPSHOTS[kind](rule(kind, of)).listed(answers(""), HOST)


def test_the_hosts_name_is_filled_into_what_is_kept() -> None:
    asked: list[Command] = []
    SNAPSHOTS["libvirt"](rule("libvirt", "qemu+ssh://kvm1/system {host}")).listed(
        answers("", asked=asked), HOST
    )

    (command,) = asked
    assert command.place is Place.WORKER
    assert words(command) == (
        "virsh -q -c qemu+ssh://kvm1/system snapshot-list --domain web1 --name"
    )


@pytest.mark.parametrize(
    "name", ["wavemend-", "wavemend-a b", "wavemend-$(id)", "wavemend-" + "x" * 120, "other"]
)
def test_a_name_that_a_tool_could_misread_is_not_used(name: str) -> None:
    asked: list[Command] = []
    lvm = SNAPSHOTS["lvm"](rule("lvm", "vg0/root"))

    assert "cannot be the name" in lvm.make(answers(LVS, asked=asked), replace(SUBJECT, name=name))
    assert asked == []


def test_a_point_that_is_listed_is_not_made_again() -> None:
    asked: list[Command] = []

    assert (
        SNAPSHOTS["zfs"](rule("zfs", "rpool/ROOT/debian")).make(answers(ZFS, asked=asked), SUBJECT)
        == ""
    )

    assert len(asked) == 1


def test_each_tool_makes_one_point_of_that_name() -> None:
    asked: list[Command] = []
    nothing = '{"report": [{"lv": []}]}'
    SNAPSHOTS["lvm"](rule("lvm", "vg0/root")).make(answers(nothing, asked=asked), SUBJECT)
    SNAPSHOTS["zfs"](rule("zfs", "rpool/x")).make(answers("", asked=asked), SUBJECT)

    assert words(asked[1]).endswith("lvcreate -s -n wavemend-r-1-web1 vg0/root")
    assert words(asked[3]).endswith("zfs snapshot rpool/x@wavemend-r-1-web1")


@pytest.mark.parametrize(
    ("kind", "of", "ending", "restarts"),
    [
        ("lvm", "vg0/root", "lvconvert --merge vg0/wavemend-r-1-web1", True),
        ("zfs", "rpool/x", "zfs rollback rpool/x@wavemend-r-1-web1", True),
        ("snapper", "", "-c root rollback 17", True),
        ("snapper", "data", "-c data undochange 17..0", False),
        ("btrfs", "", "restore / wavemend-r-1-web1", True),
    ],
)
def test_a_host_is_brought_back_by_its_own_point_and_restarted_where_that_is_needed(
    kind: str, of: str, ending: str, restarts: bool
) -> None:
    restoring = SNAPSHOTS[kind](rule(kind, of)).restoring(SUBJECT, FOUND)

    assert isinstance(restoring, RestoreOnHost)
    assert " ".join(restoring.script.args).endswith(ending)
    assert restoring.restarts is restarts
    assert restoring.uses_up is (kind == "lvm")


@pytest.mark.parametrize("said", [MERGING, MERGING.replace('"merging"', '"1"')])
def test_a_point_that_the_next_boot_merges_is_hidden_by_lvm_and_said_to_be_on_its_way(
    said: str,
) -> None:
    lvm, asked = SNAPSHOTS["lvm"](rule("lvm", "vg0/root")), list[Command]()
    on_its_way = (
        "the restore point wavemend-r-1-web1 is put back with the host's next restart: restart it "
        "by hand, and scan it"
    )

    (found,) = lvm.listed(answers(said, asked=asked), HOST).found
    assert (found.name, found.going) == ("wavemend-r-1-web1", True)
    assert lvm.find(answers(said), SUBJECT) == Missing(on_its_way)
    assert lvm.remove(answers(said, asked=asked), HOST, SUBJECT.name) == on_its_way
    assert lvm.make(answers(said, asked=asked), SUBJECT) == "", "it is not made beside it"
    programs = {next(w for w in words(it).split()[1:] if "=" not in w) for it in asked}
    assert programs == {"lvs"}, "nothing was changed"


def test_newer_snapshots_of_others_are_never_destroyed() -> None:
    restoring = SNAPSHOTS["zfs"](rule("zfs", "rpool/x")).restoring(SUBJECT, FOUND)

    assert isinstance(restoring, RestoreOnHost)
    assert "-r" not in restoring.script.args


@pytest.mark.parametrize("kind", ["libvirt", "commands"])
def test_a_machine_that_does_not_boot_is_brought_back_from_the_worker(kind: str) -> None:
    restoring = SNAPSHOTS[kind](rule(kind)).restoring(SUBJECT, FOUND)

    assert isinstance(restoring, RestoreOnWorker)
    assert restoring.command.place is Place.WORKER


@pytest.mark.parametrize("kind", sorted(SNAPSHOTS))
def test_every_kind_says_what_it_brings_back_and_whether_data_is_lost(kind: str) -> None:
    snapshotter = SNAPSHOTS[kind](rule(kind))

    assert len(snapshotter.restores) > 60
    assert snapshotter.loses_data is (kind not in {"package_versions", "windows"})
    assert ("since" in snapshotter.restores) is True or kind == "package_versions"


def test_the_fleet_file_knows_every_kind_and_no_other() -> None:
    assert set(RESTORE_POINT_KINDS) == set(SNAPSHOTS)


# --- package versions ----------------------------------------------------------------------------

TWO = replace(
    SUBJECT,
    before=(
        Target(name="openssl", arch="amd64", version="3.0-1"),
        Target(name="zip", arch="amd64", version="3.0-2"),
    ),
)


def versions(text: str, subject: Subject = TWO) -> Found | Missing:
    return SNAPSHOTS["package_versions"](RestorePointRule()).find(answers(text), subject)


def test_old_versions_that_can_all_be_had_are_a_restore_point() -> None:
    found = versions("yes\nyes\n")

    assert isinstance(found, Found)
    assert found.detail == "2 of 2 old versions can still be had"


@pytest.mark.parametrize("text", ["", "yes\n", "yes\nyes\nyes\n", "yes\nmaybe\n", "no yes\n"])
def test_an_answer_about_versions_in_another_form_proves_nothing(text: str) -> None:
    assert versions(text) == Missing("the answer of apt about old versions is not in form")


def test_flatpaks_and_snaps_are_asked_by_their_own_means_and_what_is_gone_is_named() -> None:
    asked: list[Command] = []
    commit = "f" * 64
    tool = Target(name="org.lab.Tool", arch="flatpak/x86_64/stable", version=commit)
    firefox = Target(name="firefox", arch="snap/latest/stable", version="8664")
    mixed = replace(TWO, before=(firefox, TWO.before[0], tool, TWO.before[1]))
    kind = SNAPSHOTS["package_versions"](RestorePointRule())

    found = kind.find(answers("yes\nyes\n", "no\n", "yes\n", asked=asked), mixed)

    assert found == Missing(f"3 of 4 old versions can still be had; not: org.lab.Tool {commit}")
    assert [command.title for command in asked] == [
        f"ask {teller} for old versions" for teller in ("apt", "flatpak", "snap")
    ]
    assert [command.argv[3:] for command in asked] == [
        ("openssl", "amd64", "3.0-1", "zip", "amd64", "3.0-2"),
        ("org.lab.Tool", "flatpak/x86_64/stable", commit),
        ("firefox", "snap/latest/stable", "8664"),
    ]


def test_a_version_that_is_gone_is_named() -> None:
    assert versions("yes\nno\n") == Missing("1 of 2 old versions can still be had; not: zip 3.0-2")


def test_a_host_that_only_gets_new_packages_needs_no_old_version() -> None:
    asked: list[Command] = []
    kind = SNAPSHOTS["package_versions"](RestorePointRule())

    assert isinstance(kind.find(answers("", asked=asked), SUBJECT), Found)
    assert asked == []
    assert kind.restoring(TWO, FOUND) == UndoPackages()
    assert kind.listed(answers(""), HOST) == Listing()


def test_a_manager_that_cannot_be_asked_is_told_apart_from_a_version_that_is_gone() -> None:
    strange = replace(TWO, host=replace(HOST, manager="vyos"))

    with pytest.raises(PlanError, match="the manager vyos cannot be asked"):
        versions("yes\nyes\n", strange)


def test_names_and_versions_travel_as_arguments() -> None:
    asked: list[Command] = []
    hostile = replace(TWO, before=(Target(name="a;reboot", arch="$(id)", version="`x`"),))
    SNAPSHOTS["package_versions"](RestorePointRule()).find(answers("no\n", asked=asked), hostile)

    (command,) = asked
    assert command.argv == ("/bin/sh", "-s", "--", "a;reboot", "$(id)", "`x`")
