"""On a real dnf host updates are found, installed, verified, undone, and failures told as such."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import HostSpec
from tests.live.rpm_hosts import BUSY, CUT, EDITED, Ground, ground
from wavemend.execution.attempt import attempt_host
from wavemend.hosts import Repository
from wavemend.ledger import attempts
from wavemend.managers.dnf import DNF
from wavemend.outcomes import Outcome, PackageOutcome

pytestmark = pytest.mark.live

HOST = HostSpec(
    "d1",
    family="dnf",
    packages=(
        "kernel",
        "wm-clash",
        "wm-conffile",
        "wm-fails",
        "wm-fine",
        "wm-newdep",
        "wm-refuses",
        "wm-slow",
    ),
    held=("unzip",),
    files=EDITED,
)


@pytest.fixture(scope="module")
def dnf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(tmp_path_factory.mktemp("lab"), HOST, DNF) as here:
        yield here


def test_pending_security_updates_are_found_with_their_cves(dnf: Ground) -> None:
    facts = dnf.first[0]
    found = dnf.updates(facts)

    assert (facts.index_errors, facts.broken, facts.lock_holder) == ((), (), "")
    assert facts.repositories == (Repository(name="baseos", reachable=True, signed=True),)
    assert {name for name, update in found.items() if update.security} >= {"openssl", "zip"}
    assert found["zip"].cves == ("CVE-2018-13410",)
    assert found["zip"].advisories[0].startswith("ALSA-")
    assert len(found["openssl"].cves) > 5
    assert found["openssl"].installed.startswith("1:")
    assert not found["wm-fine"].security


def test_what_does_not_come_with_a_plain_upgrade_says_why(dnf: Ground) -> None:
    facts = dnf.first[0]
    found = dnf.updates(facts)

    assert facts.held == ("unzip",)
    assert [name for name, update in found.items() if update.kept_back] == ["wm-clash", "wm-newdep"]
    assert found["wm-clash"].removes == ("wm-fine",)
    assert [target.name for target in found["wm-newdep"].brings] == ["wm-extra"]


FROZEN = """
mkdir -p /srv/frozen && cd /srv/frozen
from=$(dnf -q repoquery --location zip-3.0-13.el9)
python3 -c 'import sys, urllib.request as r; r.urlretrieve(sys.argv[1], "zip.rpm")' "$from"
createrepo_c -q .
printf '[frozen]\\nname=frozen\\nbaseurl=file:///srv/frozen\\ngpgcheck=0\\npriority=1\\n' \\
  >/etc/yum.repos.d/frozen.repo
dnf -q check-update | grep zip && exit 1 || exit 0
"""
"""Another repository goes before the one with the updates, and offers the installed version."""


def test_what_another_repository_hides_by_its_priority_is_pending_all_the_same(dnf: Ground) -> None:
    dnf.root(FROZEN)
    try:
        zipped = dnf.updates(dnf.look(refresh=True))["zip"]
    finally:
        dnf.root("rm /etc/yum.repos.d/frozen.repo")

    assert (zipped.held, zipped.security, zipped.cves) == (True, True, ("CVE-2018-13410",))


def test_an_attempt_installs_exactly_the_plan_and_its_undo_takes_it_back(
    dnf: Ground, tmp_path: Path
) -> None:
    names = ("openssl", "wm-conffile", "zip")
    before = dnf.first[0]
    bench = dnf.bench(tmp_path)
    bench.freeze(*names, "kernel")

    outcome = attempt_host(bench.hands(), bench.order())

    packages = bench.packages()
    assert (outcome, bench.row().reboots) == (Outcome.PATCHED, 1), bench.row().reason
    assert packages.pop("wm-conffile") is PackageOutcome.CONFFILE_KEPT
    assert set(packages.values()) == {PackageOutcome.INSTALLED}
    assert dnf.versions(["zip"]) == {"zip": dnf.updates(before)["zip"].candidate}

    old = dnf.installed(before, *names)
    end = dnf.run(dnf.manager.undo_script(old))
    after = dnf.look()

    results = dnf.manager.judge(old, before, after, end)
    assert [result.after for result in results] == [target.version for target in old]
    assert dnf.installed(after, *names) == old
    assert after.broken == ()


def test_a_script_that_fails_is_a_failure_whatever_dnf_ends_with(
    dnf: Ground, tmp_path: Path
) -> None:
    bench = dnf.bench(tmp_path)
    bench.freeze("wm-fails", "wm-refuses")

    assert attempt_host(bench.hands(), bench.order()) is Outcome.FAILED

    details = {result.name: result.detail for result in attempts.packages_of(bench.row())}
    assert details["wm-fails"] == ("at 2.0-1.el9, but its %post script failed: exit status 1")
    assert "%prein(wm-refuses-2.0-1.el9.noarch) scriptlet failed" in details["wm-refuses"]


def test_while_somebody_works_they_are_named_and_the_job_waits_for_them(dnf: Ground) -> None:
    targets = dnf.targets(dnf.first[0], "jq")
    dnf.root(BUSY.format(command="dnf -y install wm-slow-2.0"))

    assert "dnf (" in dnf.look().lock_holder
    end = dnf.run(dnf.manager.apply_script(targets))

    assert end.exit_status == 0, end.log.decode()
    assert dnf.installed(dnf.look(), "jq") == targets


def test_a_transaction_cut_in_the_middle_is_seen_and_mended_without_other_versions(
    dnf: Ground,
) -> None:
    dnf.root("echo 0 >/etc/wm-slow.seconds; dnf -q -y downgrade wm-slow-1.0")
    dnf.root(CUT.format(command="dnf -y install wm-slow-2.0 xz-5.4.1-1.el9_1.1", name="dnf"))

    cut = dnf.look()
    assert {(p.name, p.status) for p in cut.broken} >= {("wm-slow", "two versions")}

    end = dnf.run(dnf.manager.repair_script())
    mended = dnf.look()

    assert (end.exit_status, mended.broken) == (0, ()), end.log.decode()
    assert mended.version_of("wm-slow") == "2.0-1.el9"
    assert mended.version_of("xz") == cut.version_of("xz") or not cut.version_of("xz")


def test_a_repository_that_cannot_be_reached_never_reads_as_no_updates(dnf: Ground) -> None:
    dnf.root("cp /etc/hosts /run/hosts; sed -i /mirror/d /etc/hosts; : >/run/gone")
    try:
        facts = dnf.look(refresh=True)
    finally:
        dnf.root("cat /run/hosts >/etc/hosts")

    assert "baseos" in facts.index_errors[0]
    assert [(r.name, r.reachable) for r in facts.repositories] == [("baseos", False)]
    assert facts.pending
