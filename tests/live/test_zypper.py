"""On a real zypper host updates are found, installed, verified, undone, and failures told so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import HostSpec
from tests.live.rpm_hosts import BUSY, CUT, EDITED, Ground, ground
from wavemend.execution.attempt import attempt_host
from wavemend.ledger import attempts
from wavemend.managers.zypper import ZYPPER
from wavemend.outcomes import Outcome, PackageOutcome

pytestmark = pytest.mark.live

HOST = HostSpec(
    "z1",
    family="zypper",
    packages=(
        "kernel-default",
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
def zypper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(tmp_path_factory.mktemp("lab"), HOST, ZYPPER) as here:
        yield here


def test_pending_security_updates_are_found_with_their_cves(zypper: Ground) -> None:
    facts = zypper.first[0]
    found = zypper.updates(facts)

    assert (facts.index_errors, facts.broken, facts.lock_holder) == ((), (), "")
    assert [(r.name, r.reachable, r.signed) for r in facts.repositories] == [
        ("repo-oss", True, True),
        ("repo-sle-update", True, True),
    ]
    assert found["zip"].security
    assert found["zip"].cves == ("CVE-2018-13410",)
    assert found["zip"].advisories[0].startswith("openSUSE-SLE-15.5-")
    assert len(found["openssl"].cves) > 5
    assert not found["wm-fine"].security


def test_what_does_not_come_with_a_plain_update_says_why(zypper: Ground) -> None:
    facts = zypper.first[0]
    found = zypper.updates(facts)

    assert facts.held == ("unzip",)
    assert [name for name, update in found.items() if update.kept_back] == ["wm-clash", "wm-newdep"]
    assert found["wm-clash"].removes == ("wm-fine",)
    assert [target.name for target in found["wm-newdep"].brings] == ["wm-extra"]


def test_an_attempt_installs_exactly_the_plan_and_its_undo_takes_it_back(
    zypper: Ground, tmp_path: Path
) -> None:
    names = ("openssl", "wm-conffile", "zip")
    before = zypper.first[0]
    bench = zypper.bench(tmp_path)
    bench.freeze(*names, "kernel-default")

    outcome = attempt_host(bench.hands(), bench.order())

    packages = bench.packages()
    assert (outcome, bench.row().reboots) == (Outcome.PATCHED, 1), bench.row().reason
    assert packages.pop("wm-conffile") is PackageOutcome.CONFFILE_KEPT
    assert set(packages.values()) == {PackageOutcome.INSTALLED}
    assert zypper.versions(["zip"]) == {"zip": zypper.updates(before)["zip"].candidate}

    old = zypper.installed(before, *names)
    end = zypper.run(zypper.manager.undo_script(old))
    after = zypper.look()

    results = zypper.manager.judge(old, before, after, end)
    assert [result.after for result in results] == [target.version for target in old]
    assert zypper.installed(after, *names) == old
    assert after.broken == ()


def test_a_script_that_fails_is_a_failure_whatever_zypper_ends_with(
    zypper: Ground, tmp_path: Path
) -> None:
    bench = zypper.bench(tmp_path)
    bench.freeze("wm-fails", "wm-refuses")

    assert attempt_host(bench.hands(), bench.order()) is Outcome.FAILED

    details = {result.name: result.detail for result in attempts.packages_of(bench.row())}
    assert details["wm-fails"] == ("at 2.0-150500.1.1, but its %post script failed: exit status 1")
    assert "%prein(wm-refuses-2.0-150500.1.1.noarch) scriptlet failed" in details["wm-refuses"]


def test_while_somebody_works_they_are_named_and_the_job_waits_for_them(zypper: Ground) -> None:
    targets = zypper.targets(zypper.first[0], "jq")
    zypper.root(BUSY.format(command="zypper -n install wm-slow=2.0"))

    assert "rpm (" in zypper.look().lock_holder
    end = zypper.run(zypper.manager.apply_script(targets))

    assert end.exit_status == 0, end.log.decode()
    assert zypper.installed(zypper.look(), "jq") == targets


def test_a_transaction_cut_in_the_middle_is_seen_and_mended_without_other_versions(
    zypper: Ground,
) -> None:
    zypper.root("echo 0 >/etc/wm-slow.seconds; zypper -n install --oldpackage wm-slow=1.0")
    zypper.root(CUT.format(command="zypper -n install wm-slow=2.0", name="zypper"))

    cut = zypper.look()
    assert {(p.name, p.status) for p in cut.broken} == {("wm-slow", "two versions")}

    end = zypper.run(zypper.manager.repair_script())
    mended = zypper.look()

    assert (end.exit_status, mended.broken) == (0, ()), end.log.decode()
    assert mended.version_of("wm-slow") == "2.0-150500.1.1"


def test_a_repository_that_cannot_be_reached_never_reads_as_no_updates(zypper: Ground) -> None:
    zypper.root("cp /etc/hosts /run/hosts; sed -i /mirror/d /etc/hosts")
    try:
        facts = zypper.look(refresh=True)
    finally:
        zypper.root("cat /run/hosts >/etc/hosts")

    assert facts.index_errors
    assert not any(repository.reachable for repository in facts.repositories)
    assert facts.pending
