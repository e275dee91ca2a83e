"""The morning's table of all companies says whose hosts are only played."""

from dataclasses import replace

import pytest

from tasks.compliance import compliance_rows
from wavemend.compliance import CompanyStanding

pytestmark = pytest.mark.orchestration

REAL = CompanyStanding(
    tenant="acme",
    hosts=2,
    clean=1,
    open=1,
    unknown=0,
    unmanaged=0,
    findings=3,
    overdue=0,
    simulated=0,
)


def test_played_hosts_are_counted_beside_each_company_and_real_fleets_are_not_bothered() -> None:
    played = replace(REAL, tenant="initech", simulated=2)

    assert [row["SIMULATED hosts"] for row in compliance_rows([REAL, played])] == [0, 2]
    assert "SIMULATED hosts" not in compliance_rows([REAL])[0]
