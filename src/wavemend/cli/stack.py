"""`wavemend up`, `down`, `status`: server, worker and deployments on one machine.

Everything lives in the installation's home folder and on loopback. For production run Prefect's
server and workers as services instead; see docs/how-to/run-in-production.md.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import requests
from cyclopts import Parameter

from wavemend.cli.control import stops_of
from wavemend.cli.here import api_note, here, ledger_here
from wavemend.cli.resume import resume_orphans
from wavemend.cli.shown import say
from wavemend.errors import EnvironmentUnfit
from wavemend.ledger.intake import current_fleet
from wavemend.site import Site, utc_now

DEFAULT_PORT = 4200
START_SECONDS = 120
"""Prefect's first start creates its database: 10 s idle, a minute on a busy machine."""

STOP_SECONDS = 20


def up(
    *,
    port: Annotated[
        int,
        Parameter(
            help="Port of Prefect's API and UI, on loopback; 4200 at first, then the one in use."
        ),
    ] = 0,
    schedules: Annotated[
        bool | None,
        Parameter(
            help="Let Prefect start rollouts by itself, when windows open and for what is "
            "exploited, or not; without it, as it was, and at first it does. Feeds and scans "
            "always go on."
        ),
    ] = None,
) -> int:
    """Start server and worker, register the deployments, and print the UI's address.

    What already runs is kept. Rollouts that were left unfinished by a crash are taken up again.
    """
    site, checkout = here(), checkout_here()
    with ledger_here().reading() as book:
        current_fleet(book)  # a worker without a fleet has nothing to do: say so before starting
    run = site.home / "run"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    noted = noted_port(site)
    if _alive(run / "server.pid") and port not in {0, noted}:
        raise EnvironmentUnfit(
            f"the server of {site.home} runs on port {noted} already", hint="`wavemend down` first"
        )
    port = port or noted or DEFAULT_PORT
    environment = environment_of(site, checkout, port)
    if not _alive(run / "server.pid"):
        _refuse_taken(port)
        server = (*_python("deployments.prefect_server"), "server", "start")
        argv = (*server, "--host", "127.0.0.1", "--port", str(port))
        _spawn(run, "server", argv, environment, checkout)
    api = f"http://127.0.0.1:{port}/api"
    _wait_for(api, run)
    api_note(site.home).write_text(api)
    register_deployments(environment, checkout, schedules_word(schedules))
    if not _alive(run / "worker.pid"):
        worker = ("worker", "start", "--pool", "wavemend", "--type", "process", "--name", "local")
        _spawn(run, "worker", (*_python("prefect"), *worker), environment, checkout)
    for line in resume_orphans(ledger_here(), api, utc_now()):
        say(line)
    print(f"Prefect UI: http://127.0.0.1:{port}")
    print(f"home: {site.home}  (logs in {run})")
    return 0


def down() -> int:
    """Stop worker and server. Changes that run on hosts go on there and are collected later."""
    run = here().home / "run"
    for name in ("worker", "server"):
        _stop(run / f"{name}.pid")
    return 0


def status() -> int:
    """Say what runs on this machine. Exit status 0: server and worker do."""
    site = here()
    run = site.home / "run"
    running = {name: _alive(run / f"{name}.pid") for name in ("server", "worker")}
    for name, pid in running.items():
        print(f"{name}: {f'running (pid {pid})' if pid else 'not running'}")
    note = api_note(site.home)
    if note.is_file():
        say(f"api: {note.read_text()}")
    for line in stops_of(site):
        say(f"STOPPED: {line}")
    return 0 if all(running.values()) else EnvironmentUnfit.exit_code


def checkout_here() -> Path:
    """Return the folder with flows/ and prefect.yaml: it travels beside the wheel, not in it."""
    named = os.environ.get("WAVEMEND_CHECKOUT")
    folder = Path(named) if named else Path.cwd()
    if not (folder / "flows" / "patch_rollout.py").is_file():
        raise EnvironmentUnfit(
            f"{folder} holds no flows/",
            hint="run this in a checkout of wavemend, or set WAVEMEND_CHECKOUT to one",
        )
    return folder.resolve()


