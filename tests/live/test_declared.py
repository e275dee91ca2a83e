"""Declared managers change real hosts: a service under a real systemd, a router that restarts.

The service is real; the router's commands are played (testing/guest/vyos.sh), on a real host with
a real SSH server and a real restart.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.contract.declared_bench import DeclaredBench, declared, example, facts_of, kept, undo
from tests.lab import HostSpec, Lab, probe
from wavemend.execution.attempt import attempt_host
from wavemend.hosts import Host
from wavemend.ledger import attempts
from wavemend.managers.declared import ARCH, DeclaredManager
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.packages import Target
from wavemend.policy.profiles import RebootRule
from wavemend.testing.simulated_vyos import make_vyos, remember
from wavemend.transport import Login, Transport
from wavemend.transports.ssh import connect

pytestmark = pytest.mark.live

OLD, NEW = "1.5-rolling-202312220023", "1.5-rolling-202312250024"
HOSTS = tuple(HostSpec(name, packages=()) for name in ("shop1", "shop2", "shop3", "router1"))

SERVE = """#!/bin/sh
# The shop: says that it is up, and which version it is, until it is stopped.
folder=$(readlink -f "${0%/bin/serve}")
[ ! -e "$folder/broken" ] || exit 1
echo "${folder##*/}" >/run/shop.version
echo $$ >/run/shop.pid
exec sleep infinity
"""
STATUS = """#!/bin/sh
left=1
[ "${1-}" != --wait ] || left=$2
while [ "$left" -gt 0 ]; do
  if read -r pid </run/shop.pid && [ -d "/proc/$pid" ] && read -r version </run/shop.version &&
    [ "$version" = "$(readlink /srv/shop/current | sed s,releases/,,)" ]; then
    echo "{\\"version\\": \\"$version\\", \\"status\\": \\"ok\\"}"
    exit 0
  fi 2>/dev/null
  left=$((left - 1))
  sleep 1
