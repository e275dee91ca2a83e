"""A check before the window looks, rehearses, switches on what is off, and writes down the answer.

The host is a simulated one, reached without SSH; commands on the worker and the ledger are real.
"""

import itertools
import json
import shutil
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Never

import pytest
from sqlmodel import col, select

from tests.contract.attempt_bench import Bench
from tests.contract.local_root import LocalRoot
from tests.contract.point_bench import Points
from wavemend.errors import HostUnreachable, LedgerError
from wavemend.execution.hands import Hands
from wavemend.execution.looks import LOCK_SECONDS, look_and_record
from wavemend.hosts import Facts, Host
from wavemend.ledger import audit
from wavemend.ledger.care_tables import ReadinessRow
from wavemend.ledger.readiness import (
    Occasion,
    accept_unready,
    is_accepted,
    newest_checks,
    record_readiness,
)
from wavemend.ledger.rollouts import turn_switch
from wavemend.ledger.scans import hosts_looked_at, newest_look, record_look
from wavemend.managers.apt import AptManager
from wavemend.observations import Look
from wavemend.policy.care import Unready
from wavemend.power_on import magic_packet, wake
from wavemend.readiness import Check, GroupAnswer, Problem, Readiness, group_answer, judge_look
from wavemend.steps.preflight import preflight_host
from wavemend.steps.readiness import check_host, until_ready
from wavemend.testing.simulated.catalogue import new_catalogue
from wavemend.testing.simulated.machine import Machine
from wavemend.testing.simulated.spec import HostSpec
from wavemend.testing.simulated.tools import write_tools
from wavemend.transport import Transport

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")


@dataclass
class Place:
    """A host that is off until a file says that it is on."""

    bench: Bench
    switch: Path
    occasion: Occasion


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path / "lab"
    folder.mkdir(mode=0o700)
    catalogue = new_catalogue()
    (folder / "catalogue.json").write_text(json.dumps(catalogue))
    write_tools(folder / "bin")
    machine = Machine(folder, "web1")
    machine.build(HostSpec("web1", packages=("wm-fine",)), catalogue)
    machine.boot()
    switch = tmp_path / "on"
    switch.touch()

    def connect(_: Host) -> Transport:
        if not switch.exists():
            raise HostUnreachable("web1: no answer")
        machine.refresh_proc()
        return LocalRoot(machine.root, extra=machine.environment("root"))

    host = Host(name="web1", tenant="acme", address="192.0.2.1", simulated=True)
    bench = Bench(folder, host, connect)
    bench.freeze("wm-fine")
    occasion = Occasion(
        tenant="acme",
        profile="linux",
        window="night",
        window_start=bench.plan.window_start,
        name="T-30m",
    )
    return Place(bench, switch, occasion)


def check(place: Place, *argv: str) -> Readiness:
    profile = replace(place.bench.profile, power_on=argv)
    hands = place.bench.hands()
    return check_host(hands, place.bench.host, profile, place.occasion, deep=True)


def counting(folder: Path) -> tuple[str, ...]:
    """Return a power-on command that works, switches nothing on, and counts its calls."""
    return ("sh", "-c", 'echo on >>"$0"', str(folder / "calls"))


def calls(folder: Path) -> int:
    file = folder / "calls"
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_a_host_that_is_on_and_fit_is_ready_and_the_ledger_says_when(place: Place) -> None:
    found = check(place)

    with place.bench.ledger.reading() as book:
        (checked,) = newest_checks(book)
    assert found.ready, found.problems
    assert checked.readiness == found
    assert checked.occasion == place.occasion


def test_a_host_that_is_off_is_switched_on_by_the_operators_command_and_looked_at_again(
    place: Place,
) -> None:
    place.switch.unlink()
    program = "import os, pathlib, sys; assert os.environ['WAVEMEND_ADDRESS'] == '192.0.2.1';"
    program += "assert os.environ['WAVEMEND_HOST'] == 'web1'; pathlib.Path(sys.argv[1]).touch()"

    assert not check(place).ready
    assert check(place, sys.executable, "-c", program, str(place.switch)).ready


def test_a_power_on_command_that_fails_is_named_and_the_host_stays_off(place: Place) -> None:
    place.switch.unlink()

    (problem,) = check(place, "sh", "-c", "echo no such machine; exit 4").problems

    assert problem.check is Check.OFF
    assert problem.hint == "the power-on command ended with 4: no such machine"


def impatient(place: Place, argv: Sequence[str], until: datetime | None = None) -> Readiness:
    """Check with a clock that runs off, so that nobody waits minutes for a boot."""
    ticks = itertools.count(step=300)
    hands = replace(place.bench.hands(), monotonic=lambda: next(ticks), sleep=lambda _: None)
    profile = replace(place.bench.profile, power_on=tuple(argv))
    return check_host(hands, place.bench.host, profile, place.occasion, deep=False, until=until)


