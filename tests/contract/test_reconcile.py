"""A ledger restored from an old copy learns from the hosts before it changes one of them again."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.contract.attempt_bench import Bench
from tests.contract.local_root import LocalRoot
from wavemend.errors import HostUnreachable
from wavemend.execution.attempt import attempt_host
from wavemend.execution.looks import look
from wavemend.hosts import Host
from wavemend.ledger import audit
from wavemend.ledger.journals import (
    MAX_FENCE_STEP,
    fence_floor,
    next_fence,
    raise_fence_floor,
    strangers,
)
from wavemend.ledger.store import Ledger, open_ledger
from wavemend.outcomes import Outcome
from wavemend.readiness import Check, judge_look
from wavemend.steps.reconcile import Reconciled, reconcile_host
from wavemend.testing.simulated.catalogue import new_catalogue
from wavemend.testing.simulated.machine import Machine
from wavemend.testing.simulated.spec import HostSpec
from wavemend.testing.simulated.tools import write_tools
from wavemend.transport import Transport

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    folder = tmp_path / "lab"
    folder.mkdir(mode=0o700)
    catalogue = new_catalogue()
    (folder / "catalogue.json").write_text(json.dumps(catalogue))
    write_tools(folder / "bin")
    machine = Machine(folder, "web1")
    machine.build(HostSpec("web1", packages=("wm-fine",)), catalogue)
    machine.boot()

    def connect(_: Host) -> Transport:
        machine.refresh_proc()
        return LocalRoot(machine.root, extra=machine.environment("root"))

    bench = Bench(folder, Host(name="web1", tenant="acme", address="local"), connect)
    bench.freeze("wm-fine")
    return bench


def back_to_an_old_copy(bench: Bench) -> Ledger:
    """Copy the ledger, patch the host, and put the copy back, as a restored backup is."""
    old = bench.folder / "old.db"
    with sqlite3.connect(bench.path) as live, sqlite3.connect(old) as copy:
        live.backup(copy)
    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    for leftover in bench.folder.glob("ledger.db*"):
        leftover.unlink()
    old.chmod(0o600)
    old.rename(bench.path)
    bench.ledger = open_ledger(f"sqlite:///{bench.path}")
    return bench.ledger


def unknown(bench: Bench) -> tuple[str, ...]:
    seen = look(bench.hands(), bench.host, refresh=False)
    with bench.ledger.reading() as book:
        return strangers(book, "web1", seen.facts)


def reconciled(bench: Bench) -> Reconciled:
    return reconcile_host(bench.hands(), bench.host, actor="olga", reason="backup of Monday")


def test_a_host_that_the_ledger_knows_everything_of_has_no_strangers(bench: Bench) -> None:
    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED

    assert unknown(bench) == ()


def test_a_change_the_ledger_has_forgotten_keeps_its_host_out_until_it_was_learned(
    bench: Bench,
) -> None:
    back_to_an_old_copy(bench)
    seen = look(bench.hands(), bench.host, refresh=False)

    (forgotten,) = unknown(bench)
    (problem,) = judge_look(seen, strangers=(forgotten,)).blocking
    assert problem.check is Check.JOURNAL
    assert "wavemend reconcile" in problem.hint

    (learned,) = reconciled(bench).learned
    assert learned.attempt_id == forgotten
    assert learned.exit_status == 0
    assert learned.begun_at is not None
    assert unknown(bench) == ()
    with bench.ledger.reading() as book:
        audit.verify(book)
        kinds = [event.kind for event in audit.events(book, "web1")]
    assert kinds == ["journal.reconciled"]


def test_reconciling_twice_learns_once(bench: Bench) -> None:
    back_to_an_old_copy(bench)

    assert len(reconciled(bench).learned) == 1
    assert reconciled(bench).learned == ()


def test_after_reconciling_new_leases_stand_above_what_the_host_has_seen(bench: Bench) -> None:
    back_to_an_old_copy(bench)
    journal = bench.connect(bench.host).run_as_root(
        ("sh", "-c", 'cat "$WAVEMEND_ROOT/var/lib/wavemend/journal"'), deadline=10
    )
    seen = int(journal.stdout.split()[2])

    reconciled(bench)

    assert bench.take_lease().fence > seen
    assert bench.take_lease().fence > seen + 1


def test_a_host_that_cannot_be_asked_is_named_and_nothing_is_learned(bench: Bench) -> None:
    def gone(_: Host) -> Transport:
        raise HostUnreachable("web1: no route")

    bench.connect = gone

    assert reconciled(bench) == Reconciled(host="web1", trouble="off: web1: no route")


def test_one_lying_host_cannot_push_the_fence_out_of_reach(bench: Bench) -> None:
    with bench.ledger.writing() as book:
        events = audit.head(book).events
        lie = events + MAX_FENCE_STEP + 1
        assert not raise_fence_floor(book, lie, actor="olga", now=bench.now())
        assert fence_floor(book) == 0
        assert next_fence(book) == audit.head(book).events + 1
