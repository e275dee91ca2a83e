"""Is this host ready to be changed? One list of checks for T-24 h, T-30 min and each wave. Pure.

A problem that blocks keeps its host out of the transaction, as an outcome with that reason; one
that does not is told, so that somebody can look before the night.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from wavemend.fleet import RolloutKind
from wavemend.hosts import DEAD_LOCK, Facts, FreeSpace
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.packages import Transaction
from wavemend.policy.care import Unready
from wavemend.readiness_words import MIN_FREE_BYTES, words_for

MIN_FREE_INODES = 2_000
"""A kernel or a documentation package unpacks that many files."""

MAX_SKEW = timedelta(seconds=30)
"""Beyond that, windows and the order of events in the evidence can no longer be trusted."""


class Check(StrEnum):
    """What was looked at. The first eight are the ways in which a host cannot be reached."""

    OFF = "off"
    NAME = "name"
    PORT = "port"
    SILENT = "silent"
    LOGIN = "login"
    KEY = "key"
    LOST = "lost"
    ANSWER = "answer"
    CLOCK = "clock"
    READ_ONLY = "read-only"
    SPACE = "space"
    PACKAGES = "packages"
    LOCK = "lock"
    REPOSITORIES = "repositories"
    REBOOT = "reboot"
    RIVALS = "rivals"
    SHUTDOWN = "shutdown"
    RESTORE_POINT = "restore point"
    TRANSACTION = "transaction"
    JOURNAL = "journal"


_OPENED_BY_HOOKS = frozenset({"/usr", "/boot"})
"""Some keep these read-only, and let the package manager's own hooks open them for a change."""

NO_OBSTACLE: Mapping[str, frozenset[Check]] = {
    RolloutKind.RESTART: frozenset({Check.SPACE, Check.REPOSITORIES}),
    # What is half done may keep the manager from saying what is pending, and a repair asks nobody.
    RolloutKind.REPAIR: frozenset({Check.PACKAGES, Check.REPOSITORIES}),
}
"""What keeps no host from a rollout of that kind, which brings no update in."""

