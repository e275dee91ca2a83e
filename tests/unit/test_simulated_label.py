"""A played host is called so in plans and in every form of the report, those left out too."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.cases.reports.example import acme_night
from tests.cases.rollouts.build import OCCASION, PROFILE, candidate, host, ranked, update
from wavemend.planning import make_plan
from wavemend.planning.hosts import Candidate
from wavemend.reports.model import RolloutReport
from wavemend.reports.rollout_html import render_html
from wavemend.reports.rollout_json import render_json
from wavemend.reports.summary import summary_text
from wavemend.simulated import SIMULATED, named, naming


def test_the_word_stands_behind_the_name_and_others_keep_theirs() -> None:
    called = naming([replace(host("win1"), simulated=True), host("web1")])

    assert [called(name) for name in ("win1", "web1", "gone1")] == [
        "win1 (SIMULATED)",
        "web1",
        "gone1",
    ]
    assert named("win1", simulated=True) == called("win1")


def declared(each: Candidate) -> Candidate:
    """Return a host that the fleet calls simulated."""
    return replace(each, host=replace(each.host, simulated=True))


def by_its_own_word(each: Candidate) -> Candidate:
    """Return a host that says itself that it is played, as the simulated Windows host does."""
    seen = each.look.facts
    assert seen is not None
    return replace(each, look=replace(each.look, facts=replace(seen, simulated=True)))


@pytest.mark.parametrize("plays", [declared, by_its_own_word])
def test_a_plan_marks_played_hosts_whether_it_takes_or_leaves_them(
    plays: Callable[[Candidate], Candidate],
) -> None:
    taken, idle = candidate("web1", ranked(update())), candidate("web2")

    plan = make_plan(OCCASION, PROFILE, [plays(taken), plays(idle)], ())
    real = make_plan(OCCASION, PROFILE, [taken, idle], ())

    assert (plan.hosts[0].simulated, plan.excluded[0].simulated) == (True, True)
    assert (real.hosts[0].simulated, real.excluded[0].simulated) == (False, False)


def test_a_declared_host_that_was_not_seen_is_marked_too() -> None:
    (left,) = make_plan(OCCASION, PROFILE, [declared(candidate("win1", reason="off"))], ()).excluded

    assert left.simulated


def night(*, played: int) -> RolloutReport:
    """Return a night's report with so many of its hosts played."""
    made = acme_night()
    hosts = [replace(each, simulated=at < played) for at, each in enumerate(made.hosts)]
    return replace(made, hosts=tuple(hosts), simulated=False)


def test_every_form_of_the_report_says_it_at_the_top_and_at_the_host() -> None:
    report = night(played=1)
    page = render_html(report).decode()
    document = json.loads(render_json(report))

    assert summary_text(report).startswith(f"{SIMULATED} (1 of ")
    assert document["simulated"] is True
    assert [each["simulated"] for each in document["hosts"]].count(True) == 1
    assert page.count(SIMULATED) == 2
    assert SIMULATED not in render_html(night(played=0)).decode()