def test_a_host_is_told_to_switch_on_once_for_an_occasion_however_often_it_is_looked_at(
    place: Place, tmp_path: Path
) -> None:
    place.switch.unlink()

    hints = [impatient(place, counting(tmp_path)).problems[0].hint for _ in range(3)]

    assert calls(tmp_path) == 1
    assert hints[0] == "it was told to switch on and does not answer"
    assert all("it was told to switch on at " in hint for hint in hints[1:])
    with place.bench.ledger.reading() as book:
        told = [event.kind for event in audit.events(book, "web1")]
    assert told == ["host.switching_on"]
    place.occasion = replace(place.occasion, name="wave pilot")
    impatient(place, counting(tmp_path))
    assert calls(tmp_path) == 2


def test_a_power_on_command_that_failed_is_not_repeated_and_its_reason_stays(place: Place) -> None:
    place.switch.unlink()
    argv = ("sh", "-c", "echo no such machine; exit 4")

    first, again = check(place, *argv), check(place, *argv)

    assert again == first
    with place.bench.ledger.reading() as book:
        kinds = [event.kind for event in audit.events(book, "web1")]
    assert kinds == ["host.switching_on", "host.not_switched_on"]


@pytest.mark.parametrize("means", ["switch", "file"])
def test_while_everything_is_stopped_no_host_is_switched_on(
    place: Place, tmp_path: Path, means: str
) -> None:
    place.switch.unlink()
    if means == "file":
        place.bench.hands().stop_file.write_text("fire")
    else:
        now = place.bench.now()
        with place.bench.ledger.writing() as book:
            turn_switch(book, "acme", engaged=True, actor="olga", reason="fire", now=now)

    (problem,) = impatient(place, counting(tmp_path)).problems

    assert calls(tmp_path) == 0
    assert problem.hint.startswith("it was not switched on: stopped: fire")


def test_from_the_cut_off_on_no_host_is_switched_on(place: Place, tmp_path: Path) -> None:
    place.switch.unlink()

    (problem,) = impatient(place, counting(tmp_path), place.bench.now()).problems

    assert calls(tmp_path) == 0
    assert problem.hint == "it was not switched on: the window's cut-off has passed"


@pytest.mark.parametrize("required", [True, False])
def test_who_keeps_required_restore_points_and_does_not_answer_keeps_the_host_out(
    place: Place, tmp_path: Path, required: bool
) -> None:
    points = Points(tmp_path / "points")
    rule = points.rule(required=required)
    place.bench.profile = replace(place.bench.profile, restore_point=rule)
    assert check(place).ready

    points.break_listing()

    problems = [p for p in check(place).problems if p.check is Check.RESTORE_POINT]
    assert [p.blocks for p in problems] == [True] * required
    assert all("the cloud does not answer" in p.reason for p in problems)


class Busy(AptManager):
    """Is in use by somebody else at the first looks."""

    looks = 0

    def read_facts(
        self, host: Host, transport: Transport, now: datetime, *, refresh: bool, deadline: float
    ) -> Facts:
        facts = super().read_facts(host, transport, now, refresh=refresh, deadline=deadline)
        Busy.looks -= 1
        return facts if Busy.looks < 0 else replace(facts, lock_holder="apt-get (7)")


@pytest.mark.parametrize(("looks", "ready"), [(2, True), (10**6, False)])
def test_a_timer_that_is_at_work_for_seconds_makes_no_host_unready(
    place: Place, looks: int, ready: bool
) -> None:
    hands, naps = busy(place, looks)
    found = check_host(hands, place.bench.host, place.bench.profile, place.occasion, deep=False)
    assert found.ready == ready
    assert [problem.check for problem in found.problems] == ([] if ready else [Check.LOCK])
    assert sum(naps) <= LOCK_SECONDS


@pytest.mark.parametrize(("looks", "ready"), [(2, True), (10**6, False)])
def test_nor_does_it_keep_a_host_out_of_the_plan(place: Place, looks: int, ready: bool) -> None:
    hands, naps = busy(place, looks)
    seen = preflight_host(hands, place.bench.host, "r-1")
    assert judge_look(seen).ready == ready
    assert sum(naps) <= LOCK_SECONDS
    with place.bench.ledger.reading() as book:
        assert newest_look(book, "web1", purpose="preflight", rollout_id="r-1") is not None


def test_a_host_that_the_rollout_has_seen_is_not_looked_at_again(place: Place) -> None:
    hands, host = place.bench.hands(), place.bench.host
    unseen = Look(host=host.name, at=hands.clock(), facts=None, reason="off")

    def seen_by(rollout: str) -> frozenset[str]:
        with place.bench.ledger.reading() as book:
            return hosts_looked_at(book, rollout)

    with place.bench.ledger.writing() as book:
        record_look(book, host, unseen, purpose="preflight", rollout_id="r-1")
    look_and_record(hands, host, purpose="scan", rollout_id="r-1")
    look_and_record(hands, host, purpose="preflight", rollout_id="r-2")
    assert seen_by("r-1") == frozenset()
    first = preflight_host(hands, host, "r-1", may_be_seen=False)
    assert seen_by("r-1") == {host.name}

    def refuse(_: Host) -> Never:
        pytest.fail("the host was looked at again")

    again = replace(hands, connect=refuse)
    assert preflight_host(again, host, "r-1").facts_digest == first.facts_digest


