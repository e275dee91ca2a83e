"""CISA's table here says in every row what the table published by CERT/CC says."""

import json
from pathlib import Path

from wavemend.policy.timelines import Timeline, bod_table

PUBLISHED = Path(__file__).parents[1] / "cases" / "ssvc" / "cisa_bod_26_04_1_0_0.json"
KEV, EXPOSED, AUTOMATABLE, IMPACT = (
    "cisa:KEV:1.0.0",
    "cisa:PE:1.0.0",
    "ssvc:A:2.0.0",
    "ssvc:TI:1.0.0",
)
OUTCOMES = {
    "FSU": Timeline(days=None, forensic=False),
    "60D": Timeline(days=60, forensic=False),
    "14D": Timeline(days=14, forensic=False),
    "3D": Timeline(days=3, forensic=False),
    "3DF": Timeline(days=3, forensic=True),
}


def test_two_transcriptions_of_the_directive_agree_in_all_sixteen_rows() -> None:
    published = json.loads(PUBLISHED.read_text())
    rows = {
        (
            row[KEV] == "Y",
            row[EXPOSED] == "Y",
            row[AUTOMATABLE] == "Y",
            row[IMPACT] == "T",
        ): OUTCOMES[row[published["outcome"]]]
        for row in published["mapping"]
    }

    assert len(rows) == 16
    assert dict(bod_table().rows) == rows
    assert bod_table().version == published["version"]
