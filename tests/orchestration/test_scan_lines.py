"""A scan shows every host, also beside one at which wavemend itself broke."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from prefect.futures import PrefectFuture

from tasks.scanning import ScanLine, line_of
from tasks.workbench import Workbench

pytestmark = pytest.mark.orchestration


class Ended(PrefectFuture[ScanLine]):
    """A task run that has ended: with a line, or with what it raised."""

    def __init__(self, end: ScanLine | Exception) -> None:
        super().__init__(uuid4())
        self._end = end

    def wait(self, timeout: float | None = None) -> None:
        """It has ended."""

    def result(
        self,
        timeout: float | None = None,  # noqa: ARG002 - as the Protocol has it
        raise_on_failure: bool = True,
    ) -> Any:
        if raise_on_failure and isinstance(self._end, Exception):
            raise self._end
        return self._end

    def add_done_callback(self, fn: Callable[[PrefectFuture[ScanLine]], None]) -> None:
        fn(self)


def bench_of(*, simulated: bool) -> Workbench:
    host = SimpleNamespace(tenant="acme", simulated=simulated)
    return cast("Workbench", SimpleNamespace(fleet=SimpleNamespace(host=lambda _: host)))


def test_a_bug_at_one_host_is_a_line_of_the_table_and_is_told() -> None:
    bench = bench_of(simulated=False)
    well = ScanLine("web1", "acme", 2, 3, "", 0, "")

    assert line_of(bench, "web1", Ended(well)) == (well, "")
    line, trouble = line_of(bench, "win1", Ended(OverflowError("too large")))
    assert trouble == "OverflowError: too large"
    assert (line.pending, line.note) == (None, "wavemend failed: OverflowError: too large")


def test_a_played_host_is_called_so_also_when_nothing_is_known_of_it() -> None:
    line, _ = line_of(bench_of(simulated=True), "win1", Ended(OverflowError("too large")))

    assert line.note == "SIMULATED; wavemend failed: OverflowError: too large"
