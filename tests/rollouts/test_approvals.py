"""Whatever resumes the paused run, a critical host changes only on a valid signature over its plan.

One rollout waits through all of these tests; each attack is refused, recorded, and asked again.
"""

import dataclasses
import sqlite3
from collections.abc import Iterator

import pytest

from tests.world.standing import Standing
from tests.world.world import World
from wavemend.approvals import Request
from wavemend.ledger import audit
from wavemend.ledger.approvals import OpenRequest
from wavemend.plans import Plan

pytestmark = pytest.mark.live

TENANT, CRITICAL = "sign", "sign2"


@pytest.fixture(autouse=True)
def _critical_host_stays_untouched(world: World, request: pytest.FixtureRequest) -> Iterator[None]:
    """Hold every attack against the host itself: same packages, no job in its journal."""
    world.begin(TENANT)
    world.wait_asking(TENANT)
    before = world.packages(CRITICAL)
    yield
    if "approval" not in request.node.name:
        assert world.packages(CRITICAL) == before != {}
        assert world.journal(CRITICAL) == []
        assert CRITICAL not in world.standing(TENANT).attempts


def refused_after(world: World, before: Standing) -> Standing:
    """Wait for one more refusal and the next asking; return how it stands then."""
    after = world.wait_asking(TENANT, refusals=len(before.refusals) + 1)
    assert after.kinds().count("approval.refused") == len(after.refusals)
    assert after.request is not None
    assert before.request is not None
    assert after.request.asking == before.request.asking + 1
    return after


def asked(now: Standing) -> OpenRequest:
    assert now.request is not None
    return now.request


@pytest.mark.parametrize("answer", [None, {}], ids=["no-input", "empty-input"])
def test_a_bare_resume_is_refused_by_prefect_itself_and_the_run_stays_suspended(
    world: World, answer: dict[str, str] | None
) -> None:
    before = world.standing(TENANT)

    said = world.resume(before.flow_run, answer)

    assert said["status"] == "REJECT"
    assert world.state(before.flow_run) == "PAUSED"
    assert world.standing(TENANT).request == before.request


def test_a_form_without_any_signature_is_refused_and_recorded(world: World) -> None:
    before = world.standing(TENANT)

    world.resume(before.flow_run, {**world.signed(asked(before)), "signature": ""})

    assert "there is no signature" in refused_after(world, before).refusals[-1]


def test_a_form_without_a_real_signature_is_refused_and_recorded(world: World) -> None:
    before = world.standing(TENANT)
    made_up = "-----BEGIN SSH SIGNATURE-----\nVTBOT1RBU0lHTkFUVVJF\n-----END SSH SIGNATURE-----"

    world.resume(before.flow_run, {**world.signed(asked(before)), "signature": made_up})

    assert "the signature is not" in refused_after(world, before).refusals[-1]


def test_a_signature_over_another_plan_is_refused_and_recorded(world: World) -> None:
    before = world.standing(TENANT)
    mine = asked(before)
    other = dataclasses.replace(mine.request, plan_digest=f"sha256:{'0' * 64}")

    world.resume(before.flow_run, world.signed(dataclasses.replace(mine, request=other)))

    assert "the signature is not" in refused_after(world, before).refusals[-1]


def test_an_earlier_requests_signature_is_worthless_for_this_one(world: World) -> None:
    before = world.standing(TENANT)
    earlier: Request = dataclasses.replace(asked(before).request, nonce="0" * 32)
    replayed = dataclasses.replace(asked(before), request=earlier)

    world.resume(before.flow_run, world.signed(replayed))

    assert "the signature is not" in refused_after(world, before).refusals[-1]


def test_a_key_that_is_not_listed_is_refused_and_recorded(world: World) -> None:
    before = world.standing(TENANT)

    world.resume(before.flow_run, world.signed(asked(before), key="mallory"))

    assert "the signature is not" in refused_after(world, before).refusals[-1]


