"""Package names and versions as data: checked against Debian Policy, then handed over as argv."""

import re
from collections.abc import Sequence

from wavemend.errors import PlanError
from wavemend.hosts import Conffiles
from wavemend.packages import Target

LOCK_SECONDS = 120
"""How long a transaction waits for dpkg's lock: unattended-upgrades' own download phase is over by
then; a longer holder is a rival's whole transaction, and the attempt fails with its name."""

_NAME = re.compile(r"[a-z0-9][a-z0-9+.\-]+")
_ARCH = re.compile(r"[a-z0-9][a-z0-9\-]*")
_VERSION = re.compile(r"(?:[0-9]+:)?[0-9A-Za-z][0-9A-Za-z.+~\-]*")
_NAME_MAX, _VERSION_MAX = 128, 256

_COMMON = (
    "-q",
    "-y",
    "--no-install-recommends",
    # New packages count as automatic, and automatic ones that are upgraded stay so. Without it,
    # naming a package marks it as manually installed, and autoremove never takes it again.
    "--mark-auto",
    # apt must not read a name as a regular expression, nor take it for a task or a file.
    "-oAPT::Cmd::Pattern-Only=true",
    "-oAPT::Color=0",
    "-oAPT::Get::AllowUnauthenticated=false",
    "-oAPT::Get::AutomaticRemove=false",
    "-oAPT::Get::allow-change-held-packages=false",
)
"""What a rehearsal and the transaction have in common, so that they mean the same."""

_FORWARD = "-oAPT::Get::Allow-Downgrades=false"
_BACK = "-oAPT::Get::Allow-Downgrades=true"

_REAL = (
    "--no-remove",
    f"-oDPkg::Lock::Timeout={LOCK_SECONDS}",
    "-oDpkg::Use-Pty=0",
    "-oDpkg::Progress-Fancy=0",
    "-oAcquire::Retries=3",
)
"""What every change adds to it."""

_CONFFILES = {
    # `confdef` takes the package's default where there is one, which is to keep an edited file.
    Conffiles.KEEP: ("-oDpkg::Options::=--force-confdef", "-oDpkg::Options::=--force-confold"),
    # The host's own configuration may force it as well, and it comes before every other.
    Conffiles.REPLACE: (
        "-oDpkg::Options::=--refuse-confdef",
        "-oDpkg::Options::=--force-confnew",
    ),
}
"""The file that loses is laid beside the other, as `.dpkg-dist` or `.dpkg-old`."""


def rehearsal_argv(targets: Sequence[Target]) -> tuple[str, ...]:
    """Return apt-get's arguments for a rehearsal; removals are shown in it, not refused."""
    return (*_COMMON, _FORWARD, "-oDebug::NoLocking=true", "install", "--", *_words(targets))


def transaction_argv(targets: Sequence[Target], conffiles: Conffiles) -> tuple[str, ...]:
    """Return apt-get's arguments that bring the targets in and remove nothing."""
    options = (*_COMMON, _FORWARD, *_REAL, *_CONFFILES[conffiles])
    return (*options, "install", "--", *_words(targets))


def undo_argv(targets: Sequence[Target]) -> tuple[str, ...]:
    """Return apt-get's arguments that take packages back to older versions and remove nothing.

    Configuration files stay as the host has them: going back is no time for another surprise.
    """
    options = (*_COMMON, _BACK, *_REAL, *_CONFFILES[Conffiles.KEEP])
    return (*options, "install", "--", *_words(targets))


def repair_argv() -> tuple[str, ...]:
    """Return apt-get's arguments for unpacking cut packages again: before the operation."""
    return (*_COMMON, _FORWARD, *_REAL, *_CONFFILES[Conffiles.KEEP])


def _words(targets: Sequence[Target]) -> tuple[str, ...]:
    if not targets:
        raise PlanError("no package is named", hint="an empty list of targets changes nothing")
    words = [word_of(target) for target in sorted(targets)]
    if len(set(words)) != len(words) or len({(t.name, t.arch) for t in targets}) != len(targets):
        raise PlanError("a package is named twice in one transaction")
    return tuple(words)


def word_of(target: Target) -> str:
    """Return `name:arch=version`, or raise PlanError for what Debian Policy does not allow."""
    if not _NAME.fullmatch(target.name) or len(target.name) > _NAME_MAX:
        raise PlanError(f"{target.name!r} is not a Debian package name")
    if not _ARCH.fullmatch(target.arch) or len(target.arch) > _NAME_MAX:
        raise PlanError(f"{target.name}: {target.arch!r} is not a Debian architecture")
    if not _VERSION.fullmatch(target.version) or len(target.version) > _VERSION_MAX:
        raise PlanError(f"{target.name}: {target.version!r} is not a Debian version")
    if target.version.endswith(("+", "-")):
        # apt-get reads a last `-` as "remove" and a last `+` as "install".
        raise PlanError(
            f"{target.name}: apt-get would misread the version {target.version!r}",
            hint="install this one by hand",
        )
    return f"{target.name}:{target.arch}={target.version}"
