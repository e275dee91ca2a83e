"""`wavemend simulate`: how well an order of work would have done, on stored history."""

from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from wavemend.cli.here import here
from wavemend.cli.shown import say
from wavemend.cli.tables import WIDE, is_wide, screen, without
from wavemend.errors import FeedError

if TYPE_CHECKING:
    from wavemend.effectiveness.simulation import Simulation

app = cyclopts.App(
    name="simulate", help="Play stored history again, to see what an order is worth."
)

Files = Annotated[
    tuple[Path, ...],
    Parameter(
        consume_multiple=True,
        negative=(),
        help="These documents instead of the accepted copies; may be given again.",
    ),
]


@app.command
def priorities(
    *,
    epss: Files = (),
    kev: Files = (),
    nvd: Files = (),
    cve_records: Files = (),
    cache: Annotated[
        Path | None,
        Parameter(help="Folder of the accepted copies; without it, this installation's."),
    ] = None,
    start: Annotated[str, Parameter(help="First day; without it, the oldest EPSS table's.")] = "",
    end: Annotated[str, Parameter(help="Last day; without it, the newest KEV catalogue's.")] = "",
    capacity: Annotated[
        tuple[float, ...],
        Parameter(
            consume_multiple=True,
            negative=(),
            help="CVEs closed a day; may be given again. Without it, all in a year.",
        ),
    ] = (),
    scored: Annotated[bool, Parameter(help="Only CVEs with a CVSS score.", negative=())] = False,
    seed: Annotated[int, Parameter(help="Of the random order and of the resamples.")] = 0,
    json_: Annotated[
        bool, Parameter(name="--json", help="Everything, as JSON.", negative=())
    ] = False,
    csv_: Annotated[
        bool, Parameter(name="--csv", help="Everything, for a spreadsheet.", negative=())
    ] = False,
    picture: Annotated[Path | None, Parameter(help="Draw it into this file, .svg or .png.")] = None,
) -> int:
    """Compare orders of work: CVSS first, EPSS first, KEV then EPSS, ours, and a random one.

    Every day a team closes so many CVEs, in the order of what was known on that day. Exploited is
    what CISA listed in KEV during those days. Read the limits below the tables.
    """
    if picture is not None and picture.suffix not in {".svg", ".png"}:
        raise FeedError(f"{picture} is neither .svg nor .png.", hint="end its name with one")
    from wavemend.effectiveness import chart, sources, tables
    from wavemend.effectiveness.simulation import Question, simulate

    files = sources.Files(epss=epss, kev=kev, nvd=nvd, cve=cve_records)
    found = simulate(
        sources.read_history(files, cache or here().feed_cache),
        Question(
            first=_day(start, "--start"),
            last=_day(end, "--end"),
            capacities=_capacities(capacity),
            scored=scored,
            seed=seed,
        ),
    )
    if picture is not None:
        picture.write_bytes(chart.picture(found, picture.suffix))
    if json_:
        print(tables.as_json(found))
    elif csv_:
        print(tables.as_csv(found), end="")
    else:
        _show(found)
    return 0


def _day(text: str, option: str) -> int | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text).toordinal()
    except ValueError:
        raise FeedError(f"{option} {text!r} is not a day.", hint="write YYYY-MM-DD") from None


def _capacities(given: tuple[float, ...]) -> tuple[Fraction, ...]:
    if any(not 0 < one < 10**9 for one in given):
        raise FeedError("a capacity is more than 0 CVEs a day.", hint="e.g. --capacity 250")
    return tuple(dict.fromkeys(Fraction(str(one)) for one in given))


_WIDE_ONLY = ("Closed late", "Never", "Known before", "Risk-days x EPSS", "All open x EPSS")


def _show(found: "Simulation") -> None:
    from wavemend.effectiveness import tables

    console = screen()
    for capacity in found.capacities:
        horizon = tables.horizon_table(found, capacity)
        console.print(horizon if is_wide(console) else without(horizon, *_WIDE_ONLY))
    if not is_wide(console):
        say(f"Left out on a terminal under {WIDE} columns: {', '.join(_WIDE_ONLY)}; --csv has all.")
    console.print(tables.effort_table(found, found.capacities[0]))
    console.print(tables.pair_table(found))
    say("Read from:")
    for line in found.sources:
        say(f"  {line}")
    say("Limits:")
    for line in found.limits:
        say(f"  {line}")
