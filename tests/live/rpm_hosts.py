"""One real host with RPM for a file of live tests: looks, jobs and whole attempts on it."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.contract.attempt_bench import Bench, Fate
from tests.lab import HostSpec, Lab, probe
from wavemend.execution.hands import Hands
from wavemend.execution.jobs import JobSpec, JobState, read_job, start_job
from wavemend.hosts import Facts, Host, PendingUpdate
from wavemend.managers import Manager
from wavemend.packages import JobEnd, JobScript, Target
from wavemend.transport import Login, Transport
from wavemend.transports.ssh import connect

EDITED = {"/etc/wm-conffile.conf": "greeting = edited by the administrator\n"}
JOB_SECONDS = 60.0


class ManagedBench(Bench):
    """A rollout whose host has another package manager than the bench's own."""

    manager: Manager

    def hands(self, fate: Fate | None = None) -> Hands:
        """Return the bench's hands, with this host's manager."""
        return replace(super().hands(fate), manager=lambda _: self.manager)


@dataclass(frozen=True, slots=True)
class Ground:
    """A real host of the lab, and the manager under test."""

    lab: Lab
    name: str
    manager: Manager
    first: list[Facts] = field(default_factory=list)
    """What the host was on day zero."""

    @property
    def host(self) -> Host:
        """The host as the fleet would declare it."""
        where = self.lab.info().host(self.name)
        return Host(name=self.name, tenant="acme", address=where.address, port=where.port)

    def open(self, host: Host) -> Transport:
        """Connect by SSH, as the executor does."""
        info = self.lab.info()
        login = Login(
            name="lab",
            user=info.user,
            private_key=Path(info.key).read_text(),
            known_hosts=Path(info.known_hosts).read_text(),
        )
        return connect(host, login)

    def root(self, script: str) -> str:
        """Run a script as the host's root, past its sshd; it must end well."""
        done = self.lab.exec(self.name, "sh", "-s", stdin=f"export LC_ALL=C.UTF-8\n{script}")
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def look(self, *, refresh: bool = False) -> Facts:
        """Read the host's facts."""
        with closing(self.open(self.host)) as transport:
            now = datetime.now(UTC)
            return self.manager.read_facts(self.host, transport, now, refresh=refresh, deadline=180)

    def updates(self, facts: Facts) -> dict[str, PendingUpdate]:
        """Return the pending updates by name."""
        return {update.name: update for update in facts.pending}

    def targets(self, facts: Facts, *names: str) -> tuple[Target, ...]:
        """Return what would bring these packages to their candidates."""
        offered = self.updates(facts)
        return tuple(
            Target(name=name, arch=offered[name].arch, version=offered[name].candidate)
            for name in names
        )

    def installed(self, facts: Facts, *names: str) -> tuple[Target, ...]:
        """Return the versions that these packages have now."""
        return tuple(
            Target(name=p.name, arch=p.arch, version=p.version)
            for p in facts.installed
            if p.name in names
        )

    def forget(self) -> None:
        """Let the host forget its journal: each test is another controller with its own ledger."""
        self.root("rm -rf /var/lib/wavemend")

    def run(self, script: JobScript) -> JobEnd:
        """Run a job detached, as an attempt does, and wait for its end."""
        self.forget()
        spec = JobSpec(
            attempt_id=f"live-{time.monotonic_ns()}", nonce="n" * 32, fence=1, script=script
        )
        with closing(self.open(self.host)) as transport:
            view = start_job(transport, spec, deadline=JOB_SECONDS)
            until = time.monotonic() + JOB_SECONDS
            while view.state is not JobState.ENDED and time.monotonic() < until:
                time.sleep(0.3)
                view = read_job(transport, spec.attempt_id, spec.nonce, deadline=JOB_SECONDS)
        return JobEnd(exit_status=view.exit_status, log=view.log)

    def bench(self, folder: Path) -> ManagedBench:
        """Return a rollout of this host."""
        self.forget()
        bench = ManagedBench(folder, self.host, self.open)
        bench.manager = self.manager
        return bench

    def versions(self, names: Sequence[str]) -> dict[str, str]:
        """Return what RPM itself says is installed."""
        ask = " ".join(names)
        lines = self.root(f"rpm -q --qf '%{{NAME}} %{{VERSION}}-%{{RELEASE}}\\n' {ask}").split("\n")
        return dict(line.split(" ", 1) for line in lines if line)


@contextmanager
def ground(state: Path, spec: HostSpec, manager: Manager) -> Iterator[Ground]:
    """Bring one host up; where none can run, skip with the machine's reason or fail with it."""
    found = probe()
    if found.mode is None and os.environ.get("WAVEMEND_LAB") == "required":
        pytest.fail(found.reason)
    if found.mode is None:
        pytest.skip(found.reason)
    lab = Lab(state)
    try:
        lab.up([spec])
        here = Ground(lab, spec.name, manager)
        here.first.append(here.look(refresh=True))
        yield here
    finally:
        lab.down()


CUT = """
rm -f /run/wm-slow.started
echo 30 >/etc/wm-slow.seconds
({command} </dev/null >/dev/null 2>&1 &)
until [ -e /run/wm-slow.started ]; do sleep 0.1; done
pkill -9 -x rpm || :
pkill -9 -x {name} || :
sleep 0.2
pkill -9 -f rpm-tmp || :
sleep 0.5
echo 0 >/etc/wm-slow.seconds
"""
"""Kill a transaction in the middle: wm-slow is in, and its old version is not away yet. zypper has
rpm work for it, and whoever installs goes before the package's script, or they would go on."""

BUSY = """
rm -f /run/wm-slow.started
echo 25 >/etc/wm-slow.seconds
({command} </dev/null >/dev/null 2>&1 &)
until [ -e /run/wm-slow.started ]; do sleep 0.1; done
"""
"""Somebody else's transaction, which takes 25 seconds more: longer than a look waits for it."""
