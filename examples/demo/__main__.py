"""Bring up a fleet, patch it, judge it, approve it, and show the verdict.

Environment: APPROVE=ui leaves the run waiting for a human in the Prefect UI; HOSTS (10); PORT
(4277); WAVEMEND_LAB=auto|required|off decides about real or simulated hosts; WINDOWS (0): so many
simulated Windows hosts beside them.
"""

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from examples.demo import windows
from examples.demo.fleet import DemoFailed, DemoLab, WindowsLab, fleet_text, read_lab
from examples.demo.labels import unlabelled
from examples.demo.standing import TENANTS, Standing, dead_runs, standing
from wavemend.cli.here import PrefectApi, api_note
from wavemend.cli.resume import flow_run_state
from wavemend.simulated import SIMULATED

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("WAVEMEND_DEMO_HOME", ROOT / "demo-output")).resolve()
PORT = os.environ.get("PORT", "4277")
WINDOWS = int(os.environ.get("WINDOWS") or "0")
COMPANIES = TENANTS if WINDOWS else TENANTS[:2]
ROLLOUT_SECONDS = 480
"""A rollout of the demo takes one to two minutes on two idle cores."""
ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
SHOWN = frozenset({"up", "fleet", "feeds", "rollout", "approve", "findings", "explain"})
"""Commands whose output is part of the story."""


def main(argv: list[str]) -> int:
    """Run the demo, or take down what an earlier one left (`down`)."""
    started = time.monotonic()
    _clean_up()
    if argv == ["down"]:
        return 0
    waits = os.environ.get("APPROVE") == "ui"
    try:
        lab = _bring_up_hosts()
        _prepare_home(lab, _bring_up_windows(stays=waits))
        _say("Prefect: server, worker and deployments")
        _wavemend("up", "--port", PORT, "--no-schedules")
        _pause_emergencies()
        for tenant in ("acme", "globex"):
            _wavemend("rollout", "start", tenant)
        if WINDOWS:
            _show_what_windows_lacks()
            _wavemend("rollout", "start", "initech")
        _wait_for_approval("acme")
        if waits:
            return _leave_waiting(lab)
        _approve("acme")
        print("\n".join(_wait_for_reports()))
        _check(lab)
        if WINDOWS:
            _check_windows()
        _show_findings()
    except (DemoFailed, subprocess.CalledProcessError) as error:
        print(f"\nThe demo failed: {error}\nLogs: {HOME}/run", file=sys.stderr)
        return 1
    finally:
        if not waits:
            _clean_up(keep_output=True)
    print(f"\nDone in {time.monotonic() - started:.0f} s. Open the pages above in a browser.")
    return 0


def _bring_up_hosts() -> DemoLab:
    """Real hosts where the machine can, simulated ones where it cannot, and the reason why."""
    mode = os.environ.get("WAVEMEND_LAB", "auto")
    state = HOME / "lab"
    count = os.environ.get("HOSTS", "10")
    if mode != "off":
        probe = _run([sys.executable, "-m", "tests.lab", "probe"], check=False)
        if probe.returncode == 0:
            _say(f"{count} real Debian hosts ({probe.stdout.strip()}); the first time takes longer")
            _run(
                [sys.executable, "-m", "tests.lab", "up", "--hosts", count, "--state", str(state)],
                show=True,
            )
            return read_lab(state)
        reason = (probe.stdout + probe.stderr).strip()
        if mode == "required":
            raise DemoFailed(f"WAVEMEND_LAB=required, but no lab can run here: {reason}")
    else:
        reason = "WAVEMEND_LAB=off"
    _say(f"No real hosts: {reason}\n   The fleet below is SIMULATED: real SSH, played packages.")
    _run([*_simulation(), "up", "--hosts", count, "--state", str(state)], show=True)
    return read_lab(state)


def _bring_up_windows(*, stays: bool) -> WindowsLab | None:
    if not WINDOWS:
        return None
    _say(
        f"{WINDOWS} Windows hosts, SIMULATED: no Windows runs here. Real: HTTPS, NTLM, WinRM and\n"
        "   the scripts sent. Played: what Windows does with them; ten minutes take a second."
    )
    lab = windows.bring_up(HOME / "windows", WINDOWS, stays=stays)
    for host in lab.hosts:
        print(f"   {host.name:<12} {host.address}:{host.port}  SIMULATED")
    return lab


