"""The way back itself, once its intent is written: a detached job, or a command on the worker.

Whoever comes after a death asks the host first. A host whose disk was put back does not remember
the job that did it: the ledger does, or its versions tell that it happened.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from wavemend.errors import TransportError
from wavemend.execution.follow import Followed, follow
from wavemend.execution.hands import Hands
from wavemend.execution.job_answers import JobState, JobView
from wavemend.execution.jobs import JobSpec, forbid_job, start_job
from wavemend.execution.looks import look, past_lock
from wavemend.execution.order import Order
from wavemend.execution.reboot import (
    MAX_REBOOTS,
    Rebooted,
    once_up,
    restart,
    without_our_shutdown,
    word_of,
)
from wavemend.execution.reboot_rules import in_use, is_due
from wavemend.execution.restore_points import operation_of
from wavemend.execution.rollback_end import Taken, is_back
from wavemend.execution.start import START_SECONDS
from wavemend.ledger import rollbacks
from wavemend.ledger.attempts import Granted
from wavemend.observations import Look
from wavemend.packages import JobScript, Target
from wavemend.rollout import AttemptState
from wavemend.snapshots import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a host is taken back: exactly one of script and command."""

    script: JobScript | None = None
    command: Command | None = None
    restarts: bool = False
    uses_up: bool = False
    whole: bool = False
    """It puts a disk back, not single packages."""
    removes: bool = False
    """What the change brought new is taken away again, as updates of Windows are."""
    undoes: tuple[Target, ...] = ()
    """What the package manager is asked to go back to; none where a disk is put back."""
    stays: tuple[tuple[Target, str], ...] = ()
    """What cannot be taken back at all, and why: the host is never called rolled back then."""

    @property
    def exact(self) -> bool:
        """Nothing of the new may be left for it to count."""
        return self.whole or self.removes


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """What the ledger says about beginning it."""

    before: Look
    """The host before it."""
    found: AttemptState | None
    """How far an earlier process got with it; None: this one has just written the intent."""
    refusal: Callable[[], str]
    """Why nothing may be done now, by switches and window; empty when it may."""
    obstacle: Callable[[], str]
    """Why it must not begin now, after all checks of a first start; empty when it may."""
    last_start: Callable[[], datetime]
    """When the host must not begin any more, by its own clock."""


def take_back(hands: Hands, order: Order, granted: Granted, way: Way, leave: Leave) -> Taken:
    """Take the host back, or go on where an earlier process died."""
    if way.command is not None:
        return _by_worker(hands, order, granted, way.command, leave)
    followed, refused = _by_host(hands, order, granted, way, leave)
    told = _was_told(hands, granted)  # by an earlier process: the host may be on its way up
    seen = once_up(hands, order) if told else look(hands, order.host, refresh=False)
    rebooted = Rebooted(look=seen)
    if (way.restarts and _waits_for_boot(order, followed, leave.before, rebooted.look)) or (
        way.removes and _asks_for_boot(order, followed, rebooted.look)
    ):
        rebooted = _restarted(hands, order, granted, leave, rebooted.look)
    return Taken(
        followed=followed,
        rebooted=rebooted,
        whole=way.whole,
        removes=way.removes,
        restarts=way.restarts,
        refused=refused,
    )


def _by_host(
    hands: Hands, order: Order, granted: Granted, way: Way, leave: Leave
) -> tuple[Followed, str]:
    """Return how the job ended; and why it was not begun, if that was forbidden meanwhile."""
    script = way.script
    if script is None:
        raise AssertionError("a way back without script and command")
    first = _start(hands, order, granted, script, leave) if leave.found is None else None
    followed = _follow(hands, order, granted, first)
    if not followed.not_begun:
        return followed, ""
    # The host knows nothing of it: never begun, or begun and forgotten with the disk it was on.
    seen = look(hands, order.host, refresh=False)
    if seen.facts is None:
        return Followed(view=None, trouble=f"{seen.reason}: {seen.detail}"), ""
    if is_back(order.planned, seen.facts, whole=way.exact):
        return Followed(view=JobView(state=JobState.LOST)), ""
    refused = leave.obstacle()
    if not refused:
        first = _start(hands, order, granted, script, leave)
        followed = _follow(hands, order, granted, first)
    if followed.not_begun:
        followed = _forbid(hands, order, granted)
    return followed, refused


def _start(
    hands: Hands, order: Order, granted: Granted, script: JobScript, leave: Leave
) -> JobView | None:
    """Create the job. None: the answer was lost, so the host has to be asked."""
    spec = JobSpec(
        attempt_id=granted.attempt_id,
        nonce=granted.nonce,
        fence=granted.fence,
        script=script,
        not_after=int(leave.last_start().timestamp()),
    )
    try:
        transport = hands.connect(order.host)
        try:
            return start_job(transport, spec, deadline=START_SECONDS)
        finally:
            transport.close()
    except TransportError:
        return None


