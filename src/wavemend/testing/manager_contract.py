"""What every manager must keep, tried on a real host: `wavemend manager check`, and for authors

    class TestMyManager(ManagerContract):
        @pytest.fixture
        def trial(self) -> Trial:
            return Trial(manager=..., host=..., connect=..., clock=...)

The looks change nothing. `check_change` installs a version and takes it back: only where that is
wanted.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from wavemend.errors import PlanError, TransportError
from wavemend.execution.drift import transaction_drift
from wavemend.execution.jobs import JobSpec, JobState, read_job, start_job
from wavemend.hosts import Facts, Host, PendingUpdate
from wavemend.managers import Manager
from wavemend.outcomes import PackageOutcome
from wavemend.packages import JobEnd, JobScript, Target
from wavemend.transport import Transport

LOOK_SECONDS = 120.0
JOB_SECONDS = 1_800.0
"""How long the end of a change is waited for; it is never ended by that."""

_NEVER = "0.0.0.wavemend.has.no.such.version"
_DONE = frozenset({PackageOutcome.INSTALLED, PackageOutcome.CONFFILE_KEPT})


class Verdict(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "FAILED"
    NOT_SEEN = "not seen"
    """There was nothing to see it by, which proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One check: what was looked at, how it ended, and what to do."""

    name: str
    verdict: Verdict
    said: str
    way_out: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The names under which one change is begun on the host."""

    attempt_id: str = field(default_factory=lambda: f"a-{secrets.token_hex(16)}")
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    fence: int = 10**6
    """Hosts refuse a lower one than they have seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A manager, and a host it is tried on."""

    manager: Manager
    host: Host
    connect: Callable[[], Transport]
    clock: Callable[[], datetime]
    version_key: Callable[[str], object] | None = None
    """The manager's order of versions; raises ValueError for what is none."""
    programs: tuple[str, ...] = ()
    """Programs that a change calls."""
    knows_exit: Callable[[int], bool] | None = None
    """Whether an exit code of a change has a meaning."""

    def look(self) -> Facts:
        """Look at the host over a connection of its own."""
        transport = self.connect()
        try:
            return self.manager.read_facts(
                self.host, transport, self.clock(), refresh=True, deadline=LOOK_SECONDS
            )
        finally:
            transport.close()


def check_looks(trial: Trial) -> Iterator[Checked]:
    """Yield the checks that change nothing, the first ones first."""
    try:
        facts = trial.look()
        again = trial.look()
    except TransportError as error:
        yield _failed("the host can be read", str(error), error.hint or "run the command by hand")
        return
    yield _passed("the host can be read", f"{len(facts.installed)} items")
    yield _same(facts, again)
    yield _all_read(facts)
    yield _ordered(trial, facts)
    yield _whole(facts)
    offer = facts.pending[0] if facts.pending else None
    yield _offered(facts.pending)
    transport = trial.connect()
    try:
        yield from _rehearsals(trial, transport, facts, offer)
        yield _programs(trial, transport)
    except TransportError as error:
        yield _failed("a change can be rehearsed", str(error), error.hint)
    finally:
        transport.close()
    yield _undo(trial, facts)


def _same(facts: Facts, again: Facts) -> Checked:
    name = "two looks see the same"
    for part in ("installed", "pending", "broken", "reboot_reasons"):
        if getattr(facts, part) != getattr(again, part):
            return _failed(name, f"{part} differs", "let the command print nothing that changes")
    return _passed(name, "installed, pending, broken and reasons to restart")


def _all_read(facts: Facts) -> Checked:
    name = "everything it prints is understood"
    if facts.index_errors:
        more = f" and {len(facts.index_errors) - 1} more" if len(facts.index_errors) > 1 else ""
        way_out = "correct the pattern, skip the line, or list the exit code"
        return _failed(name, f"{facts.index_errors[0]}{more}", way_out)
    return _passed(name, "no line was left over")


def _ordered(trial: Trial, facts: Facts) -> Checked:
    name = "versions can be compared"
    if trial.version_key is None:
        return Checked(name=name, verdict=Verdict.NOT_SEEN, said="the device itself compares them")
    versions = [package.version for package in facts.installed]
    versions += [update.candidate for update in facts.pending]
    for version in versions:
        try:
            trial.version_key(version)
        except ValueError as error:
            return _failed(name, str(error), "declare another order under `versions`")
    return _passed(name, f"{len(versions)} versions")


def _whole(facts: Facts) -> Checked:
    name = "the host is whole"
    if facts.broken:
        first = facts.broken[0]
        return _failed(name, f"{first.name}: {first.status}", "mend it, or correct `verify`")
    return _passed(name, "what must hold does")


def _offered(pending: tuple[PendingUpdate, ...]) -> Checked:
    name = "an update is found"
    if not pending:
        way_out = "offer a newer version and check again"
        return Checked(name=name, verdict=Verdict.NOT_SEEN, said="none is there", way_out=way_out)
    first = pending[0]
    return _passed(name, f"{first.name} {first.installed} -> {first.candidate}")


def _rehearsals(
    trial: Trial, transport: Transport, facts: Facts, offer: PendingUpdate | None
) -> Iterator[Checked]:
    name = "the update can be rehearsed"
    if offer is not None:
        target = Target(name=offer.name, arch=offer.arch, version=offer.candidate)
        if trouble := _rehearsed(trial, transport, target):
            yield _failed(name, trouble, "a rollout would not start it; see `rehearse`")
        else:
            yield _passed(name, "it would do this and nothing else")
    else:
        yield Checked(name=name, verdict=Verdict.NOT_SEEN, said="no update is there")
    if not facts.installed:
        return
    first = facts.installed[0]
    name = "a version that nobody has is refused"
    nothing = Target(name=first.name, arch=first.arch, version=_NEVER)
    if trouble := _rehearsed(trial, transport, nothing):
        yield _passed(name, trouble)
    else:
        way_out = "a rehearsal that says yes to everything proves nothing: look at its exit code"
        yield _failed(name, f"it would bring {first.name} to {_NEVER}", way_out)


