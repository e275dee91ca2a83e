"""What workers are told is checked data: exactly the approved revisions, never text."""

import json
from dataclasses import replace
from typing import Any

import pytest

from wavemend.errors import PlanError
from wavemend.hosts import Conffiles, ManagerOptions, Services
from wavemend.managers.windows_update import WindowsUpdateManager
from wavemend.managers.windows_update.targets import before_update, search_params
from wavemend.packages import Target
from wavemend.plans import PlannedPackage
from wavemend.windows.calling import contract_fault

ID = "00000001-0000-4000-8000-00000000000a"
KB = Target(name="KB5075906", arch=ID, version="r200")
ZIP = Target(name="7zip", arch="chocolatey", version="24.9.0")
BACK = replace(KB, version="before 10.0.20348.4773")

MANAGER = WindowsUpdateManager()
BOTH = WindowsUpdateManager(options=ManagerOptions(sources=("chocolatey",)))


def params(manager: WindowsUpdateManager, *targets: Target) -> dict[str, Any]:
    script = manager.apply_script(targets)
    told: dict[str, Any] = json.loads(script.args[0])
    assert (script.kind, contract_fault("install.in", told)) == ("install", "")
    return told


def test_updates_and_packages_are_one_job() -> None:
    told = params(BOTH, ZIP, KB)

    assert told["approved"] == [{"update_id": ID, "revision": 200}]
    assert told["packages"] == [{"name": "7zip", "version": "24.9.0"}]
    assert (told["server_selection"], told["service_id"]) == (0, ""), "the host's policy decides"
    assert told["continue_on_error"]


def test_the_same_targets_make_the_same_job_in_any_order() -> None:
    assert BOTH.apply_script([ZIP, KB]) == BOTH.apply_script([KB, ZIP])


@pytest.mark.parametrize(
    "target",
    [
        replace(KB, name=""),
        replace(KB, name="KB1'; Remove-Item"),
        replace(KB, name="$(id)"),
        replace(KB, arch=""),
        replace(KB, arch="x64"),
        replace(KB, arch=ID.upper()),
        replace(KB, arch=f"{ID}\n"),
        replace(KB, version=""),
        replace(KB, version="200"),
        replace(KB, version="r2 00"),
        replace(KB, version="before 10.0.20348.4773"),
        ZIP,
    ],
)
def test_what_is_no_approved_update_never_reaches_a_host(target: Target) -> None:
    with pytest.raises(PlanError):
        MANAGER.apply_script([target])


@pytest.mark.parametrize(
    "target",
    [replace(ZIP, name="a b"), replace(ZIP, name="--force"), replace(ZIP, version="latest;id")],
)
def test_what_is_no_package_of_chocolatey_never_reaches_a_host(target: Target) -> None:
    with pytest.raises(PlanError, match="no Chocolatey package"):
        BOTH.apply_script([target])


def test_an_empty_list_and_a_repeated_update_are_refused() -> None:
    for targets in ([], [KB, replace(KB, version="r201")]):
        with pytest.raises(PlanError):
            MANAGER.apply_script(targets)
        with pytest.raises(PlanError):
            MANAGER.undo_script(targets)


def test_an_update_is_removed_by_its_kb_and_build() -> None:
    script = MANAGER.undo_script([BACK])
    told = json.loads(script.args[0])

    assert (script.kind, contract_fault("rollback.in", told)) == ("rollback", "")
    assert told["targets"] == [{"kb": "KB5075906", "fixed_build": "10.0.20348.4773"}]
    bare = MANAGER.undo_script([replace(BACK, version="")])
    assert json.loads(bare.args[0])["targets"] == [{"kb": "KB5075906", "fixed_build": ""}]


def test_dism_looks_for_a_package_of_the_build_that_the_release_is_made_of() -> None:
    target = replace(BACK, version="before 10.0.26200.7840")

    (row,) = json.loads(MANAGER.undo_script([target]).args[0])["targets"]

    assert row["fixed_build"] == "10.0.26100.7840"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (replace(ZIP, version=""), "Chocolatey packages are not taken back"),
        (replace(BACK, name="KB2267602", version=""), "Defender's own updates"),
        (replace(BACK, name="intel-net-12.19.2.45", version=""), "has no KB number"),
        (KB, "nothing an update goes back to"),
        (replace(BACK, version="before 1.443.10.0"), "no build of Windows"),
    ],
)
def test_what_cannot_be_taken_back_says_why(target: Target, reason: str) -> None:
    with pytest.raises(PlanError, match=reason):
        MANAGER.undo_script([target])


def planned(*builds: tuple[str, str]) -> PlannedPackage:
    return PlannedPackage(
        name="KB5075906",
        arch=ID,
        installed="",
        target="r200",
        origin="2026-02 Cumulative Update",
        lane="now",
        builds=builds,
    )


def test_a_planned_update_goes_back_to_before_its_build() -> None:
    assert before_update(planned(("windows-server-2022", "10.0.20348.4773"))) == BACK
    assert before_update(planned()).version == ""
    assert before_update(planned(("microsoft-defender-definitions", "1.443.10.0"))).version == ""


def test_a_component_store_is_not_repaired_by_itself() -> None:
    with pytest.raises(PlanError, match="RestoreHealth"):
        MANAGER.repair_script()


def test_a_policy_made_for_the_services_of_linux_hosts_keeps_no_windows_host_from_its_updates() -> (
    None
):
    options = ManagerOptions(services=Services.RESTART, conffiles=Conffiles.REPLACE)

    made = WindowsUpdateManager(options=options).apply_script([KB])

    assert made == MANAGER.apply_script([KB])


def test_previews_are_searched_for_only_where_they_are_taken() -> None:
    plain, more = (json.loads(search_params(kinds, history=9)) for kinds in ((), ("previews",)))

    assert contract_fault("scan.in", plain) == contract_fault("scan.in", more) == ""
    assert plain["criteria"] == "IsInstalled=0 and IsHidden=0"
    assert "OptionalInstallation" in more["criteria"]
