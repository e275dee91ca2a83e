"""Patch one tenant's hosts of one profile in one maintenance window.

The flow asks the core for the next action, does that one thing as a named task, and asks again.
All memory is in the ledger: a run that dies at any line is followed by one that goes on there.
"""

from collections.abc import Sequence

from prefect import flow, runtime, tags
from prefect.client.schemas.objects import State
from prefect.flow_runs import suspend_flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from tasks.approval import (
    PatchApproval,
    ask_approval,
    check_answer,
    explain,
    last_refusal,
    so_far,
)
from tasks.host_steps import label, patch, preflight, prepare, probe, shards, verify
from tasks.opening import (
    finish,
    hooks_of,
    hosts_left,
    note_step,
    note_wave,
    open_for,
    read_plan,
    steps_done,
    what_next,
)
from tasks.readiness import ready_group, ready_wave
from tasks.rolling_back import roll_back_one
from tasks.rollout_steps import close, freeze, judge, report, run_hook, wait_until
from tasks.run_log import run_log
from tasks.show import Board, label_run, labels_before, labels_of, show_plan, show_verdict
from tasks.submitting import Futures, after, settled
from tasks.workbench import Running, Workbench, open_workbench
from wavemend.fleet import RolloutKey
from wavemend.ledger.attempts import Refused
from wavemend.ledger.rollouts import FINISHED, Lease
from wavemend.ledger.scans import hosts_looked_at
from wavemend.nights import Night, NightVerdict
from wavemend.plans import Plan
from wavemend.reports import RolloutReport, is_alarm, verdict_of
from wavemend.rollout import (
    Action,
    AskApproval,
    CheckWave,
    Close,
    Done,
    Gap,
    JudgeGate,
    Prepare,
    ProbeWave,
    Report,
    RollBackWave,
    RunWave,
    Soak,
    Verify,
)
from wavemend.steps.lease import hold

HOOKED = "hooks begun"
"""Step: hooks before the waves may have run, so those after them are due, whatever comes."""

HOSTS_AT_ONCE = 32
"""Connections of one worker process; the budget of a wave is counted in the ledger, not here."""


@flow(
    name="patch-rollout",
    flow_run_name="{tenant} · {profile} · {window}",
    description="Patches one company's hosts of one profile inside one maintenance window: "
    "preflight, freeze the plan, prepare, pilot, soak, gate, broad waves, approval for critical "
    "hosts, verify, report. All memory is in the ledger: safe to run again at any time.",
    task_runner=ThreadPoolTaskRunner(max_workers=HOSTS_AT_ONCE),  # type: ignore[arg-type]  # invariant there
    persist_result=False,
)
def patch_rollout(
    tenant: str, profile: str, window: str, site: str = "default", requester: str = "schedule"
) -> State:
    """Take a rollout from where the ledger has it to its end.

    Args:
        tenant: Company whose hosts are patched.
        profile: Profile of the hosts.
        window: Maintenance window; outside of it nothing is started.
        site: Name of the `Wavemend Site` block.
        requester: Who asked for it; with four eyes, that person cannot approve it.
    """
    key = RolloutKey(tenant=tenant, profile=profile, window=window)
    return carry_out(key, site, requester)


def carry_out(key: RolloutKey, site: str, requester: str) -> State:
    """Bring the rollouts of a key to their end, inside a flow run; return the last verdict."""
    bench = open_workbench(site)
    told: State | None = None
    done: Futures = []
    # One left over from an earlier window is closed first; then the one of this window follows.
    while True:
        with tags(*labels_before(bench.fleet, key)):
            opened = after(done, open_for, bench, key, requester, str(runtime.flow_run.id))
        row = opened.result()
        if row is None:
            break
        if isinstance(row, Night):
            run_log().warning("%s night: %s", row.verdict, row.reason)
            return told or _night_state(row)
        if row.state == FINISHED:
            return told or Completed(name="AlreadyDone", message=f"{row.id}: {row.reason}")
        told, done = _to_its_end(bench, key, row.id, [opened])
    closed = f"the window {key.window} is not open: nothing was started"
    return told or Failed(name="OutsideWindow", message=closed)


def _night_state(night: Night) -> State:
    """Return the state of a run whose night is not used: forbidden is no fault, missed is one."""
    state = Failed if night.verdict is NightVerdict.MISSED else Completed
    return state(name=night.verdict.capitalize(), message=night.reason)


def _to_its_end(
    bench: Workbench, key: RolloutKey, rollout_id: str, opened: Futures
) -> tuple[State, Futures]:
    """Do one action after the other until there is none; return the verdict as a state."""
    with hold(bench.hands, rollout_id) as lease:
        plan, done = _frozen_plan(bench, lease, key, opened)
        running = Running(bench, lease, plan)
        label_run(plan, str(runtime.flow_run.id))
        board = Board(bench.hands.ledger, plan)
        while not isinstance(action := what_next(running), Done):
            run_log().info("next: %s", type(action).__name__)
            with tags(*labels_of(plan, action)):
                done = _take(running, action, done)
            board.move()
        ended = finish(running)
    return verdict_state(ended), done


def verdict_state(report: RolloutReport) -> State:
    """Return what Prefect shows of a rollout that has ended: a halted one is never green."""
    verdict, state = verdict_of(report), Failed if is_alarm(report) else Completed
    return state(name=f"Verdict{verdict.answer.capitalize()}", message=verdict.sentence)


