"""The form of a fleet file: every key, what it means, and what it may hold.

`docs/reference/fleet.schema.json` and `docs/reference/fleet.md` are written from these models.
"""

from typing import Any, Literal

from pydantic import Field

from wavemend.fleet import SCHEMA
from wavemend.inventory.calendar_schema import (
    CalendarForm,
    DutyForm,
    FreezeForm,
    RosterForm,
    WindowForm,
)
from wavemend.inventory.fields import (
    Address,
    Compliance,
    CveName,
    Duration,
    FeedName,
    FeedSource,
    HostKey,
    Identity,
    LabelKey,
    LabelValue,
    LastDay,
    MacAddress,
    Members,
    Name,
    Reason,
    Selection,
    Text,
    Zone,
)
from wavemend.inventory.form import Form, schema_of
from wavemend.inventory.login_schema import LoginForm
from wavemend.inventory.policy_schema import (
    BudgetForm,
    DependencyForm,
    EmergencyForm,
    PolicyForm,
    SourceForm,
)
from wavemend.inventory.profile_schema import ProfileForm


class ApproverForm(Form):
    """A person who may approve plans. The public key is in the signers file, not here."""

    name: Identity = Field(description="Identity in the signers file.")
    title: Text = Field(default="", description="The person's name, for people.")


class TenantForm(Form):
    """A company."""

    name: Name = Field(description="Short name, used everywhere.")
    title: Text = Field(default="", description="Full name, for reports.")
    zone: Zone = Field(description="IANA time zone of its reports.")
    window: Name = Field(default="", description="Window of its hosts that name none themselves.")
    approvers: list[Identity] = Field(
        default=[], description="Who may approve plans that change its critical hosts."
    )
    four_eyes: bool = Field(
        default=False, description="Whoever asked for a plan cannot approve it."
    )
    compliance: Compliance = Field(
        default="bod-26-04", description="Compliance profile that sets its due dates."
    )
    gap: Duration | None = Field(
        default=None,
        description=(
            "Least time between the verified end of one group of this company and the start of "
            "the next, over all its rollouts: with it, one group at a time is changed. 60m to 90m "
            "leave time to notice."
        ),
    )
    duty: DutyForm | None = Field(
        default=None, description="Without it, nothing asks who is there in the morning."
    )
    emergency: EmergencyForm = Field(
        default_factory=EmergencyForm, description="What it allows for exploited vulnerabilities."
    )


class HostForm(Form):
    """A machine."""

    name: Name = Field(description="Unique over the whole fleet.")
    tenant: Name = Field(description="The company it belongs to.")
    address: Address = Field(
        default="", description="Name or IP address; needed for every transport but local."
    )
    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="TCP port; without it 22, over WinRM 5986, or 5985 with `plain_http`.",
    )
    transport: Literal["ssh", "local", "winrm"] = Field(
        default="ssh", description="How it is reached."
    )
    login: Name = Field(default="default", description="The login to use.")
    host_keys: list[HostKey] = Field(
        default=[], description="Pinned keys. Without any, known_hosts of the login must hold one."
    )
    profile: Name = Field(
        default="",
        description=(
            "Without it, the one profile whose `os` and `device` equal the host's labels; with "
            "none the host is unmanaged: reported, never patched."
        ),
    )
    window: Name = Field(default="", description="Before the company's and the profile's window.")
    zone: Zone | Literal[""] = Field(
        default="", description="Its own time zone, for windows of zone `host`; else its company's."
    )
    labels: dict[LabelKey, LabelValue] = Field(default={}, description="For selectors.")
    mac: MacAddress = Field(
        default="", description="Where a wake-on-LAN packet goes when the host is off."
    )
    critical: bool = Field(
        default=False, description="Changes only with a signed approval of the exact plan."
    )
    exposed: bool = Field(default=False, description="Reachable from the internet.")
    simulated: bool = Field(default=False, description="Played by wavemend's own simulation.")


