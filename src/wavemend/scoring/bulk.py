"""Score all CVEs at once, in the order in which `prioritise` would put them.

For replays over stored history and for lists of hundreds of thousands of CVEs. It decides for a
CVE that has an installable fix, on one kind of host, knowing what the four tables say: no host's
findings, no waivers, no exploit lists. The rules are not written twice: bands, days, places and
lanes come from the functions of `risks` and `lanes`, asked once per combination of answers; here
they are only applied to columns.
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

from wavemend.advisories import Cvss, KevEntry, Ssvc, UpdateClass, Vulnerability
from wavemend.cve_numbers import cve_numbers
from wavemend.errors import FeedRejected
from wavemend.policy.risk_profiles import DEFAULT_PROFILE, RiskProfile
from wavemend.policy.severities import CVSS_STEPS, Severity
from wavemend.policy.timelines import NO_DEADLINE_DAYS
from wavemend.scoring.lanes import LANE_ORDER, Lane, by_days
from wavemend.scoring.risks import (
    BOTH_KNOWN,
    NOTHING_KNOWN,
    ONLY_IMPACT,
    WORST_PROBABILITY,
    WORST_SCORE,
    Risk,
    risk_of,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    _Column: TypeAlias = np.ndarray[Any, np.dtype[Any]]

LISTED = ("no", "listed", "ransomware")
ANSWERS = (None, False, True)
EXPLOITATION = ("", "poc", "active")
_PERIODS = len(ANSWERS) * len(ANSWERS) * len(EXPLOITATION)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Combinations:
    """What each combination of answers decides, by its number; see `_combinations`."""

    place: "_Column"
    strictness: "_Column"
    band: "_Column"
    """Rank of the strictness, 0 for the strictest."""
    days: "_Column"
    """Of the table, or for what is attacked, as floats; `NO_DEADLINE_DAYS`: none is set."""
    floor: "_Column"
    """Least probability by public evidence; NaN where there is none."""
    severity: "_Column"
    """Rank that the answers alone decide; -1: the CVSS score decides."""
    lane: "_Column"
    """Number of the lane that the answers alone decide; -1: the days decide."""


def score_all(
    epss: "pd.DataFrame",
    kev: "pd.DataFrame",
    cvss: "pd.DataFrame",
    ssvc: "pd.DataFrame | None",
    *,
    exposed: bool,
    profile: RiskProfile = DEFAULT_PROFILE,
) -> "pd.DataFrame":
    """Return one row for each CVE of any of the tables, most urgent first.

    Columns read: `cve` in all; `epss` (0 to 1); `ransomware` (true or missing; the column may be
    missing); `score` (0 to 10 or missing); `automatable`, `impact_total` (true, false or missing)
    and `exploitation` (`none`, `poc`, `active` or missing; the column may be missing).

    Columns given: `cve`, `lane`, `kev`, `place`, `strictness`, `measured` (0: probability known),
    `risk`, `epss`, `cvss` (missing where unscored) and `days` (the least days that a rule allows,
    missing: with the next upgrade). Raises FeedRejected for an id that is no CVE, a CVE that occurs
    twice in a table, and a number out of range.
    """
    import numpy as np
    import pandas as pd

    tables = [epss, kev, cvss, *([] if ssvc is None or ssvc is cvss else [ssvc])]
    keys = [cve_numbers(table["cve"]) for table in tables]
    everything = np.sort(np.concatenate(keys))
    # Sorted by year and number, so that a stable sort leaves equals in the order of their ids.
    ids = everything[np.append(True, everything[1:] != everything[:-1])[: len(everything)]]
    places = [_places(ids, mine, table) for mine, table in zip(keys, tables, strict=True)]
    names = pd.concat([table["cve"] for table in tables], ignore_index=True)
    name_of = np.empty(len(ids), dtype=np.int64)
    name_of[np.concatenate(places)] = np.arange(len(names))
    probability = _numbers(len(ids), places[0], epss, "epss", 1.0)
    score = _numbers(len(ids), places[2], cvss, "score", 10.0)
    answers = _answers(len(ids), places[1], places[-1], kev, ssvc)
    columns = _decided(answers, probability, score, exposed=exposed, profile=profile)
    order = _order(columns)
    del columns["band"]
    frame = pd.DataFrame(
        {
            "cve": names.take(name_of[order]).array,
            **{name: column[order] for name, column in columns.items()},
        }
    )
    frame["lane"] = pd.Categorical.from_codes(
        columns["lane"][order], pd.Index([lane.value for lane in Lane]), ordered=True
    )
    frame["kev"] = answers[order] >= _PERIODS
    frame["epss"], frame["cvss"] = probability[order], score[order]
    return frame


def _places(ids: "_Column", mine: "_Column", table: "pd.DataFrame") -> "_Column":
    """Return in which row of the result each row of a table belongs."""
    import numpy as np

    at = np.searchsorted(ids, mine)
    counts = np.bincount(at, minlength=len(ids))
    if len(mine) and counts.max() > 1:
        twice = table["cve"].iloc[int(np.argmax(counts[at] > 1))]
        raise FeedRejected(f"{twice} occurs twice.")
    return at


_NAMES = {"epss": "EPSS probability", "score": "CVSS score"}


def _numbers(count: int, at: "_Column", table: "pd.DataFrame", name: str, most: float) -> "_Column":
    """Return a column of numbers, NaN where there is none."""
    import numpy as np

    given = table[name].to_numpy(dtype=np.float64, na_value=np.nan)
    outside = ~(np.isnan(given) | ((given >= 0.0) & (given <= most)))
    if outside.any():
        cve = table["cve"].iloc[int(np.argmax(outside))]
        raise FeedRejected(f"{cve}: its {_NAMES[name]} is not from 0 to {most:g}.")
    column = np.full(count, np.nan)
    column[at] = given
    return column


def _answers(
    count: int,
    at_kev: "_Column",
    at_ssvc: "_Column",
    kev: "pd.DataFrame",
    ssvc: "pd.DataFrame | None",
) -> "_Column":
    """Return for each CVE the number of its combination of answers."""
    import numpy as np

    ransomware = (
        kev["ransomware"].eq(True).fillna(False).to_numpy(dtype=bool)  # noqa: FBT003
        if "ransomware" in kev.columns
        else np.zeros(len(kev), dtype=bool)
    )
    answers = np.zeros(count, dtype=np.int16)
    answers[at_kev] = np.where(ransomware, 2, 1) * _PERIODS
    if ssvc is not None:
        found = _answer(ssvc["automatable"]) * 9 + _answer(ssvc["impact_total"]) * 3
        if "exploitation" in ssvc.columns:
            words = ssvc["exploitation"].astype("str").str.casefold()
            found = found + np.select([words == "poc", words == "active"], [1, 2], 0)
        answers[at_ssvc] += found.astype(np.int16)
    return answers


def _answer(column: "pd.Series[bool]") -> "_Column":
    """Return the index into `ANSWERS` of each answer."""
    import numpy as np

    known = column.notna().to_numpy(dtype=bool)
    yes = column.eq(True).fillna(False).to_numpy(dtype=bool)  # noqa: FBT003
    found: _Column = np.where(known, np.where(yes, 2, 1), 0)
    return found


@lru_cache(maxsize=16)
def _combinations(*, exposed: bool, profile: RiskProfile) -> _Combinations:
    """Ask the scoring of single CVEs what each combination of answers decides."""
    import numpy as np

    rows = []
    for listed, automatable, total, said in product(LISTED, ANSWERS, ANSWERS, EXPLOITATION):
        known = Vulnerability(
            cve="CVE-2000-0001",
            cvss=Cvss(version="3.1", vector="", score=0.0, computed_score=None, source="nvd"),
            kev=_entry(listed),
            ssvc=Ssvc(exploitation=said, automatable=automatable, impact_total=total, source=""),
        )
        risk = risk_of(known, exposed=exposed, critical=False, profile=profile)
        missing = risk.tail[1]
        rows.append(
            (
                risk.place,
                risk.worst.strictness,
                _least_days(risk, profile),
                risk.probability if missing == BOTH_KNOWN else np.nan,
                # With a score of 0 only the answers can make it critical.
                Severity.CRITICAL.rank if risk.severity is Severity.CRITICAL else -1,
                LANE_ORDER[Lane.EMERGENCY] if risk.exploited else -1,
            )
        )
    place, strictness, days, floor, severity, lane = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    return _Combinations(
        place=place.astype(np.int8),
        strictness=strictness,
        band=np.unique(strictness, return_inverse=True)[1],
        days=days,
        floor=floor,
        severity=severity,
        lane=lane,
    )


def _least_days(risk: Risk, profile: RiskProfile) -> float:
    days = NO_DEADLINE_DAYS if risk.worst.days is None else float(risk.worst.days)
    return min(days, profile.attacked_days) if risk.attacks else days


def _entry(listed: str) -> KevEntry | None:
    if listed == "no":
        return None
    ransomware = True if listed == "ransomware" else None
    return KevEntry(date_added=date(2000, 1, 1), due_date=None, ransomware=ransomware, name="")


def _decided(
    answers: "_Column",
    probability: "_Column",
    score: "_Column",
    *,
    exposed: bool,
    profile: RiskProfile,
) -> "dict[str, _Column]":
    import numpy as np

    known = _combinations(exposed=exposed, profile=profile)
    chance = np.fmax(probability, known.floor[answers])  # of a number and NaN it takes the number
    unknown, unscored = np.isnan(chance), np.isnan(score)
    severity = sum((score >= least).astype(np.int8) for least, _ in CVSS_STEPS[:-1])
    severity = np.where(unscored, Severity.CRITICAL.rank, severity)
    severity = np.maximum(severity, known.severity[answers]).astype(np.int8)
    days, lanes = _days_and_lanes(known, exposed=exposed, profile=profile)
    chance = np.where(unknown, WORST_PROBABILITY, chance)
    impact = np.where(unscored, WORST_SCORE, score) / 10.0
    allowed = days[answers, severity]
    return {
        "lane": lanes[answers, severity],
        "place": known.place[answers],
        "band": known.band[answers],
        "strictness": known.strictness[answers],
        "measured": np.where(
            unknown, np.where(unscored, NOTHING_KNOWN, ONLY_IMPACT), BOTH_KNOWN
        ).astype(np.int8),
        "risk": chance * impact * 1.0 * (profile.exposed_weight if exposed else 1.0),
        "days": np.where(allowed == NO_DEADLINE_DAYS, np.nan, allowed),
    }


def _days_and_lanes(
    known: _Combinations, *, exposed: bool, profile: RiskProfile
) -> "tuple[_Column, _Column]":
    """Return the least days, and the lane, by combination of answers and severity."""
    import numpy as np

    slas = [profile.sla(UpdateClass.SECURITY, severity) for severity in Severity]
    own = [sla.days(exposed=exposed) if sla else NO_DEADLINE_DAYS for sla in slas]
    days = np.minimum(known.days[:, None], np.array(own)[None, :])
    lanes = np.vectorize(lambda count: LANE_ORDER[_lane(count, profile)], otypes=[float])(days)
    return days, np.where(known.lane[:, None] >= 0, known.lane[:, None], lanes).astype(np.int8)


def _lane(days: float, profile: RiskProfile) -> Lane:
    return by_days(None if days == NO_DEADLINE_DAYS else int(days), profile)


def _order(columns: "dict[str, _Column]") -> "_Column":
    """Return the rows most urgent first; equals stay in the order of their ids."""
    import numpy as np

    code = columns["lane"].astype(np.int32)
    for part in (columns["place"], columns["band"], columns["measured"]):
        code = code * (int(part.max(initial=0)) + 1) + part
    if code.max(initial=0) < 2**15:
        code = code.astype(np.int16)  # sorted by its digits, which is many times faster
    order: _Column = np.lexsort((-columns["risk"], code))
    return order