_WAYS_OUT = {
    Check.OFF: "switch it on, or take it out of the fleet",
    Check.NAME: "correct its address in the fleet file, or its DNS entry",
    Check.PORT: "start what answers there (SSH, on Windows WinRM), or correct its port",
    Check.SILENT: "look at its console: something accepts connections and does not speak",
    Check.LOGIN: "mend the login, or its rights: root, on Windows an administrator's",
    Check.KEY: "find out why its key or certificate changed before you trust the new one",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is not as it should be before a change."""

    check: Check
    reason: str
    hint: str = ""
    blocks: bool = True

    def __str__(self) -> str:
        return f"{self.check}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What one check of one host found."""

    host: str
    problems: tuple[Problem, ...]

    @property
    def ready(self) -> bool:
        """True when nothing found keeps the host from being changed."""
        return not self.blocking

    @property
    def blocking(self) -> tuple[Problem, ...]:
        """What keeps the host from being changed."""
        return tuple(problem for problem in self.problems if problem.blocks)


def judge_look(
    look: Look,
    transaction: Transaction | None = None,
    *,
    strangers: Sequence[str] = (),
    kind: str = RolloutKind.PATCH,
) -> Readiness:
    """Say what is wrong with a host that was just looked at.

    `transaction`: the rehearsal of what is pending, where there was one: its sizes are compared
    with the free space, and a refusal is a problem. `strangers`: attempts in the host's own
    journal that the ledger does not know of. `kind`: what the host is to be ready for.
    """
    if look.facts is None:
        return Readiness(host=look.host, problems=(_unseen(look),))
    problems = [*_facts_problems(look.facts)]
    if strangers:
        reason = f"its journal has {len(strangers)} changes that this ledger does not know of"
        hint = (
            "the ledger is an older copy, or another installation changes this host: look at "
            "both, then run `wavemend reconcile`"
        )
        problems.append(Problem(check=Check.JOURNAL, reason=reason, hint=hint))
    if transaction is not None:
        problems += _transaction_problems(look.facts, transaction)
    no_obstacle = NO_OBSTACLE.get(kind, frozenset())
    told = (replace(p, blocks=p.blocks and p.check not in no_obstacle) for p in problems)
    return Readiness(host=look.host, problems=tuple(told))


def outcome_of(look: Look) -> Outcome:
    """Return what a host that is not ready ends with, when the others go on without it."""
    return look.unseen_outcome if look.facts is None else Outcome.SKIPPED


def _unseen(look: Look) -> Problem:
    known = {check.value: check for check in Check}
    # A word of the error tree that has no check of its own is an answer that cannot be used.
    check = known.get(look.reason, Check.LOST if look.reason == "deadline" else Check.ANSWER)
    return Problem(check=check, reason=look.detail or look.reason, hint=_WAYS_OUT.get(check, ""))


def _facts_problems(facts: Facts) -> Iterator[Problem]:
    words = words_for(facts)
    if abs(facts.clock_skew_seconds) > MAX_SKEW.total_seconds():
        reason = f"its clock is {facts.clock_skew_seconds:.0f} s off"
        yield Problem(check=Check.CLOCK, reason=reason, hint=words.clock)
    yield from _read_only(facts)
    for space in facts.free_space:
        yield from _space(space, words.least_free(facts, space.path), words.room(space.path))
    if facts.defects:
        names = [f"{p.name} ({p.status})" for p in facts.broken]
        names += [DEAD_LOCK] if facts.has_dead_lock else []
        yield Problem(
            check=Check.PACKAGES,
            reason=f"packages are not whole: {', '.join(names)}",
            hint=words.broken,
        )
    if facts.lock_holder and not facts.has_dead_lock:
        reason = f"{words.busy} {facts.lock_holder}"
        yield Problem(check=Check.LOCK, reason=reason, hint="wait for it, or stop it at its source")
    if facts.scheduled_shutdown:
        reason = f"{facts.scheduled_shutdown} on the host"
        yield Problem(check=Check.SHUTDOWN, reason=reason, hint=words.shutdown)
    yield from _repositories(facts, words.index)
    if facts.reboot_reasons:
        reason = f"it waits for a reboot: {'; '.join(facts.reboot_reasons)}"
        yield Problem(check=Check.REBOOT, reason=reason, hint=words.reboot, blocks=False)
    if facts.rivals:
        reason = f"other updaters are at work: {', '.join(facts.rivals)}"
        hint = "switch them off: two updaters undo each other's plans"
        yield Problem(check=Check.RIVALS, reason=reason, hint=hint, blocks=False)


def _read_only(facts: Facts) -> Iterator[Problem]:
    for place in facts.read_only:
        hint = "`dmesg` on the host says why: a disk that fails ends so; then mount it writable"
        blocks = place not in _OPENED_BY_HOOKS
        yield Problem(
            check=Check.READ_ONLY, reason=f"{place} is mounted read-only", hint=hint, blocks=blocks
        )


def _space(space: FreeSpace, least: int, way_out: str) -> Iterator[Problem]:
    if space.free_bytes < least or 0 <= space.free_inodes < MIN_FREE_INODES:
        inodes = f", {space.free_inodes} inodes" if space.free_inodes >= 0 else ""
        reason = f"{space.path} is nearly full: {space.free_bytes // 1_048_576} MiB{inodes} free"
        yield Problem(check=Check.SPACE, reason=reason, hint=way_out)


def _repositories(facts: Facts, index: str) -> Iterator[Problem]:
    if facts.index_errors:
        reason = f"{index}: {facts.index_errors[0]}"
        hint = "without it, nobody knows what is pending"
        yield Problem(check=Check.REPOSITORIES, reason=reason, hint=hint)
    for repository in facts.repositories:
        if not repository.reachable and not facts.index_errors:
            detail = f": {repository.detail}" if repository.detail else ""
            reason = f"{repository.name} cannot be reached{detail}"
            yield Problem(check=Check.REPOSITORIES, reason=reason)
        if not repository.signed:
            reason = f"{repository.name} is taken unsigned"
            hint = "whoever stands between can replace its packages"
            yield Problem(check=Check.REPOSITORIES, reason=reason, hint=hint, blocks=False)


def _transaction_problems(facts: Facts, transaction: Transaction) -> Iterator[Problem]:
    if transaction.refusal:
        reason = f"the package manager would refuse: {transaction.refusal}"
        yield Problem(check=Check.TRANSACTION, reason=reason)
    if reason := lack_of_room(facts, transaction):
        yield Problem(check=Check.SPACE, reason=reason, hint="make room before the window")


def lack_of_room(facts: Facts, transaction: Transaction) -> str:
    """Say how much room a transaction lacks; empty when it fits, or nobody knows its size.

    What is fetched lies in /var while its files are unpacked; where /var has no line of its own
    it is part of /.
    """
    free = {space.path: space.free_bytes for space in facts.free_space}
    fetched = max(0, transaction.download_bytes or 0)
    unpacked = max(0, transaction.install_bytes or 0)
    root, var = free.get("/"), free.get("/var")
    # df says the same of both when they are one file system.
    shared = var is None or var == root
    needs = [("/", unpacked + (fetched if shared else 0), root)]
    if not shared:
        needs.append(("/var", fetched, var))
    for path, need, have in needs:
        if have is not None and need and have - need < MIN_FREE_BYTES:
            return (
                f"{path} has {have // 1_048_576} MiB free, the updates need "
                f"{need // 1_048_576} MiB and {MIN_FREE_BYTES // 1_048_576} MiB must stay"
            )
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAnswer:
    """What the hosts that are not ready mean for their group, now."""

    go_on: bool
    hold: bool
    reason: str
    """Who is not ready and why; empty when everybody is."""


def group_answer(
    rule: Unready, found: Sequence[Readiness], *, accepted: bool, time_left: bool
) -> GroupAnswer:
    """Apply the group's rule: block, hold and notify, or go on without them. Pure.

    Holding ends at the cut-off, and blocks then: nothing is begun that nobody decided.
    """
    unready = [readiness for readiness in found if not readiness.ready]
    reason = "; ".join(f"{r.host} is not ready: {r.blocking[0]}" for r in unready[:5])
    if len(unready) > 5:
        reason += f"; and {len(unready) - 5} more"
    if not unready or accepted or rule is Unready.GO_ON:
        return GroupAnswer(go_on=True, hold=False, reason=reason)
    if rule is Unready.HOLD and time_left:
        return GroupAnswer(go_on=False, hold=True, reason=reason)
    return GroupAnswer(go_on=False, hold=False, reason=f"group rule: {reason}")
