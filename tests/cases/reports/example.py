"""Two nights to report on, made by hand: one went partly, one went well.

`python -m tests.cases.reports.example FOLDER` writes both as pages and JSON, to look at and to
renew the golden file after a change that was meant.
"""

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.cases.reports.build import (
    KERNEL,
    OLD_KERNEL,
    OPENSSL,
    PLAN,
    START,
    at,
    digest,
    finding,
    gate,
    host,
    package,
    untouched,
    wave,
)
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.reports import model as m
from wavemend.reports import write_report

_DPKG_LOG = """\
Unpacking postgresql-15 (15.12-0+deb12u2) over (15.10-0+deb12u1) ...
Setting up postgresql-15 (15.12-0+deb12u2) ...
Job for postgresql@15-main.service failed because the control process exited with error code.
invoke-rc.d: initscript postgresql, action "restart" failed.
dpkg: error processing package postgresql-15 (--configure):
 installed postgresql-15 package post-installation script subprocess returned error exit status 1
Errors were encountered while processing:
 postgresql-15
E: Sub-process /usr/bin/dpkg returned an error code (1)
"""


def _troubled_hosts() -> tuple[m.HostReport, ...]:
    failed = package(
        "postgresql-15",
        PackageOutcome.FAILED,
        before="15.10-0+deb12u1",
        target="15.12-0+deb12u2",
        detail="dpkg left it half-configured",
        cves=("CVE-2025-1094",),
        lane="emergency",
    )
    return (
        host(
            "db3.acme.example",
            Outcome.FAILED,
            reason="postgresql-15 15.12-0+deb12u2 is half-configured: dpkg ended with status 1",
            packages=(failed, OPENSSL),
            running_kernel_after=OLD_KERNEL,
            newest_kernel_after=OLD_KERNEL,
            boot_id_after="6f0c2a7e-1d34-4d51-9a41-0c2b8f6f8e11",
            probes=(
                m.ProbeReport(name="postgres", ok=False, detail="connection refused on 5432"),
                m.ProbeReport(name="systemd", ok=False, detail="postgresql@15-main.service failed"),
            ),
            log_tail=_DPKG_LOG,
        ),
        replace(
            untouched(
                "edge4.acme.example",
                Outcome.UNREACHABLE,
                "no answer on port 22 after its restart, for 20 minutes",
                "broad-1",
            ),
            exposed=True,
            attempt_id="a-7be1902c44d0",
            intent_at=at(58),
            begun_at=at(58.1),
        ),
    )


def _acme_hosts() -> tuple[m.HostReport, ...]:
    held = package(
        "nginx",
        PackageOutcome.HELD,
        before="1.22.1-9+deb12u1",
        target="1.22.1-9+deb12u2",
        detail="held on the host since 2026-01-14",
        cves=("CVE-2025-23419",),
    )
    waits = "the wave critical waits: gate broad-1 failed"
    return (
        host("canary1.acme.example", wave="pilot"),
        host("canary2.acme.example", wave="pilot", outcome=Outcome.NOTHING_TO_DO, packages=()),
        host("web1.acme.example", exposed=True),
        host("web2.acme.example", exposed=True, packages=(KERNEL, held, OPENSSL)),
        host(
            "app1.acme.example",
            Outcome.PATCHED_REBOOT_PENDING,
            boot_id_after="6f0c2a7e-1d34-4d51-9a41-0c2b8f6f8e11",
            running_kernel_after=OLD_KERNEL,
            reboot_reasons=("kernel 6.1.0-32 installed, 6.1.0-31 runs", "profile: never restarts"),
        ),
        *_troubled_hosts(),
        host("sim1.acme.example", simulated=True),
        untouched(
            "mail1.acme.example", Outcome.BLOCKED, "only 61 MB free on /var, 400 wanted", "broad-1"
        ),
        replace(
            untouched("db1.acme.example", Outcome.NOT_ATTEMPTED, waits, "critical"), critical=True
        ),
        replace(
            untouched("db2.acme.example", Outcome.NOT_ATTEMPTED, waits, "critical"), critical=True
        ),
    )


