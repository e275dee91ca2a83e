"""An installation with Prefect's server and no worker: what is deployed is seen through its API."""

import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from wavemend.cli.here import PrefectApi
from wavemend.errors import EnvironmentUnfit
from wavemend.testing.keys import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120


class PrefectSite:
    """A home folder, a server on loopback, and the command as an operator runs it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._declared = ""
        self._touched = True
        port = free_port()
        url = f"http://127.0.0.1:{port}/api"
        self.environment = _environment(home, url)
        with (home / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [
                    *(sys.executable, "-m", "deployments.prefect_server"),
                    *("server", "start", "--port", str(port)),
                ],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.api = PrefectApi(url)
        self._wait()

    def close(self) -> None:
        """End the server with everything it started."""
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()

    def bring_to(self, fleet: str) -> None:
        """Have exactly this fleet deployed, if it is not so already."""
        if fleet != self._declared or self._touched:
            self.apply(fleet)
            self.wavemend("deploy", "--schedules")
            self._touched = False

    def apply(self, fleet: str, *, without: int = 0) -> None:
        """Put a fleet in force; `without`: how many hosts that takes out."""
        file = self.home / "fleet.yaml"
        file.write_text(fleet)
        self._declared, self._touched = fleet, True
        consent = ("--remove-hosts", str(without)) if without else ()
        self.wavemend("fleet", "apply", str(file), "--yes", *consent)

    def wavemend(self, *words: str) -> str:
        """Run the command; returns what it said. Fails when it does."""
        return self.python("-m", "wavemend", *words)

    def python(self, *words: str) -> str:
        """Run Python with this site's environment; returns what was said. Fails when it does."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=self.environment,
            text=True,
            capture_output=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def deployments(self) -> dict[str, dict[str, Any]]:
        """Return every deployment by its full name."""
        flows = {flow["id"]: flow["name"] for flow in self.api.post("/flows/filter", {})}
        found = self.api.post("/deployments/filter", {})
        return {f"{flows[each['flow_id']]}/{each['name']}": each for each in found}

    def deployment(self, title: str) -> dict[str, Any]:
        """Return one deployment."""
        found: dict[str, Any] = self.api.get(f"/deployments/name/{title}")
        return found

    def change(self, path: str, **fields: object) -> None:
        """Change a deployment, or one of its schedules, as the UI does."""
        self._touched = True
        self.api._call("PATCH", f"/deployments/{path}", fields)

    def delete(self, deployment: str) -> None:
        """Remove a deployment."""
        self._touched = True
        self.api._call("DELETE", f"/deployments/{deployment}", None)

    def planned_runs(self, deployment: str) -> list[datetime]:
        """Return when the runs begin that the server has made of a deployment, sorted."""
        starts: list[datetime] = []
        while found := self.api.post("/flow_runs/filter", self._page(deployment, len(starts))):
            starts += [datetime.fromisoformat(run["expected_start_time"]) for run in found]
        return sorted(starts)

    def schedule(self, deployment: str, first: datetime, until: datetime) -> None:
        """Let the server make its runs of a time now, instead of a few at a time."""
        body = {
            "start_time": first.isoformat(),
            "end_time": until.isoformat(),
            "min_runs": 1000,
            "max_runs": 1000,
        }
        self.api.post(f"/deployments/{deployment}/schedule", body)

    def _page(self, deployment: str, offset: int) -> dict[str, object]:
        return {
            "deployments": {"id": {"any_": [deployment]}},
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": 200,
            "offset": offset,
        }

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            try:
                self.api.get("/health")
            except EnvironmentUnfit:
                time.sleep(0.5)
            else:
                return
        log = (self.home / "server.log").read_text(errors="replace")
        self.close()
        raise AssertionError(f"Prefect's server did not come up: {log[-2000:]}")


def _environment(home: Path, url: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PREFECT")}
    return {
        **kept,
        "WAVEMEND_HOME": str(home),
        "WAVEMEND_CHECKOUT": str(ROOT),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
