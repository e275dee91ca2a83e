"""What the real apt of this machine is asked, over a root of its own with sources of its own.

The installed packages and the sources are texts of these tests, in the form of dpkg's status and of
Debian's archives; every answer about them is apt's and dpkg's. No test's name says security: its
folder is the address of a source, and an address that says so counts.
"""

import shutil
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from tests.cases.rollouts.build import PROFILE, candidate, ranked
from tests.contract.local_root import LocalRoot
from tests.unit.apt_cases import LAB
from wavemend.execution.drift import host_drift, transaction_drift
from wavemend.hosts import Facts, PendingUpdate
from wavemend.managers.apt import APT
from wavemend.packages import Target
from wavemend.planning import plan_updates
from wavemend.plans import PlannedHost, PlannedPackage
from wavemend.policy.profiles import RebootRule, Updates

PROGRAMS = ("apt", "apt-get", "apt-cache", "apt-config", "dpkg", "dpkg-query")

pytestmark = pytest.mark.skipif(
    any(shutil.which(program) is None for program in PROGRAMS), reason="apt is not installed"
)

CONF = """\
Dir "{root}";
Dir::State::status "{root}/var/lib/dpkg/status";
Dir::Bin::methods "/usr/lib/apt/methods";
Dir::Etc::trustedparts "/nonexistent";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "root";
"""
HOST = {
    "proc/uptime": "100.0 1.0\n",
    "proc/sys/kernel/random/boot_id": "b-1\n",
    "etc/os-release": "ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n",
}
DATE = "Sat, 10 Jun 2023 08:52:20 UTC"
FIELDS = "Maintainer: Nobody <nobody@example.org>\nDescription: of the tests\n"


