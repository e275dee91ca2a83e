"""A rehearsal says what the host takes now; what is not exactly the plan is refused by name."""

from typing import Any

import pytest

from tests.unit.windows_update_cases import BASE, CASES, in_form, over, read, search_of
from wavemend.execution.drift import transaction_drift
from wavemend.managers.windows_update.answers import (
    ChocolateyList,
    chocolatey_answer,
    search_answer,
)
from wavemend.managers.windows_update.rehearsal import transaction_of
from wavemend.managers.windows_update.targets import sort_out
from wavemend.packages import Target, Transaction

LCU, NET = read(CASES / "looks" / "month.json")["search"]["updates"][:2]
KB = Target(name="KB5075906", arch=LCU["update_id"], version="r200")
DOTNET = Target(name="KB5075000", arch=NET["update_id"], version="r101")
ZIP = Target(name="7zip", arch="chocolatey", version="24.9.0")
ROW = {"name": "7zip", "installed": "23.1.0", "available": "24.9.0", "pinned": False}


def rehearsed(
    *targets: Target, search: dict[str, Any], outdated: tuple[dict[str, Any], ...] = ()
) -> Transaction:
    told = over(BASE["chocolatey"], {"outdated": list(outdated)})
    packages = chocolatey_answer(in_form("chocolatey.out", told)) if outdated else ChocolateyList()
    wanted = sort_out(targets, ("chocolatey",))
    return transaction_of(wanted, search_answer(search_of(search)), packages, ())


def test_exactly_what_is_offered_would_be_installed_and_no_size_is_believed() -> None:
    found = rehearsed(ZIP, KB, DOTNET, search={"updates": [LCU, NET]}, outdated=(ROW,))

    assert transaction_drift((KB, DOTNET, ZIP), found) == ""
    assert (found.download_bytes, found.install_bytes) == (None, None)


@pytest.mark.parametrize(
    ("updates", "reason"),
    [
        ([NET], "KB5075906: not offered any more: superseded, withdrawn, or no longer approved"),
        (
            [NET, {"supersedes": [LCU["update_id"]], "kb": ["KB5079999"]}],
            "KB5075906: not offered any more, superseded by KB5079999",
        ),
        ([NET, {**LCU, "revision": 201}], "KB5075906: offered as r201, planned was r200"),
        ([NET, {**LCU, "can_request_input": True}], "KB5075906: it may ask somebody something"),
        ([NET, {**LCU, "optional": True}], "KB5075906: previews are not among the profile's"),
    ],
)
def test_what_is_not_offered_as_planned_is_refused_by_name(
    updates: list[dict[str, Any]], reason: str
) -> None:
    found = rehearsed(KB, DOTNET, search={"updates": updates})

    assert found.refusal.startswith(reason)
    assert found.installs == ()


def test_a_search_that_failed_is_a_refusal_and_no_empty_offer() -> None:
    fault = {"hresult": "0x8024402C", "context": "search", "message": ""}

    found = rehearsed(KB, search={"search_result_code": 4, "search_error": fault})

    assert "0x8024402C WU_E_PT_WINHTTP_NAME_NOT_RESOLVED" in found.refusal


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**ROW, "available": "25.0.0"}, "7zip: offered is 25.0.0, planned was 24.9.0"),
        ({**ROW, "pinned": True}, "7zip: pinned on the host"),
        ({**ROW, "name": "git"}, "7zip: Chocolatey offers nothing newer"),
    ],
)
def test_packages_of_chocolatey_are_compared_too(row: dict[str, Any], reason: str) -> None:
    assert rehearsed(ZIP, search={}, outdated=(row,)).refusal == reason


def test_a_long_list_of_reasons_is_counted() -> None:
    targets = [
        Target(name=f"KB507000{n}", arch=f"0000000{n}-0000-4000-8000-00000000000b", version="r1")
        for n in range(8)
    ]

    assert rehearsed(*targets, search={}).refusal.endswith("; and 3 more")
