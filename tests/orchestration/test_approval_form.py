"""The form of an approval shows what would change, sign by sign, and no host can edit the text.

No server is needed: what is looked at is the markdown that Prefect's UI shows.
"""

import re
from dataclasses import replace

from tasks.approval import explain, way_back
from tasks.show import labels_of
from tests.cases.rollouts.build import CRITICAL, LAST_START, PILOT, PLAN, package, plan_of
from wavemend.approvals import Request
from wavemend.ledger.approvals import OpenRequest
from wavemend.outcomes import PackageOutcome
from wavemend.plans import LeftOut, Plan
from wavemend.policy.care import RestorePointRule
from wavemend.rollout import AskApproval, Prepare

HELD = LeftOut(
    name="zip",
    arch="amd64",
    installed="1",
    candidate="2",
    outcome=PackageOutcome.HELD,
    reason="on hold: [click](http://evil.example) **all is well** ~~not~~ <img src=x>",
)


def with_db1(**changes: object) -> Plan:
    plan = plan_of(PILOT, CRITICAL)
    hosts = [replace(h, **changes) if h.critical else h for h in plan.hosts]  # type: ignore[arg-type]
    return replace(plan, hosts=tuple(hosts))


def form(plan: Plan, refusal: str = "", known: tuple[str, ...] = ()) -> str:
    request = Request(
        id="q-1",
        rollout_id=plan.rollout,
        tenant=plan.tenant,
        plan_digest=plan.digest,
        nonce="0" * 32,
        expires_at=LAST_START,
    )
    return explain(plan, OpenRequest(request, 1, "critical-1"), refusal, known)


def outside_code(text: str) -> str:
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    return re.sub(r"`[^`\n]*`", "", prose)


def test_versions_with_tildes_are_shown_as_they_are_not_struck_out() -> None:
    text = form(with_db1(packages=(package("libssl3", "3.0.20-1~deb12u2", "3.0.22-1~deb12u2"),)))

    assert "`3.0.20-1~deb12u2` → `3.0.22-1~deb12u2`" in text
    assert "~" not in outside_code(text)


def test_it_names_host_address_packages_lane_expiry_and_how_to_answer() -> None:
    plan = with_db1(exposed=True)
    text = form(plan, known=("pilot: 2 patched",))

    assert "waits before **db1**" in text
    assert "`db1.example:22`, exposed" in text
    assert "**wm-fine** `1.0` → `2.0` routine" in text
    assert f"before **{LAST_START:%Y-%m-%d %H:%M} UTC**" in text
    assert f"wavemend approve {plan.rollout} --print" in text
    assert "- pilot: 2 patched" in text
    assert "web1" not in text


def test_an_approver_of_a_repair_reads_what_is_half_done_and_that_no_version_comes_in() -> None:
    plan = with_db1(packages=(), repairs=("wm-slow 2.0~rc1 (iF)", "zip 3.0 (iU)"))
    text = form(plan)

    assert "the package manager's repair, which brings no version in" in text
    assert "- half done: `wm-slow 2.0~rc1 (iF)`" in text
    assert "only restarted" not in text
    assert way_back(plan, RestorePointRule()), "a restore point is made for a repair too"


def test_the_digest_is_whole_though_it_is_written_in_two_pieces() -> None:
    plan = with_db1()

    assert plan.digest in form(plan).replace("` `", "")


def test_words_of_a_host_become_no_markup() -> None:
    prose = outside_code(form(with_db1(left_out=(HELD,)), refusal=HELD.reason))

    assert "on hold:" in prose
    assert not re.search(r"\]\(|<img|~~|\*\*all is well", prose)


def test_a_backtick_in_a_version_cannot_leave_its_code_span() -> None:
    text = form(with_db1(packages=(package("x", "1` **done** `", "2"),)))

    assert "**done**" not in outside_code(text)


def test_a_simulated_host_is_called_so_in_the_form_and_in_every_task_runs_tags() -> None:
    plan = with_db1(simulated=True)

    assert "waits before **SIMULATED db1**" in form(plan)
    assert labels_of(plan, Prepare(("db1",))) == ("tenant:acme", "SIMULATED")
    assert labels_of(plan_of(CRITICAL), AskApproval(CRITICAL)) == (
        "tenant:acme",
        "wave:critical-3",
    )


def test_an_approver_reads_what_could_be_restored_and_that_it_is_made_after_the_answer() -> None:
    (told,) = way_back(PLAN, RestorePointRule(kind="package_versions", required=True))

    assert "made after the approval, before the change (package versions only: " in told
    assert told.endswith("without it a host is blocked")
    (free,) = way_back(PLAN, RestorePointRule())
    assert free.endswith("changed all the same")
    assert way_back(plan_of(PILOT), RestorePointRule()) == ()


def test_an_update_of_windows_is_named_by_its_title_the_ones_that_stay_too() -> None:
    kb = replace(
        package("KB5075906", "", "r200"),
        arch="b6f52c8e-5a7d-4c0b-9a36-507590600001",
        origin="2026-02 Cumulative Update (KB5075906)",
    )
    stays = replace(HELD, name="KB2267602", reason="not taken", title="Security Intelligence")
    text = form(with_db1(packages=(kb,), left_out=(stays,)))

    assert "- **KB5075906** 2026-02 Cumulative Update (KB5075906) `r200` routine" in text
    assert "- `KB2267602` Security Intelligence stays: not taken" in text
