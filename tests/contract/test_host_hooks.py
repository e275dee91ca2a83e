"""Hooks around a host's change: one before it that fails forbids it, those after it always run.

Real ledger, scripts and jobs on a simulated host; hooks on the worker are real processes of this
machine.
"""

import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.contract.attempt_bench import Bench, Death, Fate
from tests.contract.test_attempt_deaths import at_each, bench_of, installs
from tests.contract.test_attempt_reboots import START, Once
from tests.contract.test_attempt_second_look import WHOLE, hold
from wavemend.errors import HostUnreachable
from wavemend.execution.attempt import attempt_host
from wavemend.hosts import Host
from wavemend.ledger import attempt_steps
from wavemend.outcomes import Outcome
from wavemend.policy.care import HostHook, Place, When
from wavemend.testing.simulated.machine import Machine
from wavemend.transport import Transport

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")


def hook(
    name: str, when: When, log: Path, *, on: Place = Place.WORKER, then: str = "exit 0"
) -> HostHook:
    """Return a hook that writes its name and what it was told into a log, then ends as told."""
    script = f'echo "$1 ${{WAVEMEND_HOST-}} ${{WAVEMEND_OUTCOME-}}" >>"$2"; {then}'
    return HostHook(name=name, when=when, on=on, argv=("sh", "-c", script, "sh", name, str(log)))


def around(bench: Bench, *hooks: HostHook) -> None:
    bench.profile = replace(bench.profile, hooks=hooks)


