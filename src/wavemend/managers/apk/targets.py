"""Package names and versions as data: checked against what apk allows, then handed over as argv."""

import re
from collections.abc import Sequence

from wavemend.errors import PlanError
from wavemend.packages import Target
from wavemend.versions import apk_key

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_LONGEST = 256


def words_of(targets: Sequence[Target]) -> tuple[str, ...]:
    """Return `name=version` of each target, sorted; PlanError for what is none."""
    if not targets:
        raise PlanError("no package is named", hint="an empty list of targets changes nothing")
    if len({target.name for target in targets}) != len(targets):
        raise PlanError("a package is named twice in one transaction")
    return tuple(_word(target) for target in sorted(targets))


def _word(target: Target) -> str:
    if not _NAME.fullmatch(target.name) or len(target.name) > _LONGEST:
        raise PlanError(f"{target.name!r} is not an apk package name")
    try:
        apk_key(target.version)
    except ValueError as error:
        raise PlanError(f"{target.name}: {error}") from None
    return f"{target.name}={target.version}"
