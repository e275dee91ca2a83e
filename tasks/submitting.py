"""One way to submit a task run after others, so that the graph shows the order."""

from collections.abc import Sequence
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Task
from prefect.futures import PrefectFuture, wait
from prefect.utilities.annotations import quote

P = ParamSpec("P")
R = TypeVar("R")

Futures = list[PrefectFuture[Any]]


def after(
    earlier: Sequence[PrefectFuture[Any]], job: Task[P, R], *args: P.args, **kwargs: P.kwargs
) -> PrefectFuture[R]:
    """Submit a task run that the graph shows behind `earlier`, and behind nothing else.

    Arguments are quoted: Prefect would draw an arrow from every task run in whose result it has
    seen the same object before, such as a host's name, and would walk through the whole plan.
    """
    plain = cast("Task[..., R]", job)
    quoted = [quote(value) for value in args]
    named = {name: quote(value) for name, value in kwargs.items()}
    return plain.submit(*quoted, return_state=False, wait_for=earlier, **named)


def settled(futures: Sequence[PrefectFuture[R]]) -> list[R]:
    """Let every task run end before an unexpected error in one of them is raised."""
    wait(list(futures))
    return [future.result() for future in futures]
