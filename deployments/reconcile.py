"""Bring Prefect's deployments to what they are to be, touching only what differs.

Prefect's own way of deploying again writes every deployment anew: it drops the runs that wait,
switches on schedules that an operator had switched off, and leaves schedules that are no longer
wanted where they are. Here each schedule is compared by its slug and changed by itself; whether it
is switched on stays the operator's business.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import (
    ConcurrencyLimitStrategy,
    ConcurrencyOptions,
    DeploymentSchedule,
    FlowRun,
    StateType,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import RRuleSchedule
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.states import Scheduled
from prefect.utilities.callables import parameter_schema

from deployments.forms import STANDING_TAG, WINDOW_TAG, Form

ROOT = Path(__file__).resolve().parent.parent
POOL = "wavemend"
OFF_TAG = "schedules-off"
"""Marks deployments whose schedules were switched off here, not by an operator's hand."""

_PUT_BACK = "put back "
"""Begins the idempotency key of runs that were made anew: their schedule had begun them."""

_PAGE = 200
"""Deployments asked for at a time: as many as Prefect's server gives by default."""

_PULL: list[dict[str, object]] = [
    {
        "prefect.deployments.steps.set_working_directory": {
            "directory": "{{ $WAVEMEND_CHECKOUT }}"  # the worker's own checkout, wherever it lies
        }
    }
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What was done, as lines for people."""

    done: tuple[str, ...]
    kept_off: tuple[str, ...]
    """Schedules that an operator switched off, and that stay so."""
    total: int


def reconcile(
    client: SyncPrefectClient, forms: Iterable[Form], now: datetime, *, schedules: str
) -> Reconciled:
    """Make, change and remove deployments until they are as told.

    `schedules`: `on`, `off`, or `keep` for each as it is. Off holds for what begins rollouts by
    itself: windows, and the look for emergencies. What an operator switched off by hand is left.
    """
    there = {_title(client, found): found for found in _managed(client)}
    resting = any(found.paused and OFF_TAG in found.tags for found in there.values())
    new = schedules == "off" or (schedules == "keep" and resting)
    # All of them first: a flow that does not load stops this before anything is touched.
    planned = [
        _plan(client, form, there.pop(form.title, None), schedules=schedules, new_off=new)
        for form in forms
    ]
    done: list[str] = []
    kept_off: list[str] = []
    for each in planned:
        done += _carry_out(client, each, now)
        kept_off += _kept_off(each)
    for title, found in sorted(there.items()):
        client.delete_deployment(found.id)
        done.append(f"removed {title}")
    return Reconciled(done=tuple(done), kept_off=tuple(kept_off), total=len(planned))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """One deployment: as told, as it is there, and what is to be written."""

    form: Form
    found: DeploymentResponse | None
    wanted: DeploymentUpdate
    rest: bool
    """Whether it was asked for now that nothing begins by itself."""


def _plan(
    client: SyncPrefectClient,
    form: Form,
    marked: DeploymentResponse | None,
    *,
    schedules: str,
    new_off: bool,
) -> _Planned:
    """Return what is to be done; nothing is switched off that an operator paused himself."""
    found = marked or _unmarked(client, form)
    by_hand = found is not None and _paused_by_hand(found)
    as_it_is = schedules == "keep" and marked is not None
    off = OFF_TAG in marked.tags if as_it_is and marked is not None else new_off
    wanted = _wanted(form, off=off and form.begins_rollouts and not by_hand)
    rest = schedules == "off" and OFF_TAG in wanted.tags
    return _Planned(form=form, found=found, wanted=wanted, rest=rest)


def _paused_by_hand(found: DeploymentResponse) -> bool:
    return found.paused and OFF_TAG not in found.tags


def _carry_out(client: SyncPrefectClient, planned: _Planned, now: datetime) -> list[str]:
    form, found = planned.form, planned.found
    if found is None:
        _create(client, form, planned.wanted)
        return [f"deployed {form.title}"]
    changes = _change(client, found, planned, now)
    return [f"changed {form.title}: {', '.join(changes)}"] if changes else []


def _kept_off(planned: _Planned) -> Iterator[str]:
    """Tell what an operator switched off, and what stays so."""
    form, found = planned.form, planned.found
    if found is None:
        return
    if _paused_by_hand(found):
        yield f"{form.title}: all its schedules"
    for each in found.schedules:
        if each.slug in form.schedules and not each.active:
            yield f"{form.title}: schedule {each.slug}"


def _managed(client: SyncPrefectClient) -> Iterator[DeploymentResponse]:
    """Yield the deployments made here; read as a whole before any of them is touched."""
    for tag in (WINDOW_TAG, STANDING_TAG):
        tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[tag]))
        offset = 0
        while found := client.read_deployments(
            deployment_filter=tagged, limit=_PAGE, offset=offset
        ):
            yield from found
            offset += len(found)


def _unmarked(client: SyncPrefectClient, form: Form) -> DeploymentResponse | None:
    """Return a deployment of this name that bears no mark of ours: `prefect deploy` made it."""
    try:
        return client.read_deployment_by_name(form.title)
    except ObjectNotFound:
        return None


def _title(client: SyncPrefectClient, found: DeploymentResponse) -> str:
    return f"{_flow_name(client, found.flow_id)}/{found.name}"


@lru_cache(maxsize=256)
def _flow_name(client: SyncPrefectClient, flow_id: UUID) -> str:
    return client.read_flow(flow_id).name


@lru_cache(maxsize=64)
def _flow(entrypoint: str) -> Flow[..., object]:
    return load_flow_from_entrypoint(str(ROOT / entrypoint))


def _wanted(form: Form, *, off: bool) -> DeploymentUpdate:
    """Return what is compared and written; what it does not name stays an operator's."""
    flow = _flow(form.entrypoint)
    limits: dict[str, object] = {"concurrency_limit": None}
    if form.one_at_a_time:
        limits = {
            "concurrency_limit": 1,
            "concurrency_options": ConcurrencyOptions(
                collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
            ),
        }
    return DeploymentUpdate.model_validate(
        {
            "version": flow.version,
            "description": form.description,
            "parameters": dict(form.parameters),
            "tags": [*form.tags, *([OFF_TAG] if off else [])],
            "work_pool_name": POOL,
            "entrypoint": form.entrypoint,
            "enforce_parameter_schema": True,
            "parameter_openapi_schema": parameter_schema(flow).model_dump(exclude_unset=True),
            "pull_steps": _PULL,
            **limits,
        }
    )


def _create(client: SyncPrefectClient, form: Form, wanted: DeploymentUpdate) -> None:
    fields = {name: getattr(wanted, name) for name in wanted.model_fields_set}
    client.create_deployment(
        flow_id=client.create_flow_from_name(_flow(form.entrypoint).name),
        name=form.name,
        paused=OFF_TAG in wanted.tags,
        schedules=[
            DeploymentScheduleCreate(slug=slug, schedule=schedule)
            for slug, schedule in form.schedules.items()
        ],
        **fields,
    )


def _change(
    client: SyncPrefectClient,
    found: DeploymentResponse,
    planned: _Planned,
    now: datetime,
) -> list[str]:
    """Change what differs; return the names of what did."""
    wanted = planned.wanted
    fields = _differing(found, wanted)
    if (off := OFF_TAG in wanted.tags) != (OFF_TAG in found.tags):
        fields["paused"] = off
    elif planned.rest and not found.paused:  # switched off once, and on again by hand
        fields["paused"] = True
    steps = list(_schedule_steps(found, planned.form))
    if not fields and not steps:
        return []
    waiting = _due_runs(client, found.id, now)
    if fields:
        client.update_deployment(found.id, DeploymentUpdate.model_validate(fields))
    for step in steps:
        step.take(client, found.id)
    if fields.get("paused"):
        waiting = list(_without_scheduled(client, waiting))
    _put_back(client, found.id, waiting)
    return [*sorted(fields), *(f"schedule {step.slug}" for step in steps)]


def _differing(found: DeploymentResponse, wanted: DeploymentUpdate) -> dict[str, object]:
    limit = found.global_concurrency_limit  # Prefect leaves `concurrency_limit` itself empty
    is_now = found.model_copy(update={"concurrency_limit": limit.limit if limit else None})
    return {
        name: getattr(wanted, name)
        for name in sorted(wanted.model_fields_set)
        if getattr(is_now, name) != getattr(wanted, name)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One change of one schedule."""

    slug: str
    old: DeploymentSchedule | None
    new: DeploymentScheduleCreate | None

    def take(self, client: SyncPrefectClient, deployment: UUID) -> None:
        if self.new is None and self.old is not None:
            client.delete_deployment_schedule(deployment, self.old.id)
        elif self.new is not None and self.old is not None:
            client.update_deployment_schedule(
                deployment, self.old.id, schedule=self.new.schedule, slug=self.slug
            )
        elif self.new is not None:
            client.create_deployment_schedules(deployment, [self.new])


def _schedule_steps(found: DeploymentResponse, form: Form) -> Iterator[_Step]:
    """Yield what is to be done with schedules; those without a slug are an operator's own.

    One of them that is equal to ours is ours: `prefect deploy` made it, before slugs were given.
    A new one is switched off where an operator had switched off every one before it.
    """
    mine = {each.slug: each for each in found.schedules if each.slug}
    unnamed = [each for each in found.schedules if not each.slug]
    active = not mine or any(each.active for each in mine.values())
    for slug, schedule in form.schedules.items():
        equal = (each for each in unnamed if _same(each.schedule, schedule))
        old = mine.pop(slug, None) or next(equal, None)
        if old is None or old.slug != slug or not _same(old.schedule, schedule):
            new = DeploymentScheduleCreate(slug=slug, schedule=schedule, active=active)
            yield _Step(slug=slug, old=old, new=new)
    for slug, old in sorted(mine.items()):
        yield _Step(slug=slug, old=old, new=None)


def _same(one: object, other: object) -> bool:
    """Compare schedules; the server puts a DTSTART before instants, which means nothing there."""
    if isinstance(one, RRuleSchedule) and isinstance(other, RRuleSchedule):
        return _dates(one) == _dates(other) and one.timezone == other.timezone
    return one == other


def _dates(schedule: RRuleSchedule) -> list[str]:
    return [line for line in schedule.rrule.split("\n") if not line.startswith("DTSTART")]


def _due_runs(client: SyncPrefectClient, deployment: UUID, now: datetime) -> list[FlowRun]:
    """Return the runs that should have begun and wait for a worker."""
    return client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
            next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(before_=now),
        ),
    )


def _without_scheduled(client: SyncPrefectClient, waiting: Iterable[FlowRun]) -> Iterator[FlowRun]:
    """Remove the due runs that a schedule began; yield those that somebody asked for.

    A paused deployment makes no new runs, but a worker still takes those that are due.
    """
    for run in waiting:
        if run.auto_scheduled or (run.idempotency_key or "").startswith(_PUT_BACK):
            with suppress(ObjectNotFound):
                client.delete_flow_run(run.id)
        else:
            yield run


def _put_back(client: SyncPrefectClient, deployment: UUID, waiting: Iterable[FlowRun]) -> None:
    """Make anew the due runs that a change dropped: Prefect only plans runs that are to come."""
    for run in waiting:
        try:
            client.read_flow_run(run.id)
        except ObjectNotFound:
            client.create_flow_run_from_deployment(
                deployment,
                state=Scheduled(scheduled_time=run.expected_start_time),
                idempotency_key=f"{_PUT_BACK}{run.id}",
            )
