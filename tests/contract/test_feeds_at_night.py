"""What a feed did not use is said with reasons, a folder that was not read is named."""

from datetime import date
from pathlib import Path

import pytest

from tests.contract.test_feeds_cli import EXAMPLES, Run, run
from wavemend.advisories import FeedSnapshot, KevEntry, Reject
from wavemend.cli.feed_tables import reason_lines
from wavemend.errors import FeedError

__all__ = ["run"]


def test_a_folder_of_no_feed_is_named_with_the_feeds_there_are(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("kev", "kevv"):
        (tmp_path / "in" / name).mkdir(parents=True)
    bundled = next((EXAMPLES / "kev").glob("*.json"))
    (tmp_path / "in" / "kev" / bundled.name).write_bytes(bundled.read_bytes())

    run("refresh", "--from", str(tmp_path / "in"), "--feed", "kev")

    shown = capsys.readouterr().out
    assert f"{tmp_path}/in/kevv: there is no feed of that name, so it was not read" in shown
    assert f"{tmp_path}/in/kev: " not in shown


def test_the_status_of_one_feed_gives_its_reasons_and_refuses_a_feed_there_is_not(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("refresh", "--from", str(EXAMPLES), "--feed", "kev")
    capsys.readouterr()

    assert run("status", "kev") == 11  # old, and said to be

    shown = capsys.readouterr().out
    assert "kev: rejected entries: 0." in shown
    assert "epss" not in shown
    with pytest.raises(FeedError, match="there is no feed kevv"):
        run("status", "kevv")


def test_the_first_reasons_are_written_out_and_what_stays_in_force_is_named() -> None:
    snapshot = FeedSnapshot(
        feed="kev",
        source="",
        digest="d",
        fetched_at=None,
        data_date=None,
        read=20,
        count=5,
        skipped=(("withdrawn", 3),),
        rejects=tuple(Reject(where=f"line {n}", reason="no date") for n in range(12)),
        flaws=(Reject(where="line 30", reason="a vector that means nothing."),),
        kept=(
            (
                "CVE-2026-1000",
                KevEntry(date_added=date(2026, 3, 1), due_date=None, ransomware=None, name="x"),
            ),
        ),
    )

    lines = list(reason_lines(snapshot))

    assert lines[:2] == ["kev: rejected entries: 12.", "  line 0: no date."]
    assert lines[11] == "  and 2 more."
    assert "  line 30: a vector that means nothing." in lines
    assert "  3: withdrawn." in lines
    assert lines[-1] == "  CVE-2026-1000: listed 2026-03-01."
