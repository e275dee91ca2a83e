"""The form of a profile in a fleet file: what qualifies, waves, care for each host."""

from typing import Literal

from pydantic import Field

from wavemend.inventory.fields import (
    Argument,
    Command,
    Duration,
    Name,
    Selection,
    Text,
    WaveSize,
)
from wavemend.inventory.form import Form
from wavemend.manager_names import MANAGER_NAMES

WINDOWS_UPDATE = "windows_update"
"""The manager of Windows hosts, of which other things hold."""


class GateForm(Form):
    """What must have been observed in a wave before the next one may start."""

    max_errors: int = Field(
        default=0, ge=0, description="The rollout halts at one error more; unreachable counts."
    )
    min_success_percent: int = Field(
        default=100, ge=0, le=100, description="Least share of good hosts among those observed."
    )
    min_observed: int = Field(default=1, ge=1, description="Fewer hosts than this prove nothing.")
    soak: Duration = Field(
        default="0m", validate_default=True, description="Quiet time after the wave's last host."
    )


class WaveForm(Form):
    """An ordered part of a rollout: pilots, then broad waves, then the critical hosts.

    A wave takes what `select` matches, or as many as `size` says; with neither it takes the rest.
    """

    name: Name = Field(description="Shown in plans and in the Prefect UI.")
    kind: Literal["pilot", "broad", "critical"] = Field(
        description="Critical hosts go to the critical wave and to no other."
    )
    select: Selection = Field(default=None, description="Label selector, Kubernetes form.")
    size: WaveSize = Field(
        default=None,
        description="Hosts, or percent of the hosts not yet placed, rounded down, at least 1.",
    )
    concurrency: int = Field(default=1, ge=1, description="Hosts changed at the same time.")
    gap: Duration = Field(
        default="0m",
        validate_default=True,
        description="Least time between the verified end of this wave and the next one's start.",
    )
    gate: GateForm = Field(
        default_factory=GateForm, description="What opens the way to the next wave."
    )


class ProbeForm(Form):
    """A check of each host after its change. Exactly one of `argv`, `service`, `port`, `url`."""

    name: Name = Field(description="Shown when it fails.")
    argv: list[Argument] = Field(
        default=[],
        description=(
            "Command on the host that must exit 0, as a list; no shell reads it, and it runs as "
            "the login's user, not as root."
        ),
        examples=[["/usr/bin/true"]],
    )
    service: Text = Field(default="", description="Service that must be up on the host.")
    port: int = Field(
        default=0, ge=0, le=65535, description="TCP port of the host that the worker can open."
    )
    url: Text = Field(
        default="",
        description="Address that must answer below 400; `{address}` is the host's.",
    )


class HookForm(Form):
    """A command around the change of each host: drain and fill, silence and speak."""

    name: Name = Field(description="Shown when it fails.")
    when: Literal["before", "after"] = Field(
        description=(
            "`before`: nothing is started when it fails. `after`: always run, whatever came of "
            "the host."
        )
    )
    run_on: Literal["worker", "host"] = Field(
        default="worker", alias="on", description="On the worker, or on the host as root."
    )
    argv: Command = Field(description="Program and arguments, as a list; no shell reads them.")
    deadline: Duration = Field(
        default="5m", validate_default=True, description="Longest time it may take."
    )


class RestorePointForm(Form):
    """What is made before each change, so that it can be taken back."""

    kind: Text = Field(
        default="package_versions",
        description=(
            "`package_versions` (old versions can still be had), `snapper`, `btrfs`, `lvm`, "
            "`zfs`, `libvirt`, `windows` (the default with windows_update), or `commands` of your "
            "own."
        ),
    )
    required: bool = Field(
        default=False, description="Without a proven restore point a host is blocked."
    )
    of: Text = Field(
        default="",
        description=(
            "What is kept: volume, snapper configuration, dataset, libvirt domain; `{host}` is "
            "the host's name."
        ),
    )
    keep: Duration = Field(
        default="2d",
        validate_default=True,
        description="How long after a verified success it is removed. Else it stays.",
    )
    create: list[Argument] = Field(
        default=[],
        description="Kind `commands`, on the worker: makes the point `$WAVEMEND_RESTORE_POINT`.",
    )
    find: list[Argument] = Field(
        default=[], description="Prints the names of the points that exist, one per line."
    )
    remove: list[Argument] = Field(default=[], description="Removes it.")
    restore: list[Argument] = Field(default=[], description="Brings the host back to it.")


