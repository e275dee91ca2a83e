"""Packages as data: what is asked for, what a manager would do, what runs, and how it ended."""

from dataclasses import dataclass

SH = "sh"
"""Kind of a job whose text is POSIX sh; every other kind is the name of a worker for Windows."""

NOTHING = "nothing"
"""Kind of a job that does nothing, on whichever system: `text` is for sh."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Target:
    """One package to bring to exactly one version."""

    name: str
    arch: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What the package manager says it would do for given targets, without doing it."""

    installs: tuple[Target, ...]
    """Everything that would be installed or upgraded, the targets included."""
    removals: tuple[str, ...]
    refusal: str = ""
    """Why the manager would not do it at all; empty when it would."""
    download_bytes: int | None = None
    """What would be fetched; None where the manager does not say."""
    install_bytes: int | None = None
    """How much more the file system would hold afterwards; None where the manager does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobScript:
    """What a detached job runs on the host: constant text, and its parameters as data."""

    text: str
    """POSIX sh, or PowerShell of a worker. Its exit status is the job's."""
    args: tuple[str, ...]
    """Positional parameters of the script; of a worker one, its parameters as a JSON object."""
    also_good: tuple[int, ...] = ()
    """Exit statuses besides 0 that mean that all of it was done: what is joined to it follows."""
    kind: str = SH
    """`sh`, or the name of the worker that `text` is: the job fits hosts of that system alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnd:
    """How a detached job ended, as its rc file says. `exit_status` None: it never wrote one."""

    exit_status: int | None
    log: bytes
