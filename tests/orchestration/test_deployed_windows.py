"""What Prefect holds are the openings that the preview shows, and deploying again changes nothing.

Everything is seen through the API of a real server. No worker runs, so no run begins.
"""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prefect.server.schemas.schedules import RRuleSchedule

from deployments.forms import horizon, schedules_of
from tests.orchestration.prefect_site import PrefectSite
from wavemend.calendar.agenda import openings_until, window_uses
from wavemend.calendar.almanac import Almanac
from wavemend.fleet import Fleet
from wavemend.inventory import INVENTORIES

pytestmark = pytest.mark.orchestration

WINDOWS = {
    # The hour that a switch skips, and the hour that exists twice, every night in two zones.
    "berlin": 'zone: Europe/Berlin, start: "02:30", days: [mon, tue, wed, thu, fri, sat, sun]',
    "york": 'zone: America/New_York, start: "02:30", days: [mon, tue, wed, thu, fri, sat, sun]',
    "twice": 'zone: America/New_York, start: "01:30", days: [sun]',
    "patch-tuesday": 'zone: Europe/Berlin, start: "22:00", nth: [{n: 2, day: tue, offset: 11}]',
    "before-first": 'zone: Asia/Kolkata, start: "00:10", nth: [{n: 1, day: mon, offset: -3}]',
    "month-end": 'zone: UTC, start: "23:00", rrule: "FREQ=MONTHLY;BYMONTHDAY=-1"',
}
"""Windows of every form; each has one host of the company acme."""

EMERGENCIES = "plan-emergencies/every-quarter-hour"

AHEAD = {
    "patch-rollout/acme-server-{}": timedelta(0),
    "check-readiness/acme-server-{}-24h-before": timedelta(days=1),
    "check-readiness/acme-server-{}-30min-before": timedelta(minutes=30),
}
"""Deployments of a window, and how long before an opening their runs begin."""

PROFILE = """\
profiles:
  - name: server
    os: debian
    device: server
    manager: apt
    updates: all
    reboot: if_needed
    host_deadline: 30m
    waves:
      - {name: rest, kind: broad, gate: {max_errors: 0}}
      - {name: critical, kind: critical, gate: {max_errors: 0}}
"""


