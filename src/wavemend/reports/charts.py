"""Two drawings for the report, as inline SVG without script, links or fonts.

matplotlib draws with stand-in colours and stand-in texts; both are replaced afterwards, the
colours by the page's CSS variables (so a drawing follows light, dark and print), the texts by
escaped ones (so no text of a host or policy is ever laid out, or read as mathematics).
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from markupsafe import Markup, escape

from wavemend.reports.marks import SHOWN_ORDER, Mark, mark_of
from wavemend.reports.model import GateVerdict, RolloutReport, WaveReport
from wavemend.reports.text import LocalTimes, counted, one_line
from wavemend.reports.verdict import balance_of

WIDE, NARROW = 1040, 330
"""Drawing widths in CSS pixels: a card on a desk, a card on a 390 px phone. Text stays 12 px."""

_SALT = "wavemend.report/1"
_DRAWING = Lock()  # matplotlib's settings are global to the process
_STEPS = tuple(timedelta(seconds=seconds) for seconds in (5, 10, 15, 30, 60, 120)) + tuple(
    timedelta(minutes=minutes)
    for minutes in (5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)
)
_ZOOM_BELOW = 1 / 8
"""A run that took a smaller share of its window is drawn alone: to scale it would be a dash."""


@dataclass(slots=True)
class _Sketch:
    """A drawing area in pixels, y downwards, and what stands in for colours and texts."""

    width: int
    height: int
    name: str
    colours: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    figure: Any = None
    axes: Any = None

    def __post_init__(self) -> None:
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(self.width / 72, self.height / 72), dpi=72, frameon=False)
        self.axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self.axes.set_axis_off()
        self.axes.set_xlim(0, self.width)
        self.axes.set_ylim(self.height, 0)

    @property
    def is_narrow(self) -> bool:
        """True for a phone: names go above their bars instead of before them."""
        return self.width <= NARROW

    def colour(self, variable: str) -> str:
        """Return the stand-in for a CSS variable of the page."""
        if variable not in self.colours:
            self.colours.append(variable)
        return f"#fe7a{self.colours.index(variable):02x}"

    def box(self, x: float, y: float, width: float, height: float, fill: str, **more: Any) -> None:
        """Draw a filled rectangle."""
        from matplotlib.patches import Rectangle

        settings = {"facecolor": self.colour(fill), "linewidth": 0, **more}
        self.axes.add_patch(Rectangle((x, y), width, height, **settings))

    def line(self, x: float, top: float, bottom: float, colour: str, **more: Any) -> None:
        """Draw a vertical line."""
        settings = {"linewidth": 1, **more}
        self.axes.plot([x, x], [top, bottom], color=self.colour(colour), **settings)

    def diamond(self, x: float, y: float, colour: str) -> None:
        """Draw a gate."""
        self.axes.plot(
            [x], [y], marker="D", markersize=11, color=self.colour(colour),
            markeredgecolor=self.colour("card"), markeredgewidth=1.5,
        )  # fmt: skip

    def text(self, x: float, y: float, text: str, **more: Any) -> None:
        """Write text; what is laid out is only a stand-in of plain letters."""
        self.texts.append(text)
        colour = self.colour(more.pop("colour", "ink"))
        settings = {"va": "center", "fontsize": 12, **more}
        stand_in = f"WMTEXT{len(self.texts) - 1:04d}Z"
        self.axes.text(x, y, stand_in, color=colour, parse_math=False, **settings)


def outcome_bar(report: RolloutReport, *, width: int) -> Markup:
    """Draw the outcomes of all hosts as one bar that is as long as the hosts expected."""
    balance = balance_of(report)
    counts = dict(balance.counts)
    parts = [(mark_of(outcome), counts[outcome]) for outcome in SHOWN_ORDER if counts[outcome]]
    if balance.open:
        parts.append((mark_of(None), balance.open))
    counted_hosts = sum(count for _, count in parts)
    missing = max(report.expected - counted_hosts, 0)
    spoken = ", ".join(f"{count:,} {mark.words}" for mark, count in parts) or "no host"
    label = f"{counted(report.expected, 'host')} expected: {spoken}"
    if missing:
        label += f", {missing:,} unaccounted for"
    with _drawing():
        sketch = _Sketch(width, 46, f"bar{width}")
        _draw_bar(sketch, parts, missing, max(counted_hosts + missing, 1))
        return _finished(sketch, label)


def _draw_bar(sketch: _Sketch, parts: Sequence[tuple[Mark, int]], missing: int, whole: int) -> None:
    # A host among a thousand still gets a visible sliver: the others give the room.
    least = 7.0
    room = sketch.width - least * (len(parts) + bool(missing))
    x = 0.0
    for mark, count in parts:
        wide = least + room * count / whole
        sketch.box(x, 0, wide - 2, 46, mark.colour)
        whole_text = f"{mark.symbol} {count:,} {mark.words}"
        for shown in (whole_text, f"{mark.symbol} {count:,}", mark.symbol):
            if len(shown) * 8.6 + 14 <= wide:
                x_text, settings = x + wide / 2 - 1, {"ha": "center", "weight": "bold"}
                sketch.text(x_text, 23, shown, colour="on-fill", fontsize=13, **settings)
                break
        x += wide
    if missing:
        sketch.box(
            x + 1, 1, least + room * missing / whole - 2, 44, "card",
            edgecolor=sketch.colour("failed"), linewidth=1.5, linestyle=(0, (4, 3)),
        )  # fmt: skip


def wave_timeline(report: RolloutReport, times: LocalTimes, *, width: int) -> Markup:
    """Draw when waves ran, soaked, waited for approval, and what their gates said."""
    begin, end = _extent(report)
    left, row = (0, 58) if width <= NARROW else (170, 46)
    height = 26 + row * len(report.waves) + 8
    with _drawing():
        sketch = _Sketch(width, height, f"time{width}")
        scale = _Scale(begin, end, left + 8, width - 12, report.generated_at, times)
        _draw_ground(sketch, scale, report)
        for index, wave in enumerate(report.waves):
            _draw_wave(sketch, scale, wave, 26 + row * index)
        spoken = "; ".join(_spoken(wave, times) for wave in report.waves)
        return _finished(sketch, f"Waves over time: {spoken}")


@dataclass(frozen=True, slots=True)
class _Scale:
    begin: datetime
    end: datetime
    left: float
    right: float
    now: datetime
    """Where bars without an end are drawn to."""
    times: LocalTimes

    def at(self, moment: datetime) -> float:
        """Return the x of a moment; what lies outside is drawn at the edge."""
        share = (moment - self.begin) / (self.end - self.begin)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)


def zoomed(report: RolloutReport) -> bool:
    """Return whether the timeline shows only the run, and not the whole window around it."""
    moments = _run_moments(report)
    if not moments:
        return False
    length = max(moments) - min(moments)
    window = report.window.end - report.window.start
    return timedelta(seconds=5) <= length < window * _ZOOM_BELOW


def _run_moments(report: RolloutReport) -> list[datetime]:
    moments = []
    for wave in report.waves:
        decided = wave.gate.decided_at if wave.gate else None
        times = (wave.started_at, wave.ended_at, wave.soak_until, decided)
        asked = (wave.approval_asked_at, wave.approval_decided_at)
        moments += [moment for moment in (*times, *asked) if moment is not None]
        still_open = wave.ended_at is None if wave.started_at else asked[0] and not asked[1]
        if still_open:
            moments.append(report.generated_at)
    return moments


def _extent(report: RolloutReport) -> tuple[datetime, datetime]:
    """Return what the drawing spans: the window and all that ran, and a piece of a wait before.

    An approver may be asked days ahead; drawn to scale, the night itself would be a dash. The
    same holds for a run of two minutes in a window of four hours.
    """
    if zoomed(report):
        run = _run_moments(report)
        edge = (max(run) - min(run)) / 20
        return min(run) - edge, max(run) + edge
    moments = [report.window.start, report.window.end]
    asked = []
    for wave in report.waves:
        moments += [m for m in (wave.started_at, wave.ended_at, wave.soak_until) if m is not None]
        if wave.started_at is not None and wave.ended_at is None:
            moments.append(report.generated_at)
        if wave.approval_asked_at is not None:
            asked.append(wave.approval_asked_at)
    begin, end = min(moments), max(moments)
    begin = max(min([begin, *asked]), begin - (end - begin) / 4)
    margin = max((end - begin) / 50, timedelta(minutes=1))
    return begin - margin, end + margin


def _draw_ground(sketch: _Sketch, scale: _Scale, report: RolloutReport) -> None:
    start, end = scale.at(report.window.start), scale.at(report.window.end)
    sketch.box(start, 22, end - start, sketch.height - 22, "window", zorder=0)
    ticks = _ticks(scale, 4 if sketch.is_narrow else 9)
    day_apart = scale.end - scale.begin > timedelta(hours=30)
    for tick in ticks:
        x = scale.at(tick)
        sketch.line(x, 22, sketch.height, "line", zorder=0.5)
        with_seconds = scale.end - scale.begin < timedelta(minutes=8)
        clock = scale.times.clock(tick, seconds=with_seconds)
        shown = scale.times.short(tick) if day_apart else clock
        sketch.text(x, 10, shown, colour="muted", ha="center", fontsize=11)


def _ticks(scale: _Scale, most: int) -> list[datetime]:
    """Return round local times; the step is the smallest that keeps the labels apart."""
    length = scale.end - scale.begin
    step = next((step for step in _STEPS if length / step <= most), length / most)
    local = scale.begin.astimezone(scale.times.zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    first = int((scale.begin - midnight) / step) + 1
    edge = 24.0  # half a label
    ticks = [midnight + step * number for number in range(first, first + most + 2)]
    return [
        tick
        for tick in ticks
        if tick < scale.end and scale.left + edge / 2 < scale.at(tick) < scale.right - edge / 2
    ]


def _draw_wave(sketch: _Sketch, scale: _Scale, wave: WaveReport, top: float) -> None:
    narrow = sketch.is_narrow
    name = f"{wave.number}. {one_line(wave.name, 18 if narrow else 16)}"
    size = counted(len(wave.hosts), "host")
    if narrow:
        sketch.text(0, top + 10, f"{name}, {size}", fontsize=12, weight="bold")
        top += 18
    else:
        sketch.text(0, top + 14, name, fontsize=13, weight="bold")
        sketch.text(0, top + 31, size, colour="muted", fontsize=11.5)
        top += 9
    if wave.approval_asked_at is not None:
        _draw_wait(sketch, scale, wave, top)
    if wave.started_at is not None:
        start, end = scale.at(wave.started_at), scale.at(wave.ended_at or scale.now)
        sketch.box(start, top, max(end - start, 4), 26, "run")
        if wave.ended_at is not None and wave.soak_until is not None:
            sketch.box(end, top + 8, max(scale.at(wave.soak_until) - end, 0), 10, "soak")
    elif wave.approval_asked_at is None:
        sketch.text(scale.left + 6, top + 13, "not started", colour="muted", fontsize=11.5)
    if wave.gate is not None and wave.gate.decided_at is not None:
        colour = "patched" if wave.gate.verdict is GateVerdict.PASSED else "failed"
        sketch.diamond(scale.at(wave.gate.decided_at), top + 13, colour)


def _draw_wait(sketch: _Sketch, scale: _Scale, wave: WaveReport, top: float) -> None:
    asked = wave.approval_asked_at or scale.now
    start = scale.at(asked)
    end = scale.at(wave.approval_decided_at or scale.now)
    sketch.box(
        start, top + 4, max(end - start, 4), 18, "card", linewidth=1.5,
        edgecolor=sketch.colour("blocked"), linestyle=(0, (4, 3)),
    )  # fmt: skip
    since = f"since {scale.times.short(asked)}"
    for shown in (f"waited for approval {since}", since):
        if len(shown) * 7 + 16 <= end - start:
            sketch.text(start + 9, top + 13, shown, colour="muted", fontsize=11.5)
            break


def _spoken(wave: WaveReport, times: LocalTimes) -> str:
    if wave.started_at is None:
        return f"{one_line(wave.name, 40)} not started"
    ended = times.short(wave.ended_at) if wave.ended_at else "still open"
    return f"{one_line(wave.name, 40)} from {times.short(wave.started_at)} to {ended}"


@contextmanager
def _drawing() -> Iterator[None]:
    """One drawing at a time, with settings that make equal input give equal bytes."""
    import matplotlib as mpl

    with _DRAWING, mpl.rc_context():
        mpl.rcdefaults()  # somebody's matplotlibrc, even one in the working folder, decides nothing
        mpl.rcParams["svg.fonttype"] = "none"
        mpl.rcParams["svg.hashsalt"] = _SALT
        yield


def _finished(sketch: _Sketch, label: str) -> Markup:
    """Save the drawing, then put in real colours and texts and make its ids its own."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    FigureCanvasSVG(sketch.figure)
    buffer = io.StringIO()
    nothing = {"Creator": None, "Date": None, "Format": None, "Type": None}
    sketch.figure.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    head = f'<svg viewBox="0 0 {sketch.width} {sketch.height}" role="img" aria-label="'
    svg = re.sub(r"<svg [^>]*>", lambda _: f'{head}{escape(label)}">', svg, count=1)
    svg = re.sub(r"font: ((?:bold |700 )?[\d.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", svg)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{sketch.name}-", svg)
    svg = re.sub(r"#fe7a([0-9a-f]{2})", lambda m: f"var(--{sketch.colours[int(m[1], 16)]})", svg)
    svg = re.sub(r"WMTEXT(\d{4})Z", lambda m: str(escape(sketch.texts[int(m[1])])), svg)
    return Markup(svg)  # noqa: S704 - drawn by us; every foreign text in it was escaped above
