"""A window that is switched off in Prefect is not started, also when Prefect's answers are late."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from wavemend.cli.here import PrefectApi
from wavemend.cli.resume import Switches, start_as_scheduled
from wavemend.errors import EnvironmentUnfit
from wavemend.fleet import RolloutKey

KEY = RolloutKey(tenant="acme", profile="server", window="night")
PARAMETERS = {"tenant": "acme", "profile": "server", "window": "night", "site": "default"}
OPENED = datetime(2026, 12, 1, 22, 0, tzinfo=UTC)


def ours(slug: str, *, active: bool, year: int = 2026) -> dict[str, Any]:
    """Return a schedule as Prefect holds ours: the openings of some nights as instants."""
    days = ",".join(f"{year}12{day:02}T220000Z" for day in (1, 2))
    rule = f"DTSTART:20200101T000000Z\nRDATE:{days}"
    return {"slug": slug, "active": active, "schedule": {"rrule": rule, "timezone": "UTC"}}


NIGHT, NEXT_YEAR = ours("night", active=True), ours("night-2", active=True, year=2027)
NIGHT_OFF = ours("night", active=False)
NEXT_YEAR_OFF = ours("night-2", active=False, year=2027)
OWN = {"slug": None, "active": True, "schedule": {"cron": "0 4 * * *", "timezone": "UTC"}}


class Prefect:
    """Prefect's API as far as it is asked for, by what it is to answer next."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, Any] | str]] = []
        self.begun: list[dict[str, Any]] = []

    def tell(self, *, paused: bool = False, schedules: tuple[dict[str, Any], ...] = ()) -> None:
        deployment = {"id": "d-1", "parameters": PARAMETERS, "paused": paused}
        self.answers.append((200, {**deployment, "schedules": list(schedules)}))

    def fail(self, status: int) -> None:
        self.answers.append((status, {"detail": "not now"}))


@pytest.fixture
def prefect() -> Prefect:
    return Prefect()


@pytest.fixture
def api(prefect: Prefect) -> Iterator[PrefectApi]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(*prefect.answers.pop(0))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            prefect.begun.append(json.loads(body)["parameters"])
            self._answer(201, {"id": "run-1"})

        def _answer(self, status: int, data: dict[str, Any] | str) -> None:
            text = (data if isinstance(data, str) else json.dumps(data)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield PrefectApi(f"http://127.0.0.1:{server.server_port}/api")
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("paused", "schedules"),
    [
        (True, (NIGHT,)),
        (True, ()),
        (False, (NIGHT_OFF,)),
        (False, (NIGHT_OFF, NEXT_YEAR)),
        (False, (NIGHT_OFF, NEXT_YEAR, OWN)),
        (False, (NEXT_YEAR_OFF,)),
    ],
)
def test_what_is_switched_off_is_not_started(
    prefect: Prefect, api: PrefectApi, *, paused: bool, schedules: tuple[dict[str, Any], ...]
) -> None:
    for _ in range(2):
        prefect.tell(paused=paused, schedules=schedules)

    assert Switches(api).off(KEY, OPENED)
    assert start_as_scheduled(api, KEY, OPENED, "watch-nights") == ""
    assert prefect.begun == []


@pytest.mark.parametrize(
    "schedules",
    [(), (NIGHT,), (NIGHT, NEXT_YEAR_OFF), (NEXT_YEAR,), ({**OWN, "active": False},)],
)
def test_what_is_on_is_started(
    prefect: Prefect, api: PrefectApi, schedules: tuple[dict[str, Any], ...]
) -> None:
    for _ in range(2):
        prefect.tell(schedules=schedules)

    assert not Switches(api).off(KEY, OPENED)
    assert start_as_scheduled(api, KEY, OPENED, "watch-nights") == "run-1"
    assert prefect.begun == [{**PARAMETERS, "requester": "watch-nights"}]


def test_each_rollout_is_asked_about_once_however_many_of_its_openings_are_looked_at(
    prefect: Prefect, api: PrefectApi
) -> None:
    prefect.tell(schedules=(NIGHT_OFF, NEXT_YEAR))
    switches = Switches(api)

    assert switches.off(KEY, OPENED)
    assert not switches.off(KEY, OPENED.replace(year=2027))


def test_a_question_that_failed_does_not_start_what_is_switched_off(
    prefect: Prefect, api: PrefectApi
) -> None:
    prefect.fail(500)
    prefect.tell(paused=True)

    assert not Switches(api).off(KEY, OPENED), "a missed night stays an alarm"
    assert start_as_scheduled(api, KEY, OPENED, "watch-nights") == ""
    assert prefect.begun == []


def test_a_window_that_is_not_deployed_is_not_switched_off_and_says_what_is_wrong(
    prefect: Prefect, api: PrefectApi
) -> None:
    prefect.fail(404)
    prefect.fail(404)

    assert not Switches(api).off(KEY, OPENED)
    with pytest.raises(EnvironmentUnfit, match="Prefect has no deployment"):
        start_as_scheduled(api, KEY, OPENED, "watch-nights")
    assert prefect.begun == []


def test_a_login_page_in_the_place_of_an_answer_is_told_and_starts_nothing(
    prefect: Prefect, api: PrefectApi
) -> None:
    prefect.answers += [(200, "<html>Log in</html>")] * 2

    assert not Switches(api).off(KEY, OPENED)
    with pytest.raises(EnvironmentUnfit, match="is not Prefect's API"):
        start_as_scheduled(api, KEY, OPENED, "watch-nights")
