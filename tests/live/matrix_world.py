"""What the matrix plays on: a lab of real hosts, and rollouts of one of them at a time."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from threading import Thread

from tests.cases.rollouts.build import PROFILE
from tests.contract.attempt_bench import Bench, Fate
from tests.lab import HostSpec, Lab
from wavemend.execution.attempt import attempt_host
from wavemend.execution.hands import Hands
from wavemend.execution.looks import look
from wavemend.hosts import Host
from wavemend.managers import MANAGERS
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.policy.care import RebootManners
from wavemend.policy.profiles import RebootRule
from wavemend.readiness import judge_look
from wavemend.transport import Login, Transport
from wavemend.transports.ssh import connect

EDITED = {"/etc/wm-conffile.conf": "greeting = edited by the administrator\n"}
PACKAGES = ("wm-fine", "wm-slow", "wm-fails", "wm-conffile", "wm-reboot", "wm-clash", "wm-late")

HOSTS = (
    HostSpec("deb1", packages=PACKAGES, files=EDITED),
    HostSpec("deb2", packages=PACKAGES, files=EDITED),
    HostSpec("dnf1", family="dnf", packages=(*PACKAGES, "kernel"), files=EDITED),
    HostSpec("zyp1", family="zypper", packages=PACKAGES, files=EDITED),
    HostSpec("pac1", family="pacman", packages=PACKAGES, files=EDITED),
    # Enough for most updates, and not for the 64 MiB of wm-big on top of what must stay free.
    HostSpec(
        "small1",
        packages=("wm-fine", "wm-big"),
        disk="size=150m",
        mounts={"/tmp": "noexec"},
    ),
)

_TIMES = {0: "never begun", 1: "begun once"}


@dataclass
class LabBench(Bench):
    """One rollout of one lab host, driven by the host's own package manager."""

    def hands(self, fate: Fate | None = None) -> Hands:
        """Return the executor's means: real ones."""
        manager = MANAGERS[self.host.manager](self.host.options)
        return replace(super().hands(fate), manager=lambda _: manager)

    def look(self, *, refresh: bool = False) -> Look:
        """Look at the host as preflight does."""
        return look(self.hands(), self.host, refresh=refresh)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an attempt ended: by the ledger, and by the host's own journal."""

    outcome: Outcome
    reason: str
    begins: int

    @property
    def times(self) -> str:
        """Say how often the change was begun on the host."""
        return _TIMES.get(self.begins, f"begun {self.begins} times")

    @property
    def short(self) -> str:
        """Say it with the reason's first words only."""
        return f"{self.outcome} {self.times}, {self.reason.partition(':')[0]}"

    def __str__(self) -> str:
        return f"{self.outcome} {self.times}{': ' if self.reason else ''}{self.reason}"


@dataclass
class World:
    """The lab and what plays ask of it."""

    lab: Lab
    folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    # --- hosts -----------------------------------------------------------------------------------

    def host(self, name: str) -> Host:
        """Return a lab host as a fleet declares it."""
        where = self.lab.info().host(name)
        return Host(
            name=name,
            tenant="acme",
            address=where.address,
            port=where.port,
            manager=where.family,
        )

    def login(self, user: str = "") -> Login:
        """Return the login of all lab hosts, or that of an account without rights."""
        info = self.lab.info()
        return Login(
            name="lab",
            user=user or info.user,
            private_key=Path(info.key).read_text(),
            known_hosts=Path(info.known_hosts).read_text(),
        )

    def connect(self, host: Host) -> Transport:
        """Open a connection as the product does."""
        return connect(host, self.login())

    @contextlib.contextmanager
    def on(self, name: str) -> Iterator[Transport]:
        """Yield a connection to a host."""
        with contextlib.closing(self.connect(self.host(name))) as transport:
            yield transport

    def root(self, name: str, script: str) -> str:
        """Run sh as a host's root, past its sshd; it must succeed."""
        done = self.lab.exec(name, "sh", "-s", stdin=f"export LC_ALL=C.UTF-8\n{script}")
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def wait(self, name: str, path: str) -> None:
        """Wait until a file is on the host."""
        self.until(lambda: self.lab.exec(name, "test", "-e", path).returncode == 0, path)

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait for something that comes by itself."""
        ends = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < ends, f"waited {seconds:.0f} s in vain for {what}"
            time.sleep(0.1)

    # --- rollouts --------------------------------------------------------------------------------

    def bench(
        self,
        name: str,
        *,
        refresh: bool = True,
        connect: Callable[[Host], Transport] | None = None,
        reboot: RebootRule = RebootRule.NEVER,
        manners: RebootManners | None = None,
    ) -> LabBench:
        """Return a rollout of a host that is as on day zero, with a package index of now."""
        self.lab.reset(name)
        made = self.second(name, connect=connect, reboot=reboot, manners=manners)
        if refresh:
            seen = made.look(refresh=True)
            assert seen.facts is not None, seen.detail
            assert seen.facts.index_errors == ()
        return made

    def second(
        self,
        name: str,
        *,
        connect: Callable[[Host], Transport] | None = None,
        reboot: RebootRule = RebootRule.NEVER,
        manners: RebootManners | None = None,
    ) -> LabBench:
        """Return a rollout of a host as it is."""
        folder = self.folder / f"{name}-{next(self._numbers)}"
        folder.mkdir()
        profile = replace(
            PROFILE,
            reboot=reboot,
            reboots=manners or RebootManners(),
            host_deadline=timedelta(minutes=2),
        )
        return LabBench(
            folder=folder,
            host=self.host(name),
            connect=connect or self.connect,
            profile=profile,
        )

    def attempt(self, bench: Bench) -> Ended:
        """Carry the rollout out, and ask ledger and host what became of it."""
        outcome = attempt_host(bench.hands(), bench.order())
        row = bench.row()
        assert row.outcome == outcome
        return Ended(outcome=outcome, reason=row.reason, begins=self.begins(bench.host.name))

    @contextlib.contextmanager
    def attempting(self, bench: Bench) -> Iterator[list[Ended]]:
        """Carry the rollout out in another thread; the list holds its end after the block."""
        ends: list[Ended] = []
        thread = Thread(target=lambda: ends.append(self.attempt(bench)))
        thread.start()
        try:
            yield ends
        finally:
            thread.join(180)
        assert ends, "the attempt raised an error, or is still running"

    # --- what the hosts bear witness to ----------------------------------------------------------

    def begins(self, name: str) -> int:
        """Count the changes that the host's own journal knows of."""
        script = "cat /var/lib/wavemend/journal 2>/dev/null || :"
        lines = self.root(name, script).splitlines()
        return sum(line.startswith("begin ") for line in lines)

    def installs(self, name: str, package: str, version: str = "2.0") -> int:
        """Count how often a lab package's own script ran to its end."""
        lines = self.root(name, "cat /var/log/wm-installs.log").splitlines()
        return sum(line.split()[:2] == [package, version] for line in lines)

    def boot_id(self, name: str) -> str:
        """Return the boot the host is in."""
        return self.root(name, "cat /proc/sys/kernel/random/boot_id").strip()

    def ready(self, bench: LabBench, *, refresh: bool = False) -> str:
        """Return what preflight says of a host."""
        readiness = judge_look(bench.look(refresh=refresh))
        return "ready" if readiness.ready else f"not ready: {readiness.blocking[0]}"
