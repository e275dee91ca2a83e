"""The checks a customer runs on the first real Windows host, before anything is trusted.

They change nothing but job folders of their own, which they remove. Each is one question to the
host; what its answer proves is judged in `selftest_judging.py`. Those of jobs are in
`selftest_jobs.py`.
"""

import hashlib
from typing import TypedDict, cast

from wavemend.windows import selftest_jobs as jobs
from wavemend.windows import selftest_judging as judging
from wavemend.windows.calling import ANSWER_BOUND
from wavemend.windows.jobs import windows_job, windows_journal
from wavemend.windows.selftest_judging import Checked, Judged, Verdict, failed, ok
from wavemend.windows.selftest_session import (
    CALL_SECONDS,
    Check,
    Facts,
    Session,
    Untried,
    remove_folders,
)

DISM_SECONDS = 600.0
"""DISM lists all packages of an old server in half a minute; a damaged store takes longer."""

WHOAMI_ARGV = ("whoami.exe", "/groups", "/fo", "csv", "/nh")
PROBE_ARGV = (
    *("powershell.exe", "-NoLogo", "-NoProfile", "-NonInteractive", "-Command"),
    "$PSVersionTable.PSVersion.Major; $PSVersionTable.PSVersion.Minor; "
    "$ExecutionContext.SessionState.LanguageMode",
)
"""Works in every language mode and version: it only reads properties."""
DISM_ARGV = ("dism.exe", "/Online", "/English", "/Get-Packages", "/Format:Table")

HOSTILE = (
    "'\"$(id) `whoami` %PATH% ${env:PATH} @{a=1} ; & | > < ^ ! \\ \\\\ /c --% #> <# \t\r\n"
    "\u0001\u007f\u2028 gr\u00fc\u00df \u4e2d\u6587 \u0627\u0644\u0639 e\u0301 \U0001f600"
)
"""What quoting, variables, code pages and control characters could break."""
LARGE_REPEAT = 196_608
"""Of 16 characters: 3 MiB, the size of an old host's inventory."""
_JOURNAL_BYTES = 65_536


def logs_in(session: Session) -> Judged:
    """Open the connection and a shell on it."""
    _ = session.transport
    return ok("the login is accepted, and a shell was opened")


def is_administrator(session: Session) -> Judged:
    """Look at the rights of the login's token, without PowerShell."""
    return judging.judge_groups(session.transport.run(WHOAMI_ARGV, deadline=CALL_SECONDS))


def powershell(session: Session) -> Judged:
    """Look at PowerShell's version and language mode."""
    return judging.judge_powershell(session.transport.run(PROBE_ARGV, deadline=CALL_SECONDS))


def parameters(session: Session) -> Judged:
    """Send a text that could be read as code, and more than one message holds; get it back."""
    # Does not pack into one message, and is the same in every run.
    parts = (hashlib.sha512(f"part {number}".encode()).hexdigest() for number in range(2_000))
    text = HOSTILE + "".join(parts)
    said = cast("_Echo", session.ask("echo", text=text, repeat=0))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return judging.judge_echo(text, digest, said["text"], said["sha256"])


def large_answer(session: Session) -> Judged:
    """Let 3 MiB come back."""
    began = session.trial.monotonic()
    said = cast("_Echo", session.ask("echo", text="", repeat=LARGE_REPEAT))
    seconds = session.trial.monotonic() - began
    size = 16 * LARGE_REPEAT
    if said["filler"] != "0123456789abcdef" * LARGE_REPEAT:
        return failed(
            f"{len(said['filler'])} of {size} characters came back",
            "report it with the JSON file: answers are cut without a word",
        )
    return ok(f"{size} characters came back in {seconds:.1f} s")


def channel_binding(session: Session) -> Judged:
    """Look whether logins are tied to their TLS connection."""
    return judging.judge_binding(session.settings()["cbt_level"], binds=session.trial.binds)


def shells_left(session: Session) -> Judged:
    """Count the shells that are open."""
    said = session.settings()
    session.shells_before = said["shells_open"]
    return judging.judge_shells(said["max_shells"], said["shells_open"])


def second_connection(session: Session) -> Judged:
    """Open another connection beside the first, as an operator's command does beside a worker's."""
    _ = session.transport
    other = session.trial.connect()
    try:
        other.run(WHOAMI_ARGV, deadline=CALL_SECONDS)
    finally:
        other.close()
    return ok("a second one opened beside the first, and was served")


def host_facts(session: Session) -> Judged:
    """Read what every look reads."""
    began = session.trial.monotonic()
    session.facts = cast("Facts", session.ask("facts"))
    system = session.facts["os"]
    session.system = f"{system['caption']}, build {system['build']}"
    session.simulated = system.get("simulated", False)
    return judging.judge_seconds(session.system, session.trial.monotonic() - began)


def clock(session: Session) -> Judged:
    """Compare the clocks: only what lies outside the time of the call is proven to be wrong."""
    before = session.trial.clock()
    shown = judging.moment(session.settings()["utc_now"])
    return judging.judge_clock(shown, before, session.trial.clock())


