"""Applications in a Python environment are pinned, updated, proven and taken back by declaration.

A real virtual environment and a real pip, over real SSH; wheels come from a folder.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pip
import pytest

from tests.contract.declared_bench import DeclaredBench, example, facts_of, kept, undo
from wavemend.execution.attempt import attempt_host
from wavemend.hosts import Facts, Host
from wavemend.managers.declared import ARCH, DeclaredManager
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.packages import Target
from wavemend.testing.simulated.spec import HostSpec
from wavemend.testing.simulated_hosts import SimulatedLab
from wavemend.transport import Transport
from wavemend.transports.ssh import connect

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

HOSTS = tuple(HostSpec(f"app{number}", packages=()) for number in range(9))
SPARE = iter(spec.name for spec in HOSTS)


def wheel(folder: Path, name: str, version: str, *needs: str) -> None:
    """Write a wheel that holds one module with its version."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {need}\n" for need in needs)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    lab = SimulatedLab(tmp_path_factory.mktemp("lab"))
    lab.up(HOSTS)
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def day_zero(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one environment with shop 1.0 and till 1.0; tests get copies of it."""
    folder = tmp_path_factory.mktemp("app")
    wheels = folder / "wheels"
    wheels.mkdir()
    wheel(wheels, "shop", "1.0")
    wheel(wheels, "till", "1.0")
    # With the pip of this environment: Debian's Python has none to put into a new one.
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True
    )
    (packages,) = (folder / "venv/lib").glob("python*/site-packages")
    shutil.copytree(Path(pip.__file__).parent, packages / "pip")
    install = [*(str(folder / "venv/bin/python"), "-m", "pip", "install", "-q", "--no-index")]
    install += ["--find-links", str(wheels), "shop==1.0", "till==1.0"]
    subprocess.run(install, check=True)
    return folder


@dataclass(frozen=True, slots=True)
class App:
    """One environment on one host, and the rollout that is to update it."""

    folder: Path
    host: Host
    bench: DeclaredBench
    manager: DeclaredManager
    transport: Transport

    def publish(self, name: str, version: str, *needs: str) -> None:
        wheel(self.folder / "wheels", name, version, *needs)

    def facts(self) -> Facts:
        return facts_of(self.manager, self.host, self.transport)

    def imported(self, name: str) -> str:
        """Return the version that the environment's Python really imports."""
        code = f"import {name}; print({name}.VERSION)"
        python = str(self.folder / "venv/bin/python")
        return subprocess.run(
            [python, "-c", code], check=True, text=True, capture_output=True
        ).stdout.strip()

    def pip(self, *arguments: str) -> None:
        """Change the environment behind wavemend's back."""
        python = self.folder / "venv/bin/python"
        clean = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        subprocess.run([python, "-m", "pip", *arguments], check=True, env=clean)

    def attempt(self, *packages: str) -> Outcome:
        self.bench.freeze(*packages)
        return attempt_host(self.bench.hands(), self.bench.order())


@pytest.fixture
def app(lab: SimulatedLab, day_zero: Path, tmp_path: Path) -> Iterator[App]:
    host = replace(lab.host(next(SPARE)), tenant="acme", manager="venv")
    folder = tmp_path / "srv"
    shutil.copytree(day_zero, folder, symlinks=True)
    found = f"[global]\nno-index = true\nfind-links = {folder / 'wheels'}\n"
    (folder / "venv/pip.conf").write_text(found)
    places = {"/srv/shop/": f"{folder}/", "account: shop": "account: root"}
    manager = DeclaredManager(declaration=example("venv", tmp_path, **places))
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    bench = DeclaredBench(home, host, lambda h: connect(h, lab.login()), manager=manager)
    transport = connect(host, lab.login())
    yield App(folder, host, bench, manager, transport)
    transport.close()


def test_the_packages_of_an_environment_and_their_updates_are_found(app: App) -> None:
    app.publish("shop", "1.1")
    facts = app.facts()
    versions = {package.name: package.version for package in facts.installed}
    assert (versions["shop"], versions["till"]) == ("1.0", "1.0")
    assert [(u.name, u.installed, u.candidate) for u in facts.pending] == [("shop", "1.0", "1.1")]
    assert (facts.broken, facts.index_errors) == ((), ())


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "no-index = true\nfind-links = /nowhere/wheels\n",
            "Location '/nowhere/wheels' is ignored",
        ),
        (
            "index-url = http://127.0.0.1:9/simple\n",
            "Could not fetch URL http://127.0.0.1:9/simple",
        ),
        ("no-index = true\n", "pip found no package at all"),
    ],
)
def test_an_index_that_cannot_be_had_is_said_and_is_no_list_without_updates(
    app: App, source: str, words: str
) -> None:
    app.publish("shop", "1.1")
    (app.folder / "venv/pip.conf").write_text(f"[global]\n{source}")
    facts = app.facts()
    assert facts.pending == ()
    assert words in facts.index_errors[0]


def test_several_packages_are_updated_at_once_and_taken_back(app: App) -> None:
    app.publish("shop", "1.1")
    app.publish("till", "2.0")
    assert app.attempt("shop", "till") is Outcome.PATCHED
    assert app.bench.packages() == {
        "shop": PackageOutcome.INSTALLED,
        "till": PackageOutcome.INSTALLED,
    }
    assert (app.imported("shop"), app.imported("till")) == ("1.1", "2.0")

    old = [Target(name=name, arch=ARCH, version="1.0") for name in ("shop", "till")]
    gone = Target(name="till", arch=ARCH, version="0.9")
    assert kept(app.manager, app.transport, *old, gone) == ["yes", "yes", "no"]
    results = undo(app.manager, app.host, app.transport, *old)
    assert [(r.before, r.after, r.outcome) for r in results] == [
        ("1.1", "1.0", PackageOutcome.INSTALLED),
        ("2.0", "1.0", PackageOutcome.INSTALLED),
    ]
    assert (app.imported("shop"), app.imported("till")) == ("1.0", "1.0")


def test_a_dependency_that_nobody_approved_is_not_brought_in(app: App) -> None:
    app.publish("shop", "1.1", "till>=2.0")
    app.publish("till", "2.0")
    assert app.attempt("shop") is Outcome.NOT_ATTEMPTED
    assert "it would also install till=2.0" in app.bench.row().reason
    assert app.imported("shop") == "1.0"


def test_a_version_that_is_gone_since_the_plan_is_refused_in_pips_words(app: App) -> None:
    app.publish("shop", "1.1")
    app.bench.freeze("shop")
    (app.folder / "wheels/shop-1.1-py3-none-any.whl").unlink()
    outcome = attempt_host(app.bench.hands(), app.bench.order())
    assert outcome is Outcome.NOT_ATTEMPTED
    assert "No matching distribution found for shop==1.1" in app.bench.row().reason


def test_packages_that_no_longer_fit_each_other_are_a_failed_host(app: App) -> None:
    app.publish("shop", "1.1", "till<2")
    app.publish("till", "2.0")
    app.pip("install", "-q", "shop==1.1")
    assert app.attempt("till") is Outcome.FAILED
    assert "shop 1.1 has requirement till<2, but you have till 2.0" in app.bench.row().reason


def test_an_environment_that_is_not_whole_is_left_alone(app: App) -> None:
    app.publish("till", "2.0")
    app.publish("shop", "1.1", "till>=3")
    app.pip("install", "-q", "--no-deps", "shop==1.1")
    outcome = app.attempt("till")
    assert not outcome.is_good
    assert "shop 1.1 has requirement till>=3" in app.bench.row().reason
    assert not app.bench.row().touched
