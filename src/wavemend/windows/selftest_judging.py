"""What the answers of a Windows host prove for the self-test, and the way out where they do not.

Pure: who asks is `selftest.py`. Nothing a host prints in its own language is read: identities are
ids, settings are numbers or English names by contract.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import takewhile

from wavemend.readiness import MAX_SKEW
from wavemend.transport import CommandResult

FACTS_SECONDS = 60.0
"""A look that takes longer makes every wave slow; preflight gives up after two minutes."""

_ADMINISTRATORS = "S-1-5-32-544"
_ELEVATED = frozenset({"S-1-16-12288", "S-1-16-16384"})
"""Integrity levels high and system: an administrator's rights that were not cut off."""
_SYSTEM = "S-1-5-18"
_TRUSTED = frozenset({"SY", "BA", _SYSTEM, _ADMINISTRATORS})
_SDDL = re.compile(
    r"O:(?P<owner>BA|SY)(?:G:[A-Z0-9-]+)?D:(?P<flags>[A-Z]*)(?P<rules>(\([^()]*\))+)"
)
_SPARE_SHELLS = 2
"""Beside the one that is open: a worker's visit and an operator's."""
_DISM_STATES = {"Permanent": "Installed"}
"""What the registry tells apart and DISM does not."""

_FILTERED = (
    "set LocalAccountTokenFilterPolicy to 1 (docs/how-to/patch-windows.md), or use a domain "
    "account or the built-in Administrator"
)


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "FAILED"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How a check ended, what was seen, and what to do about it."""

    verdict: Verdict
    seen: str
    way_out: str = ""
    by_choice: bool = False
    """Of what was not tried: nobody meant to, so nothing is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked(Judged):
    """One line of the result."""

    name: str


def ok(seen: str, way_out: str = "") -> Judged:
    """Return a check that passed; `way_out` says what could be better all the same."""
    return Judged(verdict=Verdict.OK, seen=seen, way_out=way_out)


def failed(seen: str, way_out: str) -> Judged:
    """Return a check that did not pass."""
    return Judged(verdict=Verdict.FAILED, seen=seen, way_out=way_out)


def not_tried(seen: str, *, by_choice: bool = False) -> Judged:
    """Return a check that nothing can be said of."""
    return Judged(verdict=Verdict.NOT_TRIED, seen=seen, by_choice=by_choice)


def passes(found: Sequence[Checked]) -> bool:
    """Say whether everything is ok but what nobody meant to try."""
    return all(item.verdict is Verdict.OK or item.by_choice for item in found)


def judge_groups(result: CommandResult) -> Judged:
    """Say whether `whoami /groups` shows an administrator whose rights were not cut off."""
    rows = csv.reader(result.stdout.decode(errors="replace").splitlines())
    ids = {cell for row in rows for cell in row if cell.startswith("S-1-")}
    if result.exit_status != 0 or not ids:
        return failed(
            f"whoami ended with {result.exit_status} and named {len(ids)} groups",
            "run `whoami /groups` on the host",
        )
    if _ADMINISTRATORS not in ids:
        return failed(
            "the login is no member of Administrators",
            "make it one: Windows Update, DISM and the scheduler take nobody else",
        )
    if not ids & _ELEVATED:
        return failed("an administrator whose rights are cut off from afar", _FILTERED)
    return ok("a member of Administrators, with all its rights")


def judge_powershell(result: CommandResult) -> Judged:
    """Say whether it is 5.1 in full language mode, and prints nothing unasked."""
    lines = result.stdout.decode(errors="replace").split()
    complaint = _complaint(result.stderr)
    if result.exit_status != 0 or len(lines) != 3:
        return failed(
            f"it ended with {result.exit_status} and said {' '.join(lines)[:120]!r} {complaint}",
            "on the host: does powershell.exe start for this account?",
        )
    version, mode = ".".join(lines[:2]), lines[2]
    if version != "5.1":
        return failed(
            f"version {version}", "install Windows Management Framework 5.1: scripts are for 5.1"
        )
    if mode != "FullLanguage":
        return failed(
            f"version 5.1 in {mode}",
            "let AppLocker or Device Guard (WDAC) trust this account's scripts: .NET is needed",
        )
    if complaint:
        return failed(
            f"version 5.1, {mode}; it printed unasked: {complaint}",
            "find what hooks into PowerShell (AutoRun, AMSI, a security product)",
        )
    return ok(f"version 5.1, {mode}")


def _complaint(stderr: bytes) -> str:
    """Return errors on stderr; records of progress, as XML, are Windows' own and are none."""
    text = stderr.decode(errors="replace")
    plain, _, xml = text.partition("#< CLIXML")
    errors = re.findall(r'<S S="Error">(.*?)</S>', xml, re.DOTALL)
    words = re.sub(r"_x[0-9A-Fa-f]{4}_", " ", " ".join([plain, *errors]))
    return " ".join(words.split())[:200]


