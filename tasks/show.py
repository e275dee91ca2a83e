"""What operators see in the Prefect UI beside the graph: tables, progress, labels."""

import json
import re
from collections.abc import Iterable
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate

from wavemend.fleet import Fleet, RolloutKey
from wavemend.ledger import attempts, rollouts
from wavemend.ledger.store import Ledger
from wavemend.plans import LeftOut, Plan, PlannedPackage
from wavemend.reporting import WrittenReport
from wavemend.reports import verdict_of
from wavemend.reports.text import counted
from wavemend.reports.verdict import hosts_by_urgency, outcome_words
from wavemend.rollout import Action
from wavemend.simulated import SIMULATED, named

CVES_SHOWN = 2
REASON_SHOWN = 64
"""Prefect's tables do not wrap: a longer text pushes the other columns out of sight."""


def label_run(plan: Plan, flow_run_id: str) -> None:
    """Say in the run's name and tags that hosts are simulated; leave other runs as they are."""
    if not _played(plan):
        return
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(UUID(flow_run_id))
        name = run.name if SIMULATED in run.name else f"{run.name} ({SIMULATED})"
        client.update_flow_run(run.id, name=name, tags=sorted({*run.tags, SIMULATED}))


def labels_of(plan: Plan, action: Action) -> tuple[str, ...]:
    """Return the tags of the task runs of one action: company, wave, and whether it is played."""
    wave = getattr(action, "wave", None)
    tags = [f"tenant:{plan.tenant}"]
    if wave is not None:
        tags.append(f"wave:{wave.name}")
    if _played(plan):
        tags.append(SIMULATED)
    return tuple(tags)


def labels_before(fleet: Fleet, key: RolloutKey) -> tuple[str, ...]:
    """Return the tags of the task runs before there is a plan."""
    played = any(host.simulated for host in fleet.members(key))
    return (f"tenant:{key.tenant}", *((SIMULATED,) if played else ()))


def show_plan(plan: Plan) -> None:
    """Publish the frozen plan as a table, one row per package."""
    rows = []
    for wave in plan.waves:
        for name in wave.hosts:
            host = plan.host(name)
            shown = named(name, simulated=host.simulated)
            rows += [_package_row(wave.name, shown, package) for package in host.packages]
            rows += [_row(wave.name, shown, note=f"repair: {item}") for item in host.repairs]
            if not host.changes_packages:
                rows.append(_row(wave.name, shown, note="is only restarted"))
            rows += [
                _row(wave.name, shown, _titled(left), left.installed, "stays", note=left.reason)
                for left in host.left_out
            ]
    rows += [
        _row(
            "none",
            named(left.name, simulated=left.simulated),
            note=f"{outcome_words(left.outcome)}: {left.reason}",
        )
        for left in plan.excluded
    ]
    hosts = sum(len(wave.hosts) for wave in plan.waves)
    create_table_artifact(
        key=_key("plan", plan),
        table=rows,
        description=f"{whose(plan)}: plan for {hosts} hosts, frozen at "
        f"{plan.created_at:%Y-%m-%d %H:%M} UTC. What is approved is what runs.\n\n`{plan.digest}`",
    )


def show_verdict(plan: Plan, written: WrittenReport) -> None:
    """Publish the verdict, what is left to look at, and where the report lies."""
    report, verdict = written.report, verdict_of(written.report)
    lines = [
        f"## {verdict.answer.value.capitalize()}",
        "",
        plain(verdict.sentence),
        "",
        *[
            f"- **{named(plain(host.name), simulated=host.simulated)}** "
            + outcome_words(host.outcome)
            + "".join(f": {plain(said)}" for said in (host.doubt, host.reason) if said)
            for host in hosts_by_urgency(report)
        ],
        "",
        f"Page: {code(str(written.paths.html))}",
        "",
        f"Data: {code(str(written.paths.json))}",
    ]
    create_markdown_artifact(
        key=_key("verdict", plan),
        markdown="\n".join(lines),
        description=f"{whose(plan)}: did the updates really work? {verdict.answer.value}",
    )


