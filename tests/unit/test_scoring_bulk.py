"""All CVEs at once come in the very order in which they come one by one."""

import random
from dataclasses import dataclass, replace
from datetime import date

import pandas as pd
import pytest

from tests.unit.test_findings import WEB1
from tests.unit.test_scoring import NOON, cvss, epss, finding
from wavemend.advisories import KevEntry, Ssvc, Vulnerability, cve_order
from wavemend.cve_numbers import cve_numbers
from wavemend.errors import FeedRejected
from wavemend.policy.risk_profiles import PROFILE_NAMES, risk_profile
from wavemend.scoring import prioritise
from wavemend.scoring.bulk import score_all

COUNT = 2_000
NOTHING = pd.DataFrame({"cve": pd.Series(dtype="str"), "score": pd.Series(dtype="float64")})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The same CVEs as values and as tables."""

    known: tuple[Vulnerability, ...]
    epss: pd.DataFrame
    kev: pd.DataFrame
    cvss: pd.DataFrame
    ssvc: pd.DataFrame


def drawn(chance: random.Random, cve: str) -> Vulnerability:
    """Return a CVE with few different values, so that ties at every place are common."""
    listed = chance.choice(["no", "no", "no", "listed", "ransomware"])
    ransomware = True if listed == "ransomware" else None
    entry = KevEntry(date_added=date(2020, 1, 1), due_date=None, ransomware=ransomware, name="")
    probability = chance.choice([None, 0.0, 0.1, 0.2, 0.5, round(chance.random(), 5)])
    score = chance.choice([None, 0.0, 4.0, 5.0, 7.0, 9.0, round(chance.random() * 10, 1)])
    answers = Ssvc(
        exploitation=chance.choice(["", "none", "poc", "PoC", "active"]),
        automatable=chance.choice([None, True, False]),
        impact_total=chance.choice([None, True, False]),
        source="cisa-adp",
    )
    if score is None and probability is None:
        score = 5.0  # a CVE of no table at all cannot be in the result
    return Vulnerability(
        cve=cve,
        epss=None if probability is None else epss(probability),
        cvss=None if score is None else cvss(score),
        kev=None if listed == "no" else entry,
        ssvc=answers if chance.random() < 0.7 else None,
    )


def sample(seed: int) -> Sample:
    chance = random.Random(seed)
    names = {
        f"CVE-{chance.choice([1999, 2024, 2026])}-{chance.randint(1, 200_000):04d}"
        for _ in range(COUNT)
    }
    known = tuple(drawn(chance, name) for name in sorted(names))
    mixed = chance.sample(known, len(known))  # no table comes in the order of the numbers
    return Sample(
        known=known,
        epss=pd.DataFrame(
            [(v.cve, v.epss.probability) for v in mixed if v.epss], columns=["cve", "epss"]
        ),
        kev=pd.DataFrame(
            [(v.cve, v.kev.ransomware) for v in mixed if v.kev], columns=["cve", "ransomware"]
        ),
        cvss=pd.DataFrame(
            [(v.cve, v.cvss.score) for v in mixed if v.cvss], columns=["cve", "score"]
        ),
        ssvc=pd.DataFrame(
            [
                (v.cve, v.ssvc.automatable, v.ssvc.impact_total, v.ssvc.exploitation)
                for v in mixed
                if v.ssvc
            ],
            columns=["cve", "automatable", "impact_total", "exploitation"],
        ),
    )


@pytest.mark.parametrize("exposed", [False, True])
@pytest.mark.parametrize("name", PROFILE_NAMES)
def test_the_bulk_order_is_the_order_of_single_decisions(name: str, exposed: bool) -> None:
    profile, host = risk_profile(name), replace(WEB1, exposed=exposed)
    given = sample(7)
    single = sorted(
        ((prioritise(finding(v.cve), host, v, NOON, profile=profile), v) for v in given.known),
        key=lambda pair: pair[0].order,
    )

    frame = score_all(
        given.epss, given.kev, given.cvss, given.ssvc, exposed=exposed, profile=profile
    )

    assert frame["cve"].tolist() == [known.cve for _, known in single]
    assert frame["lane"].tolist() == [priority.lane.value for priority, _ in single]
    assert [0.0 - risk for risk in frame["risk"]] == [p.order[4] for p, _ in single]
    assert frame["kev"].tolist() == [known.kev is not None for _, known in single]
    assert frame["cvss"].isna().tolist() == [known.cvss is None for _, known in single]


def test_the_order_does_not_depend_on_the_order_of_the_tables() -> None:
    given = sample(11)
    one = score_all(given.epss, given.kev, given.cvss, given.ssvc, exposed=True)
    turned = [table.iloc[::-1] for table in (given.epss, given.kev, given.cvss, given.ssvc)]

    pd.testing.assert_frame_equal(one, score_all(*turned, exposed=True))


def test_a_cve_that_only_one_table_knows_is_in_the_result() -> None:
    scores = pd.DataFrame({"cve": ["CVE-2026-116303"], "epss": [0.5]})
    listed = pd.DataFrame({"cve": ["CVE-2020-0001"]})

    frame = score_all(scores, listed, NOTHING, None, exposed=False)

    assert frame["cve"].tolist() == ["CVE-2020-0001", "CVE-2026-116303"]
    assert frame["lane"].tolist() == ["emergency", "routine"]
    assert frame["cvss"].isna().all()


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({"cve": ["CVE-2026-1234", "CVE-2026-1234"], "epss": [0.1, 0.1]}, "1234 occurs twice"),
        (
            {"cve": ["CVE-2026-1234"], "epss": [1.5]},
            "CVE-2026-1234: its EPSS probability is not from 0 to 1",
        ),
        ({"cve": ["DSA-5764-1"], "epss": [0.1]}, "'DSA-5764-1' is not a CVE"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(
    scores: dict[str, list[object]], said: str
) -> None:
    with pytest.raises(FeedRejected, match=said):
        score_all(pd.DataFrame(scores), NOTHING, NOTHING, None, exposed=False)


def test_cve_numbers_sort_as_the_single_order_does() -> None:
    names = ["CVE-2026-99999", "CVE-2026-116303", "CVE-1999-0001", "CVE-2026-1000", "CVE-2025-9999"]

    numbers = cve_numbers(pd.Series(names)).tolist()

    by_number = [name for _, name in sorted(zip(numbers, names, strict=True))]
    assert by_number == sorted(names, key=cve_order)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "CVE-2026-123",
        "CVE-2026-12345678901234567",
        "CVE-2026-01234",  # would be joined with CVE-2026-1234
        "CVE-2026-12x4",
        "CVE-2026-1234 ",
        "CVE-2026-1234\0",
        "CVE-2026-1234\nCVE-2026-1235",
        "CVE-20 6-1234",
        "cve-2026-1234",
        "CVE-2026_1234",
        "CVE-２026-1234",
    ],
)
def test_what_only_looks_like_a_cve_is_refused(name: str) -> None:
    for others in ([], ["CVE-2026-1234567"]):
        with pytest.raises(FeedRejected, match="not a CVE"):
            cve_numbers(pd.Series([*others, name]))


def test_a_missing_id_is_refused_and_no_ids_are_no_numbers() -> None:
    with pytest.raises(FeedRejected, match="not a CVE"):
        cve_numbers(pd.Series(["CVE-2026-1234", None]))
    assert cve_numbers(pd.Series([], dtype="str")).tolist() == []
