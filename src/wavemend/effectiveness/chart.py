"""The picture of a simulation: coverage against effort, and risk-days against capacity."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from wavemend.effectiveness.measures import EFFORTS
from wavemend.effectiveness.simulation import Simulation
from wavemend.effectiveness.strategies import OURS
from wavemend.errors import FeedError

KINDS = (".svg", ".png")
_DRAWING = Lock()  # matplotlib's settings are global to the process
_SALT = "wavemend.simulated-priorities/1"
# Okabe and Ito's colours, told apart by everybody; lines differ in dashes too, for grey print.
_STYLES = (
    ("#0072B2", (0, ())),
    ("#56B4E9", (0, (5, 2))),
    ("#E69F00", (0, ())),
    ("#CC79A7", (0, (1, 1.2))),
    ("#D55E00", (0, ())),
    ("#009E73", (0, (5, 2))),
    ("#666666", (0, (1, 1.2))),
)


@contextmanager
def _settings() -> Iterator[None]:
    from matplotlib import rc_context

    with (
        _DRAWING,
        rc_context(
            {
                # Equal figures give equal bytes.
                "svg.hashsalt": _SALT,
                "svg.fonttype": "path",
                "font.family": "DejaVu Sans",  # comes with matplotlib
                "font.size": 10,
                "axes.spines.top": False,
                "axes.spines.right": False,
            }
        ),
    ):
        yield


def picture(found: Simulation, kind: str) -> bytes:
    """Return the picture as `.svg` or `.png`. Raises FeedError for another kind."""
    if kind not in KINDS:
        raise FeedError(f"a picture is {' or '.join(KINDS)}, not {kind!r}.")
    from matplotlib.figure import Figure

    with _settings():
        figure = Figure(figsize=(11, 5.6), dpi=110, layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        _coverage(left, found)
        _risk_days(right, found)
        figure.suptitle(
            f"Exploited = {found.label}: n = {found.positives:,} of {found.population:,} "
            f"{found.at_stake}; {found.foreseeable:,} of them known before",
            fontsize=11,
        )
        figure.legend(
            *left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False
        )
        stream = io.BytesIO()
        metadata = {"Date": None} if kind == ".svg" else {"Software": None}
        figure.savefig(stream, format=kind[1:], metadata=metadata)
    return stream.getvalue()


def _style(found: Simulation, strategy: str) -> dict[str, Any]:
    names = [item.strategy for item in found.curves]
    colour, dashes = _STYLES[names.index(strategy) % len(_STYLES)]
    return {
        "color": colour,
        "linestyle": dashes,
        "linewidth": 2.4 if strategy in OURS else 1.6,
    }


def _coverage(axes: Any, found: Simulation) -> None:
    for item in found.curves:
        axes.step(
            [100 * effort for effort in item.efforts],
            [100 * coverage for coverage in item.coverages],
            where="post",
            label=item.strategy,
            **_style(found, item.strategy),
        )
    if found.positives:
        axes.axhline(
            100 * found.foreseeable / found.positives, color="#999999", linewidth=1, zorder=0
        )
        axes.annotate(
            "known before being listed: the most that is possible",
            (1, 100 * found.foreseeable / found.positives),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color="#555555",
        )
    axes.set_xscale("log")
    least = 100 / max(found.population, 100)
    axes.set_xlim(max(least, 0.02), 110)
    ticks = [0.1, *(100 * effort for effort in EFFORTS), 50, 100]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("effort: share of all CVEs closed, % (logarithmic)")
    axes.set_ylabel("coverage: exploited CVEs closed before they were listed, %")
    axes.set_title(
        f"Coverage, at {float(found.capacities[0]):,.0f} CVEs a day", loc="left", fontsize=10
    )
    axes.grid(axis="both", color="#dddddd", linewidth=0.6)


def _risk_days(axes: Any, found: Simulation) -> None:
    names = [item.strategy for item in found.curves]
    totals = {
        item.strategy: item for item in found.measured if item.capacity == found.capacities[0]
    }
    for place, name in enumerate(names):
        days, known = totals[name].risk_days, totals[name].known_risk_days.total
        colour = _style(found, name)["color"]
        error = [[days.total - days.low], [days.high - days.total]]
        axes.barh(place, known, color=colour)
        axes.barh(
            place,
            days.total - known,
            left=known,
            xerr=error if days.high > days.low else None,
            facecolor="white",
            edgecolor=colour,
            hatch="////",
            error_kw={"ecolor": "#333333", "capsize": 3, "linewidth": 1},
        )
        axes.annotate(
            f"{days.total:,.0f}",
            (max(days.high, days.total), place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(_ticks())
    axes.set_xlabel("days from listing to closing, 95 % intervals", fontsize=9)
    axes.set_title(
        f"Risk-days in {(found.last - found.first).days + 1} days\n"
        "hatched: not known before being listed",
        loc="left",
        fontsize=10,
    )


def _ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=5, integer=True)
