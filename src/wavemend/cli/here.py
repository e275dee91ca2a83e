"""What most commands begin with: this installation, its ledger, who asks, and Prefect's API."""

import getpass
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from wavemend.errors import EnvironmentUnfit, FleetError
from wavemend.fleet import Fleet
from wavemend.ledger.intake import current_fleet, digest_in_force
from wavemend.ledger.store import Ledger
from wavemend.site import Site, site_from_environment

TENANT_VARIABLE = "WAVEMEND_TENANT"

API_SECONDS = 20
BUSY_TRIES = 5
"""Prefect on SQLite answers 503 "database is locked" now and then; a moment later it does not."""


def here() -> Site:
    """Return the installation the environment names."""
    return site_from_environment(os.environ)


def ledger_here() -> Ledger:
    """Open this installation's ledger. Only `fleet apply` makes one: a typo must not."""
    site = here()
    if not has_ledger():
        raise EnvironmentUnfit(
            f"no installation in {site.home}",
            hint="set WAVEMEND_HOME, or begin one with `wavemend fleet apply FILE`",
        )
    ledger = site.open_ledger(tenant_in_view())
    if tenant := tenant_in_view():
        _know(ledger, tenant)
    return ledger


def _know(ledger: Ledger, tenant: str) -> None:
    """Raises FleetError for a misspelt company, without naming the others: it would see nobody."""
    with ledger.reading() as book:
        if digest_in_force(book) and not current_fleet(book).tenants:
            raise FleetError(
                f'the fleet has no company "{tenant}"',
                hint=f"{TENANT_VARIABLE} names the company of this view",
            )


def tenant_in_view() -> str:
    """Return the company that `WAVEMEND_TENANT` limits every command to; empty: all of them.

    Whoever may set the variable may unset it: a wrapper that sudo runs decides that.
    """
    return os.environ.get(TENANT_VARIABLE, "").strip()


def has_ledger() -> bool:
    """Say whether this installation has begun: a command must not make a ledger by looking."""
    site = here()
    return bool(site.ledger) or (site.home / "ledger.db").exists()


def fleet_here() -> Fleet | None:
    """Return the fleet in force; None: there is no installation, or nothing was applied yet."""
    if not has_ledger():
        return None
    with ledger_here().reading() as book:
        return current_fleet(book) if digest_in_force(book) else None


def operator() -> str:
    """Return who runs the command, for the audit chain: a name on this machine, no proof."""
    return f"{getpass.getuser()}@cli"


@dataclass(frozen=True, slots=True)
class PrefectApi:
    """Prefect's HTTP interface, as far as the command needs it."""

    url: str

    def post(self, path: str, body: object) -> Any:
        """Send a request; returns the parsed answer. Raises EnvironmentUnfit."""
        return self._call("POST", path, body)

    def get(self, path: str) -> Any:
        """Read something. Raises EnvironmentUnfit."""
        return self._call("GET", path, None)

    def _call(self, method: str, path: str, body: object) -> Any:
        answer = self._send(method, path, body)
        for attempt in range(BUSY_TRIES):
            if answer.status_code != requests.codes.service_unavailable:
                break
            time.sleep(0.5 * 2**attempt)
            answer = self._send(method, path, body)
        if not answer.ok:
            raise EnvironmentUnfit(
                f"Prefect refused {path}: {answer.status_code} {answer.text[:300]}"
            )
        try:
            return answer.json() if answer.content else None
        except requests.JSONDecodeError as error:
            raise EnvironmentUnfit(
                f"what answers {path} at {self.url} is not Prefect's API: {answer.text[:100]!r}",
                hint="a proxy may want a login; docs/how-to/run-in-production.md says how",
            ) from error

    def _send(self, method: str, path: str, body: object) -> requests.Response:
        try:
            return requests.request(method, f"{self.url}{path}", json=body, timeout=API_SECONDS)
        except requests.RequestException as error:
            raise EnvironmentUnfit(
                f"Prefect's API at {self.url} does not answer: {type(error).__name__}",
                hint="`wavemend up` starts it; PREFECT_API_URL names another one",
            ) from error


def prefect_here() -> PrefectApi:
    """Return the API that PREFECT_API_URL names, or the one that `wavemend up` started."""
    url = os.environ.get("PREFECT_API_URL", "")
    noted = api_note(here().home)
    if not url and noted.is_file():
        url = noted.read_text().strip()
    if not url:
        raise EnvironmentUnfit(
            "no Prefect server is known here",
            hint="run `wavemend up`, or set PREFECT_API_URL to the one in use",
        )
    return PrefectApi(url.rstrip("/"))


def api_note(home: Path) -> Path:
    """Return the file in which `wavemend up` notes the API's address."""
    return home / "run" / "api-url"
