"""The form of policies, budgets, dependencies, emergencies and other sources of hosts."""

from typing import Literal

from pydantic import Field

from wavemend.inventory.fields import Duration, Members, Name, Selection, Text, WaveSize
from wavemend.inventory.form import Form


class UpdateRuleForm(Form):
    """A rule about single updates. Every condition given must hold; the first match wins."""

    name: Name = Field(description="Shown as the reason.")
    action: Literal["auto", "after_pilot", "manual", "reject"] = Field(
        description="`auto`: planned; `after_pilot`: once a pilot ended well with it; `manual`: "
        "when `rollout start --take` names it; `reject`: never."
    )
    classes: list[Literal["security", "functional"]] = Field(
        default=[], description="What the update is for."
    )
    lanes: list[Literal["emergency", "expedited", "routine", "manual", "ignored"]] = Field(
        default=[], description="Lanes of its priority."
    )
    cvss_at_least: float | None = Field(
        default=None, ge=0, le=10, description="Highest base score of its CVEs."
    )
    epss_at_least: float | None = Field(
        default=None, ge=0, le=1, description="Highest EPSS probability of its CVEs."
    )
    kev: bool | None = Field(
        default=None, description="Whether one of its CVEs is known to be exploited."
    )
    packages: list[Text] = Field(default=[], description="Glob patterns of package names.")
    severities: list[Text] = Field(default=[], description="The vendor's words, lower case.")
    products: list[Text] = Field(
        default=[], description="Glob patterns of the repository's origin or the system's id."
    )
    younger_than: Duration | None = Field(
        default=None, description="Since its fix was published, or first seen here."
    )
    select: Selection = Field(default=None, description="Only on hosts with these labels.")


class PolicyForm(Form):
    """What holds for everybody, one company, a group or one host. What is left out is inherited.

    Farthest to nearest: the profile, then scope global, company, custom, host. The nearest decides,
    unless a farther one locks the field. Two of one scope must not differ about a host.
    """

    name: Name = Field(description="Short name, shown as the origin of a value.")
    scope: Literal["global", "company", "custom", "host"] = Field(
        description="Nearer scopes win: host before custom before company before global."
    )
    tenant: Name = Field(default="", description="Whose; needed for scope company.")
    group: Name = Field(default="", description="Which group; needed for scope custom.")
    host: Name = Field(default="", description="Which host; needed for scope host.")
    updates: Literal["security", "all"] | None = Field(
        default=None, description="Which pending updates qualify."
    )
    reboot: Literal["never", "if_needed", "always"] | None = Field(
        default=None, description="Whether hosts restart after their updates."
    )
    new_packages: bool | None = Field(
        default=None, description="Updates that need packages new to a host bring them along."
    )
    window: Name | None = Field(
        default=None,
        description="Window of the hosts. A company's own `window` is said at scope company, a "
        "host's own at scope host; the profile's comes last.",
    )
    critical: bool | None = Field(
        default=None, description="Changes only with a signed approval of the exact plan."
    )
    conffiles: Literal["keep", "replace"] | None = Field(
        default=None, description="Edited configuration files that an update replaces."
    )
    services: Literal["list", "restart"] | None = Field(
        default=None,
        description=(
            "Services that still run replaced files after an update. Means nothing on Windows, "
            "which replaces files in use at its next restart."
        ),
    )
    importance: Literal["low", "normal", "high"] | None = Field(
        default=None, description="What matters less goes first."
    )
    defer: Duration | None = Field(
        default=None,
        description="Updates younger than this wait, unless they are urgent (lanes `emergency` "
        "and `expedited`).",
    )
    lock: list[
        Literal[
            "conffiles",
            "critical",
            "defer",
            "importance",
            "new_packages",
            "reboot",
            "rules",
            "services",
            "updates",
            "window",
        ]
    ] = Field(default=[], description="Fields about which no nearer scope has a say.")
    rules: list[UpdateRuleForm] = Field(default=[], description="Rules about single updates.")


class BudgetForm(Form):
    """How many hosts of a set may be out at once, over all rollouts. One: an exclusion set."""

    name: Name = Field(description="Shown as the reason.")
    most_out: WaveSize = Field(
        description="A number, or a percentage of the set, rounded down, at least one."
    )
    tenant: Name = Field(default="", description="Whose hosts; without it everybody's.")
    hosts: Members = Field(default=(), description="Host names.")
    group: Name = Field(default="", description="All hosts of a group.")
    select: Selection = Field(default=None, description="Hosts with these labels.")


class DependencyForm(Form):
    """Hosts that change before others in a night: a database before the applications on it."""

    name: Name = Field(description="Shown as the reason.")
    first: Selection = Field(description="They go first, and must have ended well.")
    then: Selection = Field(description="They follow.")
    tenant: Name = Field(default="", description="Whose hosts; without it everybody's.")


class EmergencyForm(Form):
    """What a company allows for vulnerabilities that are being exploited."""

    standing: bool = Field(
        default=False, description="Starts without a signature (critical hosts always need one)."
    )
    ignores_freezes: bool = Field(default=False, description="Starts during a freeze, too.")
    ignores_duty: bool = Field(default=False, description="Starts before an unstaffed morning.")
    duration: Duration = Field(
        default="6h", validate_default=True, description="Length of its opening."
    )
    cutoff: Duration = Field(
        default="1h",
        validate_default=True,
        description="Nothing new starts so long before its end.",
    )
    soak: Duration = Field(
        default="15m", validate_default=True, description="Quiet time after its pilot."
    )
    gap: Duration = Field(default="0m", validate_default=True, description="Between its waves.")


class SourceForm(Form):
    """Hosts kept in another file."""

    name: Name = Field(description="Short name, shown where a host comes from.")
    kind: Literal["csv", "ansible", "netbox", "ssh_config"] = Field(
        description="Form of the file: CSV, an Ansible inventory (INI or YAML), NetBox JSON, or an "
        "OpenSSH client configuration."
    )
    file: Text = Field(description="The file (or an inventory's folder), relative to this file.")
    tenant: Name = Field(default="", description="Company of hosts that name none themselves.")
    labels: dict[str, str] = Field(default={}, description="For all of them, unless they say else.")