def restart_pending(session: Session) -> Judged:
    """Look whether Windows waits for a restart."""
    said = session.known_facts()["reboot"]
    reasons = ", ".join([*said["reasons"], *said["soft_reasons"]])
    if said["hard"]:
        return ok(f"readable: {reasons}", "restart the host before its first rollout")
    return ok(f"readable: none is needed{f' (noise: {reasons})' if reasons else ''}")


def boot(session: Session) -> Judged:
    """Read which boot it is, twice and in two ways."""
    said = cast("_Boot", session.ask("boot"))
    other = session.known_facts()["os"]["boot_id"]
    if said["boot_id"] != other:
        return failed(
            f"{said['boot_id']} now and {other} a moment ago", "did the host restart just now?"
        )
    servicing = ", servicing at work" if said["servicing_in_progress"] else ""
    screen = "there" if said["logon_ui_ready"] else "not there"
    uncounted = said["boot_id"].startswith("time-")
    return ok(
        f"{said['boot_id']}, logon screen {screen}{servicing}",
        "no boot counter here: setting the clock will look like a restart" if uncounted else "",
    )


def packages(session: Session) -> Judged:
    """Let DISM list the packages, and compare."""
    known = {item["name"]: item["state"] for item in session.known_facts()["packages"]}
    done = session.transport.run(DISM_ARGV, deadline=DISM_SECONDS, bound=ANSWER_BOUND)
    return judging.judge_dism(done, known)


def ways_back(session: Session) -> Judged:
    """Look which ways back Windows could make; none is made."""
    ways = [(way["kind"], way["reason"]) for way in session.settings()["ways_back"]]
    listed = cast("_Points", session.ask("list_points"))
    return judging.judge_ways_back(ways, len(listed["points"]), listed["damaged"])


def journal(session: Session) -> Judged:
    """Read the host's journal."""
    text = windows_journal(session.transport, size=_JOURNAL_BYTES, deadline=CALL_SECONDS)
    lines = text.decode("ascii", errors="replace").splitlines()
    strange = [line for line in lines if line.partition(" ")[0] not in {"begin", "end"}]
    if strange:
        return failed(f"a line in no form: {strange[0][:80]!r}", "who else writes to it?")
    return ok(f"{len(lines)} lines, all in form" if lines else "empty: nothing was changed yet")


def folders_removed(session: Session) -> Judged:
    """Remove our folders, and look that they are gone."""
    ids = tuple(session.job_ids)
    removed = remove_folders(session)
    left = [
        job_id
        for job_id in ids
        if windows_job(session.transport, job_id, deadline=CALL_SECONDS).found
    ]
    if left:
        return failed(
            f"{left[0]} is still there",
            "remove it from %ProgramData%\\Wavemend\\jobs, and its task from the task scheduler",
        )
    return ok(f"{removed} removed, with their tasks")


def shells_closed(session: Session) -> Judged:
    """Leave, come back, and count the shells again."""
    if session.shells_before is None:
        raise Untried("the shells could not be counted at the beginning")
    session.reconnect()
    more = session.settings()["shells_open"] - session.shells_before
    if more > 0:
        return failed(
            f"{more} more open than at the beginning",
            "did somebody else log in meanwhile? They end after three idle minutes; try again",
        )
    return ok("no more open than at the beginning")


CHECKS: tuple[tuple[str, Check], ...] = (
    ("login and shell", logs_in),
    ("administrator", is_administrator),
    ("PowerShell", powershell),
    ("parameters", parameters),
    ("large answers", large_answer),
    ("channel binding", channel_binding),
    ("shells left", shells_left),
    ("second connection", second_connection),
    ("host facts", host_facts),
    ("clock", clock),
    ("restart pending", restart_pending),
    ("boot", boot),
    ("servicing packages", packages),
    ("ways back", ways_back),
    ("journal", journal),
    ("job starts", jobs.job_starts),
    ("job ends", jobs.job_ends),
    ("job folder", jobs.job_folder),
    ("second start", jobs.second_start),
    ("forbidden job", jobs.forbidden_job),
    ("older fence", jobs.older_fence),
    ("late start", jobs.late_start),
    ("dropped connection", jobs.dropped_connection),
    ("search as SYSTEM", jobs.search),
    ("snapshot", jobs.snapshot),
    ("job folders removed", folders_removed),
    ("shells closed", shells_closed),
)
"""In the order in which they are carried out: what the others stand on comes first."""

NEVER_TRIED: tuple[Checked, ...] = tuple(
    Checked(name=name, verdict=Verdict.NOT_TRIED, seen=seen, by_choice=True)
    for name, seen in (
        ("installing", "an update; begin with one host that nobody misses"),
        ("restarting", "whether the boot id changes, and when Windows is up again for good"),
        ("taking back", "an update with DISM, and its restart"),
        ("a change's journal", "only changes write to it, and raise the fence"),
    )
)
"""What is left to the first rollout, and said."""


class _Boot(TypedDict):
    boot_id: str
    servicing_in_progress: bool
    logon_ui_ready: bool


class _Echo(TypedDict):
    text: str
    sha256: str
    filler: str


class _Points(TypedDict):
    points: list[object]
    damaged: list[str]