def _prepare_home(lab: DemoLab, windows_lab: WindowsLab | None) -> None:
    _say("Fleet, approver's key and feeds")
    key = HOME / "alice_ed25519"
    _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "alice", "-f", str(key)])
    public = key.with_suffix(".pub").read_text().split()
    signer = f'alice@acme.example namespaces="patch-approval" {public[0]} {public[1]}\n'
    (HOME / "signers").write_text(signer)
    feeds = ROOT / "examples" / "feeds"
    fleet = HOME / "fleet.yaml"
    fleet.write_text(fleet_text(lab, feeds, datetime.now(UTC), windows_lab))
    _wavemend("fleet", "apply", str(fleet), "--yes")
    _wavemend("feeds", "refresh", "--from", str(feeds))


def _pause_emergencies() -> None:
    """Begin none at the quarter of an hour: it would take hosts out of the story that is told."""
    api = _prefect()
    planner = api.get("/deployments/name/plan-emergencies/every-quarter-hour")["id"]
    api.post(f"/deployments/{planner}/pause_deployment", {})


def _show_what_windows_lacks() -> None:
    """Look at the Windows hosts before anything is changed, and say what was found."""
    _say("Windows: what Microsoft's bulletins say of these hosts, before the rollout")
    api = _prefect()
    scan = api.get("/deployments/name/scan-fleet/daily")["id"]
    body = {"parameters": {"site": "default", "tenant": "initech"}, "tags": [SIMULATED]}
    run = api.post(f"/deployments/{scan}/create_flow_run", body)["id"]
    _wait(lambda: flow_run_state(api, run) in ENDED, "the Windows hosts to be looked at")
    _wavemend("findings", "--tenant", "initech", "--limit", "6")


def _wait_for_approval(tenant: str) -> None:
    _say("Rollouts run: preflight, plan, prepare, pilot, soak, gate, broad waves")
    _wait(lambda: _standing(tenant).waiting, f"{tenant} to ask for an approval")


def _approve(tenant: str) -> None:
    rollout = _standing(tenant).rollout
    _say(f"{tenant} waits before its critical host. First a stranger's signature:")
    stranger = HOME / "mallory_ed25519"
    _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mallory", "-f", str(stranger)])
    _sign(rollout, stranger, "I would like it to go on")
    _wait(lambda: _standing(tenant).refusals == 1 and _standing(tenant).waiting, "the refusal")
    _say("Refused and recorded; the run waits again. Now the approver:")
    _sign(rollout, HOME / "alice_ed25519", "the pilot and the broad waves went well")


def _sign(rollout: str, key: Path, reason: str) -> None:
    until = time.monotonic() + 60
    while True:
        command = ["approve", rollout, "--key", str(key), "--reason", reason]
        done = _wavemend(*command, "--as", "alice@acme.example", check=False)
        if done.returncode == 0:
            return
        if time.monotonic() > until:
            raise DemoFailed(f"the approval could not be sent: {done.stderr.strip()}")
        time.sleep(1)  # the request is written a moment before the run is suspended


def _leave_waiting(lab: DemoLab) -> int:
    rollout = _standing("acme").rollout
    label = "SIMULATED hosts" if lab.simulated else "real hosts"
    print(f"\nRollout {rollout} of acme ({label}) waits for you.\n{way_to_answer(rollout)}")
    return 0


def way_to_answer(rollout: str) -> str:
    """Say how to answer, in commands that work in a shell in which nothing was prepared."""
    command = Path(sys.executable).with_name("wavemend")
    elsewhere = f"WAVEMEND_DEMO_HOME={HOME} " if "WAVEMEND_DEMO_HOME" in os.environ else ""
    return (
        f"  In the UI: http://127.0.0.1:{PORT}/runs, open the suspended run and press Resume.\n"
        f"  The signature for its form:\n"
        f"    WAVEMEND_HOME={HOME} {command} approve {rollout} --print "
        f"--key {HOME / 'alice_ed25519'} --reason 'WHY'\n"
        f"  `{elsewhere}make demo-down` takes everything down again."
    )


