"""Scanning hosts outside a rollout: facts, findings, and a table of both."""

from collections.abc import Sequence
from dataclasses import dataclass

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture

from tasks.run_log import run_log
from tasks.show import plain
from tasks.workbench import Workbench
from wavemend.observations import subject_of
from wavemend.simulated import SIMULATED
from wavemend.steps.scan import scan_host


@dataclass(frozen=True, slots=True)
class ScanLine:
    """One host of a scan, in a form that is shown. `pending` None: it did not answer."""

    host: str
    tenant: str
    pending: int | None
    findings: int
    most_urgent: str
    unjudged: int
    """Packages that could not be compared with what the vendor says."""
    note: str


@task(
    task_run_name="scan {name}",
    tags=["reads-hosts"],
    cache_policy=NO_CACHE,
    retries=1,
    retry_delay_seconds=10,
)
def scan(bench: Workbench, name: str) -> ScanLine:
    """Look at one host and match its packages with the feeds."""
    host = bench.fleet.host(name)
    seen, judged = scan_host(bench.hands, bench.assessor(), host)
    if seen.facts is None or judged is None:
        run_log().warning("%s: %s", name, seen.detail)
        note = _note(f"{seen.reason}: {seen.detail}", simulated=host.simulated)
        return ScanLine(name, host.tenant, None, 0, "", 0, note)
    ranked = judged.ranked
    first = f"{subject_of(ranked[0].finding)} ({ranked[0].priority.lane})" if ranked else ""
    note = _note(simulated=host.simulated or seen.facts.simulated)
    unjudged = judged.packages - judged.judged
    pending = len(seen.facts.pending)
    return ScanLine(name, host.tenant, pending, len(ranked), first, unjudged, note)


def line_of(bench: Workbench, name: str, future: PrefectFuture[ScanLine]) -> tuple[ScanLine, str]:
    """Return a host's line, and why looking at it failed as nothing a host does should make it.

    That is a bug, and it is raised in the end: but not before the other hosts are shown.
    """
    seen = future.result(raise_on_failure=False)
    if isinstance(seen, ScanLine):
        return seen, ""
    trouble = f"{type(seen).__name__}: {seen}"[:300]
    host = bench.fleet.host(name)
    note = _note(f"wavemend failed: {trouble}", simulated=host.simulated)
    return ScanLine(name, host.tenant, None, 0, "", 0, note), trouble


def _note(trouble: str = "", *, simulated: bool) -> str:
    """Return what is said beside a host: a played one is called so also when it is silent."""
    return "; ".join(filter(None, (SIMULATED if simulated else "", trouble)))


def show_scan(lines: Sequence[ScanLine]) -> None:
    """Publish the scan as a table."""
    create_table_artifact(
        key="scan",
        table=[
            {
                "host": line.host,
                "company": line.tenant,
                "pending": "no answer" if line.pending is None else line.pending,
                "findings": line.findings,
                "most urgent": line.most_urgent,
                "not judged": line.unjudged,
                "note": plain(line.note),
            }
            for line in lines
        ],
        description="What every host lacks. Nothing was changed.",
    )