def busy(place: Place, looks: int) -> tuple[Hands, list[float]]:
    """Return the hands for a host that is in use for so many looks, and the naps they take."""
    Busy.looks, ticks, naps = looks, itertools.count(step=10), list[float]()
    hands = replace(
        place.bench.hands(),
        manager=lambda _: Busy(),
        monotonic=lambda: next(ticks),
        sleep=naps.append,
    )
    return hands, naps


def test_a_wake_on_lan_frame_reaches_who_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        wake("52:54:00:12:34:56", to="127.0.0.1", port=listener.getsockname()[1])
        frame, _ = listener.recvfrom(1024)

    assert frame == magic_packet("52:54:00:12:34:56")


OFF = Readiness(host="web1", problems=(Problem(check=Check.OFF, reason="no answer"),))
ON = Readiness(host="web1", problems=())
OTHER = Readiness(host="web2", problems=())


def held(place: Place, looks: list[Readiness], *, time_left: bool = True) -> tuple[bool, list[str]]:
    """Hold a group whose one unready host is seen as in `looks`, one after the other."""
    said: list[str] = []
    asked: list[Sequence[str]] = []

    def again(names: Sequence[str]) -> Sequence[Readiness]:
        asked.append(names)
        return [looks.pop(0)]

    def answer(found: Sequence[Readiness]) -> GroupAnswer:
        with place.bench.ledger.reading() as book:
            accepted = is_accepted(book, "r-1")
        return group_answer(
            Unready.HOLD, found, accepted=accepted, time_left=time_left and bool(looks)
        )

    hands = replace(place.bench.hands(), sleep=lambda _: None)
    verdict = until_ready(hands, [OFF, OTHER], again=again, answer=answer, notify=said.append)
    assert all(names == ["web1"] for names in asked)  # those that are ready are left alone
    return verdict.go_on, said


def test_a_held_group_goes_on_as_soon_as_the_last_host_is_ready(place: Place) -> None:
    assert held(place, [OFF, OFF, ON, OFF]) == (True, ["web1 is not ready: off: no answer"])


def test_a_held_group_stays_when_its_time_is_over(place: Place) -> None:
    assert held(place, [OFF, OFF]) == (False, ["web1 is not ready: off: no answer"])


def test_a_held_group_goes_on_when_an_operator_accepts_it_and_the_chain_says_who(
    place: Place,
) -> None:
    with place.bench.ledger.writing() as book:
        accept_unready(book, "r-1", actor="olga", reason="printer", now=place.bench.now())

    assert held(place, [OFF]) == (True, [])
    with place.bench.ledger.reading() as book:
        told = [e for e in audit.events(book, "r-1") if e.kind == "readiness.accepted"]
    assert [event.actor for event in told] == ["olga"]


def test_nobody_can_accept_for_a_rollout_that_does_not_exist(place: Place) -> None:
    with (
        pytest.raises(LedgerError, match="r-9"),
        place.bench.ledger.writing() as book,
    ):
        accept_unready(book, "r-9", actor="olga", reason="typo", now=place.bench.now())


def test_the_same_finding_again_is_one_row_that_says_when_it_was_seen_last(place: Place) -> None:
    now = place.bench.now()
    wave = replace(place.occasion, name="wave pilot")
    minutes = [
        (place.occasion, OFF),
        *[(wave, OFF)] * 60,
        (wave, ON),
        (wave, ON),
        (wave, OFF),
    ]
    with place.bench.ledger.writing() as book:
        for minute, (occasion, readiness) in enumerate(minutes):
            record_readiness(book, occasion, readiness, now + timedelta(minutes=minute))

    with place.bench.ledger.reading() as book:
        rows = list(book.exec(select(ReadinessRow).order_by(col(ReadinessRow.id))))
    assert [(row.occasion, row.ready) for row in rows] == [
        ("T-30m", False),
        ("wave pilot", False),
        ("wave pilot", True),
        ("wave pilot", False),
    ]
    assert rows[1].at == now + timedelta(minutes=60)


def test_the_newest_check_of_each_host_counts(place: Place) -> None:
    now = place.bench.now()
    with place.bench.ledger.writing() as book:
        for readiness in (OFF, OTHER, ON):
            record_readiness(book, place.occasion, readiness, now)

    with place.bench.ledger.reading() as book:
        found = newest_checks(book, tenant="acme")
        assert newest_checks(book, tenant="globex") == ()
    assert [checked.readiness for checked in found] == [ON, OTHER]