class RebootsForm(Form):
    """How hosts are restarted, once that is due."""

    users: Literal["ignore", "defer"] = Field(
        default="defer", description="With people logged in: restart all the same, or not now."
    )
    inhibitors: Literal["ignore", "defer"] = Field(
        default="defer", description="With something that asks not to be shut down."
    )
    back_within: Duration = Field(
        default="10m",
        validate_default=True,
        description="Longest wait for the next boot; with windows_update 60m by default.",
    )
    stable_for: Duration = Field(
        default="0m",
        validate_default=True,
        description="How long the new boot must last before the host counts as back.",
    )
    window: Name = Field(
        default="",
        description=(
            "Restarts happen in this window and never in the patch window; until then hosts are "
            "`patched_reboot_pending`."
        ),
    )


class ProfileForm(Form):
    """What holds for one device type and operating system."""

    name: Name = Field(description="Short name, used everywhere.")
    device: Text = Field(description="Covers hosts with this label `device` and the label `os`.")
    os: Text = Field(description="Covers hosts with this label `os` and the label `device`.")
    manager: Name = Field(
        description=f"{', '.join(MANAGER_NAMES)}, or the name of an entry of `managers`."
    )
    updates: Literal["security", "all"] = Field(description="Which pending updates qualify.")
    reboot: Literal["never", "if_needed", "always"] = Field(
        description="Whether hosts restart after their updates."
    )
    host_deadline: Duration = Field(
        description="Longest time one host's change may take, reboot included."
    )
    window: Name = Field(
        default="", description="For hosts whose own entry and whose company name none."
    )
    waves: list[WaveForm] = Field(
        min_length=1,
        description=(
            "In order. The last broad wave takes the rest. Without a critical wave, critical hosts "
            "go one by one and stop at the first error."
        ),
    )
    before_hooks: list[Command] = Field(
        default=[], description="Run on the worker before the first wave; a failure stops."
    )
    after_hooks: list[Command] = Field(
        default=[], description="Run on the worker after the last wave."
    )
    probes: list[ProbeForm] = Field(
        default=[],
        description="Checks on each host before its change and after it, before its wave's gate "
        "and at the last look.",
    )
    hooks: list[HookForm] = Field(
        default=[], description="Commands around the change of each host, in this order."
    )
    restore_point: RestorePointForm = Field(
        default_factory=RestorePointForm, description="What is made before each change."
    )
    roll_back: Literal["never", "host", "wave"] = Field(
        default="never",
        description=(
            "What is taken back by itself when probes fail: the host, or for `wave` every host of "
            "its pilot. A restore point may hold data written since: see its `restores`."
        ),
    )
    reboots: RebootsForm = Field(
        default_factory=RebootsForm, description="How its hosts are restarted."
    )
    separate_reboots: bool = Field(
        default=True,
        description=(
            "Broad and critical waves are two: hosts foreseen not to restart go first, and none of "
            "them is restarted; the others follow as `WAVE-reboot`."
        ),
    )
    unready: Literal["block", "hold", "go_on"] = Field(
        default="go_on",
        description=(
            "What a host that fails preflight means for the others: `block` starts none, `hold` "
            "waits for it until the cut-off, `go_on` patches them without it."
        ),
    )
    new_packages: bool = Field(
        default=True,
        description="Updates that need packages new to a host (kernels do) bring them along.",
    )
    conffiles: Literal["keep", "replace"] = Field(
        default="keep", description="Edited configuration files that an update replaces."
    )
    services: Literal["list", "restart"] = Field(
        default="list",
        description=(
            "Services that still run replaced files after an update. Means nothing on Windows, "
            "which replaces files in use at its next restart."
        ),
    )
    sources: list[Literal["chocolatey", "flatpak", "snap"]] = Field(
        default=[],
        description=(
            "Managers beside the main one, where their tools are installed; `chocolatey` with "
            "windows_update, the others with all the others."
        ),
    )
    update_kinds: list[Literal["definitions", "drivers", "feature-updates", "previews"]] = Field(
        default=[],
        description=(
            "Only windows_update: what is taken besides security and critical updates, rollups "
            "and ordinary updates."
        ),
    )
    power_on: list[Argument] = Field(
        default=[], description="Run on the worker for a host that is off at preflight."
    )
    critical_fixes: list[Text] = Field(
        default=[],
        description="Packages or advisories whose functional fixes count as critical.",
    )