def _follow(hands: Hands, order: Order, granted: Granted, first: JobView | None) -> Followed:
    def note(view: JobView) -> None:
        if view.begun_at is not None:
            _note_begun(hands, order, granted, datetime.fromtimestamp(view.begun_at, UTC))

    if first is not None:
        note(first)
    seconds = order.profile.host_deadline.total_seconds()
    followed = follow(hands, order.host, granted, first, seconds=seconds, note=note)
    if followed.not_begun:
        with hands.ledger.reading() as book:
            if rollbacks.has_begun(book, granted.attempt_id):
                return Followed(view=JobView(state=JobState.LOST))
    return followed


def _note_begun(hands: Hands, order: Order, granted: Granted, begun: datetime) -> None:
    with hands.ledger.writing() as book:
        rollbacks.mark_running(book, order.lease, granted.attempt_id, begun, hands.clock())


def _forbid(hands: Hands, order: Order, granted: Granted) -> Followed:
    """Make "not begun" final on the host: a start whose answer was lost may still be travelling."""
    try:
        transport = hands.connect(order.host)
        try:
            view = forbid_job(transport, granted.attempt_id, granted.nonce, deadline=START_SECONDS)
        finally:
            transport.close()
    except TransportError as error:
        return Followed(view=None, trouble=f"{error.reason}: {error}")
    if view.state is JobState.ABSENT:
        return Followed(view=view)
    return _follow(hands, order, granted, view)


def _waits_for_boot(order: Order, followed: Followed, before: Look, seen: Look) -> bool:
    """True when the disk is put back, and the host is still in the boot of before.

    A job that a disk forgot has put it back when its versions say so: what still runs then is
    not what lies on the disk. Otherwise a lost job is half a restore: nothing to boot into.
    """
    view, now, then = followed.view, seen.facts, before.facts
    if followed.trouble or view is None or now is None or then is None:
        return False
    done = view.exit_status == 0
    if view.state is JobState.LOST:
        was, is_now = (is_back(order.planned, facts, whole=True) for facts in (then, now))
        done = is_now and not was
    return done and now.boot_id == (view.boot_id_at_begin or then.boot_id)


def _asks_for_boot(order: Order, followed: Followed, seen: Look) -> bool:
    """True when updates were removed, and the host says that it ends with a restart.

    Where the plan never restarts the host it is left to a person, as the outcome says then.
    """
    facts = seen.facts
    if facts is None or not (followed.ended and facts.reboot_reasons):
        return False
    return is_due(order, facts)


def _restarted(hands: Hands, order: Order, granted: Granted, leave: Leave, seen: Look) -> Rebooted:
    """Restart the host after the intent to is written, unless that is forbidden by now."""
    # Not as what was seen before the way back: a process that goes on reads that from the ledger.
    rollout = order.plan.rollout
    now = past_lock(hands, order.host, seen, purpose="after", rollout_id=rollout, refresh=False)
    if now.facts is not None and seen.facts is not None:
        if now.facts.boot_id != seen.facts.boot_id:  # somebody has restarted it meanwhile
            return Rebooted(look=now)
        seen = now
    word = word_of(hands, granted, seen, leave.last_start())
    refused = leave.refusal() or _in_use(hands, order, granted, seen)
    if not refused:
        with hands.ledger.writing() as book:
            told = rollbacks.count_restart(book, order.lease, granted.attempt_id, hands.clock())
        if told > MAX_REBOOTS:
            refused = f"it was restarted {MAX_REBOOTS} times already: a boot loop?"
    if refused:
        return Rebooted(look=seen, pending=f"not restarted: {refused}")
    return restart(hands, order, seen, word)


def _was_told(hands: Hands, granted: Granted) -> bool:
    with hands.ledger.reading() as book:
        return rollbacks.restarts_of(book, granted.attempt_id) > 0


def _in_use(hands: Hands, order: Order, granted: Granted, seen: Look) -> str:
    """Say who on the host keeps it from being restarted, as before the restart of a change."""
    if seen.facts is None:
        return ""
    told = _was_told(hands, granted)
    return in_use(order, without_our_shutdown(hands, order, seen.facts, told=told))


def _by_worker(
    hands: Hands, order: Order, granted: Granted, command: Command, leave: Leave
) -> Taken:
    """Run the worker's command once; one that an earlier process began is never repeated.

    One that it only intended may be days old: everything is asked again.
    """
    refused = leave.obstacle() if leave.found is AttemptState.INTENT else ""
    view = JobView(state=JobState.ABSENT if refused else JobState.LOST)
    if not refused and leave.found is not AttemptState.RUNNING:
        _note_begun(hands, order, granted, hands.clock())
        end = hands.operate(operation_of(command))
        ended = end.exit_status is not None
        view = JobView(
            state=JobState.ENDED if ended else JobState.LOST,
            exit_status=end.exit_status,
            log=end.output.encode(),
        )
    seen = look(hands, order.host, refresh=False) if refused else once_up(hands, order)
    return Taken(
        followed=Followed(view=view), rebooted=Rebooted(look=seen), whole=True, refused=refused
    )
