"""What exit codes and logs of declared commands say, for `reading/judging.py`. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wavemend.declarations import Declaration, ExitMeaning, Order
from wavemend.hosts import Facts
from wavemend.managers.declared.facts import explain
from wavemend.managers.reading.judging import judge_targets
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, Target
from wavemend.versions import Scheme, key_of

_LONGEST_CAUSE = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    """A device's log is in no form that is known: its last line is quoted, and never believed."""

    exits: Mapping[int, ExitMeaning]
    status: int | None

    def explain_exit(self, status: int | None) -> str:
        if status is None:
            return "the end of the change was never recorded"
        return explain(self.exits, status)

    def cause(self, _target: Target, lines: Sequence[str]) -> str:
        own = [line.strip() for line in lines if not line.startswith("wavemend: step ")]
        said = next((f": {line}" for line in reversed(own) if line), "")
        return f"{self.explain_exit(self.status)}{said}"[:_LONGEST_CAUSE]

    def kept(self, _lines: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        return {}

    def failed(self, _lines: Sequence[str]) -> Mapping[str, str]:
        return {}


def judge(
    declaration: Declaration,
    targets: Sequence[Target],
    before: Facts,
    after: Facts,
    end: JobEnd,
) -> tuple[PackageResult, ...]:
    """Return one result per target, sorted by name and architecture."""

    def older(target: str, was: str) -> bool:
        if declaration.order is Order.OFFERED:
            return True  # nobody here can tell; the device's own words are the better reason
        try:
            scheme = Scheme(declaration.order)
            return key_of(scheme, target) < key_of(scheme, was)
        except ValueError:
            return False

    log = _Log(exits=declaration.exits, status=end.exit_status)
    return judge_targets(targets, before, after, end, log=log, older=older)