def _acme_waves() -> tuple[m.WaveReport, ...]:
    broad = ("web1", "web2", "app1", "db3", "edge4", "sim1", "mail1")
    return (
        wave(
            1,
            "pilot",
            ("canary1.acme.example", "canary2.acme.example"),
            started_at=at(3),
            ended_at=at(19),
            soak_until=at(49),
            gate=gate(m.GateVerdict.PASSED, 2, 0, 49, "all probes passed through the soak"),
        ),
        wave(
            2,
            "broad-1",
            tuple(f"{name}.acme.example" for name in broad),
            started_at=at(51),
            ended_at=at(96),
            gate=gate(m.GateVerdict.FAILED, 4, 2, 96, "db3 failed, edge4 is unreachable"),
        ),
        wave(
            3,
            "critical",
            ("db1.acme.example", "db2.acme.example"),
            approval_asked_at=at(-300),
            approval_decided_at=at(12),
        ),
    )


def _approvals() -> tuple[m.ApprovalReport, ...]:
    return (
        m.ApprovalReport(
            identity="jonas.keller@acme.example",
            key_fingerprint="SHA256:3vQb0mJt7yZK2sXUqk9yT0wS7m1cW5nH4dF8aPzRkLE",
            decision=m.Decision.APPROVE,
            reason="go ahead",
            at=at(-75),
            accepted=False,
            refusal="signed another plan: this digest was replaced at 00:10 when db2 was added",
            plan_digest=digest("an older plan"),
        ),
        m.ApprovalReport(
            identity="mira.lang@acme.example",
            key_fingerprint="SHA256:pK8sYx1VQm0cR6uZt2bJ5hN9eWf4gD7aLoT3iXvEqBs",
            decision=m.Decision.APPROVE,
            reason="CHG-20418, database on-call is informed",
            at=at(12),
            accepted=True,
            refusal="",
            plan_digest=PLAN,
        ),
    )


def _findings() -> m.FindingsReport:
    return m.FindingsReport(
        lanes=(
            m.LaneReport(lane="routine", open_before=61, closed=38, still_open=23),
            m.LaneReport(lane="emergency", open_before=9, closed=5, still_open=4),
            m.LaneReport(lane="expedited", open_before=22, closed=14, still_open=8),
            m.LaneReport(lane="ignored", open_before=3, closed=0, still_open=3),
        ),
        top=(
            finding(
                "CVE-2024-53197", "db1.acme.example", "linux-image-amd64",
                lane="emergency", closed=False, cvss=7.8, epss=0.3127, kev=True,
                due_at=at(60 * 46), because="KEV, and Debian tracker: fixed in 6.1.129-1, "
                "running 6.1.0-31",
            ),
            finding(
                "CVE-2025-1094", "db3.acme.example", "postgresql-15",
                lane="emergency", closed=False, cvss=8.1, cvss_source="PostgreSQL, v3.1",
                epss=0.8412, due_at=at(60 * 46),
                because="Debian tracker: fixed in 15.12-0+deb12u2, installed 15.10-0+deb12u1",
            ),
            finding("CVE-2025-9230", "web1.acme.example", "openssl"),
            finding(
                "CVE-2025-23419", "web2.acme.example", "nginx", closed=False, lane="routine",
                cvss=None, cvss_source="", epss=None, epss_model="", epss_date="",
                because="Debian tracker: fixed in 1.22.1-9+deb12u2, installed 1.22.1-9+deb12u1",
            ),
        ),
    )  # fmt: skip


def _feeds() -> tuple[m.FeedReport, ...]:
    day = 86_400.0
    rows = (
        ("debian-tracker", at(-200), "", 200 * 60.0, 41_872, 0, False),
        ("epss", at(-1500), "v2025.03.14", 1.04 * day, 298_113, 0, False),
        ("kev", at(-3000), "2026.03.07", 2.08 * day, 1_381, 0, False),
        ("nvd", at(-11_520), "2.0", 8.0 * day, 287_430, 12, True),
    )
    return tuple(
        m.FeedReport(
            name=name, data_date=date, model=model, age_seconds=age,
            count=count, rejects=rejects, stale=stale,
        )
        for name, date, model, age, count, rejects, stale in rows
    )  # fmt: skip


