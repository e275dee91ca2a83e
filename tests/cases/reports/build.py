"""Builders for reports: one ordinary value each, with whatever should differ."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.reports import model as m

START = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
OLD_KERNEL, NEW_KERNEL = "6.1.0-31-amd64", "6.1.0-32-amd64"


def at(minutes: float) -> datetime:
    """Return a moment, in minutes after the window opened."""
    return START + timedelta(minutes=minutes)


def digest(text: str) -> str:
    """Return a stable digest to show."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


PLAN = digest("the plan")


def package(
    name: str = "openssl",
    outcome: PackageOutcome | None = PackageOutcome.INSTALLED,
    *,
    before: str = "3.0.15-1~deb12u1",
    target: str = "3.0.16-1~deb12u1",
    detail: str = "",
    cves: tuple[str, ...] = (),
    lane: str = "routine",
) -> m.PackageReport:
    """Return one package; it ends at its target only when it was installed."""
    return m.PackageReport(
        name=name,
        arch="amd64",
        before=before,
        target=target,
        after=target if outcome is PackageOutcome.INSTALLED else before,
        outcome=outcome,
        detail=detail,
        cves=cves,
        lane=lane,
    )


OPENSSL = package(cves=("CVE-2025-9230", "CVE-2025-9232"), lane="expedited")
KERNEL = package(
    f"linux-image-{NEW_KERNEL}",
    before="",
    target="6.1.129-1",
    cves=("CVE-2024-53197",),
    lane="emergency",
)


def host(
    name: str = "web1", outcome: Outcome | None = Outcome.PATCHED, **changes: object
) -> m.HostReport:
    """Return one host that went well and restarted, with whatever should differ."""
    begun = at(4)
    plain = m.HostReport(
        name=name,
        wave="broad-1",
        critical=False,
        exposed=False,
        simulated=False,
        outcome=outcome,
        reason="",
        attempt_id=f"a-{digest(name)[:12]}",
        intent_at=begun - timedelta(seconds=3),
        begun_at=begun,
        ended_at=begun + timedelta(minutes=7, seconds=41),
        packages=(KERNEL, OPENSSL),
        boot_id_before="6f0c2a7e-1d34-4d51-9a41-0c2b8f6f8e11",
        boot_id_after="b81d93c4-5e0f-4a5c-8c5d-7f6de0a2c9d2",
        running_kernel_before=OLD_KERNEL,
        running_kernel_after=NEW_KERNEL,
        newest_kernel_before=OLD_KERNEL,
        newest_kernel_after=NEW_KERNEL,
        reboot_reasons=(),
        probes=(
            m.ProbeReport(name="https", ok=True, detail="200 in 48 ms"),
            m.ProbeReport(name="systemd", ok=True, detail="no failed unit"),
        ),
        restore_point=m.RestorePointReport(
            kind="package archive",
            can_restore="the former versions of 2 packages; not their data",
            reference=f"/var/lib/wavemend/restore/{digest(name)[:8]}",
        ),
        log_sha256=digest(f"log of {name}"),
        log_tail="Setting up openssl (3.0.16-1~deb12u1) ...\nProcessing triggers for libc-bin\n",
        facts_before_sha256=digest(f"before {name}"),
        facts_after_sha256=digest(f"after {name}"),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def untouched(name: str, outcome: Outcome, reason: str, wave: str) -> m.HostReport:
    """Return a host on which nothing was begun."""
    return host(
        name,
        outcome,
        reason=reason,
        wave=wave,
        attempt_id="",
        intent_at=None,
        begun_at=None,
        ended_at=None,
        packages=tuple(replace(p, outcome=None, after="") for p in (KERNEL, OPENSSL)),
        boot_id_after="",
        running_kernel_after="",
        newest_kernel_after="",
        probes=(),
        restore_point=None,
        log_sha256="",
        log_tail="",
        facts_after_sha256="",
    )


def gate(verdict: m.GateVerdict, ok: int, errors: int, minute: int, reason: str) -> m.GateReport:
    """Return a gate that allows no error and wants nine in ten."""
    return m.GateReport(
        verdict=verdict,
        ok=ok,
        errors=errors,
        max_errors=0,
        success_percent=round(100 * ok / (ok + errors), 1),
        min_success_percent=90.0,
        decided_at=at(minute),
        reason=reason,
    )


def wave(number: int, name: str, hosts: tuple[str, ...], **changes: object) -> m.WaveReport:
    """Return a wave that has not started, with whatever should differ."""
    plain = m.WaveReport(
        number=number,
        name=name,
        kind=name.partition("-")[0],
        hosts=hosts,
        started_at=None,
        ended_at=None,
        soak_until=None,
        approval_asked_at=None,
        approval_decided_at=None,
        gate=None,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def finding(cve: str, host_name: str, package_name: str, **changes: object) -> m.FindingReport:
    """Return a closed, scored finding, with whatever should differ."""
    plain = m.FindingReport(
        cve=cve,
        host=host_name,
        package=package_name,
        lane="expedited",
        closed=True,
        cvss=7.5,
        cvss_source="NVD, v3.1",
        epss=0.0123,
        epss_model="v2025.03.14",
        epss_date="2026-03-09",
        kev=False,
        due_at=at(60 * 24 * 9),
        because="Debian tracker: fixed in 3.0.16-1~deb12u1, installed 3.0.15-1~deb12u1",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]
