"""Orders in which a team could close CVEs, each by what was known on the day.

To add one: write a function `Known -> places, most urgent first`, and give it a line in
`strategies`. It must place two CVEs by what is known of these two alone: the replay orders small
parts again when something changes, and relies on their order among all being the same.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import pandas as pd

from wavemend.effectiveness.history import EXPLOITATION, Codes, Floats, Ints, Known
from wavemend.scoring.bulk import score_all

Strategy: TypeAlias = Callable[[Known], Ints]

OURS = ("wavemend, exposed hosts", "wavemend, internal hosts")
_ANSWERS = np.array([None, False, True], dtype=object)
_WORDS = np.array(EXPLOITATION, dtype=object)


def _scored_first(score: Floats) -> tuple[Floats, Floats]:
    """Return sort keys by which a higher score comes first, and what has none comes last."""
    unscored = np.isnan(score)
    return np.where(unscored, 0.0, -score), unscored.astype(np.float64)


def cvss_first(known: Known) -> Ints:
    """Order by CVSS, then by CVE number, the oldest first; unscored is behind, not zero."""
    score, unscored = _scored_first(known.cvss)
    return np.lexsort((known.rows, score, unscored)).astype(np.int32)


def cvss_newest_first(known: Known) -> Ints:
    """Order by CVSS, the newest of equals first: thousands share each score of one decimal."""
    score, unscored = _scored_first(known.cvss)
    return np.lexsort((-known.rows, score, unscored)).astype(np.int32)


def epss_first(known: Known) -> Ints:
    """Order by EPSS, then by CVE number; unscored is behind, not zero."""
    score, unscored = _scored_first(known.epss)
    return np.lexsort((known.rows, score, unscored)).astype(np.int32)


def kev_then_epss(known: Known) -> Ints:
    """Order what the catalogue lists before everything else, both by EPSS."""
    score, unscored = _scored_first(known.epss)
    return np.lexsort((known.rows, score, unscored, ~known.listed)).astype(np.int32)


def random_order(seed: int, size: int) -> Strategy:
    """Return an order drawn once, for a history of so many CVEs: what no knowledge gives."""
    place = np.random.default_rng(seed).permutation(size)

    def order(known: Known) -> Ints:
        return np.argsort(place[known.rows], kind="stable").astype(np.int32)

    return order


def our_order(*, exposed: bool) -> Strategy:
    """Return the order of wavemend's own scoring, on hosts that the internet reaches or not."""

    def order(known: Known) -> Ints:
        if not len(known.rows):
            return np.empty(0, dtype=np.int32)
        scored = ~np.isnan(known.epss)
        frame = score_all(
            pd.DataFrame({"cve": known.names[scored], "epss": known.epss[scored]}),
            pd.DataFrame(
                {
                    "cve": known.names[known.listed],
                    "ransomware": known.ransomware[known.listed],
                }
            ),
            # All CVEs, also those without a score: what no table names would be left out.
            pd.DataFrame({"cve": known.names, "score": known.cvss}),
            _answers(known),
            exposed=exposed,
        )
        return pd.Index(known.names).get_indexer(pd.Index(frame["cve"])).astype(np.int32)

    return order


def _answers(known: Known) -> pd.DataFrame:
    said = (known.automatable > 0) | (known.impact_total > 0) | (known.exploitation > 0)

    def column(codes: Codes, words: object) -> object:
        return np.asarray(words, dtype=object)[codes[said]]

    return pd.DataFrame(
        {
            "cve": known.names[said],
            "automatable": column(known.automatable, _ANSWERS),
            "impact_total": column(known.impact_total, _ANSWERS),
            "exploitation": column(known.exploitation, _WORDS),
        }
    )


def strategies(seed: int, size: int) -> Mapping[str, Strategy]:
    """Return the orders that are compared, by the name that tables and pictures show."""
    return {
        "CVSS first, oldest first": cvss_first,
        "CVSS first, newest first": cvss_newest_first,
        "EPSS first": epss_first,
        "KEV, then EPSS": kev_then_epss,
        OURS[0]: our_order(exposed=True),
        OURS[1]: our_order(exposed=False),
        "random": random_order(seed, size),
    }
