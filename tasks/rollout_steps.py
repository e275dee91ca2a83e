"""Tasks about the rollout as a whole: plan, gates, waits, closing, hooks, report."""

import shlex
from datetime import datetime

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from tasks.operating import operate
from tasks.run_log import run_log
from tasks.workbench import Running, Workbench
from wavemend.errors import RolloutHalted
from wavemend.fleet import RolloutKind
from wavemend.ledger import rollouts
from wavemend.ledger.rollouts import Lease
from wavemend.operations import Operation
from wavemend.plans import Plan, PlannedWave
from wavemend.reporting import WrittenReport, write_rollout_report
from wavemend.rollout import GateNumbers
from wavemend.steps import waves
from wavemend.steps.freeze import freeze_plan
from wavemend.steps.freeze_repairs import freeze_repairs
from wavemend.steps.freeze_restarts import freeze_restarts

CLOSED_EVENT = "wavemend.rollout.closed"
"""A rollout stopped before its last host: an automation can page somebody."""


@task(task_run_name="freeze plan", cache_policy=NO_CACHE)
def freeze(bench: Workbench, lease: Lease) -> Plan:
    """Match, rank and plan; the plan's digest is what is approved and what runs."""
    with bench.hands.ledger.reading() as book:
        row = rollouts.get_rollout(book, lease.rollout_id)
    match RolloutKind(row.kind):
        case RolloutKind.RESTART:
            plan = freeze_restarts(bench.hands, lease, row, bench.fleet)
        case RolloutKind.REPAIR:
            plan = freeze_repairs(bench.hands, lease, row, bench.fleet)
        case _:
            assessor = bench.assessor()
            for warning in assessor.intelligence.warnings:
                run_log().warning("%s", warning)
            plan = freeze_plan(bench.hands, lease, row, bench.fleet, assessor)
    run_log().info("plan %s: %d hosts", plan.digest, len(plan.hosts))
    return plan


@task(task_run_name="{title}", cache_policy=NO_CACHE)
def wait_until(running: Running, title: str, until: datetime) -> None:
    """Wait for a soak or a gap to pass."""
    run_log().info("%s: until %s UTC", title, f"{until:%H:%M:%S}")
    running.bench.hands.wait_until(until)


@task(task_run_name="gate {wave.name}", cache_policy=NO_CACHE)
def judge(running: Running, wave: PlannedWave) -> GateNumbers:
    """Decide from observed outcomes whether the next wave may start."""
    numbers = waves.decide_gate(running.bench.hands, running.lease, wave)
    log = run_log()
    told = f"gate {wave.name}: {numbers.good} good, {numbers.errors} errors"
    if numbers.passed:
        log.info("%s: passed", told)
    else:
        log.warning("%s: FAILED: %s", told, numbers.reason)
    return numbers


@task(task_run_name="close: {reason}", cache_policy=NO_CACHE)
def close(running: Running, hosts: tuple[str, ...], reason: str) -> None:
    """Start nothing further; every host left gets `not_attempted` with the reason."""
    plan = running.plan
    waves.close(running.bench.hands, running.lease, plan, hosts, reason)
    emit_event(
        event=CLOSED_EVENT,
        resource={
            "prefect.resource.id": f"wavemend.rollout.{plan.rollout}",
            "prefect.resource.name": plan.rollout,
            "wavemend.tenant": plan.tenant,
        },
        payload={"reason": reason, "not_attempted": len(hosts), "hosts": list(hosts[:100])},
    )
    run_log().warning("closed: %s (%d hosts not attempted)", reason, len(hosts))


@task(task_run_name="{title}: {shown}", tags=["runs-hooks"], cache_policy=NO_CACHE)
def run_hook(argv: tuple[str, ...], title: str, shown: str, seconds: float = 300.0) -> None:
    """Run one of the profile's commands on this worker, through prefect-shell.

    Raises RolloutHalted when it fails or does not end in time.
    """
    log = run_log()
    log.info("%s: %s", title, shlex.join(argv))
    ended = operate(Operation(title=title, argv=argv, seconds=seconds))
    for line in ended.output.splitlines():
        log.info("%s", line)
    if not ended.ok:
        raise RolloutHalted(f"the {title}, {shown}, {ended.trouble}")


@task(task_run_name="report", cache_policy=NO_CACHE)
def report(running: Running) -> WrittenReport:
    """Write the rollout's page and its JSON from the ledger, and nothing else."""
    bench = running.bench
    written = write_rollout_report(
        bench.hands.ledger,
        bench.fleet,
        running.plan.rollout,
        bench.site.reports,
        bench.hands.clock(),
    )
    run_log().text(written.summary)
    return written