done
echo "the shop does not answer" >&2
exit 3
"""
UNIT = """[Unit]
Description=The shop
[Service]
ExecStart=/srv/shop/current/bin/serve
"""
RELEASE = """
set -e
folder=/srv/shop/releases/$1
mkdir -p "$folder/bin"
printf %s "$2" >"$folder/bin/serve"
printf %s "$3" >"$folder/bin/status"
chmod 755 "$folder/bin/serve" "$folder/bin/status"
"""
BEGIN = """
set -e
ln -sfn releases/1.4.2 /srv/shop/current
printf %s "$1" >/etc/systemd/system/shop.service
systemctl daemon-reload
systemctl start shop
"""


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


@dataclass(frozen=True, slots=True)
class Site:
    """One host, its declared manager, and the rollout that is to update it."""

    host: Host
    login: Login
    bench: DeclaredBench
    manager: DeclaredManager

    def connect(self) -> Transport:
        return connect(self.host, self.login)

    def run(self, script: str, *words: str) -> str:
        transport = self.connect()
        try:
            done = transport.run_as_root(("/bin/sh", "-c", script, "sh", *words), deadline=60)
        finally:
            transport.close()
        assert done.exit_status == 0, done.stderr
        return done.stdout.decode().strip()

    def attempt(self, item: str) -> Outcome:
        self.bench.freeze(item)
        outcome = attempt_host(self.bench.hands(), self.bench.order())
        assert self.bench.row().outcome == outcome
        return outcome


def site(lab: Lab, folder: Path, name: str, manager: str) -> Site:
    info = lab.info()
    where = info.host(name)
    host = Host(
        name=name,
        tenant="acme",
        address=where.address,
        port=where.port,
        host_keys=(where.host_key,),
        manager=manager,
    )
    login = Login(name="default", user=info.user, private_key=Path(info.key).read_text())
    home = folder / "home"
    home.mkdir(mode=0o700)
    driven = DeclaredManager(declaration=example(manager, folder))
    bench = DeclaredBench(home, host, lambda h: connect(h, login), manager=driven)
    return Site(host, login, bench, driven)


def shop(lab: Lab, folder: Path, name: str) -> Site:
    """Make a host on which version 1.4.2 of the shop runs, and 1.5.0 is unpacked."""
    if "systemd" not in lab.info().profile:
        pytest.skip("the lab's hosts have no systemd here")
    made = site(lab, folder, name, "service")
    for version in ("1.4.2", "1.5.0"):
        made.run(RELEASE, version, SERVE, STATUS)
    made.run(BEGIN, UNIT)
    made.run("/srv/shop/current/bin/status --wait 10")
    return made


def test_a_service_is_switched_to_the_approved_version_and_back(lab: Lab, tmp_path: Path) -> None:
    made = shop(lab, tmp_path, "shop1")
    assert made.attempt("shop") is Outcome.PATCHED
    assert made.run("cat /run/shop.version; systemctl is-active shop") == "1.5.0\nactive"
    proof = attempts.evidence_of(made.bench.row())
    assert proof is not None
    assert "wavemend: step 5 ended with 0" in proof.log_tail

    transport = made.connect()
    old = Target(name="shop", arch=ARCH, version="1.4.2")
    assert kept(made.manager, transport, old) == ["yes"]
    (result,) = undo(made.manager, made.host, transport, old)
    transport.close()
    assert (result.outcome, result.after) == (PackageOutcome.INSTALLED, "1.4.2")
    assert made.run("cat /run/shop.version; systemctl is-active shop") == "1.4.2\nactive"


def test_a_version_that_does_not_come_up_has_failed_and_the_old_one_comes_back(
    lab: Lab, tmp_path: Path
) -> None:
    made = shop(lab, tmp_path, "shop2")
    made.run("touch /srv/shop/releases/1.5.0/broken")
    text = (tmp_path / "service.yaml").read_text().replace('--wait, "20"', '--wait, "3"')
    (tmp_path / "quick").mkdir()
    quick = DeclaredManager(declaration=declared(text, tmp_path / "quick", "service"))
    made.bench.manager = quick
    made = replace(made, manager=quick)
    assert made.attempt("shop") is Outcome.FAILED
    assert "the shop does not answer" in made.bench.row().reason

    transport = made.connect()
    old = Target(name="shop", arch=ARCH, version="1.4.2")
    (result,) = undo(made.manager, made.host, transport, old)
    facts = facts_of(made.manager, made.host, transport)
    transport.close()
    assert (result.outcome, result.after) == (PackageOutcome.INSTALLED, "1.4.2")
    assert facts.broken == ()


def test_a_service_that_is_down_before_the_change_is_left_alone(lab: Lab, tmp_path: Path) -> None:
    made = shop(lab, tmp_path, "shop3")
    made.run("systemctl stop shop")
    outcome = made.attempt("shop")
    assert not outcome.is_good
    assert "the shop does not answer" in made.bench.row().reason
    assert not made.bench.row().touched


def test_a_router_boots_its_new_image(lab: Lab, tmp_path: Path) -> None:
    made = site(lab, tmp_path, "router1", "vyos")
    made.bench.profile = replace(made.bench.profile, reboot=RebootRule.IF_NEEDED)
    transport = made.connect()
    make_vyos(transport, OLD)
    remember(transport, "offered", NEW)
    transport.close()

    assert made.attempt("vyos") is Outcome.PATCHED
    proof = attempts.evidence_of(made.bench.row())
    assert proof is not None
    assert proof.boot_id_before != proof.boot_id_after
    shown = made.run("/opt/vyatta/bin/vyatta-op-cmd-wrapper show system image")
    assert [line.split() for line in shown.splitlines()[2:]] == [[OLD], [NEW, "Yes", "Yes"]]

    transport = made.connect()
    (result,) = undo(
        made.manager, made.host, transport, Target(name="vyos", arch=ARCH, version=OLD)
    )
    facts = facts_of(made.manager, made.host, transport)
    transport.close()
    assert (result.outcome, result.after) == (PackageOutcome.INSTALLED, OLD)
    assert facts.reboot_reasons == (f"vyos {NEW} runs, {OLD} is installed",)
