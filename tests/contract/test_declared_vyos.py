"""A router whose software is an image is updated, restarted and taken back by its declaration.

Real SSH, real shells and jobs; the VyOS commands are played (testing/guest/vyos.sh), their output
forms are those of the public documentation and sources.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.contract.declared_bench import DeclaredBench, example, facts_of, kept, undo
from wavemend.execution.attempt import attempt_host
from wavemend.hosts import Host
from wavemend.ledger import attempts
from wavemend.managers.declared import ARCH, DeclaredManager
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.packages import Target
from wavemend.policy.profiles import RebootRule
from wavemend.testing.simulated.spec import HostSpec
from wavemend.testing.simulated_hosts import SimulatedLab
from wavemend.testing.simulated_vyos import make_vyos, remember
from wavemend.transport import Transport
from wavemend.transports.ssh import connect

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

OLD, NEW = "1.5-rolling-202312220023", "1.5-rolling-202312250024"
HOSTS = tuple(HostSpec(f"router{number}", packages=()) for number in range(6))
SPARE = iter(spec.name for spec in HOSTS)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    lab = SimulatedLab(tmp_path_factory.mktemp("lab"))
    lab.up(HOSTS)
    yield lab
    lab.down()


@dataclass(frozen=True, slots=True)
class Router:
    """One simulated router and the rollout that is to update it."""

    host: Host
    bench: DeclaredBench
    manager: DeclaredManager
    transport: Transport


@pytest.fixture
def router(lab: SimulatedLab, tmp_path: Path) -> Iterator[Router]:
    host = replace(lab.host(next(SPARE)), tenant="acme", manager="vyos")
    prefix = tmp_path / "programs"
    places = {"/usr/libexec/": f"{prefix}/usr/libexec/", "/opt/vyatta/": f"{prefix}/opt/vyatta/"}
    manager = DeclaredManager(declaration=example("vyos", tmp_path, **places))
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    bench = DeclaredBench(folder, host, lambda h: connect(h, lab.login()), manager=manager)
    bench.profile = replace(bench.profile, reboot=RebootRule.IF_NEEDED)
    transport = connect(host, lab.login())
    make_vyos(transport, OLD, prefix=str(prefix))
    remember(transport, "offered", NEW)
    yield Router(host, bench, manager, transport)
    transport.close()


def attempt(router: Router) -> Outcome:
    router.bench.freeze("vyos")
    return attempt_host(router.bench.hands(), router.bench.order())


def fresh(router: Router, lab: SimulatedLab) -> Router:
    return replace(router, transport=connect(router.host, lab.login()))


def test_the_router_tells_its_image_what_runs_and_what_is_offered(router: Router) -> None:
    facts = facts_of(router.manager, router.host, router.transport)
    assert [(p.name, p.version) for p in facts.installed] == [("vyos", OLD)]
    (update,) = facts.pending
    assert (update.installed, update.candidate, update.security) == (OLD, NEW, True)
    assert (facts.reboot_reasons, facts.broken, facts.index_errors) == ((), (), ())


def test_an_image_is_added_booted_and_proven_to_run(router: Router, lab: SimulatedLab) -> None:
    assert attempt(router) is Outcome.PATCHED
    assert router.bench.packages() == {"vyos": PackageOutcome.INSTALLED}
    proof = attempts.evidence_of(router.bench.row())
    assert proof is not None
    assert proof.boot_id_before != proof.boot_id_after
    assert proof.reboots == 1
    facts = facts_of(router.manager, router.host, fresh(router, lab).transport)
    assert (facts.pending, facts.reboot_reasons) == ((), ())


def test_going_back_boots_the_old_image(router: Router) -> None:
    router.bench.profile = replace(router.bench.profile, reboot=RebootRule.NEVER)
    assert attempt(router) is Outcome.PATCHED_REBOOT_PENDING
    assert f"vyos {OLD} runs, {NEW} is installed" in router.bench.row().reason
    old = Target(name="vyos", arch=ARCH, version=OLD)
    gone = Target(name="vyos", arch=ARCH, version="1.3.0")
    assert kept(router.manager, router.transport, old, gone) == ["yes", "no"]

    (result,) = undo(router.manager, router.host, router.transport, old)
    assert (result.outcome, result.after) == (PackageOutcome.INSTALLED, OLD)
    assert facts_of(router.manager, router.host, router.transport).reboot_reasons == ()


def test_a_full_disk_is_a_failure_with_the_routers_own_words(router: Router) -> None:
    remember(router.transport, "full", "yes")
    assert attempt(router) is Outcome.FAILED
    assert "still at 1.5-rolling-202312220023: exit status 1: failed" in router.bench.row().reason
    assert "No space left on device" in router.bench.row().reason


def test_an_image_that_does_not_come_up_is_not_called_patched(router: Router) -> None:
    # GRUB falls back to the old image: the boot id is new, the image that runs is not.
    remember(router.transport, "falls-back", NEW)
    assert attempt(router) is Outcome.PATCHED_REBOOT_PENDING
    assert f"vyos {OLD} runs, {NEW} is installed" in router.bench.row().reason


def test_an_update_that_was_withdrawn_after_the_plan_is_not_started(router: Router) -> None:
    router.bench.freeze("vyos")
    remember(router.transport, "offered", OLD)
    assert attempt_host(router.bench.hands(), router.bench.order()) is Outcome.NOT_ATTEMPTED
    assert f"vyos {NEW} is not offered any more" in router.bench.row().reason
    assert not router.bench.row().touched
