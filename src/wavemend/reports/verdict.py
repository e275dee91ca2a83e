"""Did last night's updates really work? The answer, and what is left to do. Pure.

Everything is recounted from the host rows; the only number taken on trust is how many hosts the
plan expected. When the two disagree the answer is `failed`, whatever the rows say.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.reports.model import HostReport, PackageReport, RolloutReport, RolloutState
from wavemend.reports.text import counted, one_line


class Answer(StrEnum):
    """The one word at the top of the report."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"
    FAILED = "failed"
    """The report itself cannot be relied on: hosts without outcome, or a broken audit chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """One thing that waits: what, why, and the way out."""

    host: str
    wave: str
    kind: str
    """The host's outcome, or `package:<outcome>` for a package that waits on a good host."""
    waits: str
    why: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Expected = sum of outcomes (+ hosts still open, while the rollout runs)."""

    expected: int
    counts: tuple[tuple[Outcome, int], ...]
    """Every outcome of the closed list, zeros included, in its order."""
    open: int
    """Host rows without an outcome."""
    good: int
    """Hosts with a good outcome that nothing speaks against."""
    doubted: int
    """Hosts with a good outcome that were last seen otherwise; not among the good ones."""
    faults: tuple[str, ...]
    """Why the numbers do not balance, as sentences; empty when they do."""

    @property
    def holds(self) -> bool:
        """True when every expected host has exactly one outcome, or is allowed to be open."""
        return not self.faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer, one sentence, and the list of what waits, most urgent first."""

    answer: Answer
    sentence: str
    next_steps: tuple[NextStep, ...]


_URGENCY: tuple[Outcome | None, ...] = (
    None,
    Outcome.NEEDS_HUMAN,
    Outcome.FAILED,
    Outcome.UNREACHABLE,
    Outcome.ROLLED_BACK,
    Outcome.BLOCKED,
    Outcome.NOT_ATTEMPTED,
    Outcome.SKIPPED,
    Outcome.PATCHED_REBOOT_PENDING,
    Outcome.PATCHED,
    Outcome.NOTHING_TO_DO,
)
"""What an operator should look at first."""

_GOOD_WITH_A_REASON = "The host is as planned; see to what is named here."

_HOST_ACTIONS: dict[Outcome, str] = {
    Outcome.NEEDS_HUMAN: "Log in and look: a start without an end was recorded, and nothing is "
    "repeated by itself.",
    Outcome.FAILED: "Read the end of its log below and mend the cause; what is left half done, "
    "`wavemend repair COMPANY` finishes. Then plan it again.",
    Outcome.UNREACHABLE: "Find out whether the host is up. Until it answers it counts as not "
    "patched and keeps using its group's disruption budget.",
    Outcome.ROLLED_BACK: "The host runs its old versions again: find the cause before the next "
    "plan.",
    Outcome.BLOCKED: "Remove the obstacle named here; the next plan takes the host in again.",
    Outcome.NOT_ATTEMPTED: "Nothing was changed on it; the next plan takes it in again.",
    Outcome.SKIPPED: "Nothing, if the reason stands; otherwise change the policy and plan again.",
    Outcome.PATCHED_REBOOT_PENDING: "Restart it in its next window: until then old code keeps "
    "running.",
}
_DOUBT_ACTION = "Look at the host: something speaks against its outcome since."
_NO_OUTCOME_ACTION = "No end is recorded: look at the host and at the ledger before anything else."

_PACKAGE_ACTIONS: dict[PackageOutcome, str] = {
    PackageOutcome.FAILED: "Mend the cause on the host, then plan it again; what is left half "
    "done, `wavemend repair COMPANY` finishes.",
    PackageOutcome.HELD: "Somebody put a hold on it: ask why, then release it or record a waiver.",
    PackageOutcome.NOT_OFFERED: "See what it would add or remove, or check the host's "
    "repositories for this version.",
    PackageOutcome.CONFFILE_KEPT: "Merge the new configuration file by hand: the host kept its "
    "own.",
    PackageOutcome.PHASED: "Nothing: the vendor's phased release reaches the host by itself.",
    PackageOutcome.NOT_ATTEMPTED: "Nothing was started for it. If it shall be installed, see the "
    "host's own outcome and the profile's `updates`.",
}

