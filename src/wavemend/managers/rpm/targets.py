"""Package names and versions as data: checked against RPM's own rules, then handed over as argv."""

import re
from collections.abc import Sequence

from wavemend.errors import PlanError
from wavemend.managers.rpm.kernels import is_kernel
from wavemend.packages import Target

# What rpmbuild allows, without the characters of an unexpanded macro. A name may hold a plus or a
# dash, but not begin with one: zypper reads these as "install" and "remove".
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_ARCH = re.compile(r"[a-z0-9_]+")
_EVR = re.compile(r"(?:[0-9]+:)?[A-Za-z0-9._+~^]+-[A-Za-z0-9._+~^]+")
_LONGEST = 256


def checked(targets: Sequence[Target]) -> tuple[Target, ...]:
    """Return the targets sorted; PlanError for none, for one twice, for what RPM does not allow."""
    if not targets:
        raise PlanError("no package is named", hint="an empty list of targets changes nothing")
    if len({(target.name, target.arch) for target in targets}) != len(targets):
        raise PlanError("a package is named twice in one transaction")
    for target in targets:
        if not _NAME.fullmatch(target.name) or len(target.name) > _LONGEST:
            raise PlanError(f"{target.name!r} is not an RPM package name")
        if not _ARCH.fullmatch(target.arch) or len(target.arch) > _LONGEST:
            raise PlanError(f"{target.name}: {target.arch!r} is not an RPM architecture")
        if not _EVR.fullmatch(target.version) or len(target.version) > _LONGEST:
            raise PlanError(f"{target.name}: {target.version!r} is not an RPM version")
    return tuple(sorted(targets))


def without_kernels(targets: Sequence[Target]) -> tuple[Target, ...]:
    """Return what can be taken back to an older version.

    Kernels lie beside each other: the older one is still there, and the newer one is not taken
    away, because it may be the one that runs. Raises PlanError when nothing else is asked for.
    """
    ordinary = tuple(target for target in checked(targets) if not is_kernel(target.name))
    if not ordinary:
        raise PlanError(
            "kernels are not taken back: the older one is still installed beside the newer",
            hint="choose the older one in the boot loader, or use a restore point",
        )
    return ordinary
