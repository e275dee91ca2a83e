"""What the log of a transaction above RPM says about its packages. Pure.

RPM's own words are the same under every manager; only the tools' exit statuses differ.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from wavemend.hosts import Facts
from wavemend.managers.reading.judging import judge_targets
from wavemend.managers.rpm.kernels import is_kernel
from wavemend.outcomes import PackageOutcome, PackageResult
from wavemend.packages import JobEnd, Target
from wavemend.versions import rpm_key

_SCRIPT = re.compile(
    r"(?:warning: |error: |>>> \[RPM\] )?%(?P<script>[a-z]+)\((?P<build>[^()\s]+)\)"
    r" scriptlet failed, (?P<how>.+)"
)
_ERROR = re.compile(
    r"(?:\s*>>> (?:\[RPM\] )?)?(?:error|Error(?! Summary)|ERROR|fatal|Problem)\b.*", re.DOTALL
)
# RPM's own reasons stand below the tools' error, one to a line; so does what yum sums up of them.
_REASON = re.compile(
    r"\s*(?:- )?(?:file /\S+ (?:from install of|conflicts between) "
    r"|installing package \S+ needs |At least \S+ more space needed "
    r"|package \S+ (?:\(which is newer than \S+\) is already installed|does not verify)"
    r"|Public key for \S+ is not installed|The GPG keys listed for |PGP check for package ).*"
)
_LOCKED = re.compile(r"wavemend-locked (?P<holder>.+)")
_MARK = re.compile(r"wavemend-(?P<what>kept|replaced) (?P<name>\S+) (?P<path>/.+)")

_NO_END = "the transaction's end was never recorded"
NO_END = f"{_NO_END}: scripts may not have run"
"""RPM's last scripts run when all versions are in, and its database keeps no account of them."""

LONGEST_WORDS = 400
"""Characters of a log's own words that are kept as a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RpmLog:
    """Reads the log of one job; `meanings` is the exit-code table of the tool that ran."""

    meanings: Mapping[int, str]
    tool: str
    names: frozenset[str] = frozenset()
    """Of the transaction's packages, which also set off triggers of others."""

    def explain_exit(self, status: int | None) -> str:
        """Say what an exit status means; one that the tool does not document is unknown."""
        if status is None:
            return _NO_END
        unknown = f"exit status {status}, which {self.tool} does not document"
        return self.meanings.get(status, unknown)

    def cause(self, target: Target, lines: Sequence[str]) -> str:
        """Return the log's last error about a package, else the last error, else nothing."""
        name = re.compile(rf"(?<![\w.+-]){re.escape(target.name)}(?=-[0-9]|[.\s,:;()'\"]|$)")
        # What a package fails by stands where its script ran: the tools' last words only say that
        # the transaction failed.
        errors = [line.strip() for line in lines if _tells_why(line)]
        errors += [
            f"the package manager is in use by {found['holder'].strip('; ')}"
            for line in lines
            if (found := _LOCKED.fullmatch(line.strip()))
        ]
        about = [line for line in errors if name.search(line)]
        scripts = [line for line in about if _SCRIPT.search(line)]
        for chosen in (scripts, about, errors):
            if chosen:
                return chosen[-1][:LONGEST_WORDS]
        return ""

    def kept(self, lines: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Return per package the configuration files that were left as the host had them."""
        return _marked(lines, "kept")

    def replaced(self, lines: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Return per package the files that came in new; the host's own lie beside them."""
        return _marked(lines, "replaced")

    def failed(self, lines: Sequence[str]) -> Mapping[str, str]:
        """Return per package the script that failed; RPM installs it all the same.

        A trigger of a package that stays as it is belongs to the whole transaction.
        """
        failed: dict[str, str] = {}
        for line in lines:
            if found := _SCRIPT.search(line):
                name = found["build"].rsplit("-", 2)[0]
                how = found["how"].strip()[:LONGEST_WORDS]
                script = f"%{found['script']} script"
                if "trigger" in script and name not in self.names:
                    failed.setdefault("", f"the {script} of {name} failed: {how}")
                else:
                    failed.setdefault(name, f"its {script} failed: {how}")
        return failed


def _tells_why(line: str) -> bool:
    return bool(_ERROR.match(line) or _REASON.match(line) or _SCRIPT.search(line))


def judge(
    log: RpmLog, targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
) -> tuple[PackageResult, ...]:
    """Return one result per target.

    Beyond what holds for all managers: files that a package replaced are named with it, and of a
    kernel that was to be taken back it is said why it was not.
    """
    log = replace(log, names=frozenset(target.name for target in targets))
    replaced = log.replaced(end.log.decode(errors="replace").replace("\r", "\n").split("\n"))
    results = []
    for result in judge_targets(targets, before, after, end, log=log):
        if result.outcome is PackageOutcome.INSTALLED and result.name in replaced:
            files = ", ".join(replaced[result.name])
            results.append(replace(result, detail=f"replaced {files}; the host's own lies beside"))
        elif is_kernel(result.name) and result.after and _older(result.target, result.after):
            results.append(replace(result, outcome=PackageOutcome.FAILED, detail=_NOT_BACK))
        else:
            results.append(result)
    return tuple(results)


_NOT_BACK = "kernels are not taken back: the boot loader chooses which of those installed starts"


def _older(version: str, other: str) -> bool:
    try:
        return rpm_key(version) < rpm_key(other)
    except ValueError:
        return False


def _marked(lines: Sequence[str], what: str) -> Mapping[str, tuple[str, ...]]:
    marked: dict[str, set[str]] = {}
    for line in lines:
        found = _MARK.fullmatch(line.strip())
        if found and found["what"] == what:
            marked.setdefault(found["name"], set()).add(found["path"])
    return {name: tuple(sorted(paths)) for name, paths in marked.items()}
