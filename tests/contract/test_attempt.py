"""One attempt on one host: what was approved is done, or nothing is, and the outcome says which.

Real SSH to simulated hosts: real connections, shells, jobs and files; apt and dpkg are played.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.contract.attempt_bench import HOUR, Bench, Fate, MortalTransport
from wavemend.approvals import Answer, sign, statement
from wavemend.execution.attempt import attempt_host
from wavemend.execution.jobs import read_journal
from wavemend.hosts import Host
from wavemend.ledger import approvals, attempts
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.policy.care import Probe
from wavemend.policy.profiles import RebootRule
from wavemend.steps import decide
from wavemend.testing.simulated.spec import HostSpec
from wavemend.testing.simulated_hosts import SimulatedLab
from wavemend.transport import Transport
from wavemend.transports.ssh import connect

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

SLOW = {"/etc/wm-slow.seconds": "2\n"}
HOSTS = (
    *(HostSpec(f"web{number}", packages=("wm-fine",)) for number in range(12)),
    HostSpec("fails1", packages=("wm-fine", "wm-fails")),
    HostSpec("fails2", packages=("wm-fine", "wm-fails")),
    HostSpec("late1", packages=("wm-late",)),
    HostSpec("late2", packages=("wm-late",)),
    HostSpec("dep1", packages=("wm-newdep",)),
    HostSpec("boot1", packages=("wm-reboot",)),
    HostSpec("boot2", packages=("wm-reboot",)),
    HostSpec("slow1", packages=("wm-slow",), files=SLOW),
    HostSpec("slow2", packages=("wm-slow",), files=SLOW),
    HostSpec("db1", packages=("wm-fine",)),
    HostSpec("db2", packages=("wm-fine",)),
    HostSpec("db3", packages=("wm-fine",)),
)
SPARE = iter(f"web{number}" for number in range(12))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    lab = SimulatedLab(tmp_path_factory.mktemp("lab"))
    lab.up(HOSTS)
    lab.publish("wm-late", "2.0")
    yield lab
    lab.down()


@dataclass(frozen=True, slots=True)
class Site:
    """Makes a rollout for one host of the lab; without a name, for one nobody used yet."""

    lab: SimulatedLab
    folder: Path

    def bench(self, name: str = "") -> Bench:
        host = replace(self.lab.host(name or next(SPARE)), tenant="acme")
        folder = self.folder / host.name
        folder.mkdir(mode=0o700)
        return Bench(folder, host, lambda host: connect(host, self.lab.login()))

    def run(self, bench: Bench, *argv: str) -> str:
        transport = connect(bench.host, self.lab.login())
        try:
            return transport.run_as_root(argv, deadline=60).stdout.decode()
        finally:
            transport.close()

    def version(self, bench: Bench, package: str = "wm-fine") -> str:
        form = "${Version} ${db:Status-Abbrev}"
        return self.run(bench, "dpkg-query", "-W", "-f", form, package).strip()

    def begun(self, bench: Bench) -> int:
        transport = connect(bench.host, self.lab.login())
        try:
            return len(read_journal(transport, deadline=30))
        finally:
            transport.close()


@pytest.fixture
def site(lab: SimulatedLab, tmp_path: Path) -> Site:
    return Site(lab, tmp_path)


def attempt(bench: Bench) -> Outcome:
    outcome = attempt_host(bench.hands(), bench.order())
    assert bench.row().outcome == outcome
    return outcome


def assert_untouched(site: Site, bench: Bench, words: str) -> None:
    assert words in bench.row().reason
    assert not bench.row().touched
    assert site.begun(bench) == 0


# --- what is done --------------------------------------------------------------------------------


def test_a_planned_package_is_installed_and_the_evidence_says_how_it_was_seen(site: Site) -> None:
    bench = site.bench()
    bench.freeze("wm-fine", "zip")

    assert attempt(bench) is Outcome.PATCHED
    assert bench.packages() == {
        "wm-fine": PackageOutcome.INSTALLED,
        "zip": PackageOutcome.INSTALLED,
    }
    assert site.version(bench) == "2.0 ii"
    proof = attempts.evidence_of(bench.row())
    assert proof is not None
    assert proof.host_key == bench.host.host_keys[0]
    assert proof.boot_id_before == proof.boot_id_after != ""
    assert proof.facts_before != proof.facts_after
    assert (proof.job_exit_status, proof.reboots) == (0, 0)
    assert "Setting up wm-fine" in proof.log_tail
    assert site.begun(bench) == 2  # one begin, one end


def test_a_failing_package_is_a_failed_host_and_the_others_are_told_apart(site: Site) -> None:
    bench = site.bench("fails1")
    bench.freeze("wm-fails", "wm-fine")

    assert attempt(bench) is Outcome.FAILED
    assert "wm-fails" in bench.row().reason
    assert bench.packages() == {
        "wm-fails": PackageOutcome.FAILED,
        "wm-fine": PackageOutcome.INSTALLED,
    }
    assert site.version(bench, "wm-fails") == "2.0 iF"


def test_what_is_at_its_target_already_is_nothing_to_do(site: Site) -> None:
    bench = site.bench()
    bench.freeze("wm-fine")
    site.run(bench, "apt-get", "-y", "install", "wm-fine=2.0")

    assert attempt(bench) is Outcome.NOTHING_TO_DO
    assert_untouched(site, bench, "installed already")


def test_a_version_published_after_the_plan_is_not_installed(site: Site, lab: SimulatedLab) -> None:
    bench = site.bench("late1")
    site.run(bench, "apt-get", "update")
    bench.freeze("wm-late")
    lab.publish("wm-late", "3.0")
    site.run(bench, "apt-get", "update")

    assert attempt(bench) is Outcome.PATCHED
    assert site.version(bench, "wm-late") == "2.0 ii"


# --- drift: another host than the one that was approved ------------------------------------------


def test_a_package_held_after_the_plan_is_not_attempted_and_called_held(site: Site) -> None:
    bench = site.bench()
    bench.freeze("wm-fine", "zip")
    site.run(bench, "apt-mark", "hold", "zip")

    assert attempt(bench) is Outcome.NOT_ATTEMPTED
    assert_untouched(site, bench, "drift: zip was put on hold after the plan was made")
    assert bench.packages() == {
        "wm-fine": PackageOutcome.NOT_ATTEMPTED,
        "zip": PackageOutcome.HELD,
    }


def test_another_version_installed_meanwhile_is_drift(site: Site, lab: SimulatedLab) -> None:
    bench = site.bench("late2")
    site.run(bench, "apt-get", "update")
    bench.freeze("wm-late")
    planned = bench.plan.hosts[0].packages[0]
    assert planned.installed == "1.0"
    other = "3.0" if planned.target == "2.0" else "2.0"
    lab.publish("wm-late", other)
    site.run(bench, "apt-get", "update")
    site.run(bench, "apt-get", "-y", "install", f"wm-late={other}")

    assert attempt(bench) is Outcome.NOT_ATTEMPTED
    assert_untouched(site, bench, f"drift: wm-late is {other}, planned from 1.0")


def test_another_machine_at_the_same_address_is_drift(site: Site) -> None:
    bench = site.bench()
    bench.freeze("wm-fine", machine_id="f" * 32)

    assert attempt(bench) is Outcome.NOT_ATTEMPTED
    assert_untouched(site, bench, "drift: another machine answers")


def test_another_host_key_than_the_planned_one_is_drift(site: Site) -> None:
    bench = site.bench()
    bench.freeze("wm-fine", host_key="ssh-ed25519 AAAAother")

    assert attempt(bench) is Outcome.NOT_ATTEMPTED
    assert_untouched(site, bench, "drift: another host key than the planned one answers")


def test_a_host_key_that_is_not_the_pinned_one_blocks_before_any_login(
    site: Site, lab: SimulatedLab
) -> None:
    bench = site.bench()
    bench.freeze("wm-fine")
    honest = bench.host
    bench.host = replace(honest, host_keys=(lab.host("db1").host_keys[0],))

    assert attempt(bench) is Outcome.BLOCKED
    bench.host = honest
    assert_untouched(site, bench, "key: ")


def test_a_login_that_may_not_become_root_blocks_the_host(site: Site, lab: SimulatedLab) -> None:
    bench = site.bench()
    bench.freeze("wm-fine")
    bench.connect = lambda host: connect(host, lab.login(limited=True))

    assert attempt(bench) is Outcome.BLOCKED
    assert_untouched(site, bench, "login: ")


def test_a_package_that_would_come_along_uninvited_is_drift(site: Site) -> None:
    bench = site.bench("dep1")
    bench.freeze("wm-newdep")

    assert attempt(bench) is Outcome.NOT_ATTEMPTED
    assert_untouched(site, bench, "drift: it would also install wm-extra=2.0")


def test_packages_that_are_not_whole_before_block_the_host(site: Site) -> None:
    bench = site.bench("fails2")
    bench.freeze("wm-fine")
    site.run(bench, "apt-get", "-y", "install", "wm-fails=2.0")

    assert attempt(bench) is Outcome.BLOCKED
    assert_untouched(site, bench, "not whole before the change: wm-fails (iF)")
    assert site.version(bench) == "1.0 ii"


# --- time and switches ---------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [HOUR, 30 * HOUR, -3 * HOUR])
def test_a_window_that_is_not_open_at_the_start_starts_nothing(
    site: Site, shift: timedelta
) -> None:
    bench = site.bench("db1" if shift == HOUR else "db2" if shift > HOUR else "db3")
    bench.freeze("wm-fine")
    bench.shift = shift

    assert attempt(bench) is Outcome.NOT_ATTEMPTED
    assert_untouched(site, bench, "window: ")


def test_the_stop_file_starts_nothing(site: Site) -> None:
    bench = site.bench()
    bench.freeze("wm-fine")
    (bench.folder / "stop").write_text("storm warning\n")

    assert attempt(bench) is Outcome.NOT_ATTEMPTED
    assert_untouched(site, bench, "stopped: storm warning")


# --- power ---------------------------------------------------------------------------------------


def test_a_host_that_is_off_before_the_start_is_unreachable_and_untouched(
    site: Site, lab: SimulatedLab
) -> None:
    bench = site.bench()
    bench.freeze("wm-fine")
    lab.power(bench.host.name, "off")

    assert attempt(bench) is Outcome.UNREACHABLE
    lab.power(bench.host.name, "on")
    assert_untouched(site, bench, "port: ")


class Cut(Fate):
    """Pulls the plug of a host right after its job was started."""

    def __init__(self, lab: SimulatedLab, host: str) -> None:
        super().__init__()
        self.lab, self.host = lab, host

    def pass_by(self, place: str, *, on_host: bool) -> None:  # noqa: ARG002 - one kind
        """Cut the power at the end of the start."""
        if place.startswith("after /bin/sh -c IFS= read") and not self.struck:
            self.struck = place
            self.lab.power(self.host, "cut")


def cut_after_start(bench: Bench, lab: SimulatedLab) -> None:
    fate, inner = Cut(lab, bench.host.name), bench.connect

    def mortal(host: Host) -> Transport:
        return MortalTransport(inner(host), fate)

    bench.connect = mortal


def test_a_host_that_goes_off_after_the_start_needs_a_person(site: Site, lab: SimulatedLab) -> None:
    bench = site.bench("slow1")
    bench.freeze("wm-slow")
    bench.profile = replace(bench.profile, host_deadline=timedelta(seconds=2))
    cut_after_start(bench, lab)

    assert attempt(bench) is Outcome.NEEDS_HUMAN
    assert "the transaction's end was not seen" in bench.row().reason
    assert bench.row().touched
    lab.power("slow1", "on")


def test_a_host_that_comes_back_half_installed_is_failed_by_what_is_seen_there(
    site: Site, lab: SimulatedLab
) -> None:
    bench = site.bench("slow2")
    bench.freeze("wm-slow")
    cut_after_start(bench, lab)
    hands = bench.hands()
    naps = iter([lambda: lab.power("slow2", "on")])

    def sleep(seconds: float) -> None:
        next(naps, lambda: None)()

    outcome = attempt_host(replace(hands, sleep=sleep), bench.order())

    assert outcome is Outcome.FAILED
    assert bench.packages() == {"wm-slow": PackageOutcome.FAILED}
    proof = attempts.evidence_of(bench.row())
    assert proof is not None
    assert proof.job_exit_status is None
    assert proof.boot_id_before != proof.boot_id_after


# --- reboot --------------------------------------------------------------------------------------


def test_a_needed_reboot_is_done_once_and_believed_by_the_boot_id(site: Site) -> None:
    bench = site.bench("boot1")
    bench.profile = replace(bench.profile, reboot=RebootRule.IF_NEEDED)
    bench.freeze("wm-reboot")

    assert attempt(bench) is Outcome.PATCHED
    proof = attempts.evidence_of(bench.row())
    assert proof is not None
    assert proof.boot_id_before != proof.boot_id_after
    assert proof.reboots == 1
    assert proof.reboot_reasons == ()


def test_a_profile_that_never_reboots_says_that_the_reboot_is_pending(site: Site) -> None:
    bench = site.bench("boot2")
    bench.profile = replace(bench.profile, reboot=RebootRule.NEVER)
    bench.freeze("wm-reboot")

    assert attempt(bench) is Outcome.PATCHED_REBOOT_PENDING
    proof = attempts.evidence_of(bench.row())
    assert proof is not None
    assert proof.boot_id_before == proof.boot_id_after
    assert (proof.reboots, bool(proof.reboot_reasons)) == (0, True)


# --- probes --------------------------------------------------------------------------------------


def test_a_probe_that_fails_after_the_change_makes_a_whole_installation_a_failed_host(
    site: Site,
) -> None:
    bench = site.bench()
    old = (
        "test \"$(dpkg-query -W -f '${Version}' wm-fine)\" = 1.0 || { echo no answer >&2; exit 7; }"
    )
    bench.profile = replace(
        bench.profile,
        probes=(
            Probe(name="there", argv=("sh", "-c", 'test -s "$WAVEMEND_ROOT/etc/hostname"')),
            Probe(name="shop", argv=("sh", "-c", old)),
        ),
    )
    bench.freeze("wm-fine")
    leapt = [0.0]

    def sleep(seconds: float) -> None:
        leapt[0] += seconds

    hands = replace(bench.hands(), sleep=sleep, monotonic=lambda: time.monotonic() + leapt[0])
    assert attempt_host(hands, bench.order()) is Outcome.FAILED
    assert bench.row().reason == "probe shop: exit status 7 no answer"
    assert bench.packages() == {"wm-fine": PackageOutcome.INSTALLED}
    proof = attempts.evidence_of(bench.row())
    assert proof is not None
    assert [(probe.name, probe.ok) for probe in proof.probes] == [("there", True), ("shop", False)]


# --- approval ------------------------------------------------------------------------------------


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "alice"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def answer(bench: Bench, key: Path, decision: str = "approve", reason: str = "ok so") -> str:
    """Ask, sign, and hand the answer in; return why it was refused."""
    hands = bench.hands()
    request = decide.ask(hands, bench.take_lease(), "flow").request
    signature = sign(statement(request, decision, "alice", "ok so"), key)
    given = Answer(decision=decision, identity="alice", reason=reason, signature=signature)
    return decide.take_answer(hands, request, given, bench.tenant, "olga")


def listed(bench: Bench, key: Path) -> None:
    public = key.with_suffix(".pub").read_text()
    (bench.folder / "signers").write_text(f"alice {public}")


def test_a_critical_host_changes_only_with_a_signature_that_still_counts_at_the_start(
    site: Site, key: Path
) -> None:
    bench = site.bench()
    bench.freeze("wm-fine", critical=True)
    assert attempt(bench) is Outcome.NOT_ATTEMPTED
    assert_untouched(site, bench, "approval: no valid signature over this plan")


def test_a_signature_whose_key_was_taken_off_the_list_counts_no_more(
    site: Site, lab: SimulatedLab, key: Path
) -> None:
    bench = site.bench("db1")
    bench.freeze("wm-fine", critical=True)
    listed(bench, key)
    assert answer(bench, key) == ""
    (bench.folder / "signers").write_text("# nobody any more\n")

    assert attempt(bench) is Outcome.NOT_ATTEMPTED
    assert_untouched(site, bench, "approval: alice has no key")


def test_a_rejection_after_an_approval_starts_nothing(site: Site, key: Path) -> None:
    bench = site.bench("db2")
    bench.freeze("wm-fine", critical=True)
    listed(bench, key)
    assert answer(bench, key) == ""
    assert answer(bench, key, "reject") == ""

    assert attempt(bench) is Outcome.NOT_ATTEMPTED
    assert_untouched(site, bench, "rejected by the approver")


def test_with_a_valid_signature_the_critical_host_is_patched(site: Site, key: Path) -> None:
    bench = site.bench("db3")
    bench.freeze("wm-fine", critical=True)
    listed(bench, key)
    assert answer(bench, key) == ""

    assert attempt(bench) is Outcome.PATCHED


@pytest.mark.parametrize("reason", ["\0", "a\x00b", "half \ud800", "x" * 10_000, "", "two\nlines"])
def test_an_answer_with_any_text_is_recorded_and_refused(
    site: Site, key: Path, reason: str
) -> None:
    bench = site.bench("db3")
    bench.freeze(critical=True)
    listed(bench, key)

    assert "the reason must be one line" in answer(bench, key, reason=reason)
    with bench.ledger.reading() as book:
        (row,) = approvals.decisions(book, "r-1")
    assert (row.accepted, row.identity) == (False, "alice")