def _frozen_plan(
    bench: Workbench, lease: Lease, key: RolloutKey, opened: Futures
) -> tuple[Plan, Futures]:
    """Return the frozen plan; look at the hosts and make it when there is none yet."""
    plan = read_plan(bench, lease.rollout_id)
    if plan is not None:
        return plan, opened
    names = [host.name for host in bench.fleet.members(key)]
    with tags(*labels_before(bench.fleet, key)):
        with bench.hands.ledger.reading() as book:
            before = hosts_looked_at(book, lease.rollout_id)
        with bench.hands.ledger.kept_open():
            looks = [
                after(opened, preflight, bench, name, lease.rollout_id, may_be_seen=name in before)
                for name in names
            ]
            found = settled(looks)
        seen = ready_group(bench, lease.rollout_id, key.profile, found, looks)
        frozen = after(seen, freeze, bench, lease)
        plan = frozen.result()
    show_plan(plan)
    return plan, [frozen]


def _take(running: Running, action: Action, earlier: Futures) -> Futures:  # noqa: C901, PLR0912 - one case each
    """Do one action; return the task runs that the next one comes after."""
    done: Futures = earlier
    match action:
        case Prepare(hosts):
            done = _prepare(running, hosts, action.step, earlier)
        case CheckWave(wave, hosts):
            done, trouble = ready_wave(running, wave, hosts, earlier)
            if trouble:
                left = hosts_left(running)
                done = [after(done, close, running, left, trouble)]
            else:
                note_step(running, action.step)
        case RollBackWave(wave, hosts, reason):
            done = [after(earlier, roll_back_one, running, name, reason) for name in hosts]
            settled(done)
            note_step(running, action.step, reason)
        case RunWave(wave, hosts):
            note_wave(running, wave)
            done = [
                after(earlier, patch, running, wave.name, names, label(names))
                for names in shards(hosts)
            ]
        case Soak(wave, until):
            done = [after(earlier, wait_until, running, f"soak {wave.name}", until)]
        case Gap(wave, until):
            done = [after(earlier, wait_until, running, f"gap before {wave.name}", until)]
        case ProbeWave(wave, hosts):
            done = [
                after(earlier, probe, running, wave.name, names, label(names))
                for names in shards(hosts)
            ]
            lines = [line for found in settled(done) for line in found]
            note_step(running, action.step, "\n".join(lines))
        case JudgeGate(wave):
            done = [after(earlier, judge, running, wave)]
        case AskApproval():
            done = _approval(running, earlier)
        case Close(reason, hosts):
            done = [after(earlier, close, running, hosts, reason)]
        case Verify(hosts):
            done = _verify(running, hosts, earlier)
        case Report():
            done = _report(running, earlier)
        case Done():
            pass
    settled(done)
    return done


def _hooks(running: Running, when: str, earlier: Futures) -> tuple[Futures, list[str]]:
    """Run the profile's commands of one kind in order, each once; return what failed, if any.

    What ran is a step in the ledger: a run that goes on after a crash does not repeat it. After
    one that failed before the waves none follows; those after them all run.
    """
    troubles: list[str] = []
    for number, argv in enumerate(hooks_of(running, when), start=1):
        title = f"{when} hook {number}"
        if title in steps_done(running) or (troubles and when == "before"):
            continue
        ran = after(earlier, run_hook, argv, title, argv[0])
        ran.wait()
        if ran.state.is_completed():
            note_step(running, title)
            earlier = [ran]
        else:
            # What comes next must not depend on it: Prefect would not run it at all.
            troubles.append(f"{title} failed: {ran.state.message}")
    return earlier, troubles


def _prepare(running: Running, hosts: Sequence[str], step: str, earlier: Futures) -> Futures:
    note_step(running, HOOKED)
    hooked, troubles = _hooks(running, "before", earlier)
    if troubles:
        return [after(hooked, close, running, hosts_left(running), troubles[0])]
    points: Futures = [after(hooked, prepare, running, name) for name in hosts]
    refused = [found.reason for found in settled(points) if isinstance(found, Refused)]
    if refused:  # everything was stopped meanwhile, or the cut-off has passed
        return [after(points, close, running, hosts_left(running), refused[0])]
    note_step(running, step)
    return points


def _approval(running: Running, earlier: Futures) -> Futures:
    """Suspend until somebody answers; check the answer; a bare resume comes back to this place."""
    asking = after(earlier, ask_approval, running, str(runtime.flow_run.id))
    asked = asking.result()
    form = PatchApproval.with_initial_data(
        description=explain(running.plan, asked, last_refusal(running), so_far(running))
    )
    given: PatchApproval | None = None
    try:
        # Ends this process; the run starts again from the top when somebody resumes it.
        given = suspend_flow_run(wait_for_input=form, key=asked.pause_key)
    except (ValueError, RuntimeError) as error:
        run_log().warning("resumed without a readable answer: %s", error)
    return [after([asking], check_answer, running, asked, given)]


def _verify(running: Running, hosts: Sequence[str], earlier: Futures) -> Futures:
    looks = [after(earlier, verify, running, name) for name in hosts]
    found = zip(hosts, settled(looks), strict=True)
    differences = [f"{name}: {difference}" for name, difference in found if difference]
    hooked: Futures = [*looks] or earlier
    if steps_done(running) & {HOOKED, "prepared"}:
        # Also when one before failed, or the rollout was closed early.
        hooked, troubles = _hooks(running, "after", hooked)
        differences += troubles
    # One line each: the report reads from them which host is meant.
    note_step(running, "verified", "\n".join(" ".join(said.split()) for said in differences))
    return hooked


def _report(running: Running, earlier: Futures) -> Futures:
    written = after(earlier, report, running)
    show_verdict(running.plan, written.result())
    note_step(running, "reported")
    return [written]
