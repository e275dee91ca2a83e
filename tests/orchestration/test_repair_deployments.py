"""A repair is a deployment without a schedule: it runs when somebody asks for it, and only then."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployments.forms import forms_of, window_forms
from wavemend.inventory import INVENTORIES

pytestmark = pytest.mark.orchestration

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet.yaml"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def test_each_window_has_a_repair_that_nothing_starts_by_itself() -> None:
    fleet = INVENTORIES["file"]()(EXAMPLE)

    for key in fleet.repairs():
        (form,) = forms_of(fleet, key, "default", NOW)
        assert form.title == f"repair-hosts/{key.tenant}-{key.profile}-{key.window}"
        assert not form.schedules
        assert "each after a signed approval" in form.description
    titles = [form.title for form in window_forms(fleet, "default", NOW)]
    assert len(titles) == len(set(titles))
    assert sum(title.startswith("repair-hosts/") for title in titles) == len(fleet.rollouts())
