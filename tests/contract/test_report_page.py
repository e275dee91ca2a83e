"""The page stands alone, is the same every time, and no text from outside can act in it."""

import re
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pytest

from tests.cases.reports.build import at, host, wave
from tests.cases.reports.example import acme_night, good_night
from wavemend.errors import LedgerError
from wavemend.outcomes import Outcome
from wavemend.reports import model, render_html
from wavemend.reports.model import RolloutReport, RolloutState

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'--></style></svg><svg onload=alert(1)>",
    "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "txt.\u202eexe\u2066\u200b",
    "https://evil.example/beacon.png",
    "{{ 7 * 7 }}{% raw %} $\\frac{a}{b}$ WMTEXT0000Z #fe7a00",
    "x" * 100_000,
)
VOID = {"meta", "img", "br", "link", "input", "hr", "path"}


class Page(HTMLParser):
    """Collects what a browser would act on, and complains about unbalanced elements."""

    def __init__(self, rendered: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.depth: list[str] = []
        self.feed(rendered.decode("utf-8"))
        assert self.depth == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.depth.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.depth.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


def poisoned(value: Any, poison: str) -> Any:
    """Put the poison into every free text of a report; zones and times stay."""
    if isinstance(value, tuple):
        return tuple(poisoned(item, poison) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        kept = {"zone"}
        changes = {
            field.name: poisoned(getattr(value, field.name), poison)
            for field in fields(value)
            if field.name not in kept
        }
        return replace(value, **changes)
    return value + poison if type(value) is str else value


@pytest.mark.parametrize("poison", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_in_every_field_never_acts(poison: str) -> None:
    clean = Page(render_html(acme_night()))
    rendered = render_html(poisoned(acme_night(), poison))
    page = Page(rendered)
    text = rendered.decode("utf-8")

    assert {tag for tag, _ in page.elements} == {tag for tag, _ in clean.elements}
    assert "script" not in {tag for tag, _ in page.elements}
    assert not [name for _, names in page.elements for name in names if name.startswith("on")]
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text
    )
    assert all(link.startswith("#") for link in page.all("href") + page.all("xlink:href"))
    assert page.all("src") == []
    assert len(rendered) < 1_000_000


@pytest.mark.parametrize("night", [acme_night(), good_night()])
def test_the_page_refers_to_nothing_outside_itself(night: RolloutReport) -> None:
    rendered = render_html(night)
    page = Page(rendered)

    assert b"http" not in rendered.replace(b"http-equiv", b"").replace(
        b"https</span>", b""
    ).replace(b"https passed", b"").replace(b"https failed", b"")
    assert b"@import" not in rendered
    assert b"<script" not in rendered
    assert set(re.findall(rb"url\(([^)]?)", rendered)) <= {b"#"}
    policy = [a["content"] for tag, a in page.elements if a.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_equal_reports_give_equal_pages() -> None:
    assert render_html(acme_night()) == render_html(acme_night())


def test_every_link_inside_the_page_arrives_and_ids_are_unique() -> None:
    page = Page(render_html(acme_night()))
    ids = page.all("id")

    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in page.all("href")} <= set(ids)
    assert set(page.all("aria-labelledby")) <= set(ids)


def test_the_answer_comes_before_everything_else() -> None:
    text = Page(render_html(acme_night())).text
    order = [
        "Partly",
        "6 of 11 hosts",
        "What waits and why",
        "Waves and gates",
        "Hosts",
        "Findings",
    ]
    places = [text.index(words, text.index("really work?")) for words in order]

    assert places == sorted(places)


def test_a_simulated_host_is_marked_in_the_banner_and_in_its_row() -> None:
    with_one = Page(render_html(acme_night())).text
    without = Page(render_html(good_night())).text

    assert with_one.count("SIMULATED") == 2
    assert "1 of 11 hosts here was played" in with_one
    assert "SIMULATED" not in without


def test_the_page_shows_local_time_and_keeps_utc_beside_it() -> None:
    rendered = render_html(acme_night()).decode()

    assert (
        '<time datetime="2026-03-10T01:02:00Z" title="2026-03-10 01:02:00 UTC">10 Mar 02:02<'
        in rendered
    )


def test_an_unscored_finding_never_reads_as_zero() -> None:
    text = Page(render_html(acme_night())).text

    assert "unscored" in text
    assert "no entry" in text


def test_a_report_that_does_not_balance_says_so_in_large() -> None:
    text = Page(render_html(replace(acme_night(), expected=12))).text

    assert "Failed The numbers do not balance" in text
    assert "12 hosts expected, 11 accounted for" in text


@pytest.mark.parametrize("state", RolloutState)
def test_every_state_has_a_page(state: RolloutState) -> None:
    outcomes = [*Outcome, *([None] if state is RolloutState.RUNNING else [])]
    hosts = tuple(host(f"h{number}", outcome) for number, outcome in enumerate(outcomes))
    running = wave(2, "broad-1", ("h1",), started_at=at(5))
    waiting = wave(3, "critical", (), approval_asked_at=at(-9000))
    report = replace(
        acme_night(), state=state, hosts=hosts, expected=len(hosts), waves=(running, waiting)
    )

    assert "What waits and why" in Page(render_html(report)).text


def test_an_empty_report_still_has_a_page() -> None:
    empty = replace(
        acme_night(),
        hosts=(), waves=(), approvals=(), feeds=(), open_questions=(), expected=0,
        findings=model.FindingsReport(lanes=(), top=()), started_at=None, ended_at=None,
    )  # fmt: skip
    text = Page(render_html(empty)).text

    assert "The plan held no host" in text
    assert "No wave was planned" in text


def test_a_time_without_a_zone_is_refused() -> None:
    naive = datetime(2026, 3, 10, 2, tzinfo=UTC).replace(tzinfo=None)

    with pytest.raises(LedgerError, match="without a time zone"):
        render_html(replace(acme_night(), generated_at=naive))


def test_a_thousand_hosts_fit_on_one_page_without_unfolding_all() -> None:
    hosts = tuple(
        host(f"h{number:04}", Outcome.UNREACHABLE, reason="off") for number in range(1000)
    )
    names = tuple(row.name for row in hosts)
    report = replace(acme_night(), hosts=hosts, expected=1000, waves=(wave(1, "broad-1", names),))
    page = Page(render_html(report))

    assert not [a for tag, a in page.elements if tag == "details" and "open" in a]
    assert "988 more" in page.text


def test_a_long_freeze_of_the_clock_still_draws() -> None:
    """A window of zero length and a wave of one moment must not divide by nothing."""
    night = acme_night()
    moment = night.window.start
    flat = wave(1, "pilot", ("h",), started_at=moment, ended_at=moment, soak_until=moment)
    report = replace(
        night, window=replace(night.window, end=moment), waves=(flat,), hosts=(), expected=0
    )

    assert render_html(report)
    assert render_html(replace(report, generated_at=moment + timedelta(days=400)))


def test_importing_reports_loads_neither_matplotlib_nor_jinja() -> None:
    code = (
        "import sys, wavemend.reports as r; from tests.cases.reports.example import good_night;"
        "r.render_json(good_night()); r.summary_text(good_night());"
        "sys.exit(any(m in sys.modules for m in ('matplotlib', 'jinja2', 'prefect')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, env=_path()).returncode == 0


def _path() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(entry for entry in sys.path if entry), "PATH": "/usr/bin:/bin"}


def _palettes() -> list[dict[str, str]]:
    style = files("wavemend.reports").joinpath("templates/rollout.css").read_text("utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})[;\s]", block)) for block in blocks]


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    shares = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


MEANINGS = [
    "patched", "restart", "nothing", "failed", "rolled-back", "unreachable", "needs-human",
    "blocked", "not-attempted", "skipped",
]  # fmt: skip


@pytest.mark.parametrize("palette", _palettes(), ids=["light", "dark", "print"])
def test_every_text_has_the_contrast_wcag_aa_asks_for(palette: dict[str, str]) -> None:
    pairs = [(text, "card") for text in ("ink", "muted", "link", *MEANINGS)]
    pairs += [("on-fill", fill) for fill in MEANINGS]
    pairs += [(text, ground) for text in ("ink", "muted") for ground in ("page", "sunk", "window")]
    weak = {
        pair: round(_contrast(palette[pair[0]], palette[pair[1]]), 2)
        for pair in pairs
        if _contrast(palette[pair[0]], palette[pair[1]]) < 4.5
    }
    assert weak == {}