class GroupForm(Form):
    """A named set of hosts, by `hosts` or by `select`."""

    name: Name = Field(description="Short name, used everywhere.")
    scope: Literal["global", "company", "custom"] = Field(
        description="All companies', one company's, or hand-picked hosts."
    )
    tenant: Name = Field(default="", description="Needed for scope company, optional for custom.")
    hosts: Members = Field(
        default=(), description="Host names, or `all` for every host of the scope."
    )
    select: Selection = Field(default=None, description="Label selector, Kubernetes form.")


class FeedsForm(Form):
    """Where vulnerability feeds come from."""

    source: FeedSource = Field(
        default="online", description="`online`, or `directory:PATH`, relative to this file."
    )
    max_age_hours: int = Field(
        default=48, ge=1, le=8760, description="Older feeds are used and marked stale."
    )
    use: list[FeedName] = Field(
        default=[], description="Feeds this fleet needs; without it debian, epss, kev and nvd."
    )
    addresses: dict[FeedName, Text] = Field(
        default={}, description="Address of a feed, where it is not the feed's own."
    )


class WaiverForm(Form):
    """An accepted risk. It stays visible, and counts again by itself after its last day."""

    name: Name = Field(description="Short name, shown with what it waives.")
    scope: Literal["company", "global"] = Field(
        default="company", description="Global waivers hold for every company's hosts."
    )
    tenant: Name = Field(default="", description="Whose hosts; needed for scope company.")
    owner: Identity = Field(description="Who answers for it.")
    reason: Reason = Field(description="Why the risk is accepted, for an auditor.")
    until: LastDay = Field(
        description="Last day on which it holds, in the company's zone; for every company, in UTC."
    )
    cve: CveName = Field(default="", description="The vulnerability that is accepted.")
    package: Text = Field(default="", description="The package, as findings name it.")
    advisory: Text = Field(default="", description="The vendor's statement, e.g. `ALBA-2024:1234`.")
    select: Selection = Field(default=None, description="Only hosts with these labels.")


class ManagerForm(Form):
    """A package manager, appliance or application of your own, declared in a file."""

    name: Name = Field(description="What profiles call it.")
    file: Text = Field(
        description="Its declaration, relative to this file; see `wavemend manager check`."
    )


class FleetFile(Form):
    """A whole fleet file."""

    schema_: Literal["wavemend.fleet/1"] = Field(alias="schema", description="Form of this file.")
    tenants: list[TenantForm] = Field(min_length=1, description="Companies.")
    approvers: list[ApproverForm] = Field(default=[], description="People who may approve plans.")
    windows: list[WindowForm] = Field(default=[], description="Maintenance windows.")
    profiles: list[ProfileForm] = Field(
        default=[], description="What holds for each kind of machine."
    )
    managers: list[ManagerForm] = Field(
        default=[], description="Managers beside the built-in ones."
    )
    logins: list[LoginForm] = Field(default=[], description="How to log in.")
    hosts: list[HostForm] = Field(
        default=[], description="Machines; more of them may come from `sources`."
    )
    groups: list[GroupForm] = Field(default=[], description="Named sets of hosts.")
    sources: list[SourceForm] = Field(default=[], description="Hosts kept in other files.")
    policies: list[PolicyForm] = Field(
        default=[], description="What holds for everybody, a company, a group or one host."
    )
    budgets: list[BudgetForm] = Field(
        default=[], description="How many hosts of a set may be out at once."
    )
    dependencies: list[DependencyForm] = Field(
        default=[], description="Hosts that change before others."
    )
    calendars: list[CalendarForm] = Field(default=[], description="iCalendar files and addresses.")
    freezes: list[FreezeForm] = Field(default=[], description="Times when nothing starts.")
    rosters: list[RosterForm] = Field(default=[], description="Who is at work when.")
    waivers: list[WaiverForm] = Field(default=[], description="Accepted risks.")
    feeds: FeedsForm = Field(default_factory=FeedsForm, description="Vulnerability feeds.")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) that editors check a fleet file with."""
    return schema_of(FleetFile, SCHEMA, "wavemend fleet file")
