"""Taking up what runs left that died: rollouts, and reports. The ledger says which."""

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.settings import get_current_settings

from tasks.run_log import run_log
from tasks.workbench import Workbench
from wavemend.cli.resume import resume_orphans
from wavemend.reporting import renew_reports


@task(task_run_name="renew reports", cache_policy=NO_CACHE)
def renew(bench: Workbench) -> list[str]:
    """Write the reports again that are older than the ledger; return what was done with each."""
    hands = bench.hands
    lines = []
    for line in renew_reports(hands.ledger, bench.site.reports, hands.clock):
        run_log().warning("%s", line)
        lines.append(line)
    return lines


@task(task_run_name="take up what was left", cache_policy=NO_CACHE)
def take_up(bench: Workbench) -> list[str]:
    """Start a run for each rollout that nobody works for; return what was done with each."""
    api = get_current_settings().api.url or ""
    lines = []
    for line in resume_orphans(bench.hands.ledger, api, bench.hands.clock()):
        run_log().info("%s", line)
        lines.append(line)
    return lines
