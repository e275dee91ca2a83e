"""Tasks about restore points whose time is over, and those that nobody knows of."""

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from tasks.run_log import run_log
from tasks.show import plain
from tasks.workbench import Workbench
from wavemend.ledger.care_tables import RestorePointRow
from wavemend.simulated import naming
from wavemend.steps import restore_points
from wavemend.steps.restore_points import Odd, Tidied


@task(task_run_name="decide how long points stay", cache_policy=NO_CACHE)
def decide(bench: Workbench) -> int:
    """Write down how long the points of finished rollouts stay."""
    number = restore_points.decide_stays(bench.hands)
    run_log().info("decided for %d restore points", number)
    return number


def what_is_due(bench: Workbench) -> tuple[RestorePointRow, ...]:
    """Return the points whose time is over."""
    return restore_points.due_points(bench.hands)


@task(
    task_run_name="remove the point of {host}",
    tags=["changes-hosts"],
    cache_policy=NO_CACHE,
    retries=0,
)
def remove(bench: Workbench, point: RestorePointRow, host: str) -> Tidied:
    """Remove one point; it stays due when that fails."""
    done = restore_points.remove_point(bench.hands, point, actor=restore_points.ACTOR)
    if done.trouble:
        run_log().warning("%s: %s stays: %s", host, done.name, done.trouble)
    return done


@task(task_run_name="list all restore points", tags=["reads-hosts"], cache_policy=NO_CACHE)
def find_odd(bench: Workbench) -> tuple[Odd, ...]:
    """Compare what hosts and backends list with the ledger."""
    return restore_points.odd_points(bench.hands, bench.fleet)


def show_odd(bench: Workbench, odd: Sequence[Odd]) -> None:
    """Publish the points that are and should not be, or are not and should be."""
    called = naming(bench.fleet.hosts)
    create_table_artifact(
        key="restore-points",
        table=[{"host": called(o.host), "point": o.name, "what": plain(o.what)} for o in odd],
        description="Restore points to look at. Nothing of this was removed.",
    )
