"""One installation: where its ledger, feeds, reports, stop file and signers are, and its hands."""

import gc
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from wavemend.calendar.almanac import Almanac
from wavemend.errors import FleetError, LoginRefused, SecretMissing
from wavemend.execution.hands import Hands
from wavemend.fleet import Fleet
from wavemend.hosts import Host
from wavemend.ledger.store import Ledger, open_ledger
from wavemend.logins import LoginSpec
from wavemend.managers import MANAGERS, Manager
from wavemend.references import resolve, uses_agent
from wavemend.transport import Login, Transport, WinrmAuth
from wavemend.transports import TRANSPORTS

if TYPE_CHECKING:
    from wavemend.calendar.reading import AlmanacReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The places of one installation. Holds references, never secrets."""

    home: Path
    """Folder that everything else is in, unless said otherwise."""
    ledger: str = ""
    """Reference to the ledger's URL; empty: a SQLite file in `home`."""
    signers: str = ""
    """Path of the OpenSSH allowed-signers file; empty: `signers` in `home`."""

    @property
    def feed_cache(self) -> Path:
        """Accepted copies of the feeds."""
        return self.home / "feeds"

    @property
    def calendars(self) -> Path:
        """Last good copies of calendars and rosters from addresses."""
        return self.home / "calendars"

    @property
    def reports(self) -> Path:
        """One folder per rollout."""
        return self.home / "reports"

    @property
    def stop_file(self) -> Path:
        """While it exists, nothing is started from this machine."""
        return self.home / "STOP"

    @property
    def signers_file(self) -> Path:
        """Who may approve, with which key."""
        return Path(self.signers) if self.signers else self.home / "signers"

    def open_ledger(self, tenant: str = "") -> Ledger:
        """Open this installation's ledger, made and migrated as needed; of one company, or all."""
        if not self.ledger:
            return open_ledger(f"sqlite:///{self.home / 'ledger.db'}", tenant)
        url = resolve(self.ledger, base=self.home, environ=os.environ).strip()
        return open_ledger(url, tenant)


def site_from_environment(environ: Mapping[str, str]) -> Site:
    """Return the installation that `WAVEMEND_HOME`, `_LEDGER` and `_SIGNERS` name.

    Without them: `.wavemend` in the working directory, with its own SQLite ledger.
    """
    return Site(
        home=Path(environ.get("WAVEMEND_HOME", ".wavemend")).resolve(),
        ledger=environ.get("WAVEMEND_LEDGER", ""),
        signers=environ.get("WAVEMEND_SIGNERS", ""),
    )


def utc_now() -> datetime:
    """Return the wall clock's time. Handed in as an argument everywhere else."""
    return datetime.now(UTC)


@cache
def _settle_memory() -> None:
    """Keep what is loaded by now out of the garbage collector's walks, once per process.

    It lives as long as the process. Walking it again and again is up to half of the CPU that a
    look at a host costs. What is garbage by now stays as well: less than one walk would cost.
    """
    gc.freeze()


def hands_of(site: Site, ledger: Ledger, fleet: Fleet) -> Hands:
    """Return the means to reach this fleet's hosts; secrets are resolved when first needed."""
    _settle_memory()
    return Hands(
        ledger=ledger,
        connect=connector(fleet),
        manager=_managers(fleet),
        clock=utc_now,
        monotonic=time.monotonic,
        sleep=time.sleep,
        token=lambda: secrets.token_hex(16),
        stop_file=site.stop_file,
        signers_file=site.signers_file,
        almanac=almanac_of(site, fleet),
    )


def almanac_of(site: Site, fleet: Fleet) -> Callable[[], Almanac]:
    """Return what reads this fleet's calendars and rosters: cheap to ask again and again."""

    @cache
    def reader() -> "AlmanacReader":
        # What reads calendars takes longer to load than most commands to run, and than a look at
        # twenty hosts: only who asks needs it.
        from wavemend.calendar.reading import AlmanacReader, declared_by

        return AlmanacReader(declared=declared_by(fleet), folder=site.calendars)

    return lambda: reader().read(utc_now())


def connector(fleet: Fleet) -> Callable[[Host], Transport]:
    """Return how this fleet's hosts are reached."""
    logins: dict[str, Login] = {}

    def connect(host: Host) -> Transport:
        if host.transport not in TRANSPORTS:
            raise LoginRefused(
                f"host {host.name}: there is no transport {host.transport!r}",
                hint=f"known: {', '.join(sorted(TRANSPORTS))}",
            )
        if host.login not in logins:
            logins[host.login] = login_of(fleet, host.login)
        return TRANSPORTS[host.transport](host, logins[host.login])

    return connect


def login_of(fleet: Fleet, name: str) -> Login:
    """Return a login with its secrets. Raises LoginRefused where one cannot be resolved.

    A key that was rotated away or lies open is found out at the first connection, maybe in the
    middle of a rollout: it is the host's outcome then, as any other login that fails, and the
    rollout goes on to its report.
    """
    try:
        return _resolved(fleet.login(name), Path(fleet.source_path).parent)
    except (SecretMissing, FleetError) as error:
        raise LoginRefused(f"login {name!r}: {error.message}", hint=error.hint) from error


def _resolved(spec: LoginSpec, base: Path) -> Login:
    """Resolve a login's references, here and now. Raises SecretMissing."""

    def text(reference: str) -> str:
        return resolve(reference, base=base, environ=os.environ) if reference else ""

    return Login(
        name=spec.name,
        user=spec.user,
        private_key=text(spec.key),
        use_agent=uses_agent(spec.key),
        known_hosts=text(spec.known_hosts),
        ssh_config=text(spec.ssh_config),
        become=() if spec.user == "root" else spec.become,
        become_password=text(spec.become_password).rstrip("\r\n"),
        auth=WinrmAuth(spec.auth or WinrmAuth.NTLM),
        password=text(spec.password).rstrip("\r\n"),
        ca=text(spec.ca),
        certificate=text(spec.certificate),
        certificate_key=text(spec.certificate_key),
        plain_http=spec.plain_http,
        connect_seconds=spec.connect_seconds,
    )


def _managers(fleet: Fleet) -> Callable[[Host], Manager]:
    """Return who drives a host's packages: a built-in manager, or one the fleet declares."""
    declared = {declaration.name: declaration for declaration in fleet.managers}

    def manager(host: Host) -> Manager:
        if host.manager in MANAGERS:
            return MANAGERS[host.manager](host.options)
        if host.manager in declared:
            from wavemend.managers.declared import DeclaredManager

            return DeclaredManager(declaration=declared[host.manager])
        raise FleetError(
            f"host {host.name}: there is no manager {host.manager!r}",
            hint=f"known: {', '.join(sorted({*MANAGERS, *declared}))}",
        )

    return manager
