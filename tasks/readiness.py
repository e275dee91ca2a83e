"""Preflight as tasks: one per host, and the group's rule before a plan and before each wave."""

from collections.abc import Callable, Sequence
from datetime import datetime

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from tasks.run_log import run_log
from tasks.show import plain
from tasks.submitting import Futures, after, settled
from tasks.workbench import Running, Workbench
from wavemend.execution.looks import look_and_record
from wavemend.fleet import RolloutKind
from wavemend.ledger import audit, rollouts
from wavemend.ledger import readiness as ledger
from wavemend.ledger.readiness import Occasion
from wavemend.observations import Look
from wavemend.plans import PlannedWave
from wavemend.policy.care import Unready
from wavemend.readiness import GroupAnswer, Readiness, group_answer, judge_look
from wavemend.steps.readiness import check_host, until_ready


@task(
    task_run_name="{occasion.name}: check {name}",
    tags=["reads-hosts"],
    cache_policy=NO_CACHE,
    retries=1,
    retry_delay_seconds=10,
)
def check(
    bench: Workbench,
    name: str,
    profile: str,
    occasion: Occasion,
    *,
    deep: bool,
    until: datetime | None = None,
    kind: str = RolloutKind.PATCH,
) -> Readiness:
    """Look whether one host is ready; one that is off is switched on where the fleet says how.

    `until`: from then on none is. `kind`: what it is to be ready for.
    """
    host = bench.fleet.host(name)
    found = check_host(
        bench.hands, host, bench.fleet.profile(profile), occasion, deep=deep, until=until, kind=kind
    )
    log = run_log()
    played = "SIMULATED host, " if host.simulated else ""
    for problem in found.problems:
        log.log(30 if problem.blocks else 20, "%s: %s%s", name, played, problem)
    return found


@task(task_run_name="look again at {name}", tags=["reads-hosts"], cache_policy=NO_CACHE)
def look_again(bench: Workbench, name: str, rollout_id: str) -> Look:
    """Repeat the preflight look at a host that was not ready."""
    host = bench.fleet.host(name)
    _, seen = look_and_record(
        bench.hands, host, purpose="preflight", rollout_id=rollout_id, refresh=True
    )
    return seen


def ready_group(
    bench: Workbench, rollout_id: str, profile: str, looks: Sequence[Look], earlier: Futures
) -> Futures:
    """Before the plan: wait for hosts that are not ready, where the profile says `hold`.

    What else the rule means is decided when the plan is made: it names who is left out and why.
    """
    rule, kind = bench.fleet.profile(profile).unready, _kind(bench, rollout_id)
    done = earlier

    def again(names: Sequence[str]) -> Sequence[Readiness]:
        nonlocal done
        done = [after(earlier, look_again, bench, name, rollout_id) for name in names]
        return [judge_look(look, kind=kind) for look in settled(done)]

    until_ready(
        bench.hands,
        [judge_look(look, kind=kind) for look in looks],
        again=again,
        answer=_answer(bench, rollout_id, rule),
        notify=lambda reason: _notify(bench, rollout_id, reason),
    )
    return done


def ready_wave(
    running: Running, wave: PlannedWave, hosts: Sequence[str], earlier: Futures
) -> tuple[Futures, str]:
    """Check the hosts of a wave right before it begins; return why it must not, or nothing."""
    bench, plan = running.bench, running.plan
    occasion = Occasion(
        tenant=plan.tenant,
        profile=plan.profile,
        window=plan.window,
        window_start=plan.window_start,
        name=f"wave {wave.name}",
    )
    rule, kind = bench.fleet.profile(plan.profile).unready, _kind(bench, plan.rollout)
    done: Futures = []

    def look(names: Sequence[str]) -> Sequence[Readiness]:
        nonlocal done
        done = [
            after(
                earlier,
                check,
                bench,
                name,
                plan.profile,
                occasion,
                deep=False,
                until=plan.last_start,
                kind=kind,
            )
            for name in names
        ]
        return settled(done)

    verdict = until_ready(
        bench.hands,
        look(hosts),
        again=look,
        answer=_answer(bench, plan.rollout, rule),
        notify=lambda reason: _notify(bench, plan.rollout, reason),
    )
    return done, "" if verdict.go_on else verdict.reason


def _kind(bench: Workbench, rollout_id: str) -> str:
    """Return what a rollout does to its hosts: they need not be ready for more than that."""
    with bench.hands.ledger.reading() as book:
        return rollouts.get_rollout(book, rollout_id).kind


def _answer(
    bench: Workbench, rollout_id: str, rule: Unready
) -> Callable[[Sequence[Readiness]], GroupAnswer]:
    """Return what applies a rule with what the ledger and the clock say at that moment."""

    def answer(found: Sequence[Readiness]) -> GroupAnswer:
        with bench.hands.ledger.reading() as book:
            row = rollouts.get_rollout(book, rollout_id)
            accepted = ledger.is_accepted(book, rollout_id)
            stopped = bench.hands.local_stop() or rollouts.stopped(book, row.tenant)
        time_left = bench.hands.clock() < row.last_start and not stopped
        return group_answer(rule, found, accepted=accepted, time_left=time_left)

    return answer


def _notify(bench: Workbench, rollout_id: str, reason: str) -> None:
    """Say in the run's log and in the audit chain what a group is held for."""
    run_log().warning(
        "held: %s; `wavemend rollout go-on %s` goes on without them", reason, rollout_id
    )
    with bench.hands.ledger.writing() as book:
        now = bench.hands.clock()
        audit.append(book, now, "preflight", "readiness.held", rollout_id, reason=reason)


def show_readiness(occasion: Occasion, found: Sequence[Readiness]) -> None:
    """Publish a table: which hosts are ready, and what is wrong with the others."""
    create_table_artifact(
        key="readiness",
        table=readiness_rows(found),
        description=f"{plain(occasion.name)} of {plain(occasion.window)}, which opens "
        f"{occasion.window_start:%Y-%m-%d %H:%M} UTC. Nothing was changed.",
    )


def readiness_rows(found: Sequence[Readiness]) -> list[dict[str, str]]:
    """Return the table's rows, those that are not ready first; hosts' words become no markup."""
    return [
        {
            "host": readiness.host,
            "ready": "yes" if readiness.ready else "NO",
            "found": plain("; ".join(str(problem) for problem in readiness.problems)) or "nothing",
            "what to do": plain("; ".join(p.hint for p in readiness.problems if p.hint)),
        }
        for readiness in sorted(found, key=lambda readiness: (readiness.ready, readiness.host))
    ]
