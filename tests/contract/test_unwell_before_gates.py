"""A host that is known to be unwell keeps its place in all budgets, until it was seen well."""

from pathlib import Path

import pytest

from tests.cases.rollouts.build import START
from tests.cases.rollouts.ledgers import new_ledger
from tests.contract.night_bench import MINUTE, Night
from wavemend.errors import LedgerConflict
from wavemend.ledger import audit, limits, rollouts
from wavemend.ledger.attempts import Granted, Refused

FULL = Refused("budget pair is used up: db1 is not well")
DEAD = "db1: probe shop: connection refused"


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Return a night whose first rollout has patched db1, which was not well any more later."""
    night = Night(new_ledger(tmp_path))
    for rollout, host in (("r-1", "db1"), ("r-2", "db2"), ("r-3", "db1")):
        night.freeze(rollout, [host])
    night.intend("r-1", "db1")
    night.end("r-1", "db1")
    note(night, "probed wave-1", DEAD, 2)
    return night


def note(night: Night, step: str, detail: str, minute: int) -> None:
    with night.ledger.writing() as book:
        rollouts.record_step(
            book, night.leases["r-1"], step, START + minute * MINUTE, detail=detail
        )


def test_nobody_else_of_its_set_is_begun(night: Night) -> None:
    assert night.place("r-2", "db2")  # the refusal is decided, not waited for
    assert night.intend("r-2", "db2") == FULL


def test_it_is_not_in_its_own_way_and_a_change_that_ends_well_ends_it(night: Night) -> None:
    assert isinstance(night.intend("r-3", "db1"), Granted)
    night.end("r-3", "db1", now=START + 3 * MINUTE)

    assert isinstance(night.intend("r-2", "db2"), Granted)


@pytest.mark.parametrize(
    ("seen", "answer"),
    [
        ("", Granted),
        ("db11: probe shop: connection refused", Granted),
        (DEAD, Refused),
        ("db1: silent: it does not answer", Refused),
    ],
)
def test_the_last_look_of_its_rollout_asks_its_probes_once_more(
    night: Night, seen: str, answer: type
) -> None:
    note(night, "verified", seen, 3)

    assert isinstance(night.intend("r-2", "db2"), answer)


def test_a_person_may_say_that_it_is_well(night: Night) -> None:
    with night.ledger.writing() as book:
        limits.say_well(book, "db1", actor="olga", reason="started", now=START + 3 * MINUTE)
    with night.ledger.reading() as book:
        assert audit.events(book, "r-1")[-1].kind == "host.well"

    assert isinstance(night.intend("r-2", "db2"), Granted)
    with pytest.raises(LedgerConflict), night.ledger.writing() as book:
        limits.say_well(book, "db1", actor="olga", reason="started", now=START + 3 * MINUTE)


def test_of_a_host_whose_probes_were_well_nothing_is_held(tmp_path: Path) -> None:
    night = Night(new_ledger(tmp_path))
    night.freeze("r-1", ["db1"])
    night.freeze("r-2", ["db2"])
    night.intend("r-1", "db1")
    night.end("r-1", "db1")
    note(night, "probed wave-1", "db11: probe shop: connection refused", 2)

    assert isinstance(night.intend("r-2", "db2"), Granted)