_STATE_CLAUSES: dict[RolloutState, str] = {
    RolloutState.DONE: "",
    RolloutState.HALTED: "the rollout halted",
    RolloutState.WAITING_APPROVAL: "the rollout waits for an approval",
    RolloutState.RUNNING: "the rollout is still running",
    RolloutState.REJECTED: "an approver rejected the rest",
    RolloutState.EXPIRED: "the plan expired before the rest could start",
}


def balance_of(report: RolloutReport) -> Balance:
    """Recount the host rows against the number of hosts the plan expected."""
    seen = Counter(host.outcome for host in report.hosts)
    open_rows = seen[None]
    return Balance(
        expected=report.expected,
        counts=tuple((outcome, seen[outcome]) for outcome in Outcome),
        open=open_rows,
        good=sum(host.is_good for host in report.hosts),
        doubted=sum(map(_is_doubted, report.hosts)),
        faults=_balance_faults(report, open_rows),
    )


def _balance_faults(report: RolloutReport, open_rows: int) -> tuple[str, ...]:
    names = Counter(host.name for host in report.hosts)
    faults = []
    if len(report.hosts) != report.expected:
        faults.append(
            f"{counted(report.expected, 'host')} expected, {len(report.hosts):,} accounted for"
        )
    if missing := sorted({name for wave in report.waves for name in wave.hosts} - set(names)):
        faults.append(f"in a wave, but without a row: {_some(missing)}")
    if twice := sorted(name for name, count in names.items() if count > 1):
        faults.append(f"more than one outcome: {_some(twice)}")
    if open_rows and report.state is not RolloutState.RUNNING:
        unended = sorted(host.name for host in report.hosts if host.outcome is None)
        faults.append(f"no outcome recorded: {_some(unended)}")
    return tuple(faults)


def verdict_of(report: RolloutReport) -> Verdict:
    """Answer the question of the morning. Same report, same answer."""
    balance = balance_of(report)
    return Verdict(
        answer=_answer(report, balance),
        sentence=_sentence(report, balance),
        next_steps=_next_steps(report),
    )


def is_alarm(report: RolloutReport) -> bool:
    """Say whether nobody may take the night for a good one, whatever was patched in it.

    A halted one stopped before its end: a gate stayed shut, or somebody stopped it.
    """
    answer = verdict_of(report).answer
    return report.state is RolloutState.HALTED or answer in {Answer.NO, Answer.FAILED}


def hosts_by_urgency(report: RolloutReport) -> tuple[HostReport, ...]:
    """Return the hosts, those that need somebody first, then by wave and name."""
    order = {wave.name: wave.number for wave in report.waves}
    return tuple(
        sorted(
            report.hosts,
            key=lambda host: (
                _URGENCY.index(Outcome.FAILED if _is_doubted(host) else host.outcome),
                order.get(host.wave, len(order) + 1),
                host.name,
            ),
        )
    )


def _answer(report: RolloutReport, balance: Balance) -> Answer:
    if not balance.holds or not report.audit.verified:
        return Answer.FAILED
    if report.expected == 0 or balance.good == 0:
        return Answer.NO
    if report.state is RolloutState.HALTED and not any(map(_was_patched, report.hosts)):
        return Answer.NO
    # Good on every host, yet not done: say `partly` until the last gate has spoken.
    complete = balance.good == report.expected and report.state is RolloutState.DONE
    return Answer.YES if complete else Answer.PARTLY


def _was_patched(host: HostReport) -> bool:
    """False for a host that somebody else has patched: nothing was begun on it."""
    wanted = {Outcome.PATCHED, Outcome.PATCHED_REBOOT_PENDING}
    return host.outcome in wanted and host.intent_at is not None


def _sentence(report: RolloutReport, balance: Balance) -> str:
    if not balance.holds:
        return f"The numbers do not balance, so no outcome here is proof: {_joined(balance)}."
    if not report.audit.verified:
        return "The audit chain does not verify, so no outcome here is proof: see Audit."
    if not report.plan_digest:
        return "No plan was made yet; nothing was changed."
    if report.expected == 0:
        return "The plan held no host, so nothing was patched."
    clauses = [_count_clause(report, balance)]
    if clause := _STATE_CLAUSES[report.state]:
        reason = one_line(report.halted_reason, 200).rstrip(".")
        halted = report.state is RolloutState.HALTED and reason
        clauses.append(f"{clause}: {reason}" if halted else clause)
    return "; ".join(clauses) + "."