def fleet_text(windows: Mapping[str, str]) -> str:
    lines = ["schema: wavemend.fleet/1", "tenants:"]
    lines += ["  - {name: acme, title: Acme Works, zone: Europe/Berlin}", "windows:"]
    lines += [f"  - {{name: {n}, {how}, duration: 2h, cutoff: 40m}}" for n, how in windows.items()]
    lines += [PROFILE.rstrip(), "logins:", '  - {name: default, user: root, key: "agent:"}']
    lines.append("hosts:")
    lines += [
        f"  - {{name: on-{name}, tenant: acme, address: 192.0.2.{number}, window: {name}, "
        "labels: {os: debian, device: server}}"
        for number, name in enumerate(windows, start=1)
    ]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectSite]:
    made = PrefectSite(tmp_path_factory.mktemp("site"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def deployed(site: PrefectSite) -> PrefectSite:
    """The site with every window deployed."""
    site.bring_to(fleet_text(WINDOWS))
    return site


def fleet_of(site: PrefectSite) -> Fleet:
    return INVENTORIES["file"]()(site.home / "fleet.yaml")


def previewed(fleet: Fleet, first: datetime, until: datetime) -> dict[str, list[datetime]]:
    """When the preview says that each window opens."""
    almanac = Almanac(read_at=first)
    agendas = openings_until(fleet, almanac, window_uses(fleet), first, until, overrides={})
    return {
        agenda.use.window: [opening.occurrence.start for opening in agenda.openings]
        for agenda in agendas
    }


def held(deployment: Mapping[str, Any], first: datetime, until: datetime) -> list[datetime]:
    """When the server's own code says that a deployment's schedules start runs."""
    rules = [RRuleSchedule(**each["schedule"]) for each in deployment["schedules"]]
    found = [asyncio.run(rule.get_dates(1000, first, until)) for rule in rules]
    return sorted(date for dates in found for date in dates if first < date < until)


def test_prefect_holds_for_twelve_months_what_the_preview_shows(deployed: PrefectSite) -> None:
    first = datetime.now(UTC)
    until = first + timedelta(days=365)
    there = deployed.deployments()
    expected = previewed(fleet_of(deployed), first, until + timedelta(days=1))

    assert set(expected) == set(WINDOWS)
    for window, starts in expected.items():
        for title, ahead in AHEAD.items():
            wanted = [start - ahead for start in starts if first < start - ahead < until]
            assert held(there[title.format(window)], first, until) == wanted, title.format(window)


@pytest.mark.parametrize("window", ["berlin", "york", "patch-tuesday"])
def test_the_runs_that_the_server_makes_are_the_previewed_ones(
    deployed: PrefectSite, window: str
) -> None:
    first = datetime.now(UTC)
    until = first + timedelta(days=364)
    deployment = deployed.deployment(f"patch-rollout/acme-server-{window}")

    deployed.schedule(deployment["id"], first, until)

    made = [start for start in deployed.planned_runs(deployment["id"]) if start < until]
    assert made == previewed(fleet_of(deployed), first, until)[window]


@pytest.mark.parametrize(
    ("window", "zone", "usual"),
    [("berlin", "Europe/Berlin", "02:30"), ("york", "America/New_York", "02:30")],
)
def test_the_night_of_the_switch_is_held_once_and_at_the_first_valid_instant(
    deployed: PrefectSite, window: str, zone: str, usual: str
) -> None:
    first = datetime.now(UTC)
    deployment = deployed.deployment(f"patch-rollout/acme-server-{window}")
    local = [
        start.astimezone(ZoneInfo(zone))
        for start in held(deployment, first, first + timedelta(days=365))
    ]

    odd = [start for start in local if f"{start:%H:%M}" != usual]
    assert [f"{start:%H:%M}" for start in odd] == ["03:00"]  # a year has one such night
    assert len({start.date() for start in local}) == len(local)


def test_a_second_run_changes_nothing(deployed: PrefectSite) -> None:
    before = deployed.deployments()

    said = deployed.wavemend("deploy")

    assert said.startswith("nothing changes: ")
    assert deployed.deployments() == before  # ids and times of change of every schedule with them


def test_what_an_operator_switched_off_stays_off_and_is_said(deployed: PrefectSite) -> None:
    title = "patch-rollout/acme-server-twice"
    deployment = deployed.deployment(title)
    (schedule,) = deployment["schedules"]
    own = {"schedule": {"cron": "0 4 * * *", "timezone": "UTC"}}
    deployed.api.post(f"/deployments/{deployment['id']}/schedules", [own])
    deployed.change(f"{deployment['id']}/schedules/{schedule['id']}", active=False)

    said = deployed.wavemend("deploy")
    assert f"stays off: {title}: schedule twice" in said
    deployed.apply(fleet_text({**WINDOWS, "twice": WINDOWS["twice"].replace("01:30", "00:30")}))
    assert f"changed {title}: schedule twice" in deployed.wavemend("deploy")

    after = {each["slug"]: each for each in deployed.deployment(title)["schedules"]}
    assert after["twice"]["id"] == schedule["id"]
    assert after["twice"]["active"] is False
    assert after["twice"]["schedule"] != schedule["schedule"]
    assert after[None]["active"] is True  # the operator's own, untouched
    deployed.delete(deployment["id"])


def test_switching_all_schedules_off_and_on_leaves_the_operators_choice(
    deployed: PrefectSite,
) -> None:
    title = "patch-rollout/acme-server-month-end"
    deployment = deployed.deployment(title)
    (schedule,) = deployment["schedules"]
    deployed.change(f"{deployment['id']}/schedules/{schedule['id']}", active=False)

    other = "patch-rollout/acme-server-twice"
    deployed.api.post(f"/deployments/{deployed.deployment(other)['id']}/pause_deployment", {})

    deployed.wavemend("deploy", "--no-schedules")
    assert deployed.deployment(title)["paused"] is True
    assert deployed.deployment("scan-fleet/daily")["paused"] is False
    assert deployed.deployment(EMERGENCIES)["paused"] is True, "it begins rollouts by itself"
    assert "nothing changes" in deployed.wavemend("deploy")  # off, until somebody says otherwise
    said = deployed.wavemend("deploy", "--schedules")

    assert f"stays off: {other}: all its schedules" in said
    assert deployed.deployment(other)["paused"] is True
    after = deployed.deployment(title)
    assert after["paused"] is False
    assert [each["active"] for each in after["schedules"]] == [False]
    assert deployed.deployment("patch-rollout/acme-server-berlin")["paused"] is False
    assert deployed.deployment(EMERGENCIES)["paused"] is False
    deployed.delete(deployment["id"])
    deployed.delete(deployed.deployment(other)["id"])


def test_what_was_due_does_not_begin_after_schedules_were_switched_off(
    deployed: PrefectSite,
) -> None:
    emergencies = deployed.deployment(EMERGENCIES)["id"]
    now = datetime.now(UTC).replace(microsecond=0)
    deployed.schedule(emergencies, now - timedelta(hours=1), now)
    assert [start for start in deployed.planned_runs(emergencies) if start <= now]
    asked = now - timedelta(minutes=7, seconds=7)  # by somebody, not by the schedule
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": asked.isoformat()}}
    deployed.api.post(f"/deployments/{emergencies}/create_flow_run", {"state": state})

    deployed.wavemend("deploy", "--no-schedules")

    assert deployed.planned_runs(emergencies) == [asked]
    deployed.delete(emergencies)


def test_without_a_word_about_schedules_each_stays_as_it_is(deployed: PrefectSite) -> None:
    window = "patch-rollout/acme-server-berlin"
    emergencies = deployed.deployment(EMERGENCIES)["id"]
    deployed.wavemend("deploy", "--no-schedules")
    deployed.change(emergencies, paused=False)  # as an operator does who wants these all the same

    assert "nothing changes" in deployed.wavemend("deploy")
    assert deployed.deployment(EMERGENCIES)["paused"] is False
    assert deployed.deployment(window)["paused"] is True

    deployed.wavemend("deploy", "--no-schedules")  # said again: it holds again
    assert deployed.deployment(EMERGENCIES)["paused"] is True

    # An older version left it on while the windows were off, and knew no such tag.
    deployed.change(emergencies, paused=False, tags=["emergency", "wavemend-standing"])
    deployed.wavemend("deploy")
    after = deployed.deployment(EMERGENCIES)
    assert after["paused"] is False
    assert "starts-rollouts" in after["tags"]
    assert deployed.deployment(window)["paused"] is True


def test_a_window_that_the_fleet_lost_takes_its_deployments_with_it(deployed: PrefectSite) -> None:
    fewer = {name: how for name, how in WINDOWS.items() if name != "york"}
    deployed.apply(fleet_text(fewer), without=1)

    said = deployed.wavemend("deploy")

    left = set(deployed.deployments())
    for title in AHEAD:
        assert f"removed {title.format('york')}" in said
        assert title.format("york") not in left
        assert title.format("berlin") in left


def test_limit_tags_and_parameters_are_brought_back_where_somebody_changed_them(
    deployed: PrefectSite,
) -> None:
    title = "patch-rollout/acme-server-berlin"
    deployment = deployed.deployment(title)
    deployed.change(deployment["id"], concurrency_limit=3, tags=["wavemend-window"])

    said = deployed.wavemend("deploy")

    assert f"changed {title}: concurrency_limit, tags" in said
    after = deployed.deployment(title)
    assert after["global_concurrency_limit"]["limit"] == 1
    assert after["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert after["tags"] == ["tenant:acme", "wavemend-window"]
    assert after["parameters"]["window"] == "berlin"
    assert after["schedules"] == deployment["schedules"]


def test_a_change_does_not_lose_the_run_that_waits_for_a_worker(deployed: PrefectSite) -> None:
    title = "patch-rollout/acme-server-berlin"
    deployment = deployed.deployment(title)
    now = datetime.now(UTC)
    due = max(start for start in held(deployment, now - timedelta(days=40), now))
    deployed.schedule(deployment["id"], due - timedelta(minutes=1), now)
    assert due in deployed.planned_runs(deployment["id"])

    deployed.apply(fleet_text({**WINDOWS, "berlin": WINDOWS["berlin"].replace("02:30", "03:30")}))
    deployed.wavemend("deploy")

    assert due in deployed.planned_runs(deployment["id"])


def test_the_flow_that_renews_finds_nothing_to_do_in_the_same_month(deployed: PrefectSite) -> None:
    said = deployed.python(
        "-c",
        "from flows.renew_schedules import renew_schedules as flow\n"
        "print(flow('default', return_state=True).message)",
    )

    assert "nothing changes" in said


def test_a_month_later_one_more_month_is_handed_over_and_the_rest_is_as_it_was(
    tmp_path: Path,
) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(fleet_text(WINDOWS))
    window = INVENTORIES["file"]()(file).window("berlin")
    november, december = datetime(2026, 11, 21, 2, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)

    assert schedules_of(window, november) == schedules_of(window, november + timedelta(days=9))
    assert horizon(november)[1] == datetime(2027, 12, 1, tzinfo=UTC)
    before, after = (_dates(schedules_of(window, now)) for now in (november, december))
    assert before - after == {date for date in before if date.startswith("202611")}
    assert {date[:6] for date in after - before} == {"202712"}


def _dates(schedules: Mapping[str, Any]) -> set[str]:
    return {
        date for each in schedules.values() for date in each.rrule.removeprefix("RDATE:").split(",")
    }
