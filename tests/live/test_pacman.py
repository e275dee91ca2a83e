"""Arch hosts are patched, held, mended and taken back: by a real pacman, over real SSH."""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.contract.attempt_bench import Bench, Fate
from tests.lab import HostSpec, Lab, probe
from wavemend.execution.attempt import attempt_host
from wavemend.execution.hands import Hands
from wavemend.execution.jobs import JobSpec, JobState, read_job, start_job
from wavemend.feeds import Document
from wavemend.feeds.readers.arch import FEED
from wavemend.findings import HostFindings
from wavemend.hosts import LOCK_LEFT_BEHIND, Facts, Host
from wavemend.knowledge import Intelligence
from wavemend.ledger import attempts
from wavemend.managers.pacman import PACMAN
from wavemend.matching import match
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.packages import JobEnd, JobScript, Target
from wavemend.testing.collected import Collected
from wavemend.transport import Login, Transport
from wavemend.transports.ssh import connect

pytestmark = pytest.mark.live

EDITED = {"/etc/wm-conffile.conf": "greeting = edited by the administrator\n"}
HOSTS = (
    HostSpec(
        "rolling1",
        family="pacman",
        packages=("wm-fine", "wm-conffile", "wm-fails", "wm-newdep"),
        held=("unzip",),
        files=EDITED,
    ),
    HostSpec("rolling2", family="pacman", packages=("wm-fine", "wm-fails")),
    HostSpec("rolling3", family="pacman", packages=("wm-fine", "wm-slow", "linux")),
)
GROUPS = (
    ("AVG-9001", "zip", "3.0-14", "CVE-2026-999901"),
    ("AVG-9002", "xz", "5.4.1-2", "CVE-2026-999902"),
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    found = probe()
    if found.mode is None and os.environ.get("WAVEMEND_LAB") == "required":
        pytest.fail(found.reason)
    if found.mode is None:
        pytest.skip(found.reason)
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        lab.up(HOSTS)
        yield lab
    finally:
        lab.down()


class PacmanBench(Bench):
    """One rollout of one Arch host."""

    def hands(self, fate: Fate | None = None) -> Hands:
        """Return the executor's means, with pacman as the manager."""
        return replace(super().hands(fate), manager=lambda _: PACMAN)


@dataclass(frozen=True, slots=True)
class Site:
    """The lab's hosts, as rollouts and administrators reach them."""

    lab: Lab
    folder: Path

    def host(self, name: str) -> Host:
        where = self.lab.info().host(name)
        return Host(
            name=name, tenant="acme", address=where.address, port=where.port, manager="pacman"
        )

    def connect(self, host: Host) -> Transport:
        info = self.lab.info()
        login = Login(
            name="lab",
            user=info.user,
            private_key=Path(info.key).read_text(),
            known_hosts=Path(info.known_hosts).read_text(),
        )
        return connect(host, login)

    def bench(self, name: str) -> Bench:
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        return PacmanBench(folder, self.host(name), self.connect)

    def look(self, name: str, *, refresh: bool = True) -> Facts:
        host = self.host(name)
        with contextlib.closing(self.connect(host)) as transport:
            now = datetime.now(UTC)
            return PACMAN.read_facts(host, transport, now, refresh=refresh, deadline=180)

    def run(self, name: str, script: JobScript) -> JobEnd:
        """Run a job as an attempt does, and wait for its end."""
        attempt_id = f"pacman-{name}-{time.monotonic_ns()}"
        spec = JobSpec(attempt_id=attempt_id, nonce="n" * 32, fence=9, script=script)
        with contextlib.closing(self.connect(self.host(name))) as transport:
            view = start_job(transport, spec, deadline=60)
            until = time.monotonic() + 60
            while view.state is not JobState.ENDED and time.monotonic() < until:
                time.sleep(0.2)
                view = read_job(transport, spec.attempt_id, spec.nonce, deadline=60)
        return JobEnd(exit_status=view.exit_status, log=view.log)

    def root(self, name: str, script: str) -> str:
        done = self.lab.exec(name, "sh", "-c", script)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout.strip()


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Site:
    return Site(lab, tmp_path)


def known(folder: Path) -> Intelligence:
    """Return what the tracker would say of the lab's packages, read by the feed itself."""
    groups = [
        {
            "name": name, "packages": [package], "status": "Fixed", "severity": "High",
            "type": "arbitrary code execution", "affected": "1-1", "fixed": fixed,
            "ticket": None, "issues": [cve], "advisories": [],
        }
        for name, package, fixed, cve in GROUPS
    ]  # fmt: skip
    (folder / "all.json").write_text(json.dumps(groups))
    sink = Collected()
    FEED.parse([Document(name="all.json", path=folder / "all.json")], sink)
    advisories = {(item.release, item.package): (item,) for item in sink.advisories}
    return Intelligence(vulnerabilities={}, advisories=advisories, snapshots=())


def findings(site: Site, name: str) -> HostFindings:
    facts = site.look(name)
    return match(site.host(name), facts, known(site.folder), today=facts.collected_at.date())


def versions(site: Site, name: str, *packages: str) -> list[str]:
    facts = site.look(name, refresh=False)
    return [facts.version_of(package) for package in packages]


def target(name: str, version: str, arch: str = "any") -> Target:
    return Target(name=name, arch=arch, version=version)


def outcomes(
    site: Site, name: str, script: JobScript, targets: Sequence[Target]
) -> dict[str, tuple[PackageOutcome, str]]:
    before = site.look(name, refresh=False)
    end = site.run(name, script)
    after = site.look(name, refresh=False)
    judged = PACMAN.judge(targets, before, after, end)
    return {item.name: (item.outcome, item.detail) for item in judged}


# --- a rollout -----------------------------------------------------------------------------------


def test_pending_updates_are_found_with_their_cves_and_the_signed_repository(site: Site) -> None:
    facts = site.look("rolling1")

    found = findings(site, "rolling1").findings
    assert [(item.cve, item.package, item.fixed, item.fix_pending) for item in found] == [
        ("CVE-2026-999901", "zip", "3.0-14", True),
        ("CVE-2026-999902", "xz", "5.4.1-2", True),
    ]
    assert facts.index_errors == ()
    assert [(item.name, item.reachable, item.signed) for item in facts.repositories] == [
        ("core", True, True)
    ]
    assert facts.held == ("unzip",)
    (newdep,) = [item for item in facts.pending if item.name == "wm-newdep"]
    assert newdep.brings == (target("wm-extra", "2.0-1"),)


def test_a_rollout_patches_verifies_and_leaves_the_rest_alone(site: Site) -> None:
    bench = site.bench("rolling1")
    bench.freeze("zip", "xz", "wm-conffile")

    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    assert bench.packages() == {
        "wm-conffile": PackageOutcome.CONFFILE_KEPT,
        "xz": PackageOutcome.INSTALLED,
        "zip": PackageOutcome.INSTALLED,
    }
    assert versions(site, "rolling1", "zip", "xz", "jq") == ["3.0-14", "5.4.1-2", "1.6-2"]
    assert findings(site, "rolling1").findings == ()
    assert (
        site.root("rolling1", "cat /etc/wm-conffile.conf")
        == EDITED["/etc/wm-conffile.conf"].strip()
    )
    assert "2.0" in site.root("rolling1", "cat /etc/wm-conffile.conf.pacnew; pacman -Q wm-conffile")
    proof = attempts.evidence_of(bench.row())
    assert proof is not None
    assert proof.job_exit_status == 0
    assert "upgrading zip" in proof.log_tail


def test_what_was_patched_goes_back_to_the_versions_the_host_kept(site: Site) -> None:
    back = [target("zip", "3.0-13", "x86_64"), target("xz", "5.4.1-1", "x86_64")]

    told = outcomes(site, "rolling1", PACMAN.undo_script(back), back)

    assert told == dict.fromkeys(("zip", "xz"), (PackageOutcome.INSTALLED, ""))
    assert versions(site, "rolling1", "zip", "xz") == ["3.0-13", "5.4.1-1"]


def test_a_package_with_a_failing_script_fails_its_host_although_pacman_says_success(
    site: Site,
) -> None:
    bench = site.bench("rolling2")
    site.look("rolling2")
    bench.freeze("wm-fails", "wm-fine")

    assert attempt_host(bench.hands(), bench.order()) is Outcome.FAILED
    assert bench.packages() == {
        "wm-fails": PackageOutcome.FAILED,
        "wm-fine": PackageOutcome.INSTALLED,
    }
    assert "wm-fails" in bench.row().reason
    proof = attempts.evidence_of(bench.row())
    assert proof is not None
    assert proof.job_exit_status == 0


# --- what gets in the way ------------------------------------------------------------------------


def test_a_hold_set_after_the_plan_is_respected(site: Site) -> None:
    site.look("rolling3")
    site.root("rolling3", "sed -i 's/^IgnorePkg =.*/IgnorePkg = jq/' /etc/pacman.conf")
    jq = [target("jq", "1.6-3", "x86_64")]

    told = outcomes(site, "rolling3", PACMAN.apply_script(jq), jq)

    assert told == {"jq": (PackageOutcome.HELD, "on hold on the host")}
    assert versions(site, "rolling3", "jq") == ["1.6-2"]


def test_a_new_kernel_takes_the_running_ones_modules_and_asks_for_a_reboot(site: Site) -> None:
    linux = [target("linux", "6.12.4.arch1-1", "x86_64")]
    assert site.look("rolling3").reboot_reasons == ()

    told = outcomes(site, "rolling3", PACMAN.apply_script(linux), linux)

    assert told == {"linux": (PackageOutcome.INSTALLED, "")}
    (reason,) = site.look("rolling3", refresh=False).reboot_reasons
    assert reason.endswith("runs, and its modules are gone, 6.12.4-arch1-1 is installed")


def test_a_pacman_at_work_is_named_and_one_that_was_killed_is_mended_after(site: Site) -> None:
    site.root("rolling3", "pacman -Syw --noconfirm wm-slow; rm -f /run/wm-slow.started")
    rival = "setsid pacman -S --noconfirm wm-slow >/dev/null 2>&1 </dev/null & echo $! >/run/rival"
    site.root("rolling3", rival)
    site.root("rolling3", "until [ -e /run/wm-slow.started ]; do sleep 0.1; done")

    assert site.look("rolling3", refresh=False).lock_holder.startswith("pacman (")

    site.root("rolling3", "kill -9 $(cat /run/rival)")
    assert site.look("rolling3", refresh=False).lock_holder == LOCK_LEFT_BEHIND
    assert site.run("rolling3", PACMAN.repair_script()).exit_status == 0
    assert site.look("rolling3", refresh=False).lock_holder == ""


def test_a_repository_that_cannot_be_reached_is_a_fault_and_never_nothing_to_do(
    site: Site,
) -> None:
    site.root("rolling3", "sed -i 's,mirror.lab/repo,mirror.lab/nowhere,' /etc/pacman.conf")

    facts = site.look("rolling3")

    assert facts.index_errors != ()
    assert [(item.name, item.reachable) for item in facts.repositories] == [("core", False)]