def checkout_environment(site: Site, checkout: Path) -> dict[str, str]:
    """Return what anything runs with that needs the checkout, wherever Prefect's server is."""
    return {
        **os.environ,
        "WAVEMEND_HOME": str(site.home),
        "WAVEMEND_CHECKOUT": str(checkout),
        "PYTHONPATH": os.pathsep.join(
            [str(checkout), str(checkout / "src"), os.environ.get("PYTHONPATH", "")]
        ).rstrip(os.pathsep),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def environment_of(site: Site, checkout: Path, port: int) -> dict[str, str]:
    """Return what server, worker and deploying run with, on this machine."""
    api = f"http://127.0.0.1:{port}/api"
    return {
        **checkout_environment(site, checkout),
        "PREFECT_HOME": str(site.home / "prefect"),
        # Prefect keeps its runner's files in a folder of one fixed name there, for all users.
        "TMPDIR": str(_private_temp(site)),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_UI_API_URL": api,
        # Results can be pickles; ours are read by nobody but the run itself.
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_CLI_PROMPT": "false",
    }


def _private_temp(site: Site) -> Path:
    folder = site.home / "tmp"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _python(module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module)


def _spawn(
    run: Path, name: str, argv: tuple[str, ...], environment: dict[str, str], checkout: Path
) -> None:
    """Start a process of its own session: it outlives this command and its terminal."""
    with (run / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            argv,
            cwd=checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (run / f"{name}.pid").write_text(f"{process.pid} {_born(process.pid)}")


def schedules_word(wanted: bool | None) -> str:
    """Return an option of three values as the deploying takes it."""
    return {None: "keep", True: "on", False: "off"}[wanted]


def register_deployments(environment: dict[str, str], checkout: Path, schedules: str) -> None:
    """Bring Prefect's deployments to what the fleet in force says, and print what was done.

    In a process of its own: this command never loads Prefect. `schedules`: on, off or keep.
    """
    done = subprocess.run(
        (*_python("deployments.deploy_windows"), "--schedules", schedules),
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise EnvironmentUnfit(
            f"registering the deployments failed: {(done.stderr or done.stdout).strip()[-1500:]}"
        )
    say(done.stdout.strip())


def _alive(pid_file: Path) -> int:
    """Return the process id if that very process still runs, else 0."""
    try:
        pid, born = pid_file.read_text().split()
    except (OSError, ValueError):
        return 0
    return int(pid) if _born(int(pid)) == born else 0


def _born(pid: int) -> str:
    """Return something that tells this process from a later one with the same number."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _born_without_proc(pid)
    fields = text.rpartition(")")[2].split()
    return "gone" if fields[0] == "Z" else fields[19]


def _born_without_proc(pid: int) -> str:
    if Path("/proc/self").exists():
        return "gone"
    try:
        os.kill(pid, 0)
    except OSError:
        return "gone"
    return "alive"


def _stop(pid_file: Path) -> None:
    pid = _alive(pid_file)
    if pid:
        _signal_group(pid, signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        while _alive(pid_file) and time.monotonic() < until:
            time.sleep(0.2)
        if _alive(pid_file):
            _signal_group(pid, signal.SIGKILL)
        print(f"{pid_file.stem}: stopped")
    pid_file.unlink(missing_ok=True)


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def noted_port(site: Site) -> int:
    """Return the port of the server that `wavemend up` started; 0: it never did."""
    note = api_note(site.home)
    if not note.is_file():
        return 0
    return int(note.read_text().rsplit(":", 1)[1].split("/")[0])


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise EnvironmentUnfit(
                f"port {port} on 127.0.0.1 cannot be used: {error}",
                hint="choose another one: `wavemend up --port 4300`",
            ) from error


def _wait_for(api: str, run: Path) -> None:
    """Wait until our own server answers: another one on the same port is not taken for it."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and _alive(run / "server.pid"):
        if _answers(api):
            time.sleep(1.0)  # one that lost the race for the port dies right after its start
            if _alive(run / "server.pid"):
                return
        time.sleep(0.5)
    log = run / "server.log"
    tail = log.read_text(errors="replace")[-1500:] if log.is_file() else ""
    raise EnvironmentUnfit(
        f"Prefect's server did not come up at {api} within {START_SECONDS} s",
        hint=f"is the port taken? Its log ends: {tail}",
    )


def _answers(api: str) -> bool:
    try:
        return requests.get(f"{api}/health", timeout=5).ok
    except requests.RequestException:
        return False