def test_a_run_forced_to_go_on_without_an_answer_asks_again(world: World) -> None:
    before = world.standing(TENANT)

    world.force(before.flow_run, "SCHEDULED")

    assert "is no decision" in refused_after(world, before).refusals[-1]


def test_a_run_forced_to_running_does_nothing_and_is_taken_up_again(world: World) -> None:
    before = world.standing(TENANT)

    world.force(before.flow_run, "RUNNING")
    world.wait_until(
        lambda: "taken up again" in world.wavemend("rollout", "resume").stdout,
        "the dead run to be noticed",
    )

    after = world.wait(
        TENANT,
        lambda s: s.flow_run != before.flow_run,
        "another run",
        dead=before.flow_run,
    )
    after = world.wait_asking(TENANT)
    assert after.request == before.request
    assert after.refusals == before.refusals
    # No answer came with it, and that is recorded.
    world.wait_until(
        lambda: returned_with(world, before.rollout, after.flow_run), "the return to be recorded"
    )


def returned_with(world: World, rollout: str, flow_run: str) -> bool:
    """True when the ledger has that this run came back to its open request."""
    with world.ledger.reading() as book:
        known = audit.events(book, rollout)
    return any(e.kind == "approval.run_returned" and flow_run in e.body for e in known)


def test_an_answer_for_a_plan_that_was_changed_meanwhile_is_refused_and_recorded(
    world: World,
) -> None:
    before = world.standing(TENANT)
    assert before.plan is not None
    answer = world.signed(asked(before))
    changed = dataclasses.replace(before.plan, nonce="changed")

    with plan_in_force(world, before, changed):
        world.resume(before.flow_run, answer)
        during = world.wait_asking(TENANT, refusals=len(before.refusals) + 1)
        assert "the plan was changed" in during.refusals[-1]
        assert asked(during).request.plan_digest == changed.digest

    # Back to the real plan: the asking over the changed one is void in the same way.
    world.force(during.flow_run, "SCHEDULED")
    after = world.wait_asking(TENANT, refusals=len(during.refusals) + 1)
    assert asked(after).request.plan_digest == before.plan.digest


def test_the_approval_signed_by_the_named_approver_still_works(world: World) -> None:
    before = world.standing(TENANT)

    signing = ["--key", str(world.key("alice")), "--reason", "the pilot went well"]
    world.wavemend("approve", before.rollout, *signing)

    after = world.wait_finished(TENANT)
    assert after.outcomes == {"sign1": "patched", "sign2": "patched"}
    assert world.installs(CRITICAL).count("wm-fine 2.0") == 1
    assert len(world.journal(CRITICAL)) == 2
    accepted = [row for row in after.decisions if row.accepted]
    assert [(row.identity, row.decision) for row in accepted] == [("alice@example.org", "approve")]
    with world.ledger.reading() as book:
        audit.verify(book)


class plan_in_force:  # noqa: N801 - reads as the statement it is
    """Change a rollout's plan in the database, as somebody with its file could; then back."""

    def __init__(self, world: World, now: Standing, plan: Plan) -> None:
        self._file = world.home / "ledger.db"
        self._rollout = now.rollout
        self._plan = plan
        self._real = now.plan.digest if now.plan else ""

    def __enter__(self) -> None:
        with sqlite3.connect(self._file, timeout=30) as book:
            book.execute(
                "INSERT INTO plans SELECT ?, rollout_id, created_at, ? FROM plans WHERE digest = ?",
                (self._plan.digest, self._plan.document(), self._real),
            )
        self._point_to(self._plan.digest)

    def __exit__(self, *_: object) -> None:
        self._point_to(self._real)

    def _point_to(self, digest: str) -> None:
        with sqlite3.connect(self._file, timeout=30) as book:
            book.execute(
                "UPDATE rollouts SET plan_digest = ? WHERE id = ?", (digest, self._rollout)
            )
