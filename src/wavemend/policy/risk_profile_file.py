"""The form of a risk profile's file, and what is refused in one."""

import datetime as dt
import tomllib
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wavemend.advisories import UpdateClass
from wavemend.errors import FleetError
from wavemend.policy.severities import Clock, Severity
from wavemend.policy.timelines import BodTable, read_table

_Text = Annotated[str, Field(min_length=1, max_length=400)]
_Days = Annotated[int, Field(ge=1, le=3650)]
_Weight = Annotated[float, Field(ge=1.0, le=100.0, allow_inf_nan=False)]
_Probability = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
_VERSIONS = {"4.0", "3.1", "3.0", "2.0"}
_SOURCES = {"nvd", "cna", "cisa-adp", "distribution"}


class _Form(BaseModel):
    """A misspelt key must not be a rule that silently does not hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Cvss(_Form):
    first: Literal["version", "source"]
    versions: list[list[str]]
    sources: list[str]


class _Timeline(_Form):
    table: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+\.csv$")]
    governs: bool


class _Kev(_Form):
    due_governs: bool


class _Lanes(_Form):
    emergency_days: _Days
    expedited_days: _Days
    attacked_days: _Days
    zero_day_days: Annotated[int, Field(ge=0, le=3650)]


class _Weights(_Form):
    critical_host: _Weight
    exposed_host: _Weight


class _Working(_Form):
    kinds: list[_Text] = []


class _Sla(_Form):
    # Strict mode takes no plain word for an enumeration; these two come from a file.
    update_class: Annotated[UpdateClass, Field(alias="class", strict=False)]
    severity: Annotated[Severity, Field(strict=False)]
    exposed_days: _Days
    internal_days: _Days
    clock: Annotated[Clock, Field(strict=False)]
    rule: _Text


class ProfileForm(_Form):
    """A whole file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,40}$")]
    version: _Text
    date: dt.date
    source: _Text
    scope: _Text
    unverified: list[_Text] = []
    cvss: _Cvss
    timeline: _Timeline
    kev: _Kev
    lanes: _Lanes
    weights: _Weights
    evidence: dict[str, _Probability]
    critical_words: dict[str, list[_Text]]
    working_exploits: _Working = _Working()
    sla: list[_Sla] = []


def checked_form(text: str, name: str, files: Callable[[str], str]) -> tuple[ProfileForm, BodTable]:
    """Return a profile's file as a form, and the table it names. Raises FleetError."""
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:  # says line and column itself
        raise FleetError(f"{name}: is not TOML: {error}") from error
    try:
        form = ProfileForm.model_validate(raw)
    except ValidationError as error:
        raise FleetError(f"{name}: {_in_words(error)}") from error
    problem = next(_problems(form), "")
    if problem:
        raise FleetError(f"{name}: {problem}")
    try:
        table = files(form.timeline.table)
    except OSError as error:
        raise FleetError(
            f"{name}: timeline.table: {form.timeline.table} cannot be read",
            hint="put the table beside the profile",
        ) from error
    return form, read_table(table, form.timeline.table)


def _in_words(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part + 1) if isinstance(part, int) else str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{place}: {first['msg']}{more}"


def _problems(form: ProfileForm) -> Iterator[str]:
    versions = [version for tier in form.cvss.versions for version in tier]
    if sorted(versions) != sorted(_VERSIONS):
        yield f"cvss.versions: names each of {', '.join(sorted(_VERSIONS))} once"
    if sorted(form.cvss.sources) != sorted(_SOURCES):
        yield f"cvss.sources: names each of {', '.join(sorted(_SOURCES))} once"
    if form.lanes.expedited_days < form.lanes.emergency_days:
        yield "lanes.expedited_days: is less than lanes.emergency_days"
    if form.lanes.attacked_days > form.lanes.expedited_days:
        yield "lanes.attacked_days: is more than lanes.expedited_days"
    if "other" not in form.evidence:
        yield "evidence.other: is missing: evidence of a new kind must count too"
    if "default" not in form.critical_words:
        yield "critical_words.default: is missing: a new feed's words must count too"
    for update_class in UpdateClass:
        yield from _relaxed(update_class, form.sla)


def _relaxed(update_class: UpdateClass, slas: list[_Sla]) -> Iterator[str]:
    """Name deadlines under which something worse would be due later."""
    mine = [(number, item) for number, item in enumerate(slas, 1)]
    mine = [pair for pair in mine if pair[1].update_class is update_class]
    mine.sort(key=lambda pair: pair[1].severity.rank)
    for number, item in mine:
        if item.exposed_days > item.internal_days:
            yield f"sla.{number}.exposed_days: more than on a host that the internet does not reach"
    for (_, milder), (number, worse) in pairwise(mine):
        place = f"sla.{number}"
        if worse.severity is milder.severity:
            yield f"{place}.severity: {update_class} {worse.severity} occurs twice"
        if worse.clock is not milder.clock:
            # A fix may be released long after the finding was seen: two clocks cannot be compared.
            yield f"{place}.clock: {update_class} counts from two different days"
        if worse.exposed_days > milder.exposed_days or worse.internal_days > milder.internal_days:
            yield f"{place}: {worse.severity} has more days than {milder.severity}"
