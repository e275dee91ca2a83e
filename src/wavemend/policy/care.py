"""How a host is prepared for its change, watched after it, and brought back. Values only."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Place(StrEnum):
    """Where a command of the operator runs."""

    WORKER = "worker"
    """On the worker, with `WAVEMEND_HOST`, `WAVEMEND_ADDRESS` and others in its environment."""
    HOST = "host"
    """On the host itself, as root."""


class When(StrEnum):
    """On which side of a host's change a hook runs."""

    BEFORE = "before"
    """After the intent, before the transaction; a failure means that nothing is started."""
    AFTER = "after"
    """After everything, whatever came of it, also when a hook before failed or a worker died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostHook:
    """One command around the change of each host: drain and fill, silence and speak."""

    name: str
    when: When
    on: Place
    argv: tuple[str, ...]
    deadline: timedelta = timedelta(minutes=5)


class ProbeKind(StrEnum):
    """How a probe looks."""

    COMMAND = "command"
    """`argv` on the host, not as root; it must exit 0."""
    SERVICE = "service"
    """The service is up on the host."""
    PORT = "port"
    """The worker can open this TCP port of the host."""
    URL = "url"
    """The worker gets an answer below 400 from this address; `{address}` is the host's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One check of a host after its change. Exactly the field of its kind is filled in."""

    name: str
    kind: ProbeKind = ProbeKind.COMMAND
    argv: tuple[str, ...] = ()
    service: str = ""
    port: int = 0
    url: str = ""


RESTORE_POINT_KINDS = (
    "btrfs",
    "commands",
    "libvirt",
    "lvm",
    "package_versions",
    "snapper",
    "windows",
    "zfs",
)
"""As in `snapshots.SNAPSHOTS`, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePointRule:
    """Which restore point is made before a change, and how long it stays."""

    kind: str = "package_versions"
    """A name of `snapshots.SNAPSHOTS`."""
    required: bool = False
    """Without a proven restore point a host is blocked, not patched."""
    of: str = ""
    """What is kept: an LVM volume `vg/root`, a snapper configuration, a ZFS dataset, a libvirt
    domain, a Windows volume. `{host}` is the host's name. Empty: the kind's own default."""
    keep: timedelta = timedelta(hours=48)
    """How long it stays after a verified success. After anything else it stays until removed."""
    create: tuple[str, ...] = ()
    """For kind `commands`, on the worker; the others alike. The name comes in the environment."""
    find: tuple[str, ...] = ()
    """Prints the names of the points that exist, one per line."""
    remove: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()


class RollBack(StrEnum):
    """What is taken back by itself when the probes of a host fail after its change."""

    NEVER = "never"
    HOST = "host"
    """That host."""
    WAVE = "wave"
    """Every host of its wave, when the wave is a pilot; in other waves that host."""


class Presence(StrEnum):
    """What logged-in users, or inhibitors, mean for a reboot that is due."""

    IGNORE = "ignore"
    DEFER = "defer"
    """The host stays `patched_reboot_pending`, with their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootManners:
    """How a host is restarted, once that is due."""

    users: Presence = Presence.DEFER
    inhibitors: Presence = Presence.DEFER
    back_within: timedelta = timedelta(minutes=10)
    """Longest wait for another boot to answer."""
    stable_for: timedelta = timedelta(0)
    """How long it must stay in that boot before it counts as back."""
    window: str = ""
    """Where it is named, hosts are restarted in that window and never in the patch window."""


class Unready(StrEnum):
    """What a host that fails preflight means for the others of its rollout."""

    BLOCK = "block"
    """Nothing is started on any host of the rollout."""
    HOLD = "hold"
    """The rollout waits for the host to become ready, until its window's cut-off, and says so."""
    GO_ON = "go_on"
    """The others are patched without it."""
