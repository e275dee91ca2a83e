"""Wherever the controller dies, the host is changed at most once and gets one honest outcome.

Every ledger transaction and every command of one attempt is a place to die: once before it and
once after it. The next owner goes on with the same ledger and the same host.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.attempt_bench import Bench, Death, Fate
from tests.contract.local_root import LocalRoot
from wavemend.errors import LedgerConflict
from wavemend.execution.attempt import attempt_host
from wavemend.hosts import Host
from wavemend.ledger import audit
from wavemend.outcomes import Outcome
from wavemend.testing.simulated.catalogue import new_catalogue
from wavemend.testing.simulated.machine import Machine
from wavemend.testing.simulated.spec import HostSpec
from wavemend.testing.simulated.tools import write_tools
from wavemend.transport import Transport

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")


def bench_of(folder: Path) -> tuple[Bench, Machine]:
    """Return a rollout of one fresh simulated host, reached without SSH: that costs no time."""
    catalogue = new_catalogue()
    folder.mkdir(parents=True, mode=0o700)
    (folder / "catalogue.json").write_text(json.dumps(catalogue))
    write_tools(folder / "bin")
    machine = Machine(folder, "web1")
    spec = HostSpec("web1", packages=("wm-slow",), files={"/etc/wm-slow.seconds": "0.4\n"})
    machine.build(spec, catalogue)
    machine.boot()

    def connect(_: Host) -> Transport:
        machine.refresh_proc()
        return LocalRoot(machine.root, extra=machine.environment("root"))

    bench = Bench(folder, Host(name="web1", tenant="acme", address="local"), connect)
    bench.freeze("wm-slow", "zip")
    return bench, machine


def installs(machine: Machine) -> Counter[str]:
    """Return how often the host itself wrote down that a package was configured."""
    log = machine.root / "var/log/dpkg.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter(line.split(" installed ")[1] for line in lines if "status installed" in line)


def judge(bench: Bench, machine: Machine, outcome: Outcome, place: str) -> None:
    row, done = bench.row(), installs(machine)
    assert row.state == "ended", place
    assert row.outcome == outcome, place
    with bench.ledger.reading() as book:
        audit.verify(book)
        kinds = [event.kind for event in audit.events(book, "r-1")]
    assert kinds.count("attempt.ended") == 1, place
    if outcome is Outcome.NOT_ATTEMPTED:
        assert done == {}, place
    else:
        assert outcome is Outcome.PATCHED, f"{place}: {row.reason}"
        assert done == {"wm-slow:all 2.0": 1, "zip:amd64 3.0-13+deb12u1": 1}, place
    journal = (machine.root / "var/lib/wavemend/journal").read_text().split("\n")
    assert sum(line.startswith("begin ") for line in journal) == len(done) / 2, place


def test_an_undisturbed_attempt_configures_each_package_once(tmp_path: Path) -> None:
    bench, machine = bench_of(tmp_path / "lab")
    fate = Fate()
    outcome = attempt_host(bench.hands(fate), bench.order())

    judge(bench, machine, outcome, "undisturbed")
    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED  # asked again: as it was
    judge(bench, machine, outcome, "asked again")
    assert len([place for place in fate.places if "write" in place]) >= 8
    assert len([place for place in fate.places if "/bin/sh" in place]) >= 8


def places_of(folder: Path, *, lose: bool = False) -> list[str]:
    """Return the places one undisturbed attempt passes."""
    bench, _ = bench_of(folder)
    fate = Fate(lose=lose)
    attempt_host(bench.hands(fate), bench.order())
    return fate.places


def at_each(places: list[str], check: Callable[[int], Outcome | None]) -> list[Outcome | None]:
    """Run a check for each place, three at a time: most of it is waiting for the host."""
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(check, range(len(places))))


def test_a_death_before_or_after_any_write_or_command_changes_the_host_once(
    tmp_path: Path,
) -> None:
    def die(at: int) -> Outcome | None:
        bench, machine = bench_of(tmp_path / f"lab{at}")
        fate = Fate(at=at)
        try:
            attempt_host(bench.hands(fate), bench.order())
        except Death:
            outcome = attempt_host(bench.hands(), bench.order())
            judge(bench, machine, outcome, f"died {fate.struck} ({at})")
            return outcome
        return None  # this one asked the host less often, and was through before

    places = places_of(tmp_path / "count")
    outcomes = at_each(places, die)

    assert len(places) >= 18
    assert sum(outcome is Outcome.PATCHED for outcome in outcomes) >= len(places) - 4
    assert set(outcomes) <= {Outcome.PATCHED, None}


def test_two_deaths_in_a_row_change_nothing_of_that(tmp_path: Path) -> None:
    for at, again in ((5, 1), (9, 3), (11, 4), (13, 2)):
        bench, machine = bench_of(tmp_path / f"lab{at}-{again}")
        for fate in (Fate(at=at), Fate(at=again)):
            with pytest.raises(Death):
                attempt_host(bench.hands(fate), bench.order())
        outcome = attempt_host(bench.hands(), bench.order())
        judge(bench, machine, outcome, f"died at {at}, then at {again}")


def test_a_line_that_is_cut_before_or_after_any_command_changes_the_host_once(
    tmp_path: Path,
) -> None:
    def cut(at: int) -> Outcome | None:
        bench, machine = bench_of(tmp_path / f"lab{at}")
        fate = Fate(at=at, lose=True)
        outcome = attempt_host(bench.hands(fate), bench.order())
        row, done = bench.row(), installs(machine)
        if not row.touched:
            assert (outcome, done) == (Outcome.UNREACHABLE, {}), fate.struck
        else:
            # The second look may be what was lost: then the host is changed, and called lost.
            assert outcome in {Outcome.PATCHED, Outcome.UNREACHABLE}, f"{fate.struck} {row.reason}"
            assert list(done.values()) == [1, 1], fate.struck
        return outcome

    outcomes = at_each(places_of(tmp_path / "count", lose=True), cut)

    assert {Outcome.PATCHED, Outcome.UNREACHABLE} == set(outcomes)


@dataclass
class Slept(Fate):
    """Instead of a death: the controller sleeps at that place while another one does the work."""

    overtake: Callable[[], object] = lambda: None
    written: int = 0
    """Transactions that it committed when it was awake again."""

    def pass_by(self, place: str, *, on_host: bool) -> None:  # noqa: ARG002 - as the other has it
        """Go on; let the other one work when this is the place."""
        if self.struck:
            self.written += place == "after a write"
            return
        self.places.append(place)
        if len(self.places) - 1 == self.at:
            self.struck = place
            self.overtake()


def test_a_controller_that_wakes_after_a_newer_one_commits_nothing_wherever_it_slept(
    tmp_path: Path,
) -> None:
    def sleep(at: int) -> Outcome | None:
        bench, machine = bench_of(tmp_path / f"lab{at}")
        late, ended = bench.order(), list[Outcome]()

        def overtake() -> None:
            ended.append(attempt_host(bench.hands(), bench.order()))

        fate = Slept(at=at, overtake=overtake)
        with suppress(LedgerConflict):
            attempt_host(bench.hands(fate), late)
        if not ended:
            return None  # this one asked the host less often, and was through before
        judge(bench, machine, ended[0], f"slept {fate.struck} ({at})")
        assert fate.written == 0, f"slept {fate.struck} ({at}) of {fate.places[-3:]}"
        return ended[0]

    places = places_of(tmp_path / "count")
    outcomes = at_each(places, sleep)

    assert sum(outcome is Outcome.PATCHED for outcome in outcomes) >= len(places) - 4


@pytest.mark.parametrize("stop", ["window", "stop file"])
def test_what_was_intended_but_not_begun_is_given_up_when_it_may_not_start_any_more(
    tmp_path: Path, stop: str
) -> None:
    places = places_of(tmp_path / "count")
    intent = [number for number, place in enumerate(places) if place == "after a write"][1]
    bench, machine = bench_of(tmp_path / "lab")
    with pytest.raises(Death):
        attempt_host(bench.hands(Fate(at=intent)), bench.order())
    assert bench.row().state == "intent"
    if stop == "window":
        bench.shift = 2 * (bench.plan.last_start - bench.opened_at)
    else:
        (bench.folder / "stop").write_text("fire")

    assert attempt_host(bench.hands(), bench.order()) is Outcome.NOT_ATTEMPTED
    assert bench.row().reason.startswith("was never begun: ")
    assert installs(machine) == {}
    # Final on the host too: the lost start may still be travelling.
    assert (machine.root / f"var/lib/wavemend/jobs/{bench.row().id}/forbidden").exists()
