"""`wavemend winrm-selftest`: what a customer runs on the first real Windows host, line by line."""

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from wavemend import __version__
from wavemend.cli.here import ledger_here
from wavemend.cli.shown import say, spelled
from wavemend.cli.winrm_reaching import reach
from wavemend.errors import EnvironmentUnfit, FleetError
from wavemend.fleet import Fleet
from wavemend.hosts import Host
from wavemend.ledger.intake import current_fleet
from wavemend.simulated import named

if TYPE_CHECKING:
    from wavemend.transport import Login
    from wavemend.windows.selftest_judging import Checked
    from wavemend.windows.selftest_session import Session, Trial

FAILED = 2
"""Exit status when a check failed, or could not be tried."""
SCHEMA = "wavemend.winrm-selftest/1"
_HISTORY = 50


def winrm_selftest(
    host: str,
    *,
    fleet: Annotated[
        Path | None, Parameter(help="Take the host from this file, not the fleet in force.")
    ] = None,
    address: Annotated[str, Parameter(help="Name to connect to; for a host of no fleet.")] = "",
    port: Annotated[int, Parameter(help="Port, where it is not the usual one.")] = 0,
    login: Annotated[str, Parameter(help="Login of the fleet; for a host of no fleet.")] = "",
    with_snapshot: Annotated[
        bool, Parameter(help="Also make a restore point or shadow copy, and remove it.")
    ] = False,
    json_file: Annotated[
        Path | None, Parameter(name="--json", help="Also write the result here, as JSON.")
    ] = None,
) -> int:
    """Try on a Windows host what rollouts rely on, check by check; 0 only when all are ok.

    Installs nothing and restarts nothing. Makes job folders of its own below
    %ProgramData%\\\\Wavemend and removes them. Exit status 2 when a check failed or could not be
    tried.

    Parameters
    ----------
    host
        Host of the fleet, or with --address and --login what to call it.
    """
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise EnvironmentUnfit(f"{json_file}: there is no such folder", hint="make it first")
    source = _fleet(fleet)
    machine = _host(source, host, address=address, port=port, login=login)
    found, session = _carried_out(source, machine, with_snapshot=with_snapshot)
    if json_file is not None:
        json_file.write_text(_document(machine, found, session), encoding="utf-8")
    return _concluded(machine, found, session)


def _fleet(file: Path | None) -> Fleet:
    if file is not None:
        from wavemend.inventory.fleet_file import load_fleet

        return load_fleet(file.resolve())
    with ledger_here().reading() as book:
        return current_fleet(book)


def _host(fleet: Fleet, name: str, *, address: str, port: int, login: str) -> Host:
    """Return the host that is meant: the fleet's, with what was said otherwise, or a new one."""
    from wavemend.inventory.ports import WINRM_HTTP, WINRM_HTTPS

    if address and login and name not in {host.name for host in fleet.hosts}:
        usual = WINRM_HTTP if fleet.login(login).plain_http else WINRM_HTTPS
        host = Host(name=name, tenant="", address=address, transport="winrm", port=port or usual)
    else:
        known = fleet.host(name)
        host = replace(known, address=address or known.address, port=port or known.port)
    host = replace(host, login=login or host.login)
    if host.transport != "winrm" or not fleet.login(host.login).auth:
        raise FleetError(
            f"{name} is not reached over WinRM (transport {host.transport}, login {host.login})",
            hint="say `transport: winrm`, and `auth` in its login: docs/how-to/patch-windows.md",
        )
    return host


def _carried_out(
    fleet: Fleet, host: Host, *, with_snapshot: bool
) -> "tuple[tuple[Checked, ...], Session]":
    """Carry all checks out, and print each as it ends: some take minutes."""
    from wavemend.site import login_of
    from wavemend.windows.selftest import CHECKS, NEVER_TRIED
    from wavemend.windows.selftest_session import Session, run_checks, skip_checks

    login = login_of(fleet, host.login)
    _print_head(host, login)
    session = Session(_trial(fleet, host, login, with_snapshot=with_snapshot))

    def carry_out() -> "Iterator[Checked]":
        if (yield from reach(host, login, session.trial.clock())):
            yield from run_checks(session, CHECKS)
        else:
            yield from skip_checks(CHECKS, "nothing is sent to a host that is not proven")
        yield from NEVER_TRIED

    found: list[Checked] = []
    for checked in carry_out():
        _print(checked, said_before=checked.way_out in {item.way_out for item in found})
        found.append(checked)
    return tuple(found), session


def _trial(fleet: Fleet, host: Host, login: "Login", *, with_snapshot: bool) -> "Trial":
    from wavemend.managers.windows_update.targets import search_params
    from wavemend.site import connector, utc_now
    from wavemend.transport import WinrmAuth
    from wavemend.windows.selftest_session import Trial

    connect = connector(fleet)
    return Trial(
        connect=lambda: connect(host),
        clock=utc_now,
        monotonic=time.monotonic,
        token=lambda: secrets.token_hex(16),
        binds=login.auth in {WinrmAuth.NTLM, WinrmAuth.KERBEROS} and not login.plain_http,
        search=search_params(host.options.update_kinds, history=_HISTORY),
        with_snapshot=with_snapshot,
    )


def _print_head(host: Host, login: "Login") -> None:
    name = named(host.name, simulated=host.simulated)
    place = f"{host.address}:{host.port}"
    say(f"{name}: {place} as {login.user or 'the ticket holder'} by {login.auth}")
    say("")


def _print(checked: "Checked", *, said_before: bool) -> None:
    print(spelled(f"{checked.verdict:<10}{checked.name:<21}{checked.seen}"), flush=True)
    if checked.way_out:
        way_out = "as above" if said_before else checked.way_out
        print(spelled(f"{'':<31}-> {way_out}"), flush=True)


def _concluded(host: Host, found: "Sequence[Checked]", session: "Session") -> int:
    """Print the sum, and return the exit status."""
    from wavemend.windows.selftest_judging import Verdict, passes

    verdicts = [checked.verdict for checked in found]
    missing = sum(item.verdict is Verdict.NOT_TRIED and not item.by_choice for item in found)
    name = named(host.name, simulated=host.simulated or session.simulated)
    say("")
    say(
        f"{name}: {verdicts.count(Verdict.OK)} ok, {verdicts.count(Verdict.FAILED)} failed, "
        f"{missing} could not be tried"
    )
    if session.job_ids:
        say(f"Perhaps left in %ProgramData%\\Wavemend\\jobs: {', '.join(session.job_ids)}")
    if host.simulated or session.simulated:
        say("This host is only played: the result says nothing about Windows.")
    return 0 if passes(found) else FAILED


def _document(host: Host, found: "Sequence[Checked]", session: "Session") -> str:
    """Return the result as data. Holds no secret: what a host said, and names."""
    from wavemend.windows.selftest_judging import passes

    document = {
        "schema": SCHEMA,
        "wavemend": __version__,
        "host": host.name,
        "address": host.address,
        "port": host.port,
        "login": host.login,
        "simulated": host.simulated or session.simulated,
        "system": session.system,
        "at": session.trial.clock().isoformat(timespec="seconds"),
        "ok": passes(found),
        "perhaps_left": session.job_ids,
        "checks": [{"name": checked.name, **asdict(checked)} for checked in found],
    }
    return json.dumps(document, indent=1) + "\n"
