"""What went wrong with a package is read without scrolling, and says what stands on the host."""

import re
from dataclasses import replace
from importlib.resources import files

import pytest

from tests.cases.reports.build import finding, host, package
from tests.cases.reports.example import acme_night
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.reports import model, render_html
from wavemend.reports.model import PackageReport

CSS = files("wavemend.reports").joinpath("templates", "rollout.css").read_text(encoding="utf-8")


def row_of(broken: PackageReport) -> str:
    failed = host("api1", Outcome.FAILED, packages=(broken,))
    html = render_html(replace(acme_night(), hosts=(failed,))).decode()
    table = html[html.index("<caption>Packages") :]
    return table[table.index("<tbody>") : table.index("</tbody>")]


def test_only_the_rows_of_hosts_are_laid_out_as_such() -> None:
    """A nested summary, as "23 more" CVEs, in such a grid makes its table wider than the page."""
    for selector in re.findall(r"\.hosts[^{},]*summary", CSS):
        assert re.fullmatch(r"\.hosts > details(\[open\])? > summary", selector)


def test_tables_stack_on_a_phone_and_each_cell_then_says_what_it_is() -> None:
    tables = re.findall(r"<table.*?</table>", render_html(acme_night()).decode(), re.DOTALL)
    wide = [table for table in tables if 'class="lanes"' not in table]

    assert any("Packages:" in table for table in wide)
    for table in wide:
        assert re.match(r'<table class="stack\b', table)
        assert all("data-label=" in cell for cell in re.findall(r"<td[^>]*>", table))


def test_tables_are_printed_as_tables() -> None:
    """A page of paper is narrower than 720 pixels."""
    media = re.findall(r"(@media[^{]*)\{\s*\.stack", CSS)

    assert [rule.strip() for rule in media] == ["@media screen and (max-width: 720px)"]


def test_a_package_that_failed_is_never_said_to_be_as_planned() -> None:
    half_done = replace(package(outcome=PackageOutcome.FAILED), before="1.0", after="2.0")

    assert "as planned" not in row_of(replace(half_done, target="2.0"))
    assert "as planned" in row_of(package(outcome=PackageOutcome.INSTALLED))


def test_a_due_date_names_its_year() -> None:
    opened = acme_night().window.start
    due = finding("CVE-2026-1", "web1", "zip", due_at=opened.replace(year=opened.year + 1))
    night = replace(acme_night(), findings=model.FindingsReport(lanes=(), top=(due,)))

    assert ">10 Mar 2027, 02:00<" in render_html(night).decode()


@pytest.mark.parametrize(
    ("hours", "shown"), [(0.99, "59 min"), (47.9, "47 h"), (48, "2 days"), (255.9, "10 days")]
)
def test_the_age_of_a_feed_is_counted_in_whole_units_as_the_commands_do(
    hours: float, shown: str
) -> None:
    feed = replace(acme_night().feeds[0], age_seconds=hours * 3600)
    html = render_html(replace(acme_night(), feeds=(feed,))).decode()

    assert re.findall(r'data-label="Age at plan">([^<]*)<', html) == [shown]
