"""What is kept of a Windows host before its change, how it is asked, and when it is fit for one."""

import json
from dataclasses import replace

import pytest

from tests.cases.rollouts.build import NOON, facts
from wavemend.errors import PlanError
from wavemend.hosts import Facts, FreeSpace, Host, PendingUpdate
from wavemend.observations import Look
from wavemend.policy.care import Place, RestorePointRule
from wavemend.readiness import Check, judge_look
from wavemend.snapshots import (
    SNAPSHOTS,
    Ask,
    Command,
    Found,
    Missing,
    Said,
    Snapshotter,
    Subject,
    UndoPackages,
    WindowsScript,
)

GIB = 1_073_741_824
HOST = Host(name="win1", tenant="acme", address="192.0.2.31", manager="windows_update")
SUBJECT = Subject(host=HOST, name="wavemend-r-1-win1")
SHADOW = {
    "label": "wavemend-r-1-win1",
    "kind": "shadow_copy",
    "reference": "{5c0f22b1-93d1-4c4e-8a31-000000000007}",
    "volume": "C:",
    "created_unix": 1_770_000_000,
}
SEQUENCE = SHADOW | {"kind": "restore_point", "reference": "117", "volume": ""}


def kept(of: str = "") -> Snapshotter:
    return SNAPSHOTS["windows"](RestorePointRule(kind="windows", of=of))


def listing(*points: dict[str, object], damaged: tuple[str, ...] = ()) -> str:
    return json.dumps({"points": points, "damaged": damaged})


def answers(*texts: str, asked: list[Command] | None = None) -> Ask:
    """Answer with these texts in order, the last one again and again."""
    left = list(texts)

    def ask(command: Command) -> Said:
        if asked is not None:
            asked.append(command)
        return Said(text=left.pop(0) if len(left) > 1 else left[0])

    return ask


def test_what_windows_lists_now_proves_a_point_and_its_number_or_id_is_kept() -> None:
    found = kept().find(answers(listing(SHADOW)), SUBJECT)
    other = kept().find(answers(listing(SEQUENCE)), SUBJECT)

    assert isinstance(found, Found)
    assert isinstance(other, Found)
    assert found.reference == "shadow_copy {5c0f22b1-93d1-4c4e-8a31-000000000007}"
    assert other.detail == "restore point 117, listed by Windows"


def test_a_point_that_windows_has_dropped_is_missing_whoever_made_it() -> None:
    found = kept().find(answers(listing()), SUBJECT)

    assert found == Missing("the restore point wavemend-r-1-win1 is not listed")


def test_a_point_is_made_by_a_job_of_system_and_only_once() -> None:
    asked: list[Command] = []
    assert kept("D:").make(answers(listing(), "{}", asked=asked), SUBJECT) == ""
    assert kept("D:").make(answers(listing(SHADOW), asked=asked), SUBJECT) == ""

    assert [(command.script, command.argv) for command in asked] == [
        (WindowsScript(name="list_points"), ()),
        (WindowsScript(name="snapshot", as_job=True), ()),
        (WindowsScript(name="list_points"), ()),
    ]
    assert asked[1].place is Place.HOST
    assert json.loads(asked[1].stdin) == {"label": "wavemend-r-1-win1", "volume": "D:"}


def test_a_removal_is_believed_when_windows_lists_the_point_no_more() -> None:
    stays = kept().remove(answers(listing(SHADOW)), HOST, SUBJECT.name)
    gone = kept().remove(answers(listing(SHADOW), "{}", listing()), HOST, SUBJECT.name)

    assert stays == "wavemend-r-1-win1 was removed and is still listed"
    assert gone == ""


@pytest.mark.parametrize("text", ["", "[]", '{"points": []}', listing({"label": "wavemend-x"})])
def test_an_answer_in_another_form_is_no_empty_list(text: str) -> None:
    assert kept().listed(answers(text), HOST).trouble == "the list of restore points is not in form"


def test_a_record_that_cannot_be_read_is_shown_and_never_taken_for_its_point() -> None:
    said = answers(listing(damaged=("wavemend-r-1-win1",)))

    assert [found.name for found in kept().listed(said, HOST).found] == [
        "wavemend-damaged wavemend-r-1-win1"
    ]
    assert isinstance(kept().find(said, SUBJECT), Missing)


