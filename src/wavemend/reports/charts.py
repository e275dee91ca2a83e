"""Two drawings for the report, as inline SVG without script, links or fonts.

Colours are the page's CSS variables, so a drawing follows light, dark and print. Everything is
placed in pixels by the code here; what a host or a policy is called is escaped as it is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from markupsafe import Markup

from wavemend.reports.marks import SHOWN_ORDER, Mark, mark_of
from wavemend.reports.model import GateVerdict, RolloutReport, WaveReport
from wavemend.reports.text import LocalTimes, counted, one_line
from wavemend.reports.verdict import balance_of

WIDE, NARROW = 1040, 330
"""Drawing widths in CSS pixels: a card on a desk, a card on a 390 px phone. Text stays 12 px."""

_STEPS = tuple(timedelta(seconds=seconds) for seconds in (5, 10, 15, 30, 60, 120)) + tuple(
    timedelta(minutes=minutes)
    for minutes in (5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)
)
_ZOOM_BELOW = 1 / 8
"""A run that took a smaller share of its window is drawn alone: to scale it would be a dash."""

_HALF_CAPITAL = 0.36
"""Of the font size: from the middle of a capital letter down to its base line."""
_HALF_DIAMOND = 7.8


@dataclass(frozen=True, slots=True)
class _Sketch:
    """A drawing area in pixels, y downwards; what is drawn later lies on top."""

    width: int
    height: int
    drawn: list[Markup] = field(default_factory=list)

    @property
    def is_narrow(self) -> bool:
        """True for a phone: names go above their bars instead of before them."""
        return self.width <= NARROW

    def box(
        self, x: float, y: float, width: float, height: float, fill: str, *, dashed: str = ""
    ) -> None:
        """Draw a filled rectangle; `dashed`: the colour of a broken line around it."""
        around = f";stroke:var(--{dashed});stroke-width:1.5;stroke-dasharray:6 4.5"
        self._draw(
            '<rect x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}" style="fill:var(--{}){}"/>',
            *(x, y, width, height, fill, around if dashed else ""),
        )

    def line(self, x: float, top: float, bottom: float, colour: str) -> None:
        """Draw a vertical line."""
        path = '<path d="M{:.2f} {:.2f}V{:.2f}" style="stroke:var(--{})"/>'
        self._draw(path, x, top, bottom, colour)

    def diamond(self, x: float, y: float, colour: str) -> None:
        """Draw a gate."""
        self._draw(
            '<path d="M{0:.2f} {1:.2f}l{2} {2} -{2} {2} -{2} -{2}z"'
            ' style="fill:var(--{3});stroke:var(--card);stroke-width:1.5"/>',
            *(x, y - _HALF_DIAMOND, _HALF_DIAMOND, colour),
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        colour: str = "ink",
        size: float = 12,
        bold: bool = False,
        centred: bool = False,
    ) -> None:
        """Write text whose capitals have their middle at `y`."""
        self._draw(
            '<text x="{:.2f}" y="{:.2f}" text-anchor="{}"'
            ' style="fill:var(--{});font:{}{}px system-ui,sans-serif">{}</text>',
            *(x, y + _HALF_CAPITAL * size, "middle" if centred else "start"),
            *(colour, "bold " if bold else "", size, text),
        )

    def finished(self, label: str) -> Markup:
        """Return the drawing; `label` is what a screen reader says."""
        head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">')
        head = head.format(self.width, self.height, label)
        return Markup("").join((head, *self.drawn, Markup("</svg>")))

    def _draw(self, element: str, *values: object) -> None:
        self.drawn.append(Markup(element).format(*values))  # noqa: S704 - `format` escapes each


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
    sketch = _Sketch(width, 46)
    _draw_bar(sketch, parts, missing, max(counted_hosts + missing, 1))
    return sketch.finished(label)


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
                middle = x + wide / 2 - 1
                sketch.text(middle, 23, shown, colour="on-fill", size=13, bold=True, centred=True)
                break
        x += wide
    if missing:
        sketch.box(x + 1, 1, least + room * missing / whole - 2, 44, "card", dashed="failed")


def wave_timeline(report: RolloutReport, times: LocalTimes, *, width: int) -> Markup:
    """Draw when waves ran, soaked, waited for approval, and what their gates said."""
    begin, end = _extent(report)
    left, row = (0, 58) if width <= NARROW else (170, 46)
    height = 26 + row * len(report.waves) + 8
    sketch = _Sketch(width, height)
    scale = _Scale(begin, end, left + 8, width - 12, report.generated_at, times)
    _draw_ground(sketch, scale, report)
    for index, wave in enumerate(report.waves):
        _draw_wave(sketch, scale, wave, 26 + row * index)
    spoken = "; ".join(_spoken(wave, times) for wave in report.waves)
    return sketch.finished(f"Waves over time: {spoken}")


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
    sketch.box(start, 22, end - start, sketch.height - 22, "window")
    ticks = _ticks(scale, 4 if sketch.is_narrow else 9)
    day_apart = scale.end - scale.begin > timedelta(hours=30)
    for tick in ticks:
        x = scale.at(tick)
        sketch.line(x, 22, sketch.height, "line")
        with_seconds = scale.end - scale.begin < timedelta(minutes=8)
        clock = scale.times.clock(tick, seconds=with_seconds)
        shown = scale.times.short(tick) if day_apart else clock
        sketch.text(x, 10, shown, colour="muted", size=11, centred=True)


def _ticks(scale: _Scale, most: int) -> list[datetime]:
    """Return round local times; the step is the smallest that keeps the labels apart."""
    length = scale.end - scale.begin
    step = next((step for step in _STEPS if length / step <= most), length / most)
    local = scale.begin.astimezone(scale.times.zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    first = int((scale.begin - midnight) / step) + 1
    edge = 24.0  # half a label
    local_ticks = (midnight + step * number for number in range(first, first + most + 2))
    # By way of UTC: in the night clocks go forward, some of these times do not exist.
    ticks = list(dict.fromkeys(tick.astimezone(UTC) for tick in local_ticks))
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
        sketch.text(0, top + 10, f"{name}, {size}", bold=True)
        top += 18
    else:
        sketch.text(0, top + 14, name, size=13, bold=True)
        sketch.text(0, top + 31, size, colour="muted", size=11.5)
        top += 9
    if wave.approval_asked_at is not None:
        _draw_wait(sketch, scale, wave, top)
    if wave.started_at is not None:
        start, end = scale.at(wave.started_at), scale.at(wave.ended_at or scale.now)
        sketch.box(start, top, max(end - start, 4), 26, "run")
        if wave.ended_at is not None and wave.soak_until is not None:
            sketch.box(end, top + 8, max(scale.at(wave.soak_until) - end, 0), 10, "soak")
    elif wave.approval_asked_at is None:
        sketch.text(scale.left + 6, top + 13, "not started", colour="muted", size=11.5)
    if wave.gate is not None and wave.gate.decided_at is not None:
        colour = "patched" if wave.gate.verdict is GateVerdict.PASSED else "failed"
        sketch.diamond(scale.at(wave.gate.decided_at), top + 13, colour)


def _draw_wait(sketch: _Sketch, scale: _Scale, wave: WaveReport, top: float) -> None:
    asked = wave.approval_asked_at or scale.now
    start = scale.at(asked)
    end = scale.at(wave.approval_decided_at or scale.now)
    sketch.box(start, top + 4, max(end - start, 4), 18, "card", dashed="blocked")
    since = f"since {scale.times.short(asked)}"
    for shown in (f"waited for approval {since}", since):
        if len(shown) * 7 + 16 <= end - start:
            sketch.text(start + 9, top + 13, shown, colour="muted", size=11.5)
            break


def _spoken(wave: WaveReport, times: LocalTimes) -> str:
    if wave.started_at is None:
        return f"{one_line(wave.name, 40)} not started"
    ended = times.short(wave.ended_at) if wave.ended_at else "still open"
    return f"{one_line(wave.name, 40)} from {times.short(wave.started_at)} to {ended}"
