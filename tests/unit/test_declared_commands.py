"""Declared words become commands for exactly the items that were approved."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.declarations import Action, Declaration, ExitMeaning, Order, Reading
from wavemend.errors import PlanError
from wavemend.managers.declared import DeclaredManager
from wavemend.managers.declared.commands import commands_for, filled
from wavemend.managers.declared.facts import pending_updates
from wavemend.managers.declared.rows import Row
from wavemend.packages import Target

LOOK = Reading(run=("box", "show"), deadline=timedelta(seconds=5), json="[]")
BOX = Declaration(
    name="box",
    title="A box",
    order=Order.DEB,
    installed=LOOK,
    available=LOOK,
    apply=Action(
        steps=(("get", "{name}={version}"), ("check", "{name}")),
        exit={0: ExitMeaning.DONE, 3: ExitMeaning.NOTHING, 9: ExitMeaning.REBOOT},
    ),
)
A, B = (Target(name=name, arch="all", version="2.0") for name in ("a", "b"))


def test_each_item_goes_through_all_steps_before_the_next_one() -> None:
    assert commands_for(BOX.apply.steps, (B, A), together=False) == (
        ("get", "a=2.0"),
        ("check", "a"),
        ("get", "b=2.0"),
        ("check", "b"),
    )


def test_together_a_word_with_a_parameter_is_repeated() -> None:
    steps = (("get", "-q", "{name}={version}", "--all"),)
    assert commands_for(steps, (B, A), together=True) == (("get", "-q", "a=2.0", "b=2.0", "--all"),)


@given(st.text(), st.text())
def test_a_value_that_looks_like_a_parameter_stays_a_value(name: str, version: str) -> None:
    words = ("{version}", "x{name}{version}", "{other}")
    made = filled(words, {"{name}": name, "{version}": version})
    assert made == (version, f"x{name}{version}", "{other}")


@pytest.mark.parametrize(
    "targets",
    [
        (),
        (A, replace(A, version="3.0")),
        (replace(A, version="1 2"),),
        (replace(A, name="-rf"),),
        (replace(A, version="$(id)"),),
    ],
)
def test_what_cannot_be_a_change_is_refused(targets: tuple[Target, ...]) -> None:
    with pytest.raises(PlanError):
        DeclaredManager(declaration=BOX).apply_script(targets)


def test_a_manager_that_declares_no_way_back_says_so() -> None:
    manager = DeclaredManager(declaration=BOX)
    with pytest.raises(PlanError, match="box declares no roll_back"):
        manager.undo_script((A,))
    with pytest.raises(PlanError, match="box declares no repair"):
        manager.repair_script()
    with pytest.raises(PlanError, match="box declares no `kept`"):
        manager.old_versions_script((A,))


def test_a_jobs_arguments_are_lines_whatever_the_words_hold() -> None:
    action = Action(steps=(("say", "one\ntwo\\n", "{version}"),), deadline=timedelta(minutes=2))
    job = DeclaredManager(declaration=replace(BOX, apply=action)).apply_script((A,))
    assert job.args[:3] == ("box", "0", "")
    assert job.args[3:] == ("root", "120", "3", "say", "one\\ntwo\\\\n", "2.0")
    assert all("\n" not in argument for argument in job.args)


def test_the_job_goes_on_after_the_codes_that_are_declared_so() -> None:
    job = DeclaredManager(declaration=BOX).apply_script((A,))
    assert job.args[1:3] == ("0 3 9", "9")


def test_a_code_that_a_change_and_its_undoing_tell_differently_is_unknown() -> None:
    undo = Action(steps=BOX.apply.steps, exit={0: ExitMeaning.DONE, 3: ExitMeaning.FAILED})
    exits = replace(BOX, roll_back=undo).exits
    assert exits == {0: ExitMeaning.DONE, 9: ExitMeaning.REBOOT}


def offers(order: Order, *versions: str) -> tuple[list[str], list[str]]:
    rows = [Row(name="a", version=version) for version in versions]
    installed = [Row(name="a", version="1.9")]
    pending, troubles = pending_updates(replace(BOX, order=order), installed, rows)
    return [update.candidate for update in pending], list(troubles)


def test_only_what_is_newer_by_the_declared_order_is_an_update() -> None:
    assert offers(Order.DEB, "1.8", "1.10", "1.9", "1.9~rc1") == (["1.10"], [])
    assert offers(Order.DEB, "1.8") == ([], [])
    assert offers(Order.OFFERED, "1.8", "1.9") == (["1.8"], [])


def test_what_cannot_be_ordered_is_said() -> None:
    candidates, (trouble,) = offers(Order.OFFERED, "2.0", "3.0")
    assert candidates == []
    assert "several versions are offered" in trouble
    candidates, (trouble,) = offers(Order.WINDOWS, "2.0", "seven")
    assert candidates == []
    assert "is not a Windows build" in trouble
