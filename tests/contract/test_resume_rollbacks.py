"""A run of rollbacks that died is taken up whole, once nobody holds its rollout any more."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.cases.rollouts.build import PLAN, START
from tests.cases.rollouts.ledgers import KEY, end, frozen, intend, new_ledger, opened, take
from wavemend.cli.resume import resume_orphans
from wavemend.errors import EnvironmentUnfit
from wavemend.ledger import rollback_runs, rollouts
from wavemend.ledger.attempts import Granted
from wavemend.ledger.rollback_runs import RollbackRun
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.store import Ledger
from wavemend.rollbacks import CaseHost, RollbackCase

LATER = START + timedelta(hours=5)


class Prefect(BaseHTTPRequestHandler):
    """Answers the three questions that are asked, and keeps what was asked."""

    begun: list[dict[str, Any]]
    forced: list[str]
    running_since = START

    def do_GET(self) -> None:
        """Tell of the deployment, and of a run that is believed alive."""
        if "/flow_runs/" in self.path:
            state = {"type": "RUNNING", "timestamp": self.running_since.isoformat()}
            self._answer({"state_type": "RUNNING", "state": state})
        else:
            self._answer({"id": "d-1", "parameters": {"site": "default"}})

    def do_POST(self) -> None:
        """Take a new run, or a forced state."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/create_flow_run"):
            self.begun.append(body["parameters"])
        else:
            self.forced.append(self.path)
        self._answer({"id": "run-2"})

    def _answer(self, data: object) -> None:
        text = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[tuple[str, type[Prefect]]]:
    class Told(Prefect):
        begun: list[dict[str, Any]] = []  # noqa: RUF012 - one class per test
        forced: list[str] = []  # noqa: RUF012 - one class per test

    server = ThreadingHTTPServer(("127.0.0.1", 0), Told)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api", Told
    server.shutdown()
    server.server_close()


def patched(folder: Path) -> Ledger:
    """Return a finished rollout with one patched host."""
    ledger = new_ledger(folder)
    lease = frozen(ledger)
    assert isinstance(intend(ledger, lease, "web1"), Granted)
    with ledger.writing() as book:
        end(book, lease, "web1")
        rollouts.finish_rollout(book, lease, "yes", START)
        rollouts.note_run(book, PLAN.rollout, "run-1")
    return ledger


def case_of(*hosts: str, reason: str = "slow") -> RollbackCase:
    """Return what olga asks for."""
    return RollbackCase(
        rollout=PLAN.rollout,
        tenant=PLAN.tenant,
        plan_digest=PLAN.digest,
        hosts=tuple(CaseHost(host=host, attempt_id=f"a-{host}-1") for host in hosts),
        requested_by="olga",
        reason=reason,
    )


def held(ledger: Ledger) -> Lease:
    """Return the lease of the process that died."""
    with ledger.reading() as book:
        return Lease("r-1", "me", rollouts.get_rollout(book, "r-1").fence)


def begin(ledger: Ledger, run: str, case: RollbackCase, *, outside_window: bool = False) -> None:
    """Note what a run was asked for, as the run does before its first host."""
    asked = RollbackRun(case=case, outside_window=outside_window)
    with ledger.writing() as book:
        rollback_runs.begin_run(book, held(ledger), run, asked, now=START)


def test_a_run_that_died_is_taken_up_with_all_its_hosts_and_what_it_was_asked_with(
    tmp_path: Path, api: tuple[str, type[Prefect]]
) -> None:
    url, prefect = api
    ledger = patched(tmp_path)
    begin(ledger, "run-1", case_of("web1", "web2"), outside_window=True)

    lines = list(resume_orphans(ledger, url, LATER))

    assert lines == ["rollout r-1: taking 2 hosts back goes on by run run-2"]
    assert prefect.forced == ["/api/flow_runs/run-1/set_state"]
    assert prefect.begun == [
        {
            "site": "default",
            "rollout": "r-1",
            "hosts": ["web1", "web2"],
            "reason": "slow",
            "requester": "olga",
            "outside_window": True,
        }
    ]
    with ledger.reading() as book:
        assert rollouts.get_rollout(book, "r-1").flow_run_id == "run-2"


def test_the_run_that_takes_it_up_ends_it_for_both(
    tmp_path: Path, api: tuple[str, type[Prefect]]
) -> None:
    url, prefect = api
    ledger = patched(tmp_path)
    begin(ledger, "run-1", case_of("web1"))
    begin(ledger, "run-2", case_of("web1"))
    with ledger.writing() as book:
        assert len(rollback_runs.open_runs(book)) == 1
        rollback_runs.end_run(book, held(ledger), "run-2", now=START)

    assert list(resume_orphans(ledger, url, LATER)) == []
    assert prefect.begun == []


def test_two_runs_of_a_rollout_that_died_are_taken_up_one_after_the_other(
    tmp_path: Path, api: tuple[str, type[Prefect]]
) -> None:
    url, prefect = api
    ledger = patched(tmp_path)
    begin(ledger, "run-1", case_of("web1"))
    begin(ledger, "run-2", case_of("web2", reason="slow too"))

    list(resume_orphans(ledger, url, LATER))
    assert [asked["hosts"] for asked in prefect.begun] == [["web1"]]

    begin(ledger, "run-3", case_of("web1"))
    with ledger.writing() as book:
        rollback_runs.end_run(book, held(ledger), "run-3", now=START)
    list(resume_orphans(ledger, url, LATER))
    assert [asked["hosts"] for asked in prefect.begun] == [["web1"], ["web2"]]


def test_a_run_that_lives_is_left_alone(tmp_path: Path, api: tuple[str, type[Prefect]]) -> None:
    url, prefect = api
    ledger = patched(tmp_path)
    begin(ledger, "run-1", case_of("web1"))
    take(ledger, "r-1", "somewhere-else", LATER, owner_is_dead=True)

    assert list(resume_orphans(ledger, url, LATER)) == []
    assert prefect.begun == []


def test_a_run_that_is_about_to_take_its_lease_is_left_alone(
    tmp_path: Path, api: tuple[str, type[Prefect]]
) -> None:
    url, prefect = api
    ledger = patched(tmp_path)
    begin(ledger, "run-1", case_of("web1"))
    prefect.running_since = LATER - timedelta(seconds=5)

    assert list(resume_orphans(ledger, url, LATER)) == []
    assert prefect.forced == []


def test_one_rollout_that_prefect_does_not_take_keeps_no_other_from_being_taken_up(
    tmp_path: Path, api: tuple[str, type[Prefect]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, prefect = api
    ledger = new_ledger(tmp_path)
    other = replace(KEY, profile="other")
    for number, key in ((1, KEY), (2, other)):
        opened(ledger, f"r-{number}", key)

    def deployment(asked: Prefect) -> None:
        profile = "linux" if "linux" in asked.path else "other"
        said = {"tenant": "acme", "profile": profile, "window": "night"}
        asked._answer({"id": profile, "parameters": said})

    def refuse_one(asked: Prefect) -> None:
        if "/other/" in asked.path:
            asked.send_error(409)
        else:
            Prefect.do_POST(asked)

    monkeypatch.setattr(prefect, "do_GET", deployment)
    monkeypatch.setattr(prefect, "do_POST", refuse_one)

    lines: list[str] = []
    with pytest.raises(EnvironmentUnfit, match="rollout r-2: cannot be taken up"):
        lines.extend(resume_orphans(ledger, url, LATER))

    assert lines == ["rollout r-1: taken up again by run run-2"]