@pytest.mark.parametrize("of", ["C", "C:\\", "c:", "\\\\srv\\x", "C: D:", "-D:"])
def test_what_is_no_volume_is_refused_before_the_host_is_asked(of: str) -> None:
    asked: list[Command] = []
    with pytest.raises(PlanError, match="not a volume"):
        kept(of).make(answers("{}", asked=asked), SUBJECT)
    assert asked == []


def test_it_promises_files_and_takes_updates_back_by_removing_them() -> None:
    assert "never its servicing state" in kept().restores
    assert "files of D: as they were" in kept("D:").restores
    assert not kept().loses_data
    assert kept().restoring(SUBJECT, Found(name=SUBJECT.name)) == UndoPackages()


# --- readiness -----------------------------------------------------------------------------------

UPDATE = PendingUpdate(
    name="KB5075906",
    arch="b6f52c8e-5a7d-4c0b-9a36-507590600001",
    installed="",
    candidate="r200",
    origin="2026-02 Cumulative Update for Microsoft server operating system (KB5075906)",
    builds=(("windows-server-2022", "10.0.20348.4773"),),
)
DOTNET = replace(UPDATE, name="KB5075001", builds=())


def windows(**changes: object) -> Facts:
    basis = replace(
        facts("win1"),
        os_id="windows",
        os_version="10.0.20348.4171",
        codename="windows-server-2022",
        free_space=(FreeSpace("C:\\", 40 * GIB, -1),),
        pending=(UPDATE,),
    )
    return replace(basis, **changes)  # type: ignore[arg-type]


def problems(**changes: object) -> list[str]:
    look = Look(host="win1", at=NOON, facts=windows(**changes))
    return [f"{found} ({found.hint})" for found in judge_look(look).problems]


def test_a_windows_host_with_room_that_waits_for_nothing_is_ready() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("pending", "free", "is_ready"),
    [
        ((UPDATE,), 10 * GIB, True),
        ((UPDATE,), 10 * GIB - 1, False),
        ((DOTNET,), 2 * GIB, True),
        ((DOTNET,), 2 * GIB - 1, False),
        ((replace(UPDATE, withheld="superseded"),), 2 * GIB, True),
        ((), 2 * GIB, True),
    ],
)
def test_a_cumulative_update_needs_10_gib_on_the_system_drive_and_others_2(
    pending: tuple[PendingUpdate, ...], free: int, is_ready: bool
) -> None:
    host = windows(pending=pending, free_space=(FreeSpace("C:\\", free, -1),))

    assert judge_look(Look(host="win1", at=NOON, facts=host)).ready is is_ready


def test_the_ways_out_are_those_of_windows() -> None:
    found = problems(
        clock_skew_seconds=45.0,
        free_space=(FreeSpace("C:\\", GIB, -1),),
        lock_holder="msiexec (77)",
        scheduled_shutdown="a restart is scheduled",
        index_errors=("the Windows Update service is disabled",),
        reboot_reasons=("cbs_reboot_pending",),
    )

    assert found == [
        "clock: its clock is 45 s off (mend its time service: `w32tm /resync`)",
        "space: C:\\ is nearly full: 1024 MiB free (make room; `Dism /Online /Cleanup-Image "
        "/StartComponentCleanup` helps)",
        "lock: another installer is at work: msiexec (77) (wait for it, or stop it at its source)",
        "shutdown: a restart is scheduled on the host (`shutdown /a` takes it back)",
        "repositories: updates cannot be searched for: the Windows Update service is disabled "
        "(without it, nobody knows what is pending)",
        "reboot: it waits for a reboot: cbs_reboot_pending (where its profile restarts hosts, it "
        "is restarted before its updates)",
    ]


def test_a_pending_restart_keeps_no_windows_host_out() -> None:
    look = Look(host="win1", at=NOON, facts=windows(reboot_reasons=("wu_reboot_required",)))

    assert judge_look(look).ready


@pytest.mark.parametrize("reason", [Check.PORT, Check.LOGIN, Check.KEY])
def test_a_host_that_was_not_seen_is_told_what_to_do_on_windows_too(reason: Check) -> None:
    look = Look(host="win1", at=NOON, facts=None, reason=reason, detail="refused")
    (problem,) = judge_look(look).problems

    assert "Windows" in problem.hint or "certificate" in problem.hint


def test_estimates_and_frozen_sets_go_by_the_product_and_not_by_the_build_of_a_month() -> None:
    assert windows().system == "windows-server-2022"
    assert windows(codename="").system == "windows 10.0.20348.4171"
    assert facts("web1").system == "debian 12"
