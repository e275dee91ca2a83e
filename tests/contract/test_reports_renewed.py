"""A report that is older than the ledger is written again, wherever who owed it has died."""

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tasks.opening import finish, note_step
from tasks.rolling_back import Asked, end_run
from tasks.workbench import Running, Workbench
from tests.cases.rollouts.build import START, plan_of, wave
from tests.cases.rollouts.ledgers import end, frozen, intend, new_ledger, quick_ledger
from tests.contract.crash_places import AFTER, Fate, Passed, read_log
from tests.contract.crash_worker import MortalLedger
from tests.contract.test_report_doubts import take_back
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger import attempts, rollback_runs, rollouts
from wavemend.ledger.attempts import Granted
from wavemend.ledger.intake import apply_fleet, current_fleet
from wavemend.ledger.rollback_runs import RollbackRun
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.store import Ledger
from wavemend.outcomes import Outcome
from wavemend.reporting import build_report, renew_reports, write_rollout_report
from wavemend.rollbacks import RollbackCase
from wavemend.site import Site, hands_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet.yaml"
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.contract.test_reports_renewed"])
HOUR = timedelta(hours=1)
LATER = START + 3 * HOUR


def running_in(home: Path, ledger: Ledger, lease: Lease) -> Running:
    """Return the rollout as a process that holds its lease works with it."""
    with ledger.reading() as book:
        fleet, plan = current_fleet(book), rollouts.read_plan(book, "r-1")
    assert plan is not None
    site = Site(home=home)
    made = Running(Workbench(site, fleet, hands_of(site, ledger, fleet)), lease, plan)
    made.bench.hands = replace(made.bench.hands, ledger=ledger, clock=lambda: START + 2 * HOUR)
    return made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the home of a finished rollout of one patched host, with its report."""
    ledger, fleet = new_ledger(tmp_path), load_fleet(EXAMPLE)
    with ledger.writing() as book:
        apply_fleet(book, fleet, actor="olga", now=START)
    plan = replace(
        plan_of(wave(1, "web1", kind="pilot")),
        excluded=(),
        fleet_digest=fleet.digest,
        profile="debian-server",
    )
    lease = frozen(ledger, plan)
    assert isinstance(intend(ledger, lease, "web1", plan=plan), Granted)
    with ledger.writing() as book:
        attempts.mark_running(book, lease, f"a-web1-{lease.fence}", START, START)
        end(book, lease, "web1")
        rollouts.record_step(book, lease, "verified", START)
    running = running_in(tmp_path, ledger, lease)
    running.bench.hands = replace(running.bench.hands, clock=lambda: START)
    write(running)
    note_step(running, "reported")
    finish(running)
    return tmp_path


def write(running: Running) -> None:
    hands, site = running.bench.hands, running.bench.site
    write_rollout_report(hands.ledger, running.bench.fleet, "r-1", site.reports, hands.clock())


def on_the_page(home: Path) -> list[str]:
    page = json.loads((Site(home=home).reports / "rollout-r-1.json").read_text())
    assert page["hosts"][0]["outcome"] in (
        Site(home=home).reports / "rollout-r-1.html"
    ).read_text().replace(" ", "_")
    return [host["outcome"] for host in page["hosts"]]


def renewed(home: Path) -> list[str]:
    ledger = quick_ledger(home / "ledger.db")
    return list(renew_reports(ledger, Site(home=home).reports, lambda: LATER))


def take_back_in(home: Path, fate: Fate) -> None:
    """Take the host back as the flow does from the intent on: the main function of a process."""
    ledger = MortalLedger(f"sqlite:///{home / 'ledger.db'}", fate.controller())
    with ledger.reading() as book:
        lease = Lease("r-1", "me", rollouts.get_rollout(book, "r-1").fence)
    running = running_in(home, ledger, lease)
    case = RollbackCase(
        rollout="r-1",
        tenant="acme",
        plan_digest=running.plan.digest,
        hosts=(),
        requested_by="olga",
        reason="slow",
    )
    asked = Asked(running, case)
    with ledger.writing() as book:
        run = RollbackRun(case=case, outside_window=False)
        rollback_runs.begin_run(book, lease, "run-1", run, now=START + HOUR)
    take_back(ledger, lease, 1, Outcome.ROLLED_BACK, START + HOUR)
    end_run(asked, "run-1")
    write(running)


def killed_at(home: Path, place: int) -> Sequence[Passed]:
    """Take the host back in a process of its own that is killed at this place, -1 for none."""
    log = home / f"places-{place}.log"
    process = FORKS.Process(target=take_back_in, args=(home, Fate(log, at=place)))
    process.start()
    process.join(120)
    assert process.exitcode == (0 if place < 0 else -signal.SIGKILL)
    return read_log(log)


def copy_of(home: Path, folder: Path) -> Path:
    """Return another home as this one is, the times of its files too."""
    shutil.copytree(home, folder)
    return folder


def test_wherever_a_rollback_dies_its_report_is_what_the_ledger_says(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    others = tmp_path_factory.mktemp("homes")
    places = killed_at(copy_of(home, others / "whole"), -1)
    assert (places[-1].side, places[-1].site) == (AFTER, "tasks/rolling_back.py end_run writing")
    assert on_the_page(others / "whole") == ["rolled_back"]
    assert renewed(others / "whole") == [], "it is what the ledger says"

    for place in range(len(places)):
        left = copy_of(home, others / str(place))
        killed_at(left, place)
        told = quick_ledger(left / "ledger.db")
        with told.reading() as book:
            fleet = current_fleet(book)
        wanted = [str(h.outcome) for h in build_report(told, fleet, "r-1", LATER).hosts]
        renewed(left)
        assert on_the_page(left) == wanted, f"{places[place]}"
        assert renewed(left) == [], f"{places[place]}: again and again"
        if place == len(places) - 1:
            assert wanted == ["rolled_back"]


def taken_back(home: Path) -> None:
    """Have a rollback end in the ledger, and nothing after it."""
    ledger = quick_ledger(home / "ledger.db")
    with ledger.reading() as book:
        lease = Lease("r-1", "me", rollouts.get_rollout(book, "r-1").fence)
    take_back(ledger, lease, 1, Outcome.ROLLED_BACK, START + HOUR)


def test_a_report_that_says_all_is_left_as_it_is(home: Path) -> None:
    files = sorted(Site(home=home).reports.iterdir())
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]

    assert renewed(home) == []
    assert [(file.read_bytes(), file.stat().st_mtime_ns) for file in files] == before


def test_a_report_that_was_taken_away_is_not_made_anew(home: Path) -> None:
    for file in Site(home=home).reports.iterdir():
        file.unlink()
    taken_back(home)

    assert renewed(home) == []


def test_a_page_that_was_not_written_beside_its_json_is_renewed(home: Path) -> None:
    page = Site(home=home).reports / "rollout-r-1.html"
    page.unlink()

    assert renewed(home) == ["rollout r-1: its report was out of date, and is written again"]
    assert page.exists()


def test_a_report_that_cannot_be_written_is_named(home: Path) -> None:
    taken_back(home)
    for file in sorted(Site(home=home).reports.iterdir()):
        file.unlink()
        file.mkdir()  # nothing can be renamed to it
        os.utime(file, (0, 0))

    (line,) = renewed(home)

    assert line.startswith("rollout r-1: its report is out of date: the report cannot be written")


def test_what_a_clock_that_was_ahead_wrote_down_is_not_shown_again_and_again(home: Path) -> None:
    ledger = quick_ledger(home / "ledger.db")
    with ledger.reading() as book:
        lease = Lease("r-1", "me", rollouts.get_rollout(book, "r-1").fence)
    take_back(ledger, lease, 1, Outcome.ROLLED_BACK, LATER + 1000 * HOUR)

    assert len(renewed(home)) == 1
    for file in Site(home=home).reports.iterdir():
        coarse = int(file.stat().st_mtime) // 2 * 2  # as FAT keeps it
        os.utime(file, (coarse, coarse))

    assert (on_the_page(home), renewed(home)) == (["rolled_back"], [])
    with ledger.writing() as book:
        rollouts.judge_again(book, lease, "said by a clock that is right", LATER)
    assert (len(renewed(home)), renewed(home)) == (1, [])