@dataclass(frozen=True, slots=True)
class Ground:
    """One root directory: what is installed there, and what its sources offer."""

    root: Path

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def installed(self, *packages: str, wanted: str = "install") -> None:
        """Each is `name version architecture`, and may go on with fields of its own."""
        with (self.root / "var/lib/dpkg/status").open("a") as status:
            for name, version, arch, *more in (package.split(maxsplit=3) for package in packages):
                status.write(f"Package: {name}\nStatus: {wanted} ok installed\n")
                status.write(f"Version: {version}\nArchitecture: {arch}\n")
                status.write("\n".join([*more, f"{FIELDS}\n"]))

    def offers(self, suite: str, label: str, *packages: str) -> None:
        """Write them in the same form; they cannot be fetched, only asked about."""
        stanzas = [
            "\n".join(
                (
                    f"Package: {name}\nVersion: {version}\nArchitecture: {arch}",
                    f"Filename: pool/{name}.deb\nSize: 1\nSHA256: {'0' * 64}",
                    *more,
                    FIELDS,
                )
            )
            for name, version, arch, *more in (package.split(maxsplit=3) for package in packages)
        ]
        index, place = "\n".join(stanzas), f"archive/dists/{suite}"
        row = f"{sha256(index.encode()).hexdigest()} {len(index)} main/binary-amd64/Packages"
        names = f"Label: {label}\nSuite: {suite}\nCodename: {suite}\n"
        self.write(f"{place}/main/binary-amd64/Packages", index)
        self.write(f"{place}/Release", f"{names}Date: {DATE}\nSHA256:\n {row}\n")
        with (self.root / "etc/apt/sources.list").open("a") as sources:
            sources.write(f"deb [trusted=yes] file:{self.root}/archive {suite} main\n")

    def host(self, **environment: str) -> LocalRoot:
        extra = {
            "APT_CONFIG": str(self.root / "apt.conf"),
            "DPKG_ADMINDIR": str(self.root / "var/lib/dpkg"),
            **environment,
        }
        return LocalRoot(self.root, extra=extra)

    def look(self, **environment: str) -> Facts:
        host = self.host(**environment)
        return APT.read_facts(LAB, host, datetime.now(UTC), refresh=True, deadline=120)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Return a Debian host without packages and sources."""
    made = Ground(tmp_path)
    for folder in ("var/lib/apt/lists", "var/cache/apt/archives", "etc/apt/apt.conf.d"):
        (tmp_path / folder).mkdir(parents=True)
    for name, text in HOST.items():
        made.write(name, text)
    made.write("var/lib/dpkg/status", "")
    made.write("etc/apt/sources.list", "")
    made.write("apt.conf", CONF.format(root=tmp_path))
    return made


def pending(facts: Facts) -> dict[str, PendingUpdate]:
    assert facts.index_errors == ()
    found = {update.name: update for update in facts.pending}
    assert len(found) == len(facts.pending), "an update is there twice"
    return found


@pytest.fixture
def debian(ground: Ground) -> Ground:
    ground.installed("openssl 3.0.20 amd64", "zip 3.0-13 amd64", "tzdata 2026a all")
    ground.offers("bookworm", "Debian", "openssl 3.0.20 amd64", "zip 3.0-13 amd64")
    security = ("openssl 3.0.22 amd64", "zip 3.0-13+deb12u1 amd64")
    ground.offers("bookworm-security", "Debian-Security", *security)
    return ground


PIN = "Package: openssl\nPin: version 3.0.20\nPin-Priority: 1001\n"


def test_what_a_pin_keeps_away_is_seen_whatever_language_the_host_speaks(debian: Ground) -> None:
    german = {"LC_ALL": "C.UTF-8", "LANGUAGE": "de", "PATH": "/usr/bin:/bin"}
    said = subprocess.run(
        ("apt-cache", "policy", "dpkg"), env=german, capture_output=True, check=True
    )
    if b"Installationskandidat" not in said.stdout:
        pytest.skip("this machine's apt speaks no German")
    debian.write("etc/apt/preferences", PIN)

    found = pending(debian.look(LANGUAGE="de"))

    assert found["openssl"].withheld == "the host's preferences keep it at 3.0.20"
    assert (found["openssl"].candidate, found["openssl"].security) == ("3.0.22", True)
    assert debian.look(LANGUAGE="de").pending == debian.look().pending


def test_what_a_default_release_outranks_is_pending_all_the_same(
    debian: Ground,
) -> None:
    assert pending(debian.look())["openssl"].not_taken == ""
    debian.write("etc/apt/apt.conf.d/own", 'APT::Default-Release "bookworm";\n')

    found = pending(debian.look())

    assert sorted(found) == ["openssl", "zip"]
    assert {update.security for update in found.values()} == {True}
    assert found["openssl"].not_taken == "the host's preferences keep it at 3.0.20"


def test_a_host_without_any_source_is_not_one_without_updates(ground: Ground) -> None:
    ground.installed("openssl 3.0.20 amd64")

    facts = ground.look()

    assert (facts.pending, facts.repositories) == ((), ())
    assert facts.unsearched == "the host declares no package source"


TURNED = "tool 1.0 all", "data 1.0 amd64"
TURNS = "tool 2.0 amd64", "data 2.0 all"


def test_an_update_to_another_architecture_is_one_update_and_no_drift(ground: Ground) -> None:
    ground.installed(*TURNED)
    ground.installed("kept 1.0 all", wanted="hold")
    # What needs a new package makes apt list what it would not take, too.
    ground.offers("bookworm", "Debian", *TURNS, "kept 2.0 amd64")

    facts = ground.look()
    found = pending(facts)

    assert {(u.name, u.arch, u.installed, u.not_taken) for u in found.values()} == {
        ("tool", "amd64", "1.0", ""),
        ("data", "all", "1.0", ""),
        ("kept", "amd64", "1.0", ""),
    }
    assert (found["kept"].held, found["tool"].held) == (True, False)
    assert host_drift(planned(found["tool"], found["data"]), facts, "") == ""


def planned(*updates: PendingUpdate) -> PlannedHost:
    return PlannedHost(
        name=LAB.name,
        address="192.0.2.1:22",
        critical=False,
        exposed=False,
        simulated=False,
        machine_id="",
        host_key="",
        reboot=RebootRule.NEVER,
        packages=tuple(
            PlannedPackage(
                name=update.name,
                arch=update.arch,
                installed=update.installed,
                target=update.candidate,
                origin=update.origin,
                lane="routine",
            )
            for update in updates
        ),
    )


INSTALLED = (
    "app 1.0 amd64 Depends: low (>= 1.0), base, one (>= 1.0) | two",
    "low 1.0 amd64",
    "base 1.0 all",
    "one 1.0 amd64",
    "two 1.0 amd64",
    "tool 1.0 amd64 Depends: libtool (= 1.0)",
    "libtool 1.0 amd64",
    "daemon 1.0 amd64",
    "plugin 1.0 amd64",
    "apart 1.0 amd64 Depends: low (>= 1.0)",
)
COMES = (
    "low 2.0 amd64 Depends: base (>= 1.5)",
    "base 2.0 all",
    "one 2.0 amd64",
    "two 2.0 amd64",
    "tool 2.0 amd64 Depends: libtool (= 2.0)",
    "libtool 2.0 amd64",
    "plugin 2.0 amd64",
)
SECURE = (
    "app 2.0 amd64 Depends: low (>= 2.0~), base, one (>= 1.0) | two",
    "daemon 2.0 amd64 Breaks: plugin (<< 2.0), base (<< 1.0)",
    "apart 2.0 amd64 Depends: low (>= 1.0), one (>= 1.0) | two (>= 2.0)",
)


@pytest.fixture
def woven(ground: Ground) -> Ground:
    """Return a host whose updates need each other in some ways, and in others only seem to."""
    ground.installed(*INSTALLED)
    ground.offers("bookworm", "Debian", *COMES)
    ground.offers("bookworm-security", "Debian-Security", *SECURE)
    return ground


def test_any_update_may_be_planned_without_those_that_it_does_not_need(woven: Ground) -> None:
    found = pending(woven.look())

    brings = {name: {other.name for other in update.brings} for name, update in found.items()}
    assert {name: others for name, others in brings.items() if others} == {
        "app": {"low", "base"},
        "low": {"base"},
        "tool": {"libtool"},
        "libtool": {"tool"},
        "daemon": {"plugin"},
    }
    for update in found.values():
        own = Target(name=update.name, arch=update.arch, version=update.candidate)
        targets = (own, *update.brings)
        rehearsed = APT.rehearse(woven.host(), targets, deadline=60)
        assert transaction_drift(targets, rehearsed) == ""


def test_a_plan_of_some_updates_takes_what_they_need(woven: Ground) -> None:
    facts = woven.look()
    host = candidate(LAB.name, *(ranked(update) for update in facts.pending), facts_of=facts)

    plan = plan_updates(host, replace(PROFILE, updates=Updates.SECURITY))

    assert isinstance(plan, PlannedHost), plan
    names = ["apart", "app", "base", "daemon", "low", "plugin"]
    assert sorted(package.name for package in plan.packages) == names
    rehearsed = APT.rehearse(woven.host(), plan.targets(), deadline=60)
    assert transaction_drift(plan.targets(), rehearsed) == ""