def _wait_for_reports() -> list[str]:
    _wait(
        lambda: all(_standing(tenant).finished for tenant in COMPANIES),
        "the rollouts to end",
    )
    _say("Verdict")
    return [
        _wavemend("rollout", "report", _standing(tenant).rollout).stdout for tenant in COMPANIES
    ]


def _check(lab: DemoLab) -> None:
    """Hold the result against what the demo promises: it must not end well by accident."""
    seen = {**_standing("acme").outcomes, **_standing("globex").outcomes}
    promised = {"api1": "failed", "cold1": "unreachable", "db1": "patched", "web1": "patched"}
    wrong = {name: seen.get(name) for name in promised if seen.get(name) != promised[name]}
    missing = {host.name for host in lab.hosts} - set(seen)
    if wrong or missing:
        raise DemoFailed(f"not as promised: {wrong}; without an outcome: {sorted(missing)}")


def _check_windows() -> None:
    """Ask the played hosts themselves, and look for views that do not call them simulated."""
    _say("What the SIMULATED Windows hosts say of themselves now")
    rollout = _standing("initech")
    wrong = []
    for name, state in windows.remembered(HOME / "windows").items():
        outcome = rollout.outcomes.get(name)
        restarts = state.boots - 1
        print(f"   {name:<12} SIMULATED  {outcome}  build {state.os.build}  restarts: {restarts}")
        if (state.os.build, outcome) != (windows.FIXED_BUILD, "patched") or not restarts:
            wrong.append(f"{name} is not on {windows.FIXED_BUILD} after a restart")
        wrong += state.strangers
    wrong += [f"does not say SIMULATED: {view}" for view in unlabelled(HOME, rollout)]
    if wrong:
        raise DemoFailed("; ".join(wrong))


def _show_findings() -> None:
    """Say what is still missing, and explain the most urgent of it."""
    _say("What the hosts still lack, most urgent first")
    _wavemend("findings", "--limit", "5")
    listed = json.loads(_wavemend("findings", "--json").stdout)["findings"]
    if not listed:
        raise DemoFailed("the hosts lack nothing, although one of them was not patched")
    _say("The first of it, explained")
    _wavemend("explain", listed[0]["finding_id"])


def _prefect() -> PrefectApi:
    return PrefectApi(api_note(HOME).read_text().strip())


def _standing(tenant: str) -> Standing:
    return standing(HOME, tenant)


def _wait(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + ROLLOUT_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise DemoFailed(f"waited {ROLLOUT_SECONDS} s in vain for {what}")
        if dead := dead_runs(HOME):
            raise DemoFailed(f"Prefect says that these runs died: {', '.join(dead)}")
        time.sleep(1)


def _clean_up(*, keep_output: bool = False) -> None:
    """Take down whatever an earlier demo left; with `keep_output` the reports stay."""
    if not HOME.exists():
        HOME.mkdir(parents=True)
        return
    if (HOME / "run").exists():
        _wavemend("down", check=False)
    for program in (_lab(), _simulation()):
        _run([*program, "down", "--state", str(HOME / "lab")], check=False)
    windows.take_down(HOME / "windows")
    if not keep_output:
        shutil.rmtree(HOME)
        HOME.mkdir(parents=True)


def _lab() -> list[str]:
    return [sys.executable, "-m", "tests.lab"]


def _simulation() -> list[str]:
    return [sys.executable, "-m", "wavemend.testing.simulated_hosts"]


def _wavemend(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    quiet = words[1:2] in {("report",), ("--json",)}
    show = words[0] in SHOWN and not quiet
    return _run([sys.executable, "-m", "wavemend", *words], check=check, show=show)


def _run(
    argv: list[str], *, check: bool = True, show: bool = False
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "WAVEMEND_HOME": str(HOME), "WAVEMEND_CHECKOUT": str(ROOT)}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment.setdefault("COLUMNS", "140")  # captured, so tables do not see the terminal's width
    environment.pop("PREFECT_API_URL", None)
    done = subprocess.run(
        argv, cwd=ROOT, env=environment, text=True, capture_output=True, check=False
    )
    if show and done.stdout.strip():
        print(textwrap.indent(done.stdout.rstrip(), "   "))
    if check and done.returncode != 0:
        raise DemoFailed(f"{' '.join(argv[2:6])}: {(done.stderr or done.stdout).strip()[-1500:]}")
    return done


def _say(text: str) -> None:
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
