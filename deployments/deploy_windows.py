"""Turn the fleet in force into Prefect deployments: one per company, profile and window.

`python -m deployments.deploy_windows --site default` does it and can be run again at any time:
what is there is updated, what the fleet no longer has is removed. `wavemend up` calls it.
"""

import argparse
import os
import sys
from pathlib import Path

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
from wavemend.fleet import Fleet, RolloutKey
from wavemend.ledger.intake import current_fleet
from wavemend.site import site_from_environment

ROOT = Path(__file__).resolve().parent.parent
POOL = "wavemend"
MANAGED_TAG = "wavemend-window"
"""Marks the deployments made here: only those are removed when their window is."""


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
        wanted = [
            _deploy(fleet, key, options.site, active=not options.paused) for key in fleet.rollouts()
        ]
        gone = _remove_vanished(client, set(wanted))
    if ensure_dead_runs_are_marked():
        print(f"deployed automation {DEAD_RUNS!r}")
    for name in wanted:
        print(f"deployed patch-rollout/{name}")
    for name in gone:
        print(f"removed patch-rollout/{name}")
    return 0


def deployment_name(key: RolloutKey) -> str:
    """Return the name of the deployment of one rollout key."""
    return f"{key.tenant}-{key.profile}-{key.window}"


def schedule_of(window: Window, *, active: bool) -> Schedule:
    """Return when Prefect starts a run: cron with a zone, the form that keeps local time.

    The run itself asks the calendar again; a start outside the window does nothing.
    """
    # `*` for all seven: the UI then says "every day" instead of naming each.
    some = ",".join(str((day + 1) % 7) for day in sorted(window.days))
    days = "*" if len(set(window.days)) == 7 else some
    return Cron(
        f"{window.start.minute} {window.start.hour} * * {days}",
        timezone=window.zone,
        active=active,
        slug=window.name,
    )


def _deploy(fleet: Fleet, key: RolloutKey, site: str, *, active: bool) -> str:
    source = Flow.from_source(source=str(ROOT), entrypoint="flows/patch_rollout.py:patch_rollout")
    if not isinstance(source, Flow):  # asynchronous inside an event loop only
        raise TypeError("deployments are made by synchronous code only")
    name = deployment_name(key)
    window = fleet.window(key.window)
    source.deploy(
        name=name,
        work_pool_name=POOL,
        build=False,
        push=False,
        print_next_steps=False,
        ignore_warnings=True,
        parameters={
            "tenant": key.tenant,
            "profile": key.profile,
            "window": key.window,
            "site": site,
        },
        schedules=[schedule_of(window, active=active)],
        tags=_tags(fleet, key),
        description=_description(fleet, key),
        concurrency_limit=ConcurrencyLimitConfig(
            # A second run of the same rollout would only wait for the first one's lease.
            limit=1,
            collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW,
        ),
    )
    return name


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
    return (
        f"Patches {len(hosts)} hosts of **{fleet.tenant(key.tenant).title}** "
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


def _remove_vanished(client: SyncPrefectClient, wanted: set[str]) -> list[str]:
    tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[MANAGED_TAG]))
    removed = []
    for deployment in client.read_deployments(deployment_filter=tagged):
        if deployment.name not in wanted:
            client.delete_deployment(deployment.id)
            removed.append(deployment.name)
    return removed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
