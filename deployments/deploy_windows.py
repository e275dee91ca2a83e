"""Turn the fleet in force into Prefect deployments: one per company, profile and window.

Each has two companions that look a day and half an hour before whether its hosts are ready. Where
a profile restarts its hosts in a window of their own, that is a deployment too. What prefect.yaml
declares beside them is kept in the same way.

`wavemend deploy` runs this, and so does `wavemend up`; again at any time: what is there and as it
should be is not touched, what the fleet no longer has is removed.
"""

import argparse
import os
import sys
from datetime import datetime

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists
from prefect.workers.process import ProcessWorker

from blocks.site import WavemendSite
from deployments.automations import NAME as DEAD_RUNS
from deployments.automations import ensure_dead_runs_are_marked
from deployments.forms import window_forms
from deployments.reconcile import POOL, Reconciled, reconcile
from deployments.standing import standing_forms
from wavemend.ledger.intake import current_fleet
from wavemend.site import Site, site_from_environment, utc_now


def main(argv: list[str]) -> int:
    """Register the site block, the work pool and the deployments; print what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", default="default", help="name of the Wavemend Site block")
    parser.add_argument(
        "--schedules",
        choices=("keep", "on", "off"),
        default="keep",
        help="let rollouts begin by themselves; keep: each as it is now",
    )
    options = parser.parse_args(argv)
    site = site_from_environment(os.environ)
    lines = [] if _keep_block(site, options.site) else [f"deployed block {options.site!r}"]
    if ensure_dead_runs_are_marked():
        lines.append(f"deployed automation {DEAD_RUNS!r}")
    found = deploy(site, options.site, utc_now(), schedules=options.schedules)
    lines += found.done
    lines += [f"stays off: {text} (an operator's choice)" for text in found.kept_off]
    if not found.done:
        lines.append(f"nothing changes: {found.total} deployments are as the fleet has them")
    print("\n".join(lines))
    return 0


def deploy(site: Site, block: str, now: datetime, *, schedules: str = "keep") -> Reconciled:
    """Bring Prefect's deployments to what the fleet in force and prefect.yaml say."""
    with site.open_ledger().reading() as book:
        fleet = current_fleet(book)
    with get_client(sync_client=True) as client:
        _ensure_pool(client)
        forms = (*window_forms(fleet, block, now), *standing_forms(block))
        return reconcile(client, forms, now, schedules=schedules)


def _keep_block(site: Site, name: str) -> bool:
    """Write the block that names this installation. Returns True when it was there as it is."""
    block = WavemendSite(home=str(site.home), ledger=site.ledger, signers=site.signers)
    try:
        found = WavemendSite.load(name)
    except ValueError:
        found = None
    if isinstance(found, WavemendSite) and found.to_core() == block.to_core():
        return True
    block.save(name, overwrite=True)
    return False


def _ensure_pool(client: SyncPrefectClient) -> None:
    template = ProcessWorker.get_default_base_job_template()
    # With the worker's pipe as output a flow would die together with its worker.
    template["variables"]["properties"]["stream_output"]["default"] = False
    pool = WorkPoolCreate(name=POOL, type="process", base_job_template=template)
    try:
        client.create_work_pool(pool)
    except ObjectAlreadyExists:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
