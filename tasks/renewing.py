"""Deploying again from inside a run, as the program it is: deployments stand above flows."""

import os
import sys
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.run_log import run_log
from tasks.workbench import open_workbench
from wavemend.operations import Operation, OperationEnd, run_here

_SECONDS = 1800.0
"""Once a month each deployment gets new schedules: 0.2 s each, thousands at the most."""


@task(task_run_name="deploy again", cache_policy=NO_CACHE)
def renew(site: str) -> OperationEnd:
    """Bring the deployments to what the fleet in force says; return how that ended."""
    place = open_workbench(site).site
    end = run_here(
        Operation(
            title="deploy",
            argv=(sys.executable, "-m", "deployments.deploy_windows", "--site", site),
            environment={
                "WAVEMEND_HOME": str(place.home),
                "WAVEMEND_LEDGER": place.ledger,
                "WAVEMEND_SIGNERS": place.signers,
                "PYTHONPATH": _path(),
            },
            seconds=_SECONDS,
        )
    )
    for line in end.output.splitlines()[-200:]:
        run_log().info("%s", line)
    return end


def _path() -> str:
    """Return the checkout in front of whatever else is on the path: it holds the deployments."""
    checkout = Path(__file__).resolve().parent.parent
    kept = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join([str(checkout), str(checkout / "src"), *([kept] if kept else [])])
