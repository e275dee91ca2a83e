"""The table of faults of an attempt on a Windows host: each one, how it must end, and its play.

`python -m tests.contract.windows_fault_rows` plays all of them and prints expected and seen. What
the line suffers, operation by operation, is in test_windows_faults_line.py.
"""

import tempfile
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tests.contract.windows_bench import LCU, NET, TOOL
from tests.contract.windows_fault_plays import (
    Play,
    at_the_start,
    certificate,
    cut_status,
    exit_status,
    fire,
    full_at_times,
    full_from_the_beginning,
    later,
    lying,
    meanwhile,
    never_back,
    newer_controller,
    newer_fence,
    no_network,
    no_shell,
    no_space,
    off,
    password_changed,
    without_task,
    wrong_answers,
    wrong_password,
)
from tests.winrm_peer import other_authority, run_authority


@dataclass(frozen=True, slots=True)
class Row:
    """One fault. `expected`: what must be seen; a `*` stands for any words."""

    id: str
    title: str
    expected: str
    play: Play

    def holds(self, seen: str) -> bool:
        """Say whether what was seen is what was expected."""
        return fnmatchcase(seen, self.expected)


DONE = "patched begun once; 2 of 2 there, 1 restarts"
UNSEEN = "needs_human begun once: the transaction's end was not seen"
PENDING = (
    "patched_reboot_pending begun once: it was told to reboot, and its boot id has not changed"
)
NO_CREDENTIAL = "no credential was sent *; 0 logins"

_HOSTS: tuple[tuple[str, str, Play], ...] = (
    (
        "restarts by itself in mid-job",
        "patched 2 rounds; 2 of 2 there, 2 restarts",
        meanwhile("ok_reboot", lambda world: world.windows.boot()),
    ),
    (
        "goes down in mid-job and never comes back",
        f"{UNSEEN}: port: *; 0 of 2 there, *",
        meanwhile("ok_reboot", never_back),
    ),
    (
        "never comes back from its restart",
        "unreachable begun once: after the change: port: *; 2 of 2 there, 1 restarts",
        lying(never_returns=True),
    ),
    ("is off", "unreachable never begun: port: *", off),
    (
        "comes back with the boot id it had",
        f"{PENDING}; 2 of 2 there, 1 restarts",
        lying(patience=8, boot_id_stays=True),
    ),
    (
        "is told to restart and does not",
        f"{PENDING}; Windows servicing waits for a restart; *; 2 of 2 there, 0 restarts",
        lying(patience=8, reboot_never=True),
    ),
    (
        "goes on servicing for 20 minutes after its restart",
        DONE,
        lying(wired=False, servicing_seconds=1200),
    ),
    ("prepares the job and dies before its task is there", DONE, without_task(1)),
    (
        "does so every time",
        "not_attempted never begun: was never begun: the host did not take the job: lost: *; "
        "0 of 2 there, 0 restarts",
        without_task(9),
    ),
    ("lets the task wait for two minutes", DONE, lying(queued_seconds=120)),
    ("tells half of the job's status", DONE, meanwhile("ok_reboot", cut_status)),
    (
        "loses the worker in mid-job",
        f"failed begun once: {LCU}: offered still: the job's end was never recorded; "
        "0 of 2 there, 0 restarts",
        meanwhile("ok_reboot", lambda world: world.kill()),
    ),
    (
        "answers the start with nothing, half of it, an error, or goes away",
        "no_result patched begun once; truncated patched begun once; error patched begun once; "
        "hang_up patched begun once",
        wrong_answers,
    ),
    (
        "has all its shells taken by others",
        "unreachable never begun: transport: *maximum number of concurrent shells*",
        full_from_the_beginning,
    ),
    ("has them taken at the first try of each visit", "patched begun once; * times", full_at_times),
)

