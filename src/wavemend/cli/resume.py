"""Taking up rollouts again whose run died: the ledger says which, Prefect only runs them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from wavemend.calendar.openings import instant
from wavemend.cli.here import PrefectApi
from wavemend.cli.rollback_runs import start_rollback
from wavemend.errors import EnvironmentUnfit
from wavemend.fleet import RolloutKey, RolloutKind
from wavemend.ledger import approvals, rollback_runs, rollouts
from wavemend.ledger.rollback_runs import RollbackRun
from wavemend.ledger.rollouts import LEASE
from wavemend.ledger.store import Ledger
from wavemend.ledger.tables import (
    RolloutRow,
)
from wavemend.steps.lease import owner_is_dead

FLOWS = {
    RolloutKind.PATCH: "patch-rollout",
    RolloutKind.RESTART: "restart-hosts",
    RolloutKind.REPAIR: "repair-hosts",
    RolloutKind.EMERGENCY: "patch-emergency",
}
LIVE_STATES = {"SCHEDULED", "PENDING", "RUNNING", "PAUSED"}


def resume_orphans(ledger: Ledger, api_url: str, now: datetime) -> Iterator[str]:
    """Start a new run for each unfinished rollout that nobody works for; say what was done.

    Nobody works for it when its lease is free or expired, or its owner's process is gone from
    this machine, and Prefect has no run of it that still begins. A run that Prefect calls RUNNING
    without a lease is a dead one: Prefect is told so, as it holds the deployment's only slot.
    What Prefect refuses is raised as EnvironmentUnfit after all others were taken up.
    """
    api, refused = PrefectApi(api_url), list[str]()
    with ledger.reading() as book:
        rows = rollouts.list_rollouts(book, only_open=True)
    for row in rows:
        if reason := _left_alone(ledger, api, row, now):
            yield f"rollout {row.id}: {reason}"
            continue
        try:
            deployment = deployment_for(api, _key_of(row))
        except EnvironmentUnfit as error:
            # One whose window is gone must not keep the others from being taken up.
            yield f"rollout {row.id}: cannot be taken up: {error}"
            continue
        try:
            _bury(api, row.flow_run_id)  # first: a second run of the deployment would be cancelled
            run = _create_run(api, deployment, row.requester)
        except EnvironmentUnfit as error:
            refused.append(f"rollout {row.id}: cannot be taken up: {error}")
            continue
        with ledger.writing() as book:
            rollouts.note_run(book, row.id, run)
        yield f"rollout {row.id}: taken up again by run {run}"
    yield from _resume_rollbacks(ledger, api, now, refused)
    if refused:
        raise EnvironmentUnfit("; ".join(refused), hint="what was left is tried again by the next")


def _resume_rollbacks(
    ledger: Ledger, api: PrefectApi, now: datetime, refused: list[str]
) -> Iterator[str]:
    """Start a new run for each run of rollbacks that died, with all that it was asked for.

    A rollout has one run at a time: a second one that died is taken up after the first has ended.
    """
    with ledger.reading() as book:
        left: dict[str, RollbackRun] = {}
        for run in rollback_runs.open_runs(book):
            left.setdefault(run.case.rollout, run)
        rows = {rollout: rollouts.get_rollout(book, rollout) for rollout in left}
    for rollout, run in left.items():
        row, case = rows[rollout], run.case
        if row.state != rollouts.FINISHED or _held(row, now) or _begins(api, row, now):
            continue
        try:
            _bury(api, row.flow_run_id)
            started = start_rollback(
                api,
                rollout,
                [host.host for host in case.hosts],
                reason=case.reason,
                requester=case.requested_by,
                outside_window=run.outside_window,
            )
        except EnvironmentUnfit as error:
            refused.append(f"rollout {rollout}: taking hosts back cannot go on: {error}")
            continue
        with ledger.writing() as book:
            rollouts.note_run(book, rollout, started)
        yield f"rollout {rollout}: taking {len(case.hosts)} hosts back goes on by run {started}"


def _held(row: RolloutRow, now: datetime) -> bool:
    """True while somebody may work for a rollout: its lease runs, and its owner is not dead."""
    held = row.lease_owner and row.lease_until and now < row.lease_until
    return bool(held) and not owner_is_dead(row.lease_owner)


def start_run(api: PrefectApi, key: RolloutKey, requester: str) -> str:
    """Ask Prefect for a run of the window's deployment; returns the flow run's id."""
    return _create_run(api, deployment_for(api, key), requester)


def _key_of(row: RolloutRow) -> RolloutKey:
    return RolloutKey(tenant=row.tenant, profile=row.profile, window=row.window, kind=row.kind)


def deployment_for(api: PrefectApi, key: RolloutKey) -> dict[str, Any]:
    """Return the deployment that works for a key. Raises EnvironmentUnfit when there is none."""
    name = f"{FLOWS[RolloutKind(key.kind)]}/{key.tenant}-{key.profile}-{key.window}"
    try:
        found: dict[str, Any] = api.get(f"/deployments/name/{name}")
    except EnvironmentUnfit as error:
        raise EnvironmentUnfit(
            f"Prefect has no deployment {name}: {error.message}",
            hint="`wavemend up` registers the windows of the fleet in force; run it again",
        ) from error
    said = {name: found["parameters"].get(name) for name in ("tenant", "profile", "window")}
    if said != {"tenant": key.tenant, "profile": key.profile, "window": key.window}:
        raise EnvironmentUnfit(
            f"the deployment {name} works for {'/'.join(str(part) for part in said.values())}, not "
            f"for {key}",
            hint="`wavemend deploy` registers the fleet in force; run it again",
        )
    return found


@dataclass(slots=True)
class Switches:
    """What somebody switched off in Prefect; each rollout is asked about once."""

    api: PrefectApi
    _seen: dict[RolloutKey, dict[str, Any] | None] = field(default_factory=dict)

    def off(self, key: RolloutKey, opened: datetime) -> bool:
        """Whether nothing is to start a rollout in the opening that began then.

        False also when Prefect cannot say: then a missed night is an alarm, and who starts it late
        asks again with `start_as_scheduled`.
        """
        if key not in self._seen:
            try:
                self._seen[key] = deployment_for(self.api, key)
            except EnvironmentUnfit:
                self._seen[key] = None
        found = self._seen[key]
        return found is not None and _is_off(found, opened)


def start_as_scheduled(api: PrefectApi, key: RolloutKey, opened: datetime, requester: str) -> str:
    """Ask for the run that a schedule should have begun; returns the flow run's id.

    Empty, and nothing is asked for, when that schedule is switched off. Raises EnvironmentUnfit
    when Prefect has no such deployment, or does not answer.
    """
    deployment = deployment_for(api, key)
    return "" if _is_off(deployment, opened) else _create_run(api, deployment, requester)


def _is_off(deployment: dict[str, Any], opened: datetime) -> bool:
    """A year of nights is several schedules: the one that holds the opening decides, then all.

    Those of an operator have no slug, and say nothing of ours.
    """
    ours = [each for each in deployment["schedules"] if each["slug"]]
    holding = [each for each in ours if instant(opened) in each["schedule"].get("rrule", "")]
    begins = [each["active"] for each in holding or ours]
    return bool(deployment["paused"]) or (bool(begins) and not any(begins))


def _create_run(api: PrefectApi, deployment: dict[str, Any], requester: str) -> str:
    body = {"parameters": {**deployment["parameters"], "requester": requester}}
    made = api.post(f"/deployments/{deployment['id']}/create_flow_run", body)
    return str(made["id"])


def flow_run_state(api: PrefectApi, flow_run_id: str) -> str:
    """Return Prefect's word for a run's state; empty when Prefect does not know the run."""
    if not flow_run_id:
        return ""
    try:
        return str(api.get(f"/flow_runs/{flow_run_id}")["state_type"] or "")
    except EnvironmentUnfit:
        return ""


def _left_alone(ledger: Ledger, api: PrefectApi, row: RolloutRow, now: datetime) -> str:
    """Say why a rollout is not taken up now; empty when it is to be."""
    if _held(row, now):
        return f"held by {row.lease_owner} until {row.lease_until:%H:%M:%S}"
    if _waits_for_human(ledger, api, row, now):
        return "waits for an approver"
    if _begins(api, row, now):
        return f"run {row.flow_run_id} is about to begin"
    return ""


def _begins(api: PrefectApi, row: RolloutRow, now: datetime) -> bool:
    """True while a run may be on its way to its lease: a resumed one carries a signed answer.

    A run waits for a worker as long as it must; once it was handed to one, it has as long as a
    silent owner has. One that ran before the lease's last beat has had it, and died with it.
    """
    if not row.flow_run_id:
        return False
    try:
        state = api.get(f"/flow_runs/{row.flow_run_id}")["state"] or {}
    except EnvironmentUnfit:
        return False
    if state.get("type") not in {"PENDING", "RUNNING"}:
        return state.get("type") == "SCHEDULED"
    since = datetime.fromisoformat(state["timestamp"])
    if row.lease_until is not None and since < row.lease_until - LEASE:
        return False
    return now - since < LEASE


def _waits_for_human(ledger: Ledger, api: PrefectApi, row: RolloutRow, now: datetime) -> bool:
    with ledger.reading() as book:
        asked = approvals.newest(book, row.id)
        if asked is None or approvals.answered(book, asked.request.id):
            return False
    if now > asked.request.expires_at:
        return False  # nobody may answer any more: a run closes the rollout and reports
    return flow_run_state(api, row.flow_run_id) == "PAUSED"


def _bury(api: PrefectApi, flow_run_id: str) -> None:
    """Mark a run as crashed that Prefect believes alive: it holds the deployment's only slot."""
    if flow_run_state(api, flow_run_id) in LIVE_STATES:
        state = {"type": "CRASHED", "message": "its lease in the ledger has ended"}
        api.post(f"/flow_runs/{flow_run_id}/set_state", {"state": state, "force": True})
