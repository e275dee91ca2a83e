"""The commands say what came of each feed, end with a status scripts can use, and hide nothing."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wavemend.cli.feeds import app as feeds_app
from wavemend.cli.shown import visible
from wavemend.errors import FeedError
from wavemend.fleet import FeedSettings, Fleet
from wavemend.ledger.intake import apply_fleet, remembered_states
from wavemend.ledger.store import open_ledger
from wavemend.testing.feed_server import Reply, feed_server

EXAMPLES = Path(__file__).parents[2] / "examples" / "feeds"
Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "200")

    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path / "home"))

    def call(*tokens: str) -> int:
        words = [*tokens, "--cache", str(tmp_path / "cache")]
        return int(feeds_app(words, exit_on_error=False, result_action="return_value"))

    return call


def test_refresh_from_the_bundled_folder_then_status(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("refresh", "--from", str(EXAMPLES)) == 0
    assert capsys.readouterr().out.count("refreshed") == 5

    assert run("status") == 11  # the bundled documents are old, and said to be
    shown = capsys.readouterr().out
    assert "v2026.06.15" in shown
    assert "epss: stale: the data is of 2026-06-20" in shown


def test_a_feed_that_is_missing_shows_in_the_table_and_in_the_status(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "kev").mkdir(parents=True)
    (tmp_path / "in" / "kev" / "kev.json").write_text(json.dumps({"count": 1}))

    status = run("refresh", "--from", str(tmp_path / "in"), "--feed", "kev")

    assert status == 11
    assert "missing" in capsys.readouterr().out


def test_where_the_feeds_come_from_must_be_said(run: Run) -> None:
    with pytest.raises(FeedError, match="either --from FOLDER or --online"):
        run("refresh")


def test_the_status_gives_every_figure_its_age_and_why_it_is_stale(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("refresh", "--from", str(EXAMPLES), "--feed", "kev")
    capsys.readouterr()

    assert run("status") == 11
    shown = capsys.readouterr().out

    for heading in ("Age", "Digest", "Read", "Used", "Skipped", "Rejected", "Flaws", "State"):
        assert heading in shown
    assert "epss: was never fetched" in shown
    assert "kev: stale: the data is of" in shown
    assert " days" in shown  # the age
    assert "kev: model 20" in shown


def test_the_tables_fit_a_terminal_of_80_columns(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run("refresh", "--from", str(EXAMPLES))
    run("status")
    shown = capsys.readouterr().out

    assert "…" not in shown
    table = [line for line in shown.splitlines() if line.startswith(("debian ", "epss ", "kev "))]
    assert len(table) == 9  # three tables
    assert max(map(len, table)) <= 80
    assert any("STALE" in line for line in table)
    assert "Digest" not in shown


@pytest.mark.parametrize("hours", ["nan", "inf", "1e12", "0", "-1"])
def test_an_age_that_is_none_is_a_mistake(run: Run, hours: str) -> None:
    with pytest.raises(FeedError, match="is no age"):
        run("status", "--max-age-hours", hours)


def test_without_options_the_fleet_in_force_says_which_feeds_from_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path / "home"))
    ledger = open_ledger(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    nothing = ()
    fleet = Fleet(
        schema="wavemend.fleet/1",
        tenants=nothing,
        approvers=nothing,
        profiles=nothing,
        windows=nothing,
        groups=nothing,
        logins=nothing,
        hosts=nothing,
        feeds=FeedSettings(source=f"directory:{EXAMPLES}", max_age_hours=8760, use=("epss", "kev")),
        source_path=str(tmp_path / "fleet.yaml"),
    ).sealed()
    with ledger.writing() as book:
        apply_fleet(book, fleet, actor="test", now=datetime(2026, 11, 20, tzinfo=UTC))

    def call(*words: str) -> int:
        return int(feeds_app(list(words), exit_on_error=False, result_action="return_value"))

    assert call("refresh") == 0
    assert capsys.readouterr().out.count("refreshed") == 2
    with ledger.reading() as book:
        assert set(remembered_states(book, ("epss", "kev", "nvd"))) == {"epss", "kev"}
    assert call("status") == 0  # 8760 hours, and debian is not asked for
    assert "debian" not in capsys.readouterr().out
    assert call("diff") == 0
    assert "debian" not in capsys.readouterr().out


DAYS = ("2025-08-25", "2026-08-07")
REAL = Path(__file__).parents[1] / "cases" / "feeds" / "kev"


@pytest.fixture
def two_days(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Refresh from a real catalogue, less one entry, and from one a year younger."""
    folder = tmp_path / "in" / "kev"
    folder.mkdir(parents=True)
    older, newer = (json.loads((REAL / f"{day}.json").read_text()) for day in DAYS)
    older["vulnerabilities"].pop()
    older["count"] -= 1
    for catalogue in (older, newer):
        (folder / "kev.json").write_text(json.dumps(catalogue))
        assert run("refresh", "--from", str(tmp_path / "in"), "--feed", "kev") == 0
    capsys.readouterr()
    return tmp_path / "in"