_LOGINS: tuple[tuple[str, str, Play], ...] = (
    (
        "certificate expired",
        f"blocked never begun: key: *certificate has expired; {NO_CREDENTIAL}",
        certificate(lambda: run_authority().expired("127.0.0.1")),
    ),
    (
        "certificate of another name",
        f"blocked never begun: key: *not valid for '127.0.0.1'*; {NO_CREDENTIAL}",
        certificate(lambda: run_authority().wrong_name()),
    ),
    (
        "certificate by an authority that nobody knows",
        f"blocked never begun: key: *self-signed certificate in *; {NO_CREDENTIAL}",
        certificate(lambda: other_authority().leaf()),
    ),
    (
        "wrong password for five hosts",
        "5 blocked never begun, 2 held back, 3 offered to hosts",
        wrong_password,
    ),
    (
        "password changed in mid-job",
        f"{UNSEEN}: login: *; 2 of 2 there, 0 restarts, refused 1 times",
        password_changed,
    ),
    (
        "login is no administrator",
        "access_denied blocked never begun: login: *",
        no_shell("access_denied"),
    ),
    (
        "host is shutting down, its service starts, it gives up",
        "shutdown_in_progress unreachable never begun: off: *; http_503 unreachable never begun: "
        "off: *; operation_timeout unreachable never begun: silent: *",
        no_shell("shutdown_in_progress", "http_503", "operation_timeout"),
    ),
)

_STARTS: tuple[tuple[str, str, Play], ...] = (
    (
        "time-out on Send: before, after it took effect",
        "patched begun once, 1 struck; patched begun once, 1 struck",
        at_the_start("Send", "operation_timeout"),
    ),
    (
        "output lost in Receive: before, after it took effect",
        "patched begun once, 1 struck; patched begun once, 1 struck",
        at_the_start("Receive", "drop"),
    ),
    (
        "two controllers, one overtaken before its start",
        "patched begun once; the older one: the rollout r-1 was taken over by *",
        newer_controller,
    ),
    (
        "the host knows of a newer controller",
        "not_attempted never begun: the host has seen a newer controller and refused this one",
        newer_fence,
    ),
    (
        "the window closes between rounds",
        f"failed begun once: {LCU}: *; no further round: window: *; 1 of 2 there, 0 restarts",
        meanwhile("download_failure", later),
    ),
    (
        "stop is said between rounds",
        f"failed begun once: {LCU}: not begun: *; no further round: stopped: *; 0 of 2 there, *",
        meanwhile("reboot_first", fire),
    ),
)

_EXITS: tuple[tuple[str, str, Play], ...] = (
    ("0, succeeded", f"exit 0: {DONE}", exit_status("ok_reboot", LCU, TOOL)),
    (
        "1, failed",
        f"exit 1, 1: failed 2 rounds: {LCU}: offered still: its download failed: 0x80246007 *; "
        "0 of 1 there, 0 restarts",
        exit_status("download_failure", LCU),
    ),
    (
        "2, partly done",
        f"exit 2, 1: failed 2 rounds: {NET}: offered still: its installation failed: 0x80070643 *; "
        "1 of 2 there, 1 restarts",
        exit_status("fail_and_continue", LCU, NET),
    ),
    (
        "3, nothing installed",
        f"exit 3: failed begun once: {LCU}: not offered any more: *; 0 of 1 there, 0 restarts",
        exit_status("superseded", LCU),
    ),
    (
        "4, a restart comes first",
        "exit 4, 0: patched 2 rounds; 1 of 1 there, 2 restarts",
        exit_status("reboot_first", LCU),
    ),
    (
        "5, deadline",
        f"exit 5: failed begun once: {TOOL}: not begun: the time for new installations was over; "
        "1 of 2 there, *",
        exit_status("deadline", LCU, TOOL, minutes=180),
    ),
    (
        "6, no space",
        f"exit 6: blocked begun once: {LCU}: not begun: there was not enough room on the system "
        "drive; 0 of 1 there, 0 restarts",
        exit_status("ok_reboot", LCU, then=no_space),
    ),
    (
        "9, the worker throws",
        f"exit 9: failed begun once: {LCU}: cannot be proven: search: 0x8024402C *; "
        "0 of 1 there, 0 restarts",
        exit_status("ok_reboot", LCU, then=no_network),
    ),
)

ROWS = tuple(
    Row(f"{letter}{number}", f"{about} {title}", expected, play)
    for letter, about, rows in (
        ("H", "the host", _HOSTS),
        ("L", "login:", _LOGINS),
        ("S", "start:", _STARTS),
        ("E", "exit status", _EXITS),
    )
    for number, (title, expected, play) in enumerate(rows, 1)
)


def print_table() -> None:
    """Play all rows; print each fault with what must be seen and what was."""
    for row in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            seen = row.play(Path(folder))
        verdict = "as expected" if row.holds(seen) else "NOT AS EXPECTED"
        print(f"{row.id:4} {row.title}: {verdict}")
        print(f"     expected {row.expected}\n     seen     {seen}")


if __name__ == "__main__":
    print_table()
