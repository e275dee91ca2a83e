"""Beginning emergency rollouts: which are due is the core's answer, Prefect only runs them."""

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.settings import get_current_settings

from tasks.run_log import run_log
from tasks.workbench import Workbench, open_workbench
from wavemend.cli.here import PrefectApi
from wavemend.cli.resume import deployment_for, start_run
from wavemend.errors import WavemendError
from wavemend.ledger import rollouts
from wavemend.ledger.intake import current_fleet
from wavemend.steps import emergencies
from wavemend.steps.emergencies import Case

REQUESTER = "plan-emergencies"


@task(task_run_name="begin emergencies", cache_policy=NO_CACHE)
def begin_emergencies(site: str) -> list[str]:
    """Open and start what is due; return a line for each. One company's trouble stops no other."""
    bench = open_workbench(site)
    with bench.hands.ledger.reading() as book:
        fleet = current_fleet(book)
        found = emergencies.cases_of(fleet, emergencies.exploited(book))
        now = bench.hands.clock()
        due = [case for each in found if (case := emergencies.without_tried(book, each, now))]
    lines = []
    for case in due:
        try:
            line = _begin(bench, case)
        except WavemendError as error:
            line = f"{case.key.tenant}/{case.key.profile}: {error.message}"
        run_log().warning("%s", line)
        lines.append(line)
    return lines


def _begin(bench: Workbench, case: Case) -> str:
    where = f"{case.key.tenant}/{case.key.profile}"
    if why := emergencies.cannot_be_signed(bench.fleet, case):
        return f"{where}: {why}"
    api = PrefectApi(get_current_settings().api.url or "")
    deployment_for(api, case.key)  # before a rollout is opened that nobody could run
    hands = bench.hands
    with hands.ledger.writing() as book:
        row = emergencies.open_case(
            book,
            bench.fleet,
            case,
            rollout_id=f"r-{hands.token()[:12]}",
            requester=REQUESTER,
            now=hands.clock(),
        )
        rollout_id = row.id
    run = start_run(api, case.key, REQUESTER)
    with hands.ledger.writing() as book:
        rollouts.note_run(book, rollout_id, run)
    return f"{where}: {', '.join(case.names)} on {len(case.hosts)} hosts, rollout {rollout_id}"