def _count_clause(report: RolloutReport, balance: Balance) -> str:
    rest = [
        f"{count:,} {outcome_words(outcome)}"
        for outcome, count in sorted(balance.counts, key=lambda row: _URGENCY.index(row[0]))
        if count and not outcome.is_good
    ]
    if balance.doubted:
        rest.append(f"{balance.doubted:,} in doubt")
    if balance.open:
        rest.append(f"{balance.open:,} still open")
    if not rest:
        rest = _small_print(report, balance)
    whole = counted(report.expected, "host")
    if balance.good == report.expected:
        start = f"All {whole} are" if report.expected > 1 else "The one host is"
        start += " in the state the plan wanted"
    elif balance.good == 0:
        start = f"None of {whole} is" if report.expected > 1 else "The one host is not"
        start += " in the state the plan wanted"
    else:
        verb = "is" if balance.good == 1 else "are"
        start = f"{balance.good:,} of {whole} {verb} in the state the plan wanted"
    return f"{start} ({', '.join(rest)})" if rest else start


def _small_print(report: RolloutReport, balance: Balance) -> list[str]:
    """Say what still waits on hosts that are good, so that `yes` hides nothing."""
    restarts = dict(balance.counts)[Outcome.PATCHED_REBOOT_PENDING]
    packages = sum(len(_waiting_packages(host)) for host in report.hosts if host.is_good)
    notes = [f"{counted(restarts, 'restart')} pending"] if restarts else []
    if packages:
        notes.append(f"{counted(packages, 'package')} left waiting")
    return notes


def outcome_words(outcome: Outcome | None) -> str:
    """Return an outcome as words; a row without one reads `no outcome`."""
    if outcome is Outcome.PATCHED_REBOOT_PENDING:
        return "restart pending"
    return outcome.value.replace("_", " ") if outcome else "no outcome"


def _joined(balance: Balance) -> str:
    return "; ".join(balance.faults)


def _next_steps(report: RolloutReport) -> tuple[NextStep, ...]:
    steps: list[NextStep] = []
    packages: list[NextStep] = []
    for host in hosts_by_urgency(report):
        told = host.outcome is Outcome.PATCHED and host.reason  # such as an after hook that failed
        if host.outcome is None or host.outcome in _HOST_ACTIONS or host.doubt or told:
            steps.append(_host_step(host))
        if host.is_good:
            packages += [_package_step(host, package) for package in _waiting_packages(host)]
    return (*steps, *packages)


def _host_step(host: HostReport) -> NextStep:
    return NextStep(
        host=host.name,
        wave=host.wave,
        kind=host.outcome.value if host.outcome else "no_outcome",
        waits=_waits(host),
        why="; ".join(filter(None, (host.doubt, host.reason)))
        or "; ".join(host.reboot_reasons)
        or "no reason is recorded",
        action=_DOUBT_ACTION if _is_doubted(host) else _host_action(host.outcome),
    )


def _host_action(outcome: Outcome | None) -> str:
    if outcome is None:
        return _NO_OUTCOME_ACTION
    return _HOST_ACTIONS.get(outcome, _GOOD_WITH_A_REASON)


def _is_doubted(host: HostReport) -> bool:
    return bool(host.doubt) and host.outcome is not None and host.outcome.is_good


def _waits(host: HostReport) -> str:
    if _is_doubted(host):
        return "the host"
    if host.outcome is Outcome.PATCHED_REBOOT_PENDING:
        return "its restart"
    open_packages = [p.name for p in host.packages if p.outcome is not PackageOutcome.INSTALLED]
    if not open_packages:
        return "the host" if host.packages else "its updates"
    return f"{counted(len(open_packages), 'package')}: {_some(sorted(open_packages))}"


def _waiting_packages(host: HostReport) -> tuple[PackageReport, ...]:
    return tuple(
        package
        for package in sorted(host.packages, key=lambda p: (p.name, p.arch))
        if package.outcome is not None and package.outcome is not PackageOutcome.INSTALLED
    )


def _package_step(host: HostReport, package: PackageReport) -> NextStep:
    outcome = package.outcome or PackageOutcome.FAILED
    return NextStep(
        host=host.name,
        wave=host.wave,
        kind=f"package:{outcome.value}",
        waits=f"update {package.name}: {one_line(package.title, 120)}"
        if package.title
        else f"package {package.name} {package.target}",
        why=package.detail or outcome.value.replace("_", " "),
        action=_PACKAGE_ACTIONS[outcome],
    )


def _some(names: list[str], limit: int = 4) -> str:
    shown = ", ".join(one_line(name, 80) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"
