"""What a job is asked to be, whichever system its host runs."""

import re
from dataclasses import dataclass

from wavemend.errors import PlanError
from wavemend.packages import JobScript

_ATTEMPT_ID = re.compile(r"[a-z0-9-]{8,64}")
_NONCE = re.compile(r"[a-z0-9]{16,128}")
_MAX_TIME = 10**11
_MAX_FENCE = 10**18
"""The host compares fences with 64-bit arithmetic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One job to start: at most once per attempt id, on the host's own word."""

    attempt_id: str
    """`[a-z0-9-]{8,64}`; names the job's directory."""
    nonce: str
    """Unguessable `[a-z0-9]{16,128}`; the rc file must carry it."""
    fence: int
    """Owner number of the rollout; the host refuses a lower one than it has seen."""
    script: JobScript
    not_after: int | None = None
    """Unix seconds: the host begins no later, by its own clock, whose skew preflight bounds.
    However long a controller, a network or the host itself was stalled. None: no bound."""
    until: int | None = None
    """Unix seconds: a job that can stop between its parts begins none later. None: no bound."""


def check_attempt_id(attempt_id: str) -> None:
    """Raise PlanError for what cannot name a job's directory."""
    if not _ATTEMPT_ID.fullmatch(attempt_id):
        raise PlanError(f"{attempt_id!r} is no attempt id", hint="8 to 64 of a-z, 0-9 and -")


def check_spec(spec: JobSpec) -> None:
    """Raise PlanError for a spec that no host could take."""
    check_attempt_id(spec.attempt_id)
    if not _NONCE.fullmatch(spec.nonce):
        raise PlanError(f"job {spec.attempt_id}: the nonce is not 16 to 128 of a-z and 0-9")
    if not 0 <= spec.fence < _MAX_FENCE:
        raise PlanError(f"job {spec.attempt_id}: {spec.fence} is no fence the host can compare")
    if spec.not_after is not None and not 0 <= spec.not_after < _MAX_TIME:
        raise PlanError(f"job {spec.attempt_id}: {spec.not_after} is no time a start may end at")
