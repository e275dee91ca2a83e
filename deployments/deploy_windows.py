"""Turn the fleet in force into Prefect deployments: one per company, profile and window.

Each has two companions that look a day and half an hour before whether its hosts are ready. Where
a profile restarts its hosts in a window of their own, that is a deployment too.

`python -m deployments.deploy_windows --site default` does it and can be run again at any time:
what is there is updated, what the fleet no longer has is removed. `wavemend up` calls it.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.exceptions import ObjectAlreadyExists
from prefect.flows import Flow
from prefect.schedules import Cron, Schedule
from prefect.workers.process import ProcessWorker

from blocks.site import WavemendSite
from deployments.automations import NAME as DEAD_RUNS
from deployments.automations import ensure_dead_runs_are_marked
from wavemend.calendar.windows import Window
from wavemend.fleet import Fleet, RolloutKey, RolloutKind
from wavemend.ledger.intake import current_fleet
from wavemend.site import site_from_environment

ROOT = Path(__file__).resolve().parent.parent
POOL = "wavemend"
MANAGED_TAG = "wavemend-window"
"""Marks the deployments made here: only those are removed when their window is."""

_FLOWS = {
    RolloutKind.PATCH: "flows/patch_rollout.py:patch_rollout",
    RolloutKind.RESTART: "flows/restart_hosts.py:restart_hosts",
}
_LOOKS = (
    ("T-24h", "24h-before", timedelta(days=1)),
    ("T-30m", "30min-before", timedelta(minutes=30)),
)
"""Occasion, end of the deployment's name, and how long before the window opens."""


def main(argv: list[str]) -> int:
    """Register the site block, the work pool and the deployments; print what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", default="default", help="name of the Wavemend Site block")
    parser.add_argument("--paused", action="store_true", help="register schedules switched off")
    options = parser.parse_args(argv)
    site = site_from_environment(os.environ)
    ledger = site.open_ledger()
    with ledger.reading() as book:
        fleet = current_fleet(book)
    block = WavemendSite(home=str(site.home), ledger=site.ledger, signers=site.signers)
    block.save(options.site, overwrite=True)
    with get_client(sync_client=True) as client:
        _ensure_pool(client)
        wanted = {
            _deploy(form): form.title
            for key in (*fleet.rollouts(), *fleet.restarts())
            for form in forms_of(fleet, key, options.site, active=not options.paused)
        }
        gone = _remove_vanished(client, set(wanted))
    if ensure_dead_runs_are_marked():
        print(f"deployed automation {DEAD_RUNS!r}")
    for title in wanted.values():
        print(f"deployed {title}")
    for title in gone:
        print(f"removed {title}")
    return 0


def deployment_name(key: RolloutKey) -> str:
    """Return the name of the deployment of one rollout key."""
    return f"{key.tenant}-{key.profile}-{key.window}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One deployment as it is to be."""

    entrypoint: str
    name: str
    parameters: dict[str, str]
    schedule: Schedule
    tags: list[str]
    description: str

    @property
    def title(self) -> str:
        """What Prefect calls it."""
        return f"{self.entrypoint.rpartition(':')[2].replace('_', '-')}/{self.name}"


def forms_of(fleet: Fleet, key: RolloutKey, site: str, *, active: bool) -> Iterator[Form]:
    """Yield the deployment of a rollout key, and of the looks that come before it."""
    window, kind = fleet.window(key.window), RolloutKind(key.kind)
    about = {"tenant": key.tenant, "profile": key.profile, "window": key.window, "site": site}
    yield Form(
        entrypoint=_FLOWS[kind],
        name=deployment_name(key),
        parameters=about,
        schedule=schedule_of(window, active=active),
        tags=_tags(fleet, key),
        description=_description(fleet, key),
    )
    restarts = "-restarts" if kind is RolloutKind.RESTART else ""
    for occasion, suffix, ahead in _LOOKS:
        yield Form(
            entrypoint="flows/check_readiness.py:check_readiness",
            name=f"{deployment_name(key)}{restarts}-{suffix}",
            parameters={**about, "occasion": occasion, "kind": kind.value},
            schedule=schedule_of(window, active=active, ahead=ahead),
            tags=_tags(fleet, key),
            description=f"Looks whether the hosts of {deployment_name(key)} are ready for their "
            "window. Changes nothing.",
        )


