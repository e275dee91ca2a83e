"""A report is on disk whole, inside its folder, or the error says what is there."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cases.reports.example import acme_night, good_night
from wavemend.errors import EnvironmentUnfit
from wavemend.outcomes import Outcome
from wavemend.reports import REPORTS, render_html, render_json, summary_text, write_report


def test_both_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    paths = write_report(acme_night(), tmp_path / "2026" / "acme")

    assert paths.html.read_bytes() == render_html(acme_night())
    assert json.loads(paths.json.read_text("utf-8"))["schema"] == "wavemend.report/1"
    assert sorted(paths.html.parent.iterdir()) == sorted([paths.html, paths.json])
    assert stat.S_IMODE(paths.html.stat().st_mode) == 0o640


def test_writing_again_replaces_the_report(tmp_path: Path) -> None:
    write_report(replace(acme_night(), requester="first"), tmp_path)
    paths = write_report(replace(acme_night(), requester="second"), tmp_path)

    assert json.loads(paths.json.read_text("utf-8"))["requester"] == "second"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "rollout_id", ["../../etc/cron.d/x", "a/b", "..", ".hidden", "", "x" * 5000, "a\x00b", "\udc80"]
)
def test_no_rollout_id_leads_out_of_the_folder(tmp_path: Path, rollout_id: str) -> None:
    paths = write_report(replace(good_night(), rollout_id=rollout_id), tmp_path / "in")

    assert {path.parent for path in (paths.html, paths.json)} == {tmp_path / "in"}
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_two_ids_never_share_a_file(tmp_path: Path) -> None:
    first = write_report(replace(good_night(), rollout_id="a/b"), tmp_path)
    second = write_report(replace(good_night(), rollout_id="a:b"), tmp_path)

    assert first.html != second.html


def test_a_folder_that_cannot_be_made_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")

    with pytest.raises(EnvironmentUnfit, match="no report was written") as caught:
        write_report(good_night(), tmp_path / "file" / "reports")
    assert "ledger still holds everything" in caught.value.hint


def test_half_a_report_is_said_to_be_half(tmp_path: Path) -> None:
    in_the_way = tmp_path / f"rollout-{good_night().rollout_id}.html"
    in_the_way.mkdir()

    with pytest.raises(EnvironmentUnfit, match="the page beside it not"):
        write_report(good_night(), tmp_path)
    assert not list(tmp_path.glob(".report-*"))


def test_the_table_offers_both_forms() -> None:
    assert REPORTS["html"](good_night()) == render_html(good_night())
    assert REPORTS["json"](good_night()) == render_json(good_night())


def test_the_summary_names_verdict_counts_troubled_hosts_and_files(tmp_path: Path) -> None:
    paths = write_report(acme_night(), tmp_path)
    lines = summary_text(acme_night(), paths).splitlines()

    assert lines[0].startswith("SIMULATED (1 of 11 hosts) Acme Logistics GmbH: PARTLY. 6 of 11")
    assert "11 expected = 4 patched + 1 restart pending" in lines[2]
    assert lines[3].startswith("  db3.acme.example: failed: postgresql-15")
    assert lines[-2:] == [f"  page: {paths.html}", f"  data: {paths.json}"]


def test_the_summary_is_plain_text_whatever_a_host_says() -> None:
    night = good_night()
    hosts = tuple(
        replace(row, outcome=Outcome.FAILED, reason="\x1b[2J\nfine: YES\u202e")
        for row in night.hosts
    )
    text = summary_text(replace(night, hosts=hosts))

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\nfine" not in text


def test_a_summary_of_many_hosts_stays_short_and_counts_the_rest() -> None:
    night = good_night()
    bad = tuple(
        replace(night.hosts[0], name=f"h{number}", outcome=Outcome.FAILED) for number in range(500)
    )
    lines = summary_text(replace(night, hosts=bad, expected=500, waves=())).splitlines()

    assert len(lines) == 14
    assert lines[-1] == "  and 490 more, all in the report"
