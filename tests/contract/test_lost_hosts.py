"""A host that stops answering is known at once; three of them in a minute stop the rollout.

Real ledger; real scripts and jobs on a simulated host whose line is cut.
"""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import START, plan_of, wave
from tests.cases.rollouts.ledgers import KEY, end, frozen, intend, new_ledger, opened, take
from tests.contract.attempt_bench import Bench
from tests.contract.test_attempt_deaths import bench_of, installs
from tests.contract.test_attempt_second_look import WHOLE
from wavemend.errors import HostUnreachable
from wavemend.execution.attempt import attempt_host
from wavemend.hosts import Host
from wavemend.ledger import attempts, audit, losses, rollouts
from wavemend.ledger.attempts import Granted, Refused, Wait
from wavemend.ledger.care_tables import RollbackRow
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.store import Ledger
from wavemend.outcomes import Outcome
from wavemend.plans import Plan
from wavemend.rollout import Close, RunWave, next_action
from wavemend.testing.simulated.machine import Machine
from wavemend.transport import Transport

WIDE = plan_of(wave(1, *(f"web{n}" for n in range(1, 9)), concurrency=8, max_errors=8))
"""One wave that may lose every host, as far as its own gate goes."""

SECOND = timedelta(seconds=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return new_ledger(tmp_path)


def begun(ledger: Ledger, *hosts: str, plan: Plan = WIDE) -> Lease:
    """Return the lease of a rollout in which these hosts are in flight."""
    lease = frozen(ledger, plan)
    for name in hosts:
        assert isinstance(intend(ledger, lease, name, plan=plan), Granted)
    return lease


def lose(ledger: Ledger, lease: Lease, host: str, after: float) -> None:
    with ledger.writing() as book:
        at = START + after * SECOND
        losses.note_lost(book, lease, f"a-{host}-{lease.fence}", "off: no answer", at)


def halted(ledger: Ledger) -> str:
    with ledger.reading() as book:
        return rollouts.read_view(book, "r-1").halted


def kinds(ledger: Ledger) -> list[str]:
    with ledger.reading() as book:
        audit.verify(book)
        return [event.kind for event in audit.events(book, "r-1")]


# --- lost together -------------------------------------------------------------------------------


def test_three_hosts_lost_within_a_minute_halt_the_rollout_and_are_named_once(
    ledger: Ledger,
) -> None:
    lease = begun(ledger, "web1", "web2", "web3", "web4")
    for number, host in enumerate(("web1", "web2", "web3", "web4")):
        lose(ledger, lease, host, 20 * number)

    assert halted(ledger) == "common cause: lost within a minute: web1, web2, web3"
    assert kinds(ledger).count("rollout.halted") == 1
    assert kinds(ledger).count("attempt.lost") == 4


def test_after_a_halt_nothing_starts_and_what_runs_is_collected_in_its_place(
    ledger: Ledger,
) -> None:
    lease = begun(ledger, "web1", "web2", "web3")
    for host in ("web1", "web2", "web3"):
        lose(ledger, lease, host, 0)

    answer = intend(ledger, lease, "web4", plan=WIDE)
    assert isinstance(answer, Refused)
    assert answer.reason.startswith("halted: common cause: lost within a minute: web1, web2, web3")
    with ledger.reading() as book:
        view = rollouts.read_view(book, "r-1")
    steps = replace(view, steps=view.steps | {"prepared"})
    assert next_action(WIDE, steps, START) == RunWave(WIDE.waves[0], ("web1", "web2", "web3"))
    for host in ("web1", "web2", "web3"):
        with ledger.writing() as book:
            end(book, lease, host)
    with ledger.reading() as book:
        view = rollouts.read_view(book, "r-1")
    action = next_action(WIDE, replace(view, steps=view.steps | {"prepared"}), START)
    assert isinstance(action, Close)
    assert action.hosts == ("web4", "web5", "web6", "web7", "web8")


def test_nobody_waits_for_a_place_that_a_halted_rollout_never_gives(ledger: Ledger) -> None:
    full = replace(WIDE, waves=(replace(WIDE.waves[0], concurrency=3),))
    lease = begun(ledger, "web1", "web2", "web3", plan=full)

    def place() -> bool:
        with ledger.reading() as book:
            return attempts.has_place(book, lease, full, "web4", now=START)

    assert not place()
    for host in ("web1", "web2", "web3"):
        lose(ledger, lease, host, 0)
    assert place()
    assert isinstance(intend(ledger, lease, "web4", plan=full), Refused)


def test_a_halt_stays_when_the_hosts_are_back(ledger: Ledger) -> None:
    lease = begun(ledger, "web1", "web2", "web3")
    for host in ("web1", "web2", "web3"):
        lose(ledger, lease, host, 0)
    for host in ("web1", "web2", "web3"):
        with ledger.writing() as book:
            attempts.mark_running(book, lease, f"a-{host}-{lease.fence}", START, START)

    assert halted(ledger)
    assert isinstance(intend(ledger, lease, "web4", plan=WIDE), Refused)


@pytest.mark.parametrize("seconds", [(0, 30), (0, 45, 90), (0, 61, 62)])
def test_hosts_that_are_lost_one_by_one_halt_nothing(
    ledger: Ledger, seconds: tuple[int, ...]
) -> None:
    names = [f"web{number}" for number in range(1, len(seconds) + 1)]
    lease = begun(ledger, *names)
    for host, after in zip(names, seconds, strict=True):
        lose(ledger, lease, host, after)

    assert halted(ledger) == ""
    assert isinstance(intend(ledger, lease, "web8", plan=WIDE), Granted)


def test_a_host_that_was_found_again_does_not_count(ledger: Ledger) -> None:
    lease = begun(ledger, "web1", "web2", "web3")
    lose(ledger, lease, "web1", 0)
    with ledger.writing() as book:
        attempts.mark_running(book, lease, f"a-web1-{lease.fence}", None, START)
    lose(ledger, lease, "web2", 10)
    lose(ledger, lease, "web3", 20)

    assert halted(ledger) == ""


def test_hosts_that_are_gone_before_their_start_count_too(ledger: Ledger) -> None:
    lease = begun(ledger, "web1")
    lose(ledger, lease, "web1", 0)
    for host in ("web2", "web3"):
        with ledger.writing() as book:
            attempts.settle(
                book,
                lease,
                WIDE,
                host,
                attempt_id=f"a-{host}-none",
                outcome=Outcome.UNREACHABLE,
                reason="off: no answer",
                now=START + 30 * SECOND,
            )

    assert halted(ledger) == "common cause: lost within a minute: web1, web2, web3"


# --- one host ------------------------------------------------------------------------------------


class Cable:
    """A line to the host that is down from the start of its job, for so many connections."""

    def __init__(self, bench: Bench, machine: Machine, down_for: int) -> None:
        self.bench, self.machine, self.left = bench, machine, down_for
        self.connect = bench.connect
        bench.connect = self
        self.seen: list[bool] = []

    def __call__(self, host: Host) -> Transport:
        if self.left and (self.machine.root / "var/lib/wavemend/journal").exists():
            self.left -= 1
            raise HostUnreachable(f"{host.name} is off")
        if not self.left:
            self.seen.append(self.bench.row().lost_since is not None)
        return self.connect(host)


@pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")
def test_a_host_whose_line_was_cut_is_lost_then_found_and_changed_once(tmp_path: Path) -> None:
    bench, machine = bench_of(tmp_path / "lab")
    machine.put("/etc/wm-slow.seconds", "3\n")
    cable = Cable(bench, machine, down_for=3)

    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    assert cable.seen[0]  # while it was away, the ledger knew
    assert bench.row().lost_since is None
    assert kinds(bench.ledger).count("attempt.lost") == 1
    assert kinds(bench.ledger).count("attempt.found") == 1
    assert installs(machine) == WHOLE


@pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")
def test_a_host_that_stays_lost_is_an_error_that_keeps_its_place(tmp_path: Path) -> None:
    bench, machine = bench_of(tmp_path / "lab")
    machine.put("/etc/wm-slow.seconds", "1\n")
    bench.profile = replace(bench.profile, host_deadline=timedelta(seconds=1))
    Cable(bench, machine, down_for=1000)

    assert attempt_host(bench.hands(), bench.order()) in {Outcome.NEEDS_HUMAN, Outcome.UNREACHABLE}
    assert bench.row().lost_since is not None
    with bench.ledger.reading() as book:
        view = rollouts.read_view(book, "r-1").attempts["web1"]
    assert view.uses_budget
    assert view.lost_at == bench.row().lost_since


# --- two rollouts, one host ----------------------------------------------------------------------


def test_a_host_that_another_rollout_is_at_work_on_is_not_started(ledger: Ledger) -> None:
    first = begun(ledger, "web1")
    other = replace(WIDE, rollout="r-2", window="restarts", nonce="2" * 32)
    second = opened(ledger, "r-2", replace(KEY, window="restarts", kind="restart"))
    with ledger.writing() as book:
        rollouts.store_plan(book, second, other, START)

    assert intend(ledger, second, "web1", plan=other) == Refused("the rollout r-1 is at work on it")
    assert isinstance(intend(ledger, second, "web2", plan=other), Granted)
    with ledger.writing() as book:
        end(book, first, "web1")
    assert isinstance(intend(ledger, second, "web1", plan=other), Granted)


def test_a_host_that_is_being_taken_back_is_not_started(ledger: Ledger) -> None:
    lease = begun(ledger, "web1")
    with ledger.writing() as book:
        book.add(
            RollbackRow(
                id="b-1",
                rollout_id="r-1",
                attempt_id=f"a-web1-{lease.fence}",
                host="web2",
                kind="package_versions",
                requested_by="olga",
                reason="slow",
                state="running",
                intent_at=START,
                packages=b"[]",
                evidence=b"",
            )
        )

    assert intend(ledger, lease, "web2", plan=WIDE) == Refused(
        "rollback b-1 of the host has not ended"
    )


def test_patches_and_restarts_of_the_same_window_are_two_rollouts(ledger: Ledger) -> None:
    opened(ledger)
    opened(ledger, "r-2", replace(KEY, kind="restart"))
    with ledger.reading() as book:
        patches, restarts = (
            rollouts.unfinished_of(book, key) for key in (KEY, replace(KEY, kind="restart"))
        )

    assert patches is not None
    assert restarts is not None
    assert [(row.id, row.kind) for row in (patches, restarts)] == [
        ("r-1", "patch"),
        ("r-2", "restart"),
    ]


# --- places --------------------------------------------------------------------------------------


def test_a_waiting_host_sees_a_place_exactly_when_it_would_be_granted_or_refused(
    ledger: Ledger,
) -> None:
    narrow = plan_of(wave(1, "web1", "web2", "web3", concurrency=2, max_errors=1))
    lease = begun(ledger, "web1", plan=narrow)

    def place() -> bool:
        with ledger.reading() as book:
            return attempts.has_place(book, lease, narrow, "web3", now=START)

    assert place()
    assert isinstance(intend(ledger, lease, "web2", plan=narrow), Granted)
    assert not place()
    assert isinstance(intend(ledger, lease, "web3", plan=narrow), Wait)
    with ledger.writing() as book:
        end(book, lease, "web1", Outcome.FAILED)
    assert not place()  # a failed host keeps its place
    with ledger.writing() as book:
        end(book, lease, "web2")
    assert place()
    assert take(ledger, owner_is_dead=True).fence > lease.fence