class Board:
    """A progress bar and a table of all hosts, kept up to date after each step of a run."""

    def __init__(self, ledger: Ledger, plan: Plan) -> None:
        self._ledger = ledger
        self._plan = plan
        self._bar = _id(
            create_progress_artifact(
                progress=self._percent(),
                key=_key("progress", plan),
                description=f"{whose(plan)}: hosts with an outcome, in percent",
            )
        )
        self._table = _id(
            create_table_artifact(
                key=_key("outcomes", plan),
                table=self._rows(),
                description=f"{whose(plan)}: every expected host, once, as the ledger has it",
            )
        )

    def move(self) -> None:
        """Show how far the rollout is now."""
        update_progress_artifact(self._bar, progress=self._percent())
        with get_client(sync_client=True) as client:
            # Updated in place: one table per run, not one more after every step.
            client.update_artifact(self._table, ArtifactUpdate(data=json.dumps(self._rows())))

    def _percent(self) -> float:
        with self._ledger.reading() as book:
            view = rollouts.read_view(book, self._plan.rollout)
        ended = sum(attempt.outcome is not None for attempt in view.attempts.values())
        whole = len(self._plan.expected())
        return round(100 * (ended + len(self._plan.excluded)) / whole, 1) if whole else 100.0

    def _rows(self) -> list[dict[str, str]]:
        plan = self._plan
        with self._ledger.reading() as book:
            ended = {row.host: row for row in attempts.of_rollout(book, plan.rollout)}
        rows = []
        for wave in plan.waves:
            for name in wave.hosts:
                row = ended.get(name)
                state = (row.outcome or row.state) if row else "waiting"
                rows.append(
                    {
                        "wave": wave.name,
                        "host": named(name, simulated=plan.host(name).simulated),
                        "outcome": state.replace("_", " "),
                        "packages": str(len(plan.host(name).packages)),
                        "reason": _short(row.reason) if row else "",
                    }
                )
        rows += [
            {
                "wave": "none",
                "host": named(left.name, simulated=left.simulated),
                "outcome": outcome_words(left.outcome),
                "packages": "",
                "reason": _short(left.reason),
            }
            for left in plan.excluded
        ]
        return rows


def plain(text: str) -> str:
    """Keep words of hosts and strangers from becoming markup.

    No `~`: twice in a line it strikes out what is between, and Debian's versions are full of it.
    """
    return "".join(sign if sign.isalnum() or sign in " .,:;/()='%+-@" else " " for sign in text)


def code(text: str) -> str:
    """Return a text as it is, in a code span: for versions, where every sign counts."""
    inside = re.sub(r"[`\r\n]", " ", text)
    return f"`{inside}`"


def cves_shown(cves: tuple[str, ...]) -> str:
    """Return how many CVEs there are, and the first ones by number."""
    if not cves:
        return ""
    first = ", ".join(cves[:CVES_SHOWN])
    return f"{counted(len(cves), 'CVE')}: {first}" + (" …" if len(cves) > CVES_SHOWN else "")


def _package_row(wave: str, host: str, package: PlannedPackage) -> dict[str, str]:
    return _row(
        wave,
        host,
        _titled(package),
        package.installed,
        package.target,
        lane=package.lane,
        due=f"{package.due:%Y-%m-%d}" if package.due else "",
        note=cves_shown(package.cves),
    )


def _titled(package: PlannedPackage | LeftOut) -> str:
    """Return a package's name; a KB's with its title, which is what people know it by."""
    return _short(f"{package.name}: {plain(package.title)}") if package.title else package.name


def _row(
    wave: str,
    host: str,
    package: str = "",
    installed: str = "",
    target: str = "",
    *,
    lane: str = "",
    due: str = "",
    note: str = "",
) -> dict[str, str]:
    return {
        "wave": wave,
        "host": host,
        "package": package,
        "from": installed,
        "to": target,
        "lane": lane,
        "due": due,
        "note": _short(note),
    }


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= REASON_SHOWN else f"{line[:REASON_SHOWN]} …"


def _played(plan: Plan) -> bool:
    planned = any(host.simulated for host in plan.hosts)
    return planned or any(left.simulated for left in plan.excluded)


def whose(plan: Plan) -> str:
    """Return whose hosts a view is about, and that some are played, for its description."""
    told = f"{SIMULATED}, " if _played(plan) else ""
    return f"{told}{plan.tenant} · {plan.profile} · {plan.window}"


def _id(made: object) -> UUID:
    if not isinstance(made, UUID):  # asynchronous inside an event loop only
        raise TypeError("artifacts are shown by synchronous flows only")
    return made


def _key(what: str, plan: Plan) -> str:
    """Return an artifact key: company first, so that the list reads, and one per rollout.

    Keys are lower case letters, digits and dashes, and live as long as the server.
    """
    return "-".join(_pieces((plan.tenant, what, plan.rollout)))


def _pieces(texts: Iterable[str]) -> list[str]:
    return [re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x" for text in texts]