def judge_echo(sent: str, digest: str, came_back: str, arrived: str) -> Judged:
    """Say whether a text went there and back unchanged; `arrived`: the host's own digest of it."""
    if (came_back, arrived) == (sent, digest):
        return ok(f"{len(sent)} characters went there and back, quotes and control characters too")
    pairs = zip(sent, came_back, strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    where = "there" if arrived != digest else "back"
    there, here = sent[same : same + 20], came_back[same : same + 20]
    return failed(
        f"changed on the way {where}: {there!r} became {here!r}",
        "report it with the JSON file: the code page of the shell was not obeyed",
    )


def judge_binding(level: str, *, binds: bool) -> Judged:
    """Say whether the host ties logins to their TLS connection; `binds`: this login can be tied."""
    seen = f"CbtHardeningLevel is {level or 'not to be read'}"
    wanted = 'winrm set winrm/config/service/auth @{CbtHardeningLevel="Strict"}'
    if not binds:
        return not_tried(f"nothing to bind with this login; {seen}", by_choice=True)
    if level == "Strict":
        return ok(f"{seen}: no login without it gets in, ours did")
    if level == "Relaxed":
        return ok(f"{seen}: ours is checked, a client without it gets in, too", wanted)
    return failed(f"{seen}: a login could be relayed to this host", wanted)


def judge_shells(most: str, in_use: int) -> Judged:
    """Say whether there is room for further shells; those of other users are in `in_use`."""
    if not most.isdigit():
        return failed(
            "MaxShellsPerUser cannot be read", "winrm get winrm/config/winrs, on the host"
        )
    seen = f"{in_use} open (all users), {most} allowed per user"
    if int(most) - in_use >= _SPARE_SHELLS:
        return ok(seen)
    return failed(
        seen,
        "idle ones end after three minutes; else end winrshost.exe, or raise MaxShellsPerUser "
        "(winrm set winrm/config/winrs)",
    )


def judge_seconds(what: str, seconds: float) -> Judged:
    """Say whether a look at the host was fast enough."""
    seen = f"{what}, read in {seconds:.1f} s"
    if seconds <= FACTS_SECONDS:
        return ok(seen)
    return failed(seen, f"within {FACTS_SECONDS:.0f} s: look at WMI, its disks and its load")


def judge_clock(shown: datetime, before: datetime, after: datetime) -> Judged:
    """Say whether a clock that was read between two moments can be right, to a second."""
    slow, fast = before - (shown + timedelta(seconds=1)), shown - after
    off = max(slow, fast, timedelta(0))
    seen = f"{off.total_seconds():.0f} s {'slow' if slow > fast else 'fast'}" if off else "right"
    if off <= MAX_SKEW:
        return ok(f"{seen} (at most {MAX_SKEW.seconds} s are allowed)")
    return failed(
        f"{seen}, at most {MAX_SKEW.seconds} s are allowed",
        "w32tm /resync on the host, w32tm /query /source shows why; look at this machine's, too",
    )


def moment(text: str) -> datetime:
    """Read a time of a contract, which `calling` has checked."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def judge_dism(result: CommandResult, known: Mapping[str, str]) -> Judged:
    """Say whether DISM lists the packages in the states that the facts read from the registry."""
    rows = [
        re.split(r"\s*\|\s*", line.strip())
        for line in result.stdout.decode(errors="replace").splitlines()
    ]
    listed = {row[0]: row[1].replace(" ", "") for row in rows if len(row) == 4 and "~" in row[0]}
    if result.exit_status != 0 or not listed:
        return failed(
            f"DISM ended with {result.exit_status} and listed {len(listed)} packages",
            "Dism /Online /Cleanup-Image /CheckHealth on the host, then /RestoreHealth",
        )
    other = sorted(
        name
        for name, state in known.items()
        if listed.get(name, "not listed") != _DISM_STATES.get(state, state)
    )
    if not other:
        return ok(f"{len(listed)} listed; the {len(known)} updates agree with the registry")
    first = other[0]
    return failed(
        f"{len(other)} of {len(known)} differ, {first} is {known[first]} in the registry and "
        f"{listed.get(first, 'not listed')} for DISM",
        "report it with the JSON file: what counts as installed would be read wrongly",
    )


def judge_ways_back(ways: Iterable[tuple[str, str]], listed: int, damaged: Sequence[str]) -> Judged:
    """Say which ways back Windows could make; `ways`: kind, and what is against it."""
    words = [f"{kind.replace('_', ' ')}: {obstacle or 'possible'}" for kind, obstacle in ways]
    seen = "; ".join([*words, f"kept of ours: {listed}"])
    if damaged:
        return failed(f"{seen}; damaged record {damaged[0]}", "look at it in the points folder")
    if any(word.endswith(": possible") for word in words):
        return ok(seen)
    return failed(seen, "enable the services VSS and swprv, or choose no restore point")


def judge_folder(sddl: str, task_user: str) -> Judged:
    """Say whether a job's folder is for SYSTEM and Administrators alone, and its task SYSTEM's."""
    found = _SDDL.fullmatch(sddl)
    if found is None or "P" not in found["flags"]:
        return failed(
            f"its folder has other rights than it was made with: {sddl[:200] or 'not readable'}",
            "look at %ProgramData%\\Wavemend: who changes rights there?",
        )
    rules = [rule.split(";") for rule in found["rules"].strip("()").split(")(")]
    others = sorted({rule[-1] for rule in rules} - _TRUSTED)
    if others:
        return failed(
            f"{others[0]} has rights in its folder, too",
            "take them away: what SYSTEM runs must be SYSTEM's and Administrators' alone",
        )
    if task_user != _SYSTEM:
        return failed(
            f"its task runs as {task_user or 'nobody'}, not as SYSTEM",
            "is a policy against tasks of SYSTEM? look at it in the task scheduler",
        )
    return ok("SYSTEM and Administrators alone; the task is SYSTEM's")
