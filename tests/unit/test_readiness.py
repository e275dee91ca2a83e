"""Before a change each host is ready, or is not with a reason and a way out; the group decides."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.cases.rollouts.build import NOON, facts
from wavemend.errors import FleetError
from wavemend.fleet import RolloutKind
from wavemend.hosts import FreeSpace, InstalledPackage, Repository
from wavemend.observations import Look
from wavemend.packages import Transaction
from wavemend.policy.care import Unready
from wavemend.power_on import magic_packet
from wavemend.readiness import Check, Readiness, group_answer, judge_look, lack_of_room

MIB = 1_048_576


def seen(**changes: Any) -> Look:
    return Look(host="web1", at=NOON, facts=replace(facts("web1"), **changes))


def unseen(reason: str) -> Look:
    return Look(host="web1", at=NOON, facts=None, reason=reason, detail=f"it is {reason}")


def would_need(download: int, install: int, *, refusal: str = "") -> Transaction:
    return Transaction(
        installs=(),
        removals=(),
        refusal=refusal,
        download_bytes=download * MIB,
        install_bytes=install * MIB,
    )


def test_a_healthy_host_is_ready_and_nothing_is_said() -> None:
    assert judge_look(seen(), would_need(100, 300)) == Readiness(host="web1", problems=())


@pytest.mark.parametrize(
    ("reason", "check"),
    [
        ("off", Check.OFF),
        ("name", Check.NAME),
        ("port", Check.PORT),
        ("silent", Check.SILENT),
        ("login", Check.LOGIN),
        ("key", Check.KEY),
        ("lost", Check.LOST),
        ("deadline", Check.LOST),
        ("answer", Check.ANSWER),
        ("a word of next year", Check.ANSWER),
    ],
)
def test_a_host_that_was_not_seen_is_not_ready_and_says_how(reason: str, check: Check) -> None:
    (problem,) = judge_look(unseen(reason)).blocking

    assert problem.check is check
    assert str(problem) == f"{check}: it is {reason}"


BROKEN = InstalledPackage(
    name="zip", version="3", arch="amd64", source="zip", source_version="3", status="iF"
)


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        ({"clock_skew_seconds": -31.0}, Check.CLOCK, "-31 s off"),
        ({"free_space": (FreeSpace("/", 99 * MIB, 10**6),)}, Check.SPACE, "/ is nearly full"),
        ({"free_space": (FreeSpace("/var", 10**10, 1_999),)}, Check.SPACE, "1999 inodes"),
        ({"free_space": (FreeSpace("/boot", 99 * MIB, 10**6),)}, Check.SPACE, "/boot is nearly"),
        ({"read_only": ("/",)}, Check.READ_ONLY, "/ is mounted read-only"),
        ({"read_only": ("/var/lib",)}, Check.READ_ONLY, "/var/lib is mounted read-only"),
        ({"broken": (BROKEN,)}, Check.PACKAGES, "zip (iF)"),
        ({"lock_holder": "apt-get (7)"}, Check.LOCK, "in use by apt-get (7)"),
        ({"scheduled_shutdown": "reboot is scheduled"}, Check.SHUTDOWN, "reboot is scheduled"),
        ({"index_errors": ("no route",)}, Check.REPOSITORIES, "no route"),
        (
            {"repositories": (Repository(name="main", reachable=False, signed=True),)},
            Check.REPOSITORIES,
            "main cannot be reached",
        ),
    ],
)
def test_what_would_spoil_the_change_keeps_the_host_out(
    changes: dict[str, Any], check: Check, words: str
) -> None:
    found = judge_look(seen(**changes))

    assert not found.ready
    assert [problem.check for problem in found.problems] == [check]
    assert words in found.problems[0].reason


@pytest.mark.parametrize(
    "changes",
    [
        {"reboot_reasons": ("kernel 6.1 runs, 6.2 is installed",)},
        {"rivals": ("unattended-upgrades",)},
        {"repositories": (Repository(name="main", reachable=True, signed=False),)},
        {"read_only": ("/usr",)},
    ],
)
def test_what_somebody_should_look_at_is_told_and_keeps_nobody_out(changes: dict[str, Any]) -> None:
    found = judge_look(seen(**changes))

    assert found.ready
    assert len(found.problems) == 1


def test_a_host_whose_half_done_packages_keep_apt_from_counting_can_still_be_repaired() -> None:
    unmet = (
        "simulated upgrade ended with 100: E: Unmet dependencies. Try 'apt --fix-broken install'"
    )
    half = seen(broken=(BROKEN,), index_errors=(unmet,))

    assert not judge_look(half).ready
    found = judge_look(half, kind=RolloutKind.REPAIR)
    assert found.ready
    assert [problem.check for problem in found.problems] == [Check.PACKAGES, Check.REPOSITORIES]


def test_file_systems_without_an_inode_limit_are_not_short_of_inodes() -> None:
    assert judge_look(seen(free_space=(FreeSpace("/", 10**10, -1),))).ready


def room(root: int, var: int | None = None) -> tuple[FreeSpace, ...]:
    paths = [FreeSpace("/", root * MIB, 10**6)]
    return tuple(paths if var is None else [*paths, FreeSpace("/var", var * MIB, 10**6)])


@pytest.mark.parametrize(
    ("space", "needs", "lacks"),
    [
        (room(500), would_need(100, 300), ""),
        (room(500), would_need(101, 300), "/ has 500 MiB free, the updates need 401 MiB"),
        (room(500, 500), would_need(101, 300), "/ has 500 MiB free, the updates need 401 MiB"),
        (room(500, 201), would_need(101, 300), ""),
        (room(500, 200), would_need(101, 300), "/var has 200 MiB free, the updates need 101 MiB"),
        (room(500, 200), Transaction(installs=(), removals=()), ""),
        (room(101), would_need(0, -500), ""),
    ],
)
def test_the_room_that_must_stay_is_counted_beside_what_the_updates_need(
    space: tuple[FreeSpace, ...], needs: Transaction, lacks: str
) -> None:
    host = replace(facts("web1"), free_space=space)

    assert lack_of_room(host, needs).startswith(lacks)
    assert bool(lack_of_room(host, needs)) == bool(lacks)


def test_a_manager_that_would_refuse_makes_its_host_not_ready() -> None:
    found = judge_look(seen(), would_need(0, 0, refusal="unmet dependencies"))

    assert [problem.check for problem in found.blocking] == [Check.TRANSACTION]


READY = judge_look(seen())
OFF = judge_look(unseen("off"))


@pytest.mark.parametrize(
    ("rule", "found", "accepted", "time_left", "wanted"),
    [
        (Unready.BLOCK, [READY], False, True, "go on"),
        (Unready.BLOCK, [READY, OFF], False, True, "stay"),
        (Unready.BLOCK, [READY, OFF], True, True, "go on"),
        (Unready.HOLD, [READY, OFF], False, True, "hold"),
        (Unready.HOLD, [READY, OFF], False, False, "stay"),
        (Unready.HOLD, [READY, OFF], True, False, "go on"),
        (Unready.HOLD, [READY], False, False, "go on"),
        (Unready.GO_ON, [OFF], False, False, "go on"),
    ],
)
def test_the_group_blocks_holds_or_goes_on_as_its_rule_says(
    rule: Unready, found: Sequence[Readiness], accepted: bool, time_left: bool, wanted: str
) -> None:
    answer = group_answer(rule, found, accepted=accepted, time_left=time_left)

    assert ("hold" if answer.hold else "go on" if answer.go_on else "stay") == wanted
    assert ("web1 is not ready: off: it is off" in answer.reason) == (OFF in found)


def test_a_long_list_of_hosts_that_are_not_ready_is_counted_not_cut() -> None:
    many = [replace(OFF, host=f"web{number}") for number in range(8)]

    reason = group_answer(Unready.BLOCK, many, accepted=False, time_left=True).reason

    assert reason.endswith("web4 is not ready: off: it is off; and 3 more")


def test_a_wake_on_lan_frame_is_six_ff_and_the_address_sixteen_times() -> None:
    assert magic_packet("52:54:00:ab:CD:ef") == b"\xff" * 6 + bytes.fromhex("525400abcdef") * 16


@pytest.mark.parametrize("mac", ["", "52:54", "zz:54:00:ab:cd:ef", "52:54:00:ab:cd:ef:00"])
def test_a_wrong_hardware_address_is_refused(mac: str) -> None:
    with pytest.raises(FleetError, match="no hardware address"):
        magic_packet(mac)
