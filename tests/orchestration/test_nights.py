"""AC-17 and AC-20 by the flows themselves: a night is used, skipped or missed, and says why."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.testing.utilities import prefect_test_harness

from blocks.site import WavemendSite
from deployments.forms import schedules_of
from flows.patch_rollout import patch_rollout
from flows.report_compliance import report_compliance
from flows.watch_nights import watch_nights
from tests.cases.quiet import APPROVER, NOBODY, quiet_fleet, staffed
from wavemend.calendar.windows import Occurrence, occurrence_at, zone_info
from wavemend.cli import duty as cli
from wavemend.cli import rollouts as rollouts_cli
from wavemend.fleet import Fleet
from wavemend.ledger import nights, rollouts
from wavemend.ledger.intake import apply_fleet
from wavemend.nights import NAMESPACE
from wavemend.site import Site

pytestmark = pytest.mark.orchestration


@pytest.fixture(scope="module", autouse=True)
def prefect() -> Iterator[None]:
    """A Prefect server of its own: what happens here must not meet other tests' rollouts."""
    with prefect_test_harness(server_startup_timeout=120):
        yield


@dataclass
class Place:
    """One installation that flows of this process work for."""

    site: Site
    folder: Path
    now: datetime

    def declare(
        self, *, opened: timedelta, hours: float = 4, roster: str = NOBODY, freeze: str = ""
    ) -> Fleet:
        """Put a fleet in force two days ago, whose window opened this long before now."""
        fleet = quiet_fleet(
            self.folder, opens=self.now - opened, hours=hours, roster=roster, freeze=freeze
        )
        with self.site.open_ledger().writing() as book:
            apply_fleet(book, fleet, actor="olga", now=self.now - timedelta(days=2))
        return fleet

    def patch(self) -> State:
        return cast(
            "State",
            patch_rollout("acme", "server", "night", site=self.block, return_state=True),
        )

    def watch(self) -> State:
        return cast("State", watch_nights(site=self.block, return_state=True))

    def deploy(self) -> UUID:
        """Make the window's deployment, without a schedule."""
        deployed = patch_rollout.to_deployment(
            name="acme-server-night",
            parameters={
                "tenant": "acme",
                "profile": "server",
                "window": "night",
                "site": self.block,
            },
        )
        return cast("UUID", cast("RunnerDeployment", deployed).apply())

    def asked(self, deployment: UUID) -> list[FlowRun]:
        """Return the runs that were asked for; a schedule makes others ahead of time."""
        wanted = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
        with get_client(sync_client=True) as client:
            found = client.read_flow_runs(deployment_filter=wanted)
        return [run for run in found if not run.auto_scheduled]

    @property
    def block(self) -> str:
        return f"site-{abs(hash(self.site.home)) % 10**9}"

    def nights(self) -> list[tuple[str, str]]:
        with self.site.open_ledger().reading() as book:
            found = nights.nights_since(book, self.now - timedelta(hours=12))
        return [(night.verdict.value, night.reason) for night in found]

    def opened(self) -> int:
        with self.site.open_ledger().reading() as book:
            return len(rollouts.list_rollouts(book))

    def sign(self, occurrence: Occurrence) -> None:
        """Sign for the night, as the approver does."""
        zone = zone_info("Europe/Berlin")
        for day in {occurrence.end.astimezone(zone).date() + timedelta(days=n) for n in (0, 1)}:
            cli.override(
                "acme", morning=str(day), reason="on site until noon", key=self.site.home / "alice"
            )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    site = Site(home=tmp_path / "home")
    monkeypatch.setenv("WAVEMEND_HOME", str(site.home))
    site.open_ledger()
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(site.home / "alice")]
    subprocess.run(argv, check=True, capture_output=True)
    public = " ".join((site.home / "alice.pub").read_text().split()[:2])
    site.signers_file.write_text(f'{APPROVER} namespaces="{NAMESPACE}" {public}\n')
    made = Place(site, tmp_path / "fleet", datetime.now(UTC).replace(second=0, microsecond=0))
    WavemendSite(home=str(site.home)).save(made.block)
    yield made
    with get_client(sync_client=True) as client:  # the next one's window is not deployed yet
        for each in client.read_deployments():
            client.delete_deployment(each.id)


def told(state: State) -> tuple[str, str]:
    return state.type.value, str(state.name)


