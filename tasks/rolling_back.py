"""Tasks that take hosts back: one visible task run per host, never retried, never cached."""

from collections.abc import Iterator, Mapping

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from tasks.run_log import run_log
from tasks.show import label_run, plain, whose
from tasks.workbench import Running, Workbench
from wavemend.calendar.windows import Window
from wavemend.execution.order import InForce, Order
from wavemend.execution.rollback import roll_back_host
from wavemend.execution.rollback_end import RollbackEnd
from wavemend.fleet import Fleet
from wavemend.ledger import rollback_runs, rollouts
from wavemend.ledger.rollback_runs import RollbackRun
from wavemend.plans import Plan
from wavemend.reporting import build_report, write_rollout_report
from wavemend.reports import verdict_of
from wavemend.rollbacks import RollbackCase, RollbackRequest
from wavemend.simulated import naming
from wavemend.steps.roll_back import case_of, is_critical, plan_to_take_back


def read_case(
    bench: Workbench,
    rollout: str,
    hosts: tuple[str, ...],
    requester: str,
    reason: str,
    *,
    outside_window: bool,
) -> tuple[Plan, RollbackCase]:
    """Return the plan of a finished rollout, and exactly what is to be taken back of it."""
    with bench.hands.ledger.reading() as book:
        plan = plan_to_take_back(book, rollout)
        case = case_of(
            book,
            plan,
            hosts,
            requested_by=requester,
            reason=reason,
            outside_window=outside_window,
        )
    return plan, case


class Asked:
    """What all task runs of one rollback share. No dataclass: see `Workbench`."""

    __slots__ = ("case", "running")

    def __init__(self, running: Running, case: RollbackCase) -> None:
        self.running = running
        self.case = case


def begin_run(asked: Asked, flow_run_id: str) -> None:
    """Write down what this run was asked for, so that another one can take all of it up."""
    label_run(asked.running.plan, flow_run_id)
    running, case = asked.running, asked.case
    run = RollbackRun(case=case, outside_window=case.outside_window)
    hands = running.bench.hands
    with hands.ledger.writing() as book:
        rollouts.note_run(book, running.plan.rollout, flow_run_id)
        rollback_runs.begin_run(book, running.lease, flow_run_id, run, now=hands.clock())


def end_run(asked: Asked, flow_run_id: str) -> None:
    """Write down that this run has come to its end, and what the rollout comes to with it."""
    running, hands = asked.running, asked.running.bench.hands
    rollout, now = running.plan.rollout, hands.clock()
    verdict = verdict_of(build_report(hands.ledger, running.bench.fleet, rollout, now))
    with hands.ledger.writing() as book:
        reason = f"{verdict.answer}: {verdict.sentence}"
        rollouts.judge_again(book, running.lease, reason, hands.clock())
        rollback_runs.end_run(book, running.lease, flow_run_id, now=hands.clock())


def batches(plan: Plan, case: RollbackCase) -> Iterator[list[str]]:
    """Yield the hosts of a case, wave by wave, as many at a time as their wave's budget has."""
    for wave in plan.waves:
        names = [host.host for host in case.hosts if host.host in wave.members]
        for at in range(0, len(names), wave.concurrency):
            yield names[at : at + wave.concurrency]


@task(task_run_name="roll back {name}", tags=["changes-hosts"], cache_policy=NO_CACHE, retries=0)
def roll_back_asked(asked: Asked, name: str) -> RollbackEnd:
    """Take one host back because a person asked for it. A host's trouble is an outcome."""
    running, case = asked.running, asked.case
    in_force = running.in_force()
    request = RollbackRequest(
        requested_by=case.requested_by,
        reason=case.reason,
        case=case,
        window=_window(in_force, running.plan.window),
        outside_window=case.outside_window,
        critical=is_critical(in_force, name),
    )
    return _roll_back(running, name, request)


@task(task_run_name="roll back {name}", tags=["changes-hosts"], cache_policy=NO_CACHE, retries=0)
def roll_back_one(running: Running, name: str, reason: str) -> RollbackEnd:
    """Take one host of a pilot back by policy, within the rollout."""
    by = f"profile {running.plan.profile}"
    return _roll_back(running, name, RollbackRequest(requested_by=by, reason=reason))


def _window(in_force: Fleet, name: str) -> Window | None:
    """Return the window as it is in force; without it only the plan's own, which is over."""
    return next((window for window in in_force.windows if window.name == name), None)


def _roll_back(running: Running, name: str, request: RollbackRequest) -> RollbackEnd:
    bench, plan = running.bench, running.plan
    order = Order(
        lease=running.lease,
        plan=plan,
        host=bench.fleet.host(name),
        profile=bench.fleet.profile(plan.profile),
        tenant=running.tenant,
        ask=lambda: InForce(tenant=running.tenant, limits=running.limits(name)),
    )
    end = roll_back_host(bench.hands, order, request)
    played = "SIMULATED host, " if plan.host(name).simulated else ""
    run_log().info("%s: %s%s: %s", name, played, end.outcome, end.detail)
    return end


def show_rollback(asked: Asked, ends: Mapping[str, RollbackEnd]) -> None:
    """Publish what came of each host, and write the rollout's report again."""
    running, case = asked.running, asked.case
    called = naming(running.plan.hosts)
    create_table_artifact(
        key=f"rollback-{case.rollout.lower()}",
        table=[
            {"host": called(name), "outcome": str(end.outcome), "detail": plain(end.detail)}
            for name, end in sorted(ends.items())
        ],
        description=f"{whose(running.plan)}: taken back of {case.rollout}, asked for by "
        f"{plain(case.requested_by)}: {plain(case.reason)}",
    )
    bench = running.bench
    write_rollout_report(
        bench.hands.ledger,
        bench.fleet,
        running.plan.rollout,
        bench.site.reports,
        bench.hands.clock(),
    )
