"""The commands say what came of each feed, end with a status scripts can use, and hide nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from wavemend.cli.feeds import app as feeds_app
from wavemend.cli.findings import app as findings_app
from wavemend.cli.shown import visible
from wavemend.errors import FeedError

EXAMPLES = Path(__file__).parents[2] / "examples" / "feeds"
Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "200")

    def call(group: str, *tokens: str) -> int:
        app = {"feeds": feeds_app, "findings": findings_app}[group]
        words = [*tokens, "--cache", str(tmp_path / "cache")]
        return int(app(words, exit_on_error=False, result_action="return_value"))

    return call


def test_refresh_from_the_bundled_folder_then_status_then_explain(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("feeds", "refresh", "--from", str(EXAMPLES)) == 0
    assert capsys.readouterr().out.count("refreshed") == 4

    assert run("feeds", "status") == 11  # the bundled documents are old, and said to be
    shown = capsys.readouterr().out
    assert "v2026.06.15" in shown
    assert "epss: stale: the data is of 2026-06-20" in shown

    assert run("findings", "explain", "CVE-2023-44487", "--exposed") == 0
    shown = capsys.readouterr().out
    for words in (
        "emergency, due 2023-10-31",
        "Model v2026.06.15",
        "table 1.0.0",
        "1.52.0-1+deb12u1",
    ):
        assert words in shown


def test_a_feed_that_is_missing_shows_in_the_table_and_in_the_status(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "kev").mkdir(parents=True)
    (tmp_path / "in" / "kev" / "kev.json").write_text(json.dumps({"count": 1}))

    status = run("feeds", "refresh", "--from", str(tmp_path / "in"), "--feed", "kev")

    assert status == 11
    assert "missing" in capsys.readouterr().out


def test_where_the_feeds_come_from_must_be_said(run: Run) -> None:
    with pytest.raises(FeedError, match="either --from FOLDER or --online"):
        run("feeds", "refresh")


def test_what_is_not_a_cve_is_refused_and_an_unknown_one_is_unscored(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FeedError, match="is not a CVE"):
        run("findings", "explain", "2023-44487")

    assert run("findings", "explain", "CVE-2026-99999") == 0
    shown = capsys.readouterr().out
    assert shown.count("unscored") == 2
    assert "No catalogue was loaded" in shown


def test_f20_text_of_a_feed_cannot_command_the_terminal() -> None:
    hostile = "\x1b[2Jgone\r\u202egpj.exe[bold]"

    assert visible(hostile).plain == "\\u001b[2Jgone\\u000d\\u202egpj.exe[bold]"
