"""What operators see in the Prefect UI beside the graph: tables and progress, as artifacts."""

from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from wavemend.ledger import attempts, rollouts
from wavemend.ledger.store import Ledger
from wavemend.plans import Plan


def show_plan(plan: Plan) -> None:
    """Publish the frozen plan as a table, one row per package."""
    rows = []
    for wave in plan.waves:
        for name in wave.hosts:
            host = plan.host(name)
            rows += [
                {
                    "wave": wave.name,
                    "host": _named(name, simulated=host.simulated),
                    "package": package.name,
                    "from": package.installed,
                    "to": package.target,
                    "lane": package.lane,
                    "CVEs": ", ".join(package.cves[:5])
                    + (f" and {len(package.cves) - 5} more" if len(package.cves) > 5 else ""),
                }
                for package in host.packages
            ]
    rows += [
        {"wave": "–", "host": left.name, "package": f"{left.outcome}: {left.reason}"}
        for left in plan.excluded
    ]
    create_table_artifact(
        key=_key("plan", plan), table=rows, description=f"Plan {plan.digest} · frozen"
    )


def show_outcomes(ledger: Ledger, plan: Plan) -> None:
    """Publish what became of every host so far."""
    with ledger.reading() as book:
        ended = {row.host: row for row in attempts.of_rollout(book, plan.rollout)}
    rows = []
    for wave in plan.waves:
        for name in wave.hosts:
            row = ended.get(name)
            rows.append(
                {
                    "wave": wave.name,
                    "host": _named(name, simulated=plan.host(name).simulated),
                    "outcome": (row.outcome or row.state) if row else "waiting",
                    "reason": row.reason if row else "",
                }
            )
    rows += [
        {"wave": "–", "host": left.name, "outcome": left.outcome, "reason": left.reason}
        for left in plan.excluded
    ]
    create_table_artifact(
        key=_key("outcomes", plan), table=rows, description="Every expected host, once"
    )


def show_verdict(plan: Plan, text: str) -> None:
    """Publish the verdict and where the report lies."""
    fenced = text.replace("```", "'''")
    create_markdown_artifact(
        key=_key("verdict", plan), markdown=f"```\n{fenced}\n```", description="Verdict"
    )


class Progress:
    """A progress bar over the hosts of a rollout, moved after each wave."""

    def __init__(self, ledger: Ledger, plan: Plan) -> None:
        self._ledger = ledger
        self._plan = plan
        made = create_progress_artifact(
            progress=self._percent(),
            key=_key("progress", plan),
            description="Hosts with an outcome, in percent",
        )
        if not isinstance(made, UUID):  # asynchronous inside an event loop only
            raise TypeError("progress is shown by synchronous flows only")
        self._id = made

    def move(self) -> None:
        """Show how far the rollout is now."""
        update_progress_artifact(self._id, progress=self._percent())

    def _percent(self) -> float:
        with self._ledger.reading() as book:
            view = rollouts.read_view(book, self._plan.rollout)
        ended = sum(attempt.outcome is not None for attempt in view.attempts.values())
        return round(100 * ended / len(self._plan.hosts), 1) if self._plan.hosts else 100.0


def _named(name: str, *, simulated: bool) -> str:
    return f"{name} (simulated)" if simulated else name


def _key(what: str, plan: Plan) -> str:
    """Artifact keys are lower case with dashes and live as long as the server: one per rollout."""
    return f"{what}-{plan.rollout}".lower()