def _rehearsed(trial: Trial, transport: Transport, target: Target) -> str:
    """Say what keeps a change from being exactly this one; empty when nothing does."""
    try:
        transaction = trial.manager.rehearse(transport, (target,), deadline=LOOK_SECONDS)
    except PlanError as error:
        return str(error)
    return transaction_drift((target,), transaction)


def _programs(trial: Trial, transport: Transport) -> Checked:
    name = "the programs of a change are there"
    wanted = tuple(dict.fromkeys((*trial.programs, trial.manager.reboot_argv[0])))
    script = 'for program; do command -v -- "$program" >/dev/null || echo "$program"; done'
    done = transport.run_as_root(("/bin/sh", "-c", script, "sh", *wanted), deadline=LOOK_SECONDS)
    if missing := done.stdout.decode(errors="replace").split("\n")[0]:
        return _failed(name, f"{missing} is not on the host", "write its whole path")
    return _passed(name, ", ".join(program.rpartition("/")[2] for program in wanted))


def _undo(trial: Trial, facts: Facts) -> Checked:
    name = "a change can be taken back"
    targets = [Target(name=p.name, arch=p.arch, version=p.version) for p in facts.installed[:1]]
    try:
        trial.manager.undo_script(targets)
    except PlanError as error:
        way_out = "declare `roll_back`, or give the profile another restore point"
        return Checked(name=name, verdict=Verdict.NOT_SEEN, said=str(error), way_out=way_out)
    return _passed(name, "there are commands for it")


def check_change(trial: Trial, target: Target, *, there: Job, back: Job) -> Iterator[Checked]:
    """Install a version for real, look, take it back, look again; yields the checks."""
    before = trial.look()
    old = before.version_of(target.name, target.arch)
    if old in {"", target.version}:
        said = f"{target.name} is at {target.version} already" if old else "it is not installed"
        yield _failed("the version comes in", said, "name an item and a version it does not have")
        return
    yield from _changed(trial, before, target, there, trial.manager.apply_script, what="comes in")
    now = trial.look()
    if now.reboot_reasons:
        said = f"a restart is due and not done here: {now.reboot_reasons[0]}"
        yield Checked(name="the new version runs", verdict=Verdict.NOT_SEEN, said=said)
    if now.version_of(target.name, target.arch) == old:
        return
    undo = Target(name=target.name, arch=target.arch, version=old)
    yield from _changed(trial, now, undo, back, trial.manager.undo_script, what="is taken back")


def _changed(
    trial: Trial,
    before: Facts,
    target: Target,
    job: Job,
    script_of: Callable[[tuple[Target, ...]], JobScript],
    *,
    what: str,
) -> Iterator[Checked]:
    name = f"the version {what}"
    try:
        end = _run(trial, script_of((target,)), job)
    except (PlanError, TransportError) as error:
        yield _failed(name, str(error), "look at the host before anything else")
        return
    after = trial.look()
    (result,) = trial.manager.judge((target,), before, after, end)
    if result.outcome in _DONE:
        yield _passed(name, f"{result.before} -> {result.after}")
    else:
        yield _failed(name, result.detail, "look at the host; its log has the rest")
    if trial.knows_exit is not None and end.exit_status is not None:
        known = trial.knows_exit(end.exit_status)
        said = f"exit status {end.exit_status}"
        way_out = "" if known else "find out what it means, and list it under `exit`"
        verdict = Verdict.PASSED if known else Verdict.FAILED
        yield Checked(name=f"{name}: its exit code", verdict=verdict, said=said, way_out=way_out)
    if after.broken:
        first = after.broken[0]
        yield _failed(f"{name}: the host is whole", f"{first.name}: {first.status}", "mend it")


def _run(trial: Trial, script: JobScript, job: Job) -> JobEnd:
    spec = JobSpec(attempt_id=job.attempt_id, nonce=job.nonce, fence=job.fence, script=script)
    transport = trial.connect()
    try:
        view = start_job(transport, spec, deadline=LOOK_SECONDS)
        until = time.monotonic() + JOB_SECONDS
        while view.state is JobState.RUNNING and time.monotonic() < until:
            time.sleep(1.0)
            view = read_job(transport, job.attempt_id, job.nonce, deadline=LOOK_SECONDS)
    finally:
        transport.close()
    if view.state is not JobState.ENDED:
        raise PlanError(f"the job {job.attempt_id} is {view.state}: {view.log[-200:]!r}")
    return JobEnd(exit_status=view.exit_status, log=view.log)


def _passed(name: str, said: str) -> Checked:
    return Checked(name=name, verdict=Verdict.PASSED, said=said)


def _failed(name: str, said: str, way_out: str) -> Checked:
    return Checked(name=name, verdict=Verdict.FAILED, said=said, way_out=way_out)


class ManagerContract:
    """For authors: subclass it in a test module and say in a fixture `trial` what is tried."""

    def test_the_manager_keeps_what_every_manager_must(self, trial: Trial) -> None:
        """Everything that can be seen without a change."""
        bad = [f"{c.name}: {c.said}" for c in check_looks(trial) if c.verdict is Verdict.FAILED]
        if bad:
            raise AssertionError("; ".join(bad))
