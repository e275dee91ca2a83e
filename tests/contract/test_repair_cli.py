"""`wavemend repair` says first what is half done, then asks for rollouts that wait for a signature.

The real command with a real ledger; Prefect's HTTP interface is played.
"""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cases.rollouts.build import PROFILE, START, facts, host
from tests.cases.rollouts.ledgers import new_ledger
from wavemend.calendar.windows import Window
from wavemend.cli import main
from wavemend.fleet import FeedSettings, Fleet, Tenant
from wavemend.hosts import InstalledPackage
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import Ledger
from wavemend.observations import Look

HALF = InstalledPackage(
    name="wm-slow", version="2.0", arch="all", source="", source_version="", status="iF"
)
NIGHT = Window(
    name="night",
    zone="UTC",
    days=frozenset(range(7)),
    start=time(22),
    duration=timedelta(hours=4),
    cutoff=timedelta(hours=1),
)
HOSTS = tuple(
    replace(host(name, tenant=tenant), profile="linux", window=window)
    for name, tenant, window in (
        ("db1", "acme", "night"),
        ("web1", "acme", "night"),
        ("web2", "acme", "sunday"),
        ("alone1", "bare", "night"),
    )
)
FLEET = Fleet(
    schema="wavemend.fleet/1",
    tenants=(
        Tenant(name="acme", title="Acme", zone="UTC", approvers=("alice",)),
        Tenant(name="bare", title="Bare", zone="UTC"),
    ),
    approvers=(),
    profiles=(PROFILE,),
    windows=(NIGHT, replace(NIGHT, name="sunday", days=frozenset({6}))),
    groups=(),
    logins=(),
    hosts=tuple(sorted(HOSTS, key=lambda each: each.name)),
    feeds=FeedSettings(),
).sealed()

KEYS = {f"{key.tenant}-{key.profile}-{key.window}": key for key in FLEET.repairs()}
"""By the name of their deployments."""

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """An installation whose hosts were seen whole, but for web2, which was never seen."""
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path))
    made = new_ledger(tmp_path)
    with made.writing() as book:
        apply_fleet(book, FLEET, actor="olga", now=START)
    for name in ("alone1", "db1", "web1"):
        see(made, name)
    return made


def see(ledger: Ledger, name: str, *broken: InstalledPackage) -> None:
    """Write down a look at a host."""
    seen = replace(facts(name), broken=broken)
    with ledger.writing() as book:
        record_look(
            book, FLEET.host(name), Look(host=name, at=START, facts=seen), purpose="scheduled"
        )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """Play Prefect's HTTP interface; what it was asked for, and by whom."""
    runs: list[tuple[str, str]] = []

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/api/deployments/name/")
            key = KEYS[name.partition("/")[2]]
            about = {"tenant": key.tenant, "profile": key.profile, "window": key.window}
            self.answer({"id": name.replace("/", ":"), "parameters": about})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            deployment = self.path.split("/")[3].replace(":", "/")
            runs.append((deployment, body["parameters"]["requester"]))
            self.answer({"id": f"run-{len(runs)}"})

        def answer(self, data: object) -> None:
            text = json.dumps(data).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
    yield runs
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command as an operator does; return its exit status and what it said."""

    def command(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        said = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), said.out + said.err

    return command


@pytest.mark.usefixtures("ledger")
def test_where_nothing_is_half_done_it_says_so_and_asks_for_nothing(
    run: Run, asked: list[tuple[str, str]]
) -> None:
    code, said = run("repair", "acme")

    assert code == 0
    assert "nothing is half done on the hosts of acme, as they were last seen" in said
    assert "never seen, so nobody knows: web2" in said
    assert asked == []


def test_it_names_what_is_half_done_and_asks_for_one_rollout_per_window_that_has_some(
    ledger: Ledger, run: Run, asked: list[tuple[str, str]]
) -> None:
    see(ledger, "web1", HALF)
    see(ledger, "alone1", HALF)

    code, said = run("repair", "acme", "--as", "olga")

    assert code == 0
    assert "web1" in said
    assert "wm-slow 2.0 (iF)" in said
    assert "alone1" not in said, "another company's"
    assert "asked for repair:acme/linux/night as run run-1" in said
    assert asked == [("repair-hosts/acme-linux-night", "olga")]

    see(ledger, "web2", HALF)
    assert run("repair", "acme", "--as", "olga")[0] == 0
    assert [name for name, _ in asked[1:]] == [
        "repair-hosts/acme-linux-night",
        "repair-hosts/acme-linux-sunday",
    ]
    assert run("repair", "acme", "--window", "sunday")[0] == 0
    assert [name for name, _ in asked[3:]] == ["repair-hosts/acme-linux-sunday"]


def test_a_preview_asks_for_nothing(ledger: Ledger, run: Run, asked: list[tuple[str, str]]) -> None:
    see(ledger, "web1", HALF)

    code, said = run("repair", "acme", "--preview")

    assert code == 0
    assert "wm-slow 2.0 (iF)" in said
    assert "nothing was asked for" in said
    assert asked == []


def test_the_last_look_counts_so_a_host_that_was_mended_since_is_not_repaired(
    ledger: Ledger, run: Run, asked: list[tuple[str, str]]
) -> None:
    see(ledger, "web1", HALF)
    see(ledger, "web1")

    assert "nothing is half done" in run("repair", "acme")[1]
    assert asked == []


def test_a_company_without_approvers_is_told_that_nobody_could_sign(
    ledger: Ledger, run: Run, asked: list[tuple[str, str]]
) -> None:
    see(ledger, "alone1", HALF)

    code, said = run("repair", "bare")

    assert code == 10
    assert "nobody may approve for bare, and no host is repaired without a signature" in said
    assert asked == []


@pytest.mark.usefixtures("ledger", "asked")
@pytest.mark.parametrize("words", [("nobody",), ("acme", "--profile", "windows")])
def test_a_company_or_profile_that_there_is_none_of_is_refused_by_name(
    run: Run, words: tuple[str, ...]
) -> None:
    code, said = run("repair", *words)

    assert code == 10
    assert "nobody" in said or "profiles and windows: linux in night, linux in sunday" in said
