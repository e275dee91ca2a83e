"""What differs between systems in what a host is told to be unready for: floors and ways out."""

from collections.abc import Callable
from dataclasses import dataclass

from wavemend.hosts import Facts

_MIB = 1_048_576

MIN_FREE_BYTES = 100 * _MIB
"""Below that a package manager runs out of space in an ordinary set of updates."""

MIN_BOOT_BYTES = 100 * _MIB
"""A kernel, its initramfs and the temporary copy of it."""

MIN_WINDOWS_BYTES = 2_048 * _MIB
"""For an ordinary update. A floor, never the size that Windows Update tells: for an update that
comes in parts it is that of all its parts, tens of gigabytes."""

MIN_CUMULATIVE_BYTES = 10_240 * _MIB
"""For a cumulative update of Windows: its parts are unpacked beside those they replace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How one kind of system is spoken of, and what it needs."""

    least_free: Callable[[Facts, str], int]
    """Bytes that must be free on a file system, by its path."""
    room: Callable[[str], str]
    """The way out where they are not."""
    busy: str
    """Begins the sentence that names who is at work."""
    index: str
    """Begins the sentence that says why nobody knows what is pending."""
    clock: str
    shutdown: str
    broken: str
    """The way out where an earlier transaction was cut or failed."""
    reboot: str = ""


def _least_free(_: Facts, path: str) -> int:
    return MIN_BOOT_BYTES if path == "/boot" else MIN_FREE_BYTES


def _least_free_on_windows(facts: Facts, _: str) -> int:
    raises_build = any(update.builds and not update.not_taken for update in facts.pending)
    return MIN_CUMULATIVE_BYTES if raises_build else MIN_WINDOWS_BYTES


_UNIX = Words(
    least_free=_least_free,
    room=lambda path: "remove old kernels" if path == "/boot" else "make room",
    busy="the package manager is in use by",
    index="the package index cannot be refreshed",
    clock="mend its time service",
    shutdown="`shutdown -c` takes it back",
    broken="an earlier transaction was cut or failed: `wavemend repair COMPANY` finishes it",
)

_WINDOWS = Words(
    least_free=_least_free_on_windows,
    # Never with /ResetBase: after it no update can be removed any more.
    room=lambda _: "make room; `Dism /Online /Cleanup-Image /StartComponentCleanup` helps",
    busy="another installer is at work:",
    index="updates cannot be searched for",
    clock="mend its time service: `w32tm /resync`",
    shutdown="`shutdown /a` takes it back",
    broken="an earlier change was cut or failed: `Dism /Online /Cleanup-Image /RestoreHealth` on "
    "the host, and a restart",
    reboot="where its profile restarts hosts, it is restarted before its updates",
)


def words_for(facts: Facts) -> Words:
    """Return how a host that was seen is spoken of."""
    return _WINDOWS if facts.os_id == "windows" else _UNIX