def acme_night() -> m.RolloutReport:
    """Return the night that went partly: failed, unreachable, held, refused, halted."""
    return m.RolloutReport(
        rollout_id="R-2026-03-10-acme-prod",
        tenant=m.TenantReport(name="acme", title="Acme Logistics GmbH"),
        profile="debian-server",
        window=m.WindowReport(
            name="tue-night", zone="Europe/Berlin", start=START, end=START + timedelta(hours=3)
        ),
        state=m.RolloutState.HALTED,
        halted_reason="gate broad-1 failed: 2 errors, at most 0",
        started_at=at(2),
        ended_at=at(97),
        generated_at=at(260),
        plan_digest=PLAN,
        requester="lena.brandt@acme.example",
        simulated=False,
        expected=11,
        waves=_acme_waves(),
        hosts=_acme_hosts(),
        unmanaged=("kiosk7.acme.example",),
        findings=_findings(),
        approvals=_approvals(),
        overrides=(
            m.OverrideReport(
                identity="mira.lang@acme.example",
                key_fingerprint="SHA256:pK8sYx1VQm0cR6uZt2bJ5hN9eWf4gD7aLoT3iXvEqBs",
                morning="2026-03-10",
                reason="both admins are ill, the night shift stays until noon",
                at=at(-600),
            ),
        ),
        nights=(
            m.NightReport(
                start=at(-7 * 24 * 60),
                end=at(-7 * 24 * 60 + 240),
                verdict="skipped",
                reason="nobody on duty: nobody with linux is on duty on 2026-03-03 from 07:00 to "
                "09:00 (Europe/Berlin, roster office)",
            ),
        ),
        gaps=(
            m.GapReport(
                after="pilot of R-2026-03-10-acme-prod",
                ended_at=at(25),
                before="broad-1 of R-2026-03-10-acme-prod",
                started_at=at(90),
                required_seconds=3600,
                kept=True,
            ),
        ),
        feeds=_feeds(),
        audit=m.AuditReport(
            events=214, head=digest("head"), verified=True, detail="all 214 events, first to last"
        ),
        open_questions=(
            "edge4.acme.example: its restart was sent at 03:06 and no new boot id was seen.",
            "NVD is 8 days old: scores of newer CVEs are missing and count as unscored.",
        ),
    )


def good_night() -> m.RolloutReport:
    """Return the night that went well, for another tenant."""
    names = tuple(f"node{number}.bolt.example" for number in range(1, 7))
    ran = {"started_at": at(1), "ended_at": at(25)}
    return replace(
        acme_night(),
        rollout_id="R-2026-03-10-bolt",
        tenant=m.TenantReport(name="bolt", title="Bolt Energy AG"),
        state=m.RolloutState.DONE,
        halted_reason="",
        expected=len(names),
        hosts=tuple(host(name, wave="pilot" if name == names[0] else "broad-1") for name in names),
        waves=(
            wave(1, "pilot", names[:1], **ran, soak_until=at(55),
                 gate=gate(m.GateVerdict.PASSED, 1, 0, 55, "")),
            wave(2, "broad-1", names[1:], started_at=at(56), ended_at=at(92), soak_until=at(122),
                 gate=gate(m.GateVerdict.PASSED, 5, 0, 122, "")),
        ),
        unmanaged=(),
        findings=m.FindingsReport(
            lanes=(m.LaneReport(lane="expedited", open_before=12, closed=12, still_open=0),), top=()
        ),
        approvals=(),
        overrides=(),
        nights=(),
        gaps=(),
        open_questions=(),
    )  # fmt: skip


if __name__ == "__main__":
    for night in (acme_night(), good_night()):
        write_report(night, Path(sys.argv[1]))
