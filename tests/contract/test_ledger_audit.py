"""Whatever is changed in, taken from or moved within the record of events is found."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session

from tests.cases.rollouts.build import PILOT, START
from tests.cases.rollouts.ledgers import at_once, frozen, new_ledger, run_wave
from wavemend.errors import AuditBroken
from wavemend.ledger import audit, rollouts
from wavemend.ledger.audit import GENESIS, ChainHead
from wavemend.ledger.store import Ledger

COLUMNS = ["seq", "at", "actor", "kind", "subject", "body", "previous", "digest"]
EVENTS = 12
TEXTS = st.text(st.characters(blacklist_characters="\0", codec="utf-8"), max_size=20)
ANYTHING = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def fill(ledger: Ledger) -> Ledger:
    """Write twelve real events."""
    lease = frozen(ledger)
    run_wave(ledger, lease, PILOT)
    with ledger.writing() as book:
        while audit.head(book).events < EVENTS:
            rollouts.turn_switch(book, "acme", engaged=True, actor="olga", reason="fire", now=START)
        assert audit.head(book).events == EVENTS
    return ledger


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return fill(new_ledger(tmp_path_factory.mktemp("chain")))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return new_ledger(tmp_path)


@contextmanager
def tampering(chain: Ledger) -> Iterator[Session]:
    """Give the database to somebody who changes it past the product; undone afterwards."""
    with chain.writing() as book:
        yield book
        book.rollback()


def run(book: Session, sql: str, **values: object) -> None:
    book.connection().execute(text(sql), values)


def test_an_untouched_chain_verifies_and_its_head_is_the_last_event(chain: Ledger) -> None:
    with chain.reading() as book:
        assert audit.verify(book) == audit.head(book)
        assert audit.head(book).events == EVENTS


def test_an_empty_chain_verifies(ledger: Ledger) -> None:
    with ledger.reading() as book:
        assert audit.verify(book) == audit.head(book) == ChainHead(0, GENESIS)


@ANYTHING
@given(st.integers(1, EVENTS), st.sampled_from(COLUMNS), TEXTS)
def test_an_edit_of_any_field_of_any_event_is_found_and_its_place_named(
    chain: Ledger, seq: int, column: str, value: str
) -> None:
    with tampering(chain) as book:
        old = book.connection().execute(
            text(f"SELECT {column} FROM audit_events WHERE seq = :seq"),  # noqa: S608
            {"seq": seq},
        )
        assume(old.scalar_one() != value)
        new: object = EVENTS + 5 if column == "seq" else value
        edit = f"UPDATE audit_events SET {column} = :new WHERE seq = :seq"  # noqa: S608
        run(book, edit, new=new, seq=seq)
        with pytest.raises(AuditBroken) as caught:
            audit.verify(book)

    assert f"breaks at event {seq} " in str(caught.value)


@ANYTHING
@given(st.integers(1, EVENTS))
def test_a_removal_of_any_event_is_found(chain: Ledger, seq: int) -> None:
    with chain.reading() as book:
        noted = audit.head(book)
    with tampering(chain) as book:
        run(book, "DELETE FROM audit_events WHERE seq = :seq", seq=seq)
        if seq == EVENTS:  # a cut at the end shows against the head that a report printed
            assert audit.verify(book) != noted
            return
        with pytest.raises(AuditBroken, match=f"breaks at event {seq} "):
            audit.verify(book)


@ANYTHING
@given(st.integers(1, EVENTS), st.integers(1, EVENTS))
def test_a_swap_of_any_two_events_is_found(chain: Ledger, one: int, other: int) -> None:
    assume(one < other)
    move = "UPDATE audit_events SET seq = :new WHERE seq = :old"
    with tampering(chain) as book:
        run(book, move, old=one, new=-1)
        run(book, move, old=other, new=one)
        run(book, move, old=-1, new=other)
        with pytest.raises(AuditBroken, match=f"breaks at event {one} "):
            audit.verify(book)


@pytest.mark.parametrize("place", [1, 6, EVENTS])
def test_an_event_put_in_or_copied_is_found(chain: Ledger, place: int) -> None:
    columns = "at, actor, kind, subject, body, previous, digest"
    copy = (
        f"INSERT INTO audit_events (seq, {columns}) "  # noqa: S608
        f"SELECT {EVENTS + 1}, {columns} FROM audit_events WHERE seq = :place"
    )
    with tampering(chain) as book:
        run(book, copy, place=place)
        with pytest.raises(AuditBroken, match=f"breaks at event {EVENTS + 1} "):
            audit.verify(book)


def test_a_forger_who_hashes_an_event_anew_breaks_the_next_one(chain: Ledger) -> None:
    with tampering(chain) as book:
        row = next(row for row in audit.events(book, "r-1") if row.seq == 4)
        row.actor = "mallory"
        row.digest = audit._digest(row)
        book.flush()
        with pytest.raises(AuditBroken, match="breaks at event 5 "):
            audit.verify(book)


def test_a_chain_that_was_emptied_is_not_the_one_that_was_noted(chain: Ledger) -> None:
    with chain.reading() as book:
        noted = audit.head(book)
    with tampering(chain) as book:
        run(book, "DELETE FROM audit_events")
        assert audit.verify(book) != noted


def test_workers_that_write_at_once_make_one_chain(ledger: Ledger) -> None:
    def write(number: int) -> None:
        for _ in range(5):
            with ledger.writing() as book:
                audit.append(book, START, f"w{number}", "test.event", "fleet", n=number)

    assert at_once(6, write) == [None] * 6
    with ledger.reading() as book:
        assert audit.verify(book).events == 30


def test_what_an_event_says_is_kept_whatever_it_holds(ledger: Ledger) -> None:
    with ledger.writing() as book:
        audit.append(book, START, "ölga\n\t'; --", "k", "fleet", text="\u2028 \U0001f600 \x00 \x1b")
        audit.verify(book)
