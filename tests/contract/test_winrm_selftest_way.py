"""Where the way to a host is broken, the self-test says at which step, and sends nothing further.

The hosts are simulated: real are WinRM, NTLM, TLS and the command itself.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.contract.winrm_selftest_bench import desk, host_of_today
from tests.windows_host.state import Fault
from tests.windows_host.world import winhost
from tests.winrm_peer import TlsFiles, other_authority, run_authority, run_tls
from tests.winrm_peer.certificates import Authority
from wavemend.errors import DeadlinePassed
from wavemend.transports.winrm import GUARD, connect
from wavemend.windows.selftest import CHECKS, logs_in
from wavemend.windows.selftest_judging import Judged, Verdict
from wavemend.windows.selftest_session import Session, Trial, run_checks


def test_where_the_quota_is_used_up_the_rest_goes_on_over_one_connection(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = host_of_today()
    state.winrm.max_shells = 1
    with desk(tmp_path, capsys, state, quota=1) as operator:
        result = operator.try_it()

        assert result.named("FAILED") == {"shells left", "second connection"}
        assert "1 open (all users), 1 allowed" in result.lines["shells left"].seen
        assert "MaxShellsPerUser" in result.lines["second connection"].way_out
        assert result.missing == set()


def test_where_no_shell_is_left_at_all_that_is_what_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with desk(tmp_path, capsys, quota=0) as operator:
        result = operator.try_it()

        assert result.named("FAILED") == {"login and shell"}
        assert "MaxShellsPerUser" in result.lines["login and shell"].way_out
        assert result.named("ok") == {"name and port", "certificate"}


WRONG: dict[str, tuple[Callable[[], TlsFiles], Callable[[], Authority], str]] = {
    "another authority": (run_tls, other_authority, "into the login's `ca`"),
    "an expired one": (lambda: run_authority().expired(), run_authority, "renew"),
    "another name": (
        lambda: run_authority().wrong_name(),
        run_authority,
        "name that is in its certificate",
    ),
}


@pytest.mark.parametrize("way", WRONG)
def test_nothing_is_sent_to_a_host_that_is_not_proven(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate, authority, way_out = WRONG[way]
    with desk(tmp_path, capsys, tls=certificate()) as operator:
        operator.write(ca=authority().pem)
        result = operator.try_it()

        assert result.named("FAILED") == {"certificate"}
        assert way_out in result.lines["certificate"].way_out
        assert result.named("ok") == {"name and port"}
        assert result.missing == {name for name, _ in CHECKS}
        assert operator.world.peer.counters().auths == {}


def test_a_closed_port_ends_it_at_the_first_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with desk(tmp_path, capsys) as operator:
        operator.world.peer.refuse()
        result = operator.try_it()

        assert result.named("FAILED") == {"name and port"}
        assert "is WinRM running" in result.lines["name and port"].way_out
        assert result.named("ok") == set()


def test_a_host_that_goes_away_in_the_middle_is_not_asked_again_and_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = host_of_today()
    state.faults = [Fault(script="facts", how="hang_up")]
    with desk(tmp_path, capsys, state, down_seconds=60) as operator:
        began = time.monotonic()
        result = operator.try_it()

        assert result.named("FAILED") == {"host facts", "clock"}
        assert result.lines["boot"].seen == "there is no connection"
        assert time.monotonic() - began < 20


def test_what_may_be_left_on_a_host_that_went_away_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = host_of_today()
    state.faults = [Fault(script="forbid_job", how="hang_up")]
    with desk(tmp_path, capsys, state, down_seconds=60) as operator:
        result = operator.try_it()

        assert "job folders removed" in result.missing
        left = result.document["perhaps_left"]
        assert isinstance(left, list)
        assert {job.job_id for job in state.jobs} <= {*left}
        assert f"Perhaps left in %ProgramData%\\Wavemend\\jobs: {left[0]}" in result.printed


def test_a_host_that_answers_nothing_in_time_is_not_asked_for_an_hour() -> None:
    def late(_: Session) -> Judged:
        raise DeadlinePassed("no answer in 120 s")

    with winhost(host_of_today()) as world:
        trial = Trial(
            connect=lambda: connect(world.host, world.login),
            clock=lambda: datetime.now(UTC),
            monotonic=time.monotonic,
            token=lambda: "t" * 16,
            binds=True,
            search="{}",
        )
        checks = [("in", logs_in), *((f"late {number}", late) for number in range(9))]
        found = list(run_checks(Session(trial), checks))

    assert [item.verdict for item in found].count(Verdict.FAILED) == 3
    assert {item.seen for item in found[4:]} == {"too many answers came too late"}


def test_a_wrong_password_is_said_and_sent_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with desk(tmp_path, capsys) as operator:
        (tmp_path / "password").write_text("wrong")
        try:
            result = operator.try_it()
        finally:
            GUARD.forget()

        assert result.named("FAILED") == {"login and shell"}
        assert "check the password" in result.lines["login and shell"].way_out
        assert result.named("ok") == {"name and port", "certificate"}
