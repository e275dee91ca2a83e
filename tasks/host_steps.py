"""Tasks that work on hosts: look, prepare, patch, verify. One task run per host or shard.

Only looks are retried. A task that changes hosts is never retried by Prefect and never cached:
the ledger knows what was begun, and the executor goes on from there.
"""

from functools import partial

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE

from tasks.run_log import run_log
from tasks.workbench import Running, Workbench
from wavemend.execution.attempt import attempt_host
from wavemend.execution.drift import fleet_drift, window_drift
from wavemend.execution.order import InForce, Order
from wavemend.ledger.attempts import Refused
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.snapshots import RestorePoint
from wavemend.steps.preflight import preflight_host
from wavemend.steps.prepare import prepare_host
from wavemend.steps.waves import probe_host, verify_host

TASKS_PER_WAVE = 200
"""Above that, one task run per shard of hosts: Prefect loses records of larger bursts."""

SHARD = 25


def shards(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Split a wave's hosts into what one task run does: one host each, or 25 in large waves."""
    size = 1 if len(names) <= TASKS_PER_WAVE else SHARD
    return tuple(names[at : at + size] for at in range(0, len(names), size))


def label(names: tuple[str, ...]) -> str:
    """Return what the UI calls a shard."""
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]} ({len(names)})"


@task(
    task_run_name="preflight {name}",
    tags=["reads-hosts"],
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[5, 15],
    retry_jitter_factor=0.5,
)
def preflight(bench: Workbench, name: str, rollout_id: str, *, may_be_seen: bool) -> Look:
    """Look at one host with a fresh package index. A host that does not answer is a value."""
    host = bench.fleet.host(name)
    # A run before this one may have written its look down and failed after that.
    asked = may_be_seen or runtime.task_run.run_count > 1
    seen = preflight_host(bench.hands, host, rollout_id, may_be_seen=asked)
    log = run_log()
    if seen.facts is None:
        log.warning("%s: %s", name, seen.detail)
    else:
        what = "SIMULATED host, " if seen.facts.simulated else ""
        log.info("%s: %s%d updates pending", name, what, len(seen.facts.pending))
    return seen


@task(task_run_name="prepare {name}", tags=["changes-hosts"], cache_policy=NO_CACHE, retries=0)
def prepare(running: Running, name: str) -> RestorePoint | Refused:
    """Prove a restore point for one host before anything is changed."""
    bench, plan = running.bench, running.plan
    profile = bench.fleet.profile(plan.profile)
    point = prepare_host(bench.hands, running.lease, plan, bench.fleet.host(name), profile)
    if isinstance(point, Refused):
        run_log().warning("%s: no restore point was made: %s", name, point.reason)
    else:
        run_log().info("%s: %s (%s)", name, point.detail, point.restores)
    return point


@task(
    task_run_name="{wave}: patch {shown}",
    tags=["changes-hosts"],
    cache_policy=NO_CACHE,  # an earlier run's answer is never this run's truth
    retries=0,  # a half-applied update is looked at, not repeated
)
def patch(running: Running, wave: str, names: tuple[str, ...], shown: str) -> tuple[Outcome, ...]:
    """Bring these hosts to their outcome. A host's trouble is an outcome; a bug is raised."""
    bench, plan = running.bench, running.plan
    outcomes = []
    for name in names:
        order = Order(
            lease=running.lease,
            plan=plan,
            host=bench.fleet.host(name),
            profile=bench.fleet.profile(plan.profile),
            tenant=running.tenant,
            ask=partial(_in_force, running, name),
        )
        outcome = attempt_host(bench.hands, order)
        played = "SIMULATED host, " if plan.host(name).simulated else ""
        run_log().info("%s: %s%s", name, played, outcome)
        outcomes.append(outcome)
    return tuple(outcomes)


def _in_force(running: Running, name: str) -> InForce:
    """Return what the fleet in force says of a planned host at this moment."""
    fleet, plan = running.in_force(), running.plan
    now = running.bench.hands.clock()
    return InForce(
        tenant=running.tenant,
        calendar=running.calendar,
        limits=running.limits(name),
        fleet_drift=fleet_drift(plan, name, fleet) or window_drift(plan, fleet, now),
    )


@task(
    task_run_name="{wave}: probe {shown}",
    tags=["reads-hosts"],
    cache_policy=NO_CACHE,
    retries=1,
    retry_delay_seconds=5,
)
def probe(running: Running, wave: str, names: tuple[str, ...], shown: str) -> tuple[str, ...]:
    """Ask these hosts' probes again before the gate; return a line for each that is not well."""
    bench, plan = running.bench, running.plan
    probes = bench.fleet.profile(plan.profile).probes
    lines = []
    for name in names:
        trouble = probe_host(bench.hands, plan, bench.fleet.host(name), probes)
        if trouble:
            lines.append(f"{name}: {trouble}")
            run_log().warning("%s", lines[-1])
    return tuple(lines)


@task(
    task_run_name="verify {name}",
    tags=["reads-hosts"],
    cache_policy=NO_CACHE,
    retries=1,
    retry_delay_seconds=5,
)
def verify(running: Running, name: str) -> str:
    """Look at one host once more, after everything; return what is not as it was left."""
    bench, plan = running.bench, running.plan
    probes = bench.fleet.profile(plan.profile).probes
    host = bench.fleet.host(name)
    _, difference = verify_host(bench.hands, plan, host, bench.assessor(), probes)
    if difference:
        run_log().warning("%s: %s", name, difference)
    return difference
