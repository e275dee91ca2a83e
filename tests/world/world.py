"""The whole product on one machine: hosts, a home of its own, Prefect's server and worker."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.world import processes
from tests.world.fleet import APPROVER, HOSTS, WorldHost, fleet_text
from tests.world.hosts import Hosts, bring_up
from tests.world.standing import Standing, standing
from wavemend.approvals import sign, statement
from wavemend.cli.here import PrefectApi
from wavemend.cli.resume import flow_run_state
from wavemend.ledger.approvals import OpenRequest
from wavemend.site import Site
from wavemend.testing.keys import free_port

ROOT = Path(__file__).resolve().parents[2]
FEEDS = ROOT / "examples" / "feeds"
ROLLOUT_SECONDS = 180.0
"""A rollout of two hosts takes half a minute on two idle cores."""
PLACE_TAKEN = "Deployment concurrency limit reached."
"""What Prefect says of a run that it cancels because another one of its deployment is at work."""

ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class WorldFailed(AssertionError):
    """The world did not come to where a test waited for it; the message holds the logs."""


class World:
    """Everything that `wavemend up` starts, and the hosts it works on."""

    def __init__(
        self, home: Path, say: Callable[[str], None], declared: Sequence[WorldHost] = HOSTS
    ) -> None:
        self.home = home
        self.port = free_port()
        self.hosts: Hosts = bring_up(home / "lab", declared, say)
        self._made_at = datetime.now(UTC)  # its windows stay the same however often it is applied
        self._begun: dict[tuple[str, str], str] = {}

    def prepare(self) -> None:
        """Write keys, fleet and feeds, and start server and worker."""
        for name in ("alice", "mallory"):
            self._keygen(self.key(name))
        public = self.key("alice").with_suffix(".pub").read_text().split()
        line = f'{APPROVER} namespaces="patch-approval" {public[0]} {public[1]}\n'
        (self.home / "signers").write_text(line)
        shutil.copytree(FEEDS, self.feeds)
        self.apply_fleet()
        cache = str(self.home / "feeds")
        self.wavemend("feeds", "refresh", "--from", str(self.feeds), "--cache", cache)
        self.up()
        self._switch_off_schedules()
        self.ledger = Site(home=self.home).open_ledger()

    def close(self) -> None:
        """End everything that was started, whatever state it is in."""
        try:
            self.wavemend("down", check=False)
            for pid in processes.of_home(self.home):  # flows whose worker was killed
                processes.kill_9(pid)
        finally:
            self.hosts.down()

    @property
    def feeds(self) -> Path:
        """The folder the feeds come from: a copy, so that a test can play upstream."""
        return self.home / "feed-documents"

    # --- the operator's part ---

    def apply_fleet(self, *, with_closed: bool = True) -> None:
        """Apply the world's fleet file."""
        fleet = self.home / "fleet.yaml"
        fleet.write_text(self.fleet(self._made_at, with_closed=with_closed))
        self.wavemend("fleet", "apply", str(fleet), "--yes")

    def fleet(self, opened: datetime, *, with_closed: bool) -> str:
        """Return the fleet file; a world with other hosts has another one."""
        return fleet_text(self.hosts.lab(), self.home, self.feeds, opened, with_closed=with_closed)

    def up(self) -> str:
        """Start what does not run, take up what was left; return what was said."""
        return self.wavemend("up", "--port", str(self.port), "--no-schedules").stdout

    def begin(self, tenant: str, profile: str = "server") -> str:
        """Start a company's rollout once; return the id of its flow run."""
        key = (tenant, profile)
        if key not in self._begun:
            self._begun[key] = self.start(tenant, profile)
        return self._begun[key]

    def start(self, tenant: str, profile: str = "server") -> str:
        """Start a company's rollout; return the id of its flow run."""
        said = self.wavemend("rollout", "start", tenant, "--profile", profile).stdout
        return said.split()[-1]

    def wavemend(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command as an operator does."""
        done = subprocess.run(
            [sys.executable, "-m", "wavemend", *words],
            cwd=ROOT,
            env=self._environment(),
            text=True,
            capture_output=True,
            check=False,
            timeout=300,
        )
        if check and done.returncode != 0:
            raise WorldFailed(
                f"wavemend {' '.join(words)}: exit status {done.returncode}\n"
                f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
            )
        return done

    # --- watching ---

    @property
    def api(self) -> PrefectApi:
        """Prefect's bare API, as anybody who reaches it may use it."""
        return PrefectApi(f"http://127.0.0.1:{self.port}/api")

    def standing(self, tenant: str, profile: str = "server") -> Standing:
        """Return how far a company's rollout is."""
        return standing(self.ledger, tenant, profile)

    def wait(
        self,
        tenant: str,
        condition: Callable[[Standing], bool],
        what: str,
        *,
        profile: str = "server",
        seconds: float = ROLLOUT_SECONDS,
        dead: str = "",
    ) -> Standing:
        """Wait for a state of the ledger. Raises WorldFailed when its run died, or time is up.

        `dead`: a run whose death is part of the story; another one takes its place.
        """
        until = time.monotonic() + seconds
        while not condition(now := self.standing(tenant, profile)):
            run = now.flow_run or self._begun.get((tenant, profile), "")
            state = flow_run_state(self.api, run)
            if run != dead and state in ENDED and not condition(self.standing(tenant, profile)):
                raise WorldFailed(f"{tenant}: the run ended {state}, not {what}\n{self.story(run)}")
            if time.monotonic() > until:
                seen = f"run {state}, outcomes {now.outcomes}, refusals {now.refusals}"
                vain = f"{tenant}: waited {seconds:.0f} s in vain for {what}; {seen}"
                raise WorldFailed(f"{vain}\n{self.story(run)}")
            time.sleep(0.3)
        return now

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
        """Wait for anything else. Raises WorldFailed when time is up."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise WorldFailed(f"waited {seconds:.0f} s in vain for {what}\n{self.tails()}")
            time.sleep(0.2)

    def wait_finished(self, tenant: str, profile: str = "server", *, dead: str = "") -> Standing:
        """Wait for the end of a company's rollout."""
        return self.wait(
            tenant, lambda s: s.finished, "the end of the rollout", profile=profile, dead=dead
        )

    def wait_asking(self, tenant: str, *, refusals: int = 0) -> Standing:
        """Wait until the run is suspended before its critical host, after so many refusals."""
        asking = self.wait(
            tenant,
            lambda s: s.request is not None and len(s.refusals) >= refusals,
            f"the asking for approval after {refusals} refusals",
        )
        self.wait_until(lambda: self.state(asking.flow_run) == "PAUSED", "the suspended run")
        return self.standing(tenant)

    def run_deployment(self, name: str, **parameters: str) -> dict[str, Any]:
        """Start a run of a deployment, wait for its end, and return it as Prefect has it.

        While another run of the deployment is at work, it is asked for again.
        """
        deployment = self.api.get(f"/deployments/name/{name}")
        body = {"parameters": {**deployment["parameters"], **parameters}}
        until = time.monotonic() + ROLLOUT_SECONDS
        while True:
            run = self.api.post(f"/deployments/{deployment['id']}/create_flow_run", body)["id"]
            self.wait_ended(run)
            ended = self.flow_run(run)
            if ended["state"]["message"] != PLACE_TAKEN or time.monotonic() > until:
                return ended
            time.sleep(1)

    def wait_ended(self, run: str) -> None:
        """Wait until Prefect has a final state for a run."""
        self.wait_until(lambda: self.state(run) in ENDED, f"the end of the run {run}")

    def state(self, run: str) -> str:
        """Return Prefect's word for a run's state."""
        return flow_run_state(self.api, run)

    def flow_run(self, run: str) -> dict[str, Any]:
        """Return a flow run as Prefect has it."""
        found: dict[str, Any] = self.api.get(f"/flow_runs/{run}")
        return found

    def logs(self, run: str) -> str:
        """Return what a run logged, as Prefect keeps it."""
        if not run:
            return ""
        body = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC", "limit": 200}
        lines = self.api.post("/logs/filter", body)
        return "\n".join(f"{line['timestamp'][11:19]} {line['message']}" for line in lines)

    def story(self, run: str) -> str:
        """Return everything that helps to see why a run is not where it should be."""
        return f"--- the run's log\n{self.logs(run)[-6000:]}\n{self.tails()}"

    def tails(self) -> str:
        """Return the ends of the server's and the worker's logs."""
        files = [self.home / "run" / f"{name}.log" for name in ("server", "worker")]
        return "\n".join(
            f"--- {file.name}\n{file.read_text(errors='replace')[-1500:]}"
            for file in files
            if file.is_file()
        )

    # --- the host's own truth ---

    def installs(self, host: str) -> list[str]:
        """Return the package installs the host logged itself: `wm-fine 2.0`, oldest first."""
        lines = self.hosts.read(host, "/var/log/wm-installs.log").splitlines()
        return [" ".join(line.split()[:2]) for line in lines]

    def journal(self, host: str) -> list[str]:
        """Return the host-side journal of attempts."""
        return self.hosts.read(host, "/var/lib/wavemend/journal").splitlines()

    def packages(self, host: str) -> dict[str, str]:
        """Return every package of a host with its version, from its own dpkg."""
        form = "${Package} ${Version}\n"
        lines = self.hosts.run(host, "dpkg-query", "-W", f"-f={form}").splitlines()
        return dict(line.split() for line in lines)

    def boot_id(self, host: str) -> str:
        """Return the host's boot id."""
        return self.hosts.read(host, "/proc/sys/kernel/random/boot_id").strip()

    # --- approvals ---

    def key(self, name: str) -> Path:
        """Return the private key of alice, who may approve, or of mallory, who may not."""
        return self.home / f"{name}_ed25519"

    def signed(self, asked: OpenRequest, *, key: str = "alice") -> dict[str, str]:
        """Return the form as filled in and signed by somebody who calls themselves Alice."""
        reason = "the pilot went well"
        text = statement(asked.request, "approve", APPROVER, reason)
        return {
            "decision": "approve",
            "approver": APPROVER,
            "reason": reason,
            "signature": sign(text, self.key(key)),
        }

    def resume(self, run: str, answer: dict[str, str] | None) -> dict[str, Any]:
        """Resume a run by Prefect's bare API, with whatever as its input."""
        body = {} if answer is None else {"run_input": answer}
        said: dict[str, Any] = self.api.post(f"/flow_runs/{run}/resume", body)
        return said

    def force(self, run: str, state: str) -> None:
        """Set a run's state by Prefect's bare API, past every rule."""
        body = {"state": {"type": state}, "force": True}
        self.api.post(f"/flow_runs/{run}/set_state", body)

    # --- processes ---

    def worker_pid(self) -> int:
        """Return the worker that `wavemend up` started."""
        return int((self.home / "run" / "worker.pid").read_text().split()[0])

    def server_pid(self) -> int:
        """Return the server that `wavemend up` started."""
        return int((self.home / "run" / "server.pid").read_text().split()[0])

    def _switch_off_schedules(self) -> None:
        """Switch off those that `--no-schedules` leaves: no test hangs on the minute it runs at."""
        for each in self.api.post("/deployments/filter", {}):
            if not each["paused"]:
                self.api.post(f"/deployments/{each['id']}/pause_deployment", {})

    def _environment(self) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("PREFECT")}
        path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        return {
            **kept,
            "WAVEMEND_HOME": str(self.home),
            "WAVEMEND_CHECKOUT": str(ROOT),
            "PYTHONPATH": path,
        }

    def _keygen(self, key: Path) -> None:
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key.name, "-f", str(key)]
        subprocess.run(argv, check=True, capture_output=True)