def test_the_difference_of_two_real_catalogues_is_named_line_by_line(
    run: Run, two_days: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("diff", "--feed", "kev") == 0
    shown = capsys.readouterr().out

    assert shown.startswith("kev: 2025-08-25")
    assert "  CVE-2020-1472: due date moved from 2020-09-21 to 2022-05-03.\n" in shown
    assert "  Still in force until somebody signs for it: CVE-2020-1472: due date moved" in shown
    assert " was listed on 20" in shown
    assert "  entries used: " in shown


def test_the_difference_as_json_names_the_newly_exploited_and_can_look_back(
    run: Run, two_days: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("diff", "--feed", "kev", "--since", "2025-12-31", "--json") == 0
    body = json.loads(capsys.readouterr().out)

    (kev,) = body["feeds"]
    assert body["schema"] == "wavemend.feed-diff/1"
    assert kev["before"]["data_date"].startswith("2025-08-25")
    assert kev["newly_exploited"]
    assert {item["kind"] for item in kev["kev"]} >= {"KevAdded", "KevDueMoved"}
    assert set(kev["newly_exploited"]) == {
        item["cve"] for item in kev["kev"] if item["kind"] == "KevAdded"
    }


def test_two_states_are_compared_either_way_and_a_wrong_name_lists_those_there_are(
    run: Run, two_days: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = json.loads((tmp_path / "cache" / "kev" / "current.json").read_text())
    new, old = now["digest"], now["history"][0]

    assert run("diff", "--feed", "kev", "--states", new[:8], old[:8]) == 0
    assert " is no longer in the catalogue." in capsys.readouterr().out
    with pytest.raises(FeedError, match="'nope' names 0 stored states") as error:
        run("diff", "--feed", "kev", "--states", "nope", old[:8])
    assert new[:12] in error.value.hint
    with pytest.raises(FeedError, match="Two states belong to one feed"):
        run("diff", "--states", new, old)
    with pytest.raises(FeedError, match="is not a day"):
        run("diff", "--since", "yesterday")


def test_a_feed_with_one_copy_has_nothing_to_compare(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("refresh", "--from", str(EXAMPLES), "--feed", "epss")
    capsys.readouterr()

    assert run("diff") == 0
    assert "kev: there is no earlier copy to compare with." in capsys.readouterr().out


def test_scores_of_two_models_are_not_compared_and_of_one_model_they_are(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in" / "epss"
    folder.mkdir(parents=True)
    said: list[str] = []
    for model, day, score in (("v4", 13, 0.02), ("v5", 20, 0.6), ("v5", 21, 0.03)):
        (folder / "epss.csv").write_text(
            f"#model_version:{model},score_date:2026-06-{day}T12:00:00Z\n"
            f"cve,epss,percentile\nCVE-2026-0001,{score},0.5\n"
        )
        assert run("refresh", "--from", str(tmp_path / "in"), "--feed", "epss") == 0
        capsys.readouterr()
        assert run("diff", "--feed", "epss") == 0
        said.append(capsys.readouterr().out)

    assert "no earlier copy" in said[0]
    assert "The model changed from v4 to v5: 0 new scores, 0 gone, 1 changed." in said[1]
    assert "rose" not in said[1].replace("risen", "")
    assert "CVE-2026-0001: probability fell under 0.1 (0.6 to 0.03)." in said[2]


def test_a_feed_can_be_fetched_from_another_address(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with feed_server() as server:
        url = server.answer("/mirror.json", Reply((REAL / "2026-08-07.json").read_bytes()))

        assert run("refresh", "--source", f"kev={url}") == 0

    assert "refreshed" in capsys.readouterr().out
    with pytest.raises(FeedError, match="is not FEED=URL"):
        run("refresh", "--source", "https://example.org")


def test_f20_text_of_a_feed_cannot_command_the_terminal() -> None:
    hostile = "\x1b[2Jgone\r\u202egpj.exe[bold]"

    assert visible(hostile).plain == "\\u001b[2Jgone\\u000d\\u202egpj.exe[bold]"
