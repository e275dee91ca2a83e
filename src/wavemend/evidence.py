"""What proves an outcome: looked at before and after, on the host itself."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """One declared check on the host, after the change."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Kept with each attempt that touched its host. Times are UTC-aware."""

    host_key: str
    machine_id: str
    boot_id_before: str
    boot_id_after: str
    kernel_before: str
    kernel_after: str
    newest_kernel: str
    facts_before: str
    """Digest of the facts read before the intent."""
    facts_after: str
    """Digest of the facts of the second look; empty when there was none."""
    job_exit_status: int | None
    log_digest: str
    log_tail: str
    reboots: int
    reboot_reasons: tuple[str, ...]
    probes: tuple[ProbeResult, ...] = ()
    second_look_at: datetime | None = None