def ran(log: Path) -> list[str]:
    return [line.strip() for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "hooks.log"


@pytest.fixture
def host(tmp_path: Path) -> tuple[Bench, Machine]:
    return bench_of(tmp_path / "lab")


HostOf = tuple[Bench, Machine]


def test_hooks_run_around_the_change_in_their_order_and_are_told_what_came_of_it(
    host: HostOf, log: Path
) -> None:
    bench, machine = host
    around(
        bench,
        hook("drain", When.BEFORE, log),
        hook("fill", When.AFTER, log),
        hook("stop", When.BEFORE, log, on=Place.HOST),
        hook("speak", When.AFTER, log),
    )

    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    assert ran(log) == ["drain web1", "stop", "fill web1 patched", "speak web1 patched"]
    assert installs(machine) == WHOLE
    assert bench.row().reason == ""


@pytest.mark.parametrize("on", list(Place))
def test_a_hook_before_the_change_that_fails_forbids_it_and_is_named_with_its_words(
    host: HostOf, log: Path, on: Place
) -> None:
    bench, machine = host
    around(
        bench,
        hook("drain", When.BEFORE, log, on=on, then="echo 'pool is busy' >&2; exit 7"),
        hook("stop", When.BEFORE, log),
        hook("fill", When.AFTER, log),
    )

    assert attempt_host(bench.hands(), bench.order()) is Outcome.BLOCKED
    row = bench.row()
    words = "before hook drain ended with 7: pool is busy"
    assert row.reason == f"was never begun: {words}"
    assert [line.split()[0] for line in ran(log)] == ["drain", "fill"]
    assert installs(machine) == {}
    assert (machine.root / f"var/lib/wavemend/jobs/{row.id}/forbidden").exists()


def test_a_hook_that_does_not_end_in_time_has_failed(host: HostOf, log: Path) -> None:
    bench, machine = host
    slow = hook("drain", When.BEFORE, log, then="exec sleep 60")
    around(bench, replace(slow, deadline=timedelta(seconds=1)), hook("fill", When.AFTER, log))

    assert attempt_host(bench.hands(), bench.order()) is Outcome.BLOCKED
    assert "before hook drain did not end in time" in bench.row().reason
    assert installs(machine) == {}


def test_a_hook_on_the_host_is_ended_at_its_deadline_and_not_overtaken_by_what_follows(
    host: HostOf, log: Path
) -> None:
    bench, machine = host
    late = f"sleep 4; echo late >>{log}"
    slow = hook("drain", When.BEFORE, log, on=Place.HOST, then=late)
    around(
        bench,
        replace(slow, deadline=timedelta(seconds=1)),
        hook("fill", When.AFTER, log, on=Place.HOST),
    )

    assert attempt_host(bench.hands(), bench.order()) is Outcome.BLOCKED
    assert "before hook drain did not end in time" in bench.row().reason
    time.sleep(5)
    assert ran(log) == ["drain", "fill"]
    assert installs(machine) == {}


@pytest.mark.parametrize("status", [124, 137, 143])
def test_a_hook_on_the_host_that_ends_by_itself_is_never_called_late(
    host: HostOf, log: Path, status: int
) -> None:
    bench, _ = host
    around(bench, hook("drain", When.BEFORE, log, on=Place.HOST, then=f"exit {status}"))

    assert attempt_host(bench.hands(), bench.order()) is Outcome.BLOCKED
    assert f"before hook drain ended with {status}" in bench.row().reason


def test_a_hook_after_the_change_that_fails_is_named_and_hides_no_outcome(
    host: HostOf, log: Path
) -> None:
    bench, machine = host
    around(
        bench,
        hook("fill", When.AFTER, log, then="echo 'no such pool'; exit 1"),
        hook("speak", When.AFTER, log, on=Place.HOST),
    )

    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    assert bench.row().reason == "after hook fill ended with 1: no such pool"
    assert [line.split()[0] for line in ran(log)] == ["fill", "speak"]
    assert installs(machine) == WHOLE
    with bench.ledger.reading() as book:
        done = attempt_steps.steps_of(book, bench.row().id)
    assert {step: end.ok for step, end in done.items()} == {
        "hook 1 fill": False,
        "hook 2 speak": True,
    }


def test_a_stop_that_comes_while_a_hook_runs_keeps_the_change_from_beginning(
    host: HostOf, log: Path
) -> None:
    bench, machine = host
    stop = f"echo fire >{bench.folder / 'stop'}"
    around(bench, hook("drain", When.BEFORE, log, then=stop), hook("fill", When.AFTER, log))

    assert attempt_host(bench.hands(), bench.order()) is Outcome.NOT_ATTEMPTED
    assert bench.row().reason == "was never begun: stopped: fire"
    assert ran(log) == ["drain web1", "fill web1 not_attempted"]
    assert installs(machine) == {}


def test_no_hook_runs_for_a_host_that_is_not_touched(host: HostOf, log: Path) -> None:
    bench, _ = host
    around(bench, hook("drain", When.BEFORE, log), hook("fill", When.AFTER, log))
    (bench.folder / "stop").write_text("fire")

    assert attempt_host(bench.hands(), bench.order()) is Outcome.NOT_ATTEMPTED
    assert ran(log) == []


# --- whatever comes of the host ------------------------------------------------------------------


def fence_it(bench: Bench, machine: Machine) -> Fate:
    machine.put("/var/lib/wavemend/fence", "999999\n")
    return Fate()


def fail_it(bench: Bench, machine: Machine) -> Fate:
    """Let somebody hold a package between the rehearsal and the start."""
    return Once(f"before {START}", lambda: hold(machine))


def lose_it(bench: Bench, machine: Machine) -> Fate:
    """Let the host vanish with the start of its job."""
    connect = bench.connect
    gone: list[int] = []

    def once(host: Host) -> Transport:
        if gone:
            raise HostUnreachable(f"{host.name} is off")
        if (machine.root / "var/lib/wavemend/journal").exists():
            gone.append(1)
        return connect(host)

    bench.connect = once
    bench.profile = replace(bench.profile, host_deadline=timedelta(seconds=1))
    return Fate()


@pytest.mark.parametrize(
    ("meanwhile", "outcome"),
    [
        (fence_it, Outcome.NOT_ATTEMPTED),
        (fail_it, Outcome.FAILED),
        (lose_it, Outcome.UNREACHABLE),
    ],
)
def test_hooks_after_the_change_run_whatever_came_of_the_host(
    host: HostOf, log: Path, meanwhile: Callable[[Bench, Machine], Fate], outcome: Outcome
) -> None:
    bench, machine = host
    around(bench, hook("drain", When.BEFORE, log), hook("fill", When.AFTER, log))
    fate = meanwhile(bench, machine)

    assert attempt_host(bench.hands(fate), bench.order()) is outcome
    assert ran(log) == ["drain web1", f"fill web1 {outcome}"]


def test_a_hook_on_a_host_that_is_gone_is_named_as_not_seen_to_end(host: HostOf, log: Path) -> None:
    bench, machine = host
    around(
        bench,
        hook("fill", When.AFTER, log, on=Place.HOST),
        hook("speak", When.AFTER, log),
    )
    fate = lose_it(bench, machine)

    assert attempt_host(bench.hands(fate), bench.order()) is Outcome.UNREACHABLE
    assert "after hook fill was not seen to end: off: web1 is off" in bench.row().reason
    assert ran(log) == ["speak web1 unreachable"]


# --- deaths --------------------------------------------------------------------------------------


def hooked(folder: Path, log: Path) -> HostOf:
    bench, machine = bench_of(folder)
    around(
        bench,
        hook("drain", When.BEFORE, log),
        hook("stop", When.BEFORE, log, on=Place.HOST),
        hook("start", When.AFTER, log, on=Place.HOST),
        hook("fill", When.AFTER, log),
    )
    return bench, machine


def test_wherever_the_worker_dies_every_hook_runs_at_least_once_and_in_its_place(
    tmp_path: Path,
) -> None:
    def die(at: int) -> Outcome | None:
        log = tmp_path / f"hooks{at}.log"
        bench, machine = hooked(tmp_path / f"lab{at}", log)
        fate = Fate(at=at)
        try:
            attempt_host(bench.hands(fate), bench.order())
        except Death:
            outcome = attempt_host(bench.hands(), bench.order())
            names = [line.split()[0] for line in ran(log)]
            counts = Counter(names)
            place = f"{fate.struck} ({at}): {names}"
            assert outcome is Outcome.PATCHED, f"{place}: {bench.row().reason}"
            assert installs(machine) == WHOLE, place
            # At most the one that ran when the worker died ran twice; none was left out.
            assert set(counts) == {"drain", "stop", "start", "fill"}, place
            assert sum(counts.values()) <= 5, place
            first = {name: names.index(name) for name in counts}
            assert sorted(first, key=lambda name: first[name]) == ["drain", "stop", "start", "fill"]
            return outcome
        return None

    bench, _ = hooked(tmp_path / "count", tmp_path / "count.log")
    fate = Fate()
    attempt_host(bench.hands(fate), bench.order())
    outcomes = at_each(fate.places, die)

    assert len(fate.places) >= 28
    assert sum(outcome is Outcome.PATCHED for outcome in outcomes) >= len(fate.places) - 4


def test_a_worker_that_dies_with_a_failed_hook_before_the_change_changes_nothing_later(
    host: HostOf, log: Path
) -> None:
    bench, machine = host
    around(
        bench,
        hook("drain", When.BEFORE, log, then="exit 3"),
        hook("fill", When.AFTER, log),
    )

    class AfterDrain(Fate):
        def pass_by(self, place: str, *, on_host: bool) -> None:  # noqa: ARG002 - one kind
            if place == "after a write" and ran(log):
                raise Death

    with pytest.raises(Death):
        attempt_host(bench.hands(AfterDrain()), bench.order())

    assert attempt_host(bench.hands(), bench.order()) is Outcome.BLOCKED
    assert [line.split()[0] for line in ran(log)] == ["drain", "fill"]
    assert installs(machine) == {}


def test_a_job_that_may_not_begin_again_still_gets_its_hooks_after_it(
    host: HostOf, log: Path
) -> None:
    bench, machine = host
    around(bench, hook("drain", When.BEFORE, log), hook("fill", When.AFTER, log))

    def die() -> None:
        raise Death

    with pytest.raises(Death):
        attempt_host(bench.hands(Once(f"before {START}", die)), bench.order())
    bench.shift = 2 * (bench.plan.last_start - bench.opened_at)

    assert attempt_host(bench.hands(), bench.order()) is Outcome.NOT_ATTEMPTED
    assert ran(log) == ["drain web1", "fill web1 not_attempted"]
    assert installs(machine) == {}
