"""Of a host that is broken in one way, the self-test names that way, its way out, and no other.

The hosts are simulated: real are WinRM, NTLM, TLS and the command itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.winrm_selftest_bench import desk, host_of_today
from tests.windows_host.state import Fault, HostState

OVER_SCRIPTS = {
    *("parameters", "large answers", "channel binding", "shells left", "host facts", "clock"),
    *("ways back", "journal", "job starts", "forbidden job", "older fence", "late start"),
    "job folders removed",
}
"""Checks that call a script of ours, and stand on no other check."""
ON_RIGHTS = OVER_SCRIPTS - {"parameters", "large answers"}
AFTER_FACTS = {"restart pending", "boot", "servicing packages"}
"""Checks that stand on the facts."""
AFTER_A_START = {"job ends", "job folder"}
AFTER_AN_END = {"second start", "dropped connection", "search as SYSTEM"}


@dataclass(frozen=True, slots=True)
class Broken:
    """One way to be broken, the line that must say so, and what else cannot be well then."""

    how: Callable[[HostState], None]
    line: str
    seen: str
    way_out: str
    also: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()


def sets(**fields: object) -> Callable[[HostState], None]:
    """Set fields of how the host lets others in."""

    def change(state: HostState) -> None:
        for name, value in fields.items():
            setattr(state.winrm, name, value)

    return change


def slow_clock(state: HostState) -> None:
    state.clock = int(time.time()) - 600


def stopped_scheduler(state: HostState) -> None:
    state.scheduler_running = False


def noisy(state: HostState) -> None:
    state.faults = [Fault(script=name, how="noise") for name in ("powershell", "echo", "facts")]


def no_updates(state: HostState) -> None:
    state.wua.service_start = "disabled"


def loose(state: HostState) -> None:
    state.lies.loose_folder = True


def signed_only(state: HostState) -> None:
    state.lies.workers_stopped = True


LOST = frozenset(AFTER_A_START | AFTER_AN_END | {"shells closed"})
WAYS = {
    "no administrator": Broken(
        *(sets(token="user"), "administrator", "no member", "make it one"),
        also=frozenset(ON_RIGHTS),
        missing=frozenset(AFTER_FACTS) | LOST,
    ),
    "rights cut off from afar": Broken(
        *(sets(token="filtered"), "administrator", "cut off", "LocalAccountTokenFilterPolicy"),
        also=frozenset(ON_RIGHTS),
        missing=frozenset(AFTER_FACTS) | LOST,
    ),
    "old PowerShell": Broken(
        sets(powershell="4.0"), "PowerShell", "version 4.0", "Windows Management Framework 5.1"
    ),
    "Constrained Language": Broken(
        *(sets(language_mode="ConstrainedLanguage"), "PowerShell", "ConstrainedLanguage", "WDAC"),
        also=frozenset(OVER_SCRIPTS | {"boot"}),
        missing=frozenset(AFTER_FACTS) | LOST,
    ),
    "task scheduler off": Broken(
        *(stopped_scheduler, "job starts", "0x80041315", "start the service Schedule"),
        also=frozenset({"host facts", "boot", "job folders removed"})
        | {"forbidden job", "older fence", "late start"},
        missing=frozenset(AFTER_FACTS | AFTER_A_START | AFTER_AN_END),
    ),
    "clock ten minutes slow": Broken(slow_clock, "clock", "s slow", "w32tm /resync"),
    "CLIXML noise": Broken(noisy, "PowerShell", "Preparing modules", "hooks into PowerShell"),
    "no channel binding": Broken(
        sets(cbt_level="None"), "channel binding", "could be relayed", 'CbtHardeningLevel="Strict"'
    ),
    "Windows Update disabled": Broken(
        no_updates, "search as SYSTEM", "0x80070422", "Windows Update policy"
    ),
    "job folders open to all": Broken(loose, "job folder", "BU has rights", "take them away"),
    "only signed scripts": Broken(
        *(signed_only, "job ends", "has not begun", "AllSigned"),
        missing=frozenset(AFTER_AN_END),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_right_line_fails_with_a_way_out_and_the_others_are_carried_out(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, state = WAYS[way], host_of_today()
    broken.how(state)
    with desk(tmp_path, capsys, state) as operator:
        result = operator.try_it()

        line = result.lines[broken.line]
        assert (line.verdict, result.status) == ("FAILED", 2)
        assert broken.seen in line.seen
        assert broken.way_out in line.way_out
        assert result.named("FAILED") - broken.also == {broken.line}
        assert result.missing == broken.missing - result.named("FAILED")
        assert all(result.lines[name].way_out for name in result.named("FAILED"))