def test_ac_17_a_night_before_an_unstaffed_morning_is_skipped_until_somebody_signs_for_it(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = place.declare(opened=timedelta(hours=1))
    night = occurrence_at(fleet.window("night"), place.now)
    assert night is not None

    skipped = place.patch()

    assert told(skipped) == ("COMPLETED", "Skipped")
    assert "nobody with linux is on duty on" in str(skipped.message)
    assert place.nights() == [("skipped", str(skipped.message))]
    again = place.patch()
    assert (told(again), again.message) == (("COMPLETED", "Skipped"), skipped.message)
    assert place.opened() == 0

    place.sign(night)
    used = place.patch()

    assert str(used.name).startswith("Verdict")
    assert place.opened() == 1
    assert place.nights() == []
    with place.site.open_ledger().reading() as book:
        (row,) = rollouts.list_rollouts(book)
    page, data = (place.site.reports / f"rollout-{row.id}.{form}" for form in ("html", "json"))
    overrides = json.loads(data.read_text())["overrides"]
    assert {each["identity"] for each in overrides} == {APPROVER}
    assert {each["reason"] for each in overrides} == {"on site until noon"}
    assert "on site until noon" in page.read_text()
    capsys.readouterr()
    rollouts_cli.report(row.id)
    assert f"{APPROVER} signed for the morning of" in capsys.readouterr().out


def test_a_freeze_that_ends_in_time_is_waited_for_and_one_that_does_not_skips_the_night(
    place: Place,
) -> None:
    freeze = (
        "freezes: [{name: fair, scope: company, tenant: acme, "
        f'start: "{place.now - timedelta(hours=9):%Y-%m-%dT%H:%M}", '
        f'end: "{place.now + timedelta(hours=9):%Y-%m-%dT%H:%M}", reason: the trade fair}}]'
    )
    place.declare(opened=timedelta(hours=1), roster=staffed(place.now), freeze=freeze)

    state = place.patch()

    assert told(state) == ("COMPLETED", "Skipped")
    assert "fair" in str(state.message)
    assert place.nights() == [("skipped", str(state.message))]


def test_ac_20_a_run_that_comes_after_the_last_moment_for_a_start_starts_nothing(
    place: Place,
) -> None:
    place.declare(opened=timedelta(minutes=45), hours=1, roster=staffed(place.now))

    state = place.patch()

    assert told(state) == ("FAILED", "Missed")
    assert "nobody started it between" in str(state.message)
    assert place.opened() == 0
    assert [verdict for verdict, _ in place.nights()] == ["missed"]


def test_ac_20_a_run_that_is_late_inside_its_window_runs(place: Place) -> None:
    place.declare(opened=timedelta(hours=2), roster=staffed(place.now))

    assert str(place.patch().name).startswith("Verdict")
    assert place.opened() == 1


def test_ac_20_a_night_without_any_run_raises_an_alarm_once(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place.declare(opened=timedelta(hours=6), roster=staffed(place.now))

    state = place.watch()

    assert told(state) == ("FAILED", "Missed")
    assert "acme/server/night" in str(state.message)
    assert "nobody started it between" in str(state.message)
    assert told(place.watch())[0] == "COMPLETED"
    assert place.opened() == 0
    morning = cast("State", report_compliance(site=place.block, return_state=True))
    assert "nights of a week without a rollout" in str(morning.message)
    assert ", 0 nights" not in str(morning.message)
    monkeypatch.setenv("COLUMNS", "240")
    capsys.readouterr()
    cli.nights_("acme")
    shown = capsys.readouterr().out
    assert "missed" in shown
    assert "acme/server/night" in shown
    cli.nights_("globex")
    assert "no night was skipped or missed" in capsys.readouterr().out


def test_ac_20_a_night_that_nobody_started_is_started_late_while_time_is_left(
    place: Place,
) -> None:
    place.declare(opened=timedelta(hours=1), roster=staffed(place.now))

    vain = place.watch()

    # Nobody can be asked before the windows are deployed: that is no silence either.
    assert told(vain) == ("FAILED", "Missed")
    assert "acme/server/night cannot be started" in str(vain.message)
    assert "wavemend up" in str(vain.message)

    deployment = place.deploy()
    started = place.watch()

    assert told(started)[0] == "COMPLETED"
    assert "1 started late" in str(started.message)
    (run,) = place.asked(deployment)
    assert run.parameters["requester"] == "watch-nights"


def test_what_somebody_switched_off_in_prefect_is_not_started_late_until_it_is_on_again(
    place: Place,
) -> None:
    fleet = place.declare(opened=timedelta(hours=1), roster=staffed(place.now))
    deployment = place.deploy()
    with get_client(sync_client=True) as client:
        made = client.create_deployment_schedules(
            deployment,
            [
                DeploymentScheduleCreate(slug=slug, schedule=rule, active=False)
                for slug, rule in schedules_of(fleet.window("night"), place.now).items()
            ],
        )
        client.create_deployment_schedules(  # an operator's own, for another time of day
            deployment, [DeploymentScheduleCreate(schedule=CronSchedule(cron="0 4 1 1 *"))]
        )

        yesterday = place.watch()
        off = place.watch()

        assert told(yesterday) == ("FAILED", "Missed"), "nobody knows what was on then"
        assert told(off)[0] == "COMPLETED"
        assert "0 started late, 1 due and switched off" in str(off.message)
        client.update_deployment_schedule(deployment, made[0].id, active=True)
        client.pause_deployment(deployment)
        assert "0 started late, 1 due and switched off" in str(place.watch().message)
        assert place.asked(deployment) == []
        assert place.nights() == []

        client.resume_deployment(deployment)
        assert "1 started late, 0 due and switched off" in str(place.watch().message)
    (run,) = place.asked(deployment)
    assert run.parameters["requester"] == "watch-nights"