def schedule_of(window: Window, *, active: bool, ahead: timedelta = timedelta(0)) -> Schedule:
    """Return when Prefect starts a run: cron with a zone, the form that keeps local time.

    The run itself asks the calendar again; a start outside the window does nothing. `ahead`: how
    long before the window opens, by the local clock.
    """
    minutes = 60 * window.start.hour + window.start.minute - int(ahead.total_seconds() // 60)
    back, minute = divmod(minutes, 24 * 60)
    # Cron counts from Sunday; `*` for all seven: the UI then says "every day".
    some = ",".join(str(day) for day in sorted({(day + back + 1) % 7 for day in window.days}))
    days = "*" if len(set(window.days)) == 7 else some
    return Cron(
        f"{minute % 60} {minute // 60} * * {days}",
        timezone=window.zone,
        active=active,
        slug=window.name,
    )


def _deploy(form: Form) -> UUID:
    source = Flow.from_source(source=str(ROOT), entrypoint=form.entrypoint)
    if not isinstance(source, Flow):  # asynchronous inside an event loop only
        raise TypeError("deployments are made by synchronous code only")
    made = source.deploy(
        name=form.name,
        work_pool_name=POOL,
        build=False,
        push=False,
        print_next_steps=False,
        ignore_warnings=True,
        parameters=form.parameters,
        schedules=[form.schedule],
        tags=form.tags,
        description=form.description,
        concurrency_limit=ConcurrencyLimitConfig(
            # A second run of the same rollout would only wait for the first one's lease.
            limit=1,
            collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW,
        ),
    )
    if not isinstance(made, UUID):
        raise TypeError("deployments are made by synchronous code only")
    return made


def _tags(fleet: Fleet, key: RolloutKey) -> list[str]:
    """Return the tags of a deployment and its runs; the first one is what a list has room for."""
    played = any(host.simulated for host in fleet.members(key))
    return [f"tenant:{key.tenant}", *(["SIMULATED"] if played else []), MANAGED_TAG]


def _description(fleet: Fleet, key: RolloutKey) -> str:
    hosts = fleet.members(key)
    played = sum(host.simulated for host in hosts)
    told = f" **SIMULATED:** {played} of them are played, no machine is changed." if played else ""
    critical = [host.name for host in hosts if host.critical]
    waits = f" Waits for a signed approval before {', '.join(critical)}." if critical else ""
    does = "Restarts what waits for it of" if key.kind == RolloutKind.RESTART else "Patches"
    return (
        f"{does} {len(hosts)} hosts of **{fleet.tenant(key.tenant).title}** "
        f"in the window {key.window}.{waits}{told}"
    )


def _ensure_pool(client: SyncPrefectClient) -> None:
    template = ProcessWorker.get_default_base_job_template()
    # With the worker's pipe as output a flow would die together with its worker.
    template["variables"]["properties"]["stream_output"]["default"] = False
    pool = WorkPoolCreate(name=POOL, type="process", base_job_template=template)
    try:
        client.create_work_pool(pool)
    except ObjectAlreadyExists:
        return


def _remove_vanished(client: SyncPrefectClient, wanted: set[UUID]) -> list[str]:
    tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[MANAGED_TAG]))
    removed = []
    for deployment in client.read_deployments(deployment_filter=tagged):
        if deployment.id not in wanted:
            flow = client.read_flow(deployment.flow_id)
            client.delete_deployment(deployment.id)
            removed.append(f"{flow.name}/{deployment.name}")
    return removed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
