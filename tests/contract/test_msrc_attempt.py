"""An attempt is patched when its host runs the build that the update brings, and failed below it.

The host is simulated (nothing here ever ran on a real Windows host), reached without a network.
"""

from pathlib import Path

import pytest

from tests.cases.windows_hosts import BEFORE, FIXED, SERVER
from tests.contract.windows_bench import LCU, bench_of, quick
from wavemend.execution.attempt import attempt_host
from wavemend.outcomes import Outcome
from wavemend.plans import PlannedPackage


@pytest.mark.parametrize(
    ("brings", "outcome", "reason"),
    [
        (FIXED, Outcome.PATCHED, ""),
        (
            "",
            Outcome.FAILED,
            f"{LCU}: said to be installed, but {SERVER} is {BEFORE}, below {FIXED}",
        ),
    ],
    ids=["it does", "the build stays"],
)
def test_an_update_that_the_host_calls_installed_must_bring_its_build(
    tmp_path: Path, brings: str, outcome: Outcome, reason: str
) -> None:
    state = quick("ok_reboot")
    (lcu,) = (update for update in state.wua.updates if update.kb == [LCU])
    lcu.build, lcu.package = brings, lcu.package if brings else ""
    planned = PlannedPackage(
        name=LCU,
        arch=lcu.update_id,
        installed="",
        target=f"r{lcu.revision}",
        origin=lcu.title,
        lane="emergency",
        builds=((SERVER, FIXED),),
    )
    bench = bench_of(tmp_path, state, packages=(planned,))

    assert attempt_host(bench.hands(), bench.order()) is outcome
    assert bench.row().reason == reason
    assert bench.installs()[LCU] == 1
    assert bench.windows.state.boots == 2
