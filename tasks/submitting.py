"""One way to submit a task run after others, so that the graph shows the order."""

from collections.abc import Sequence
from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect.futures import PrefectFuture, wait

P = ParamSpec("P")
R = TypeVar("R")

Futures = list[PrefectFuture[Any]]


def after(
    earlier: Sequence[PrefectFuture[Any]], job: Task[P, R], *args: P.args, **kwargs: P.kwargs
) -> PrefectFuture[R]:
    """Submit a task run that the graph shows behind `earlier`."""
    return job.submit(*args, return_state=False, wait_for=earlier, **kwargs)


def settled(futures: Sequence[PrefectFuture[R]]) -> list[R]:
    """Let every task run end before an unexpected error in one of them is raised."""
    wait(list(futures))
    return [future.result() for future in futures]
