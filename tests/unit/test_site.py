"""A login that cannot be made ready is an outcome of its hosts, never the end of the run."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.cases.rollouts.ledgers import new_ledger
from wavemend.errors import LoginRefused
from wavemend.execution.looks import look
from wavemend.fleet import Fleet
from wavemend.inventory import INVENTORIES
from wavemend.site import Site, hands_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet.yaml"
SECRET = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n"


def fleet_with_key(folder: Path, reference: str) -> Fleet:
    """Return the example fleet as if it lay in this folder, all its keys at one reference."""
    fleet = INVENTORIES["file"]()(EXAMPLE)
    logins = tuple(replace(login, key=reference, known_hosts="") for login in fleet.logins)
    return replace(fleet, logins=logins, source_path=str(folder / "fleet.yaml")).sealed()


def refusal(folder: Path, fleet: Fleet, **changes: object) -> LoginRefused:
    hands = hands_of(Site(home=folder), new_ledger(folder), fleet)
    host = replace(fleet.hosts[0], **changes)  # type: ignore[arg-type]
    with pytest.raises(LoginRefused) as refused:
        hands.connect(host)
    seen = look(hands, host, refresh=False)
    assert (seen.facts, seen.reason) == (None, "login")
    assert seen.detail == str(refused.value)
    return refused.value


def test_a_key_that_was_rotated_away_is_a_refused_login(tmp_path: Path) -> None:
    fleet = fleet_with_key(tmp_path, "file:keys/id_old")

    told = str(refusal(tmp_path, fleet))

    assert f"login '{fleet.hosts[0].login}'" in told
    assert "keys/id_old cannot be read: No such file or directory" in told


def test_a_key_that_lies_open_is_a_refused_login_and_never_shown(tmp_path: Path) -> None:
    key = tmp_path / "id"
    key.write_text(SECRET)
    key.chmod(0o644)

    told = str(refusal(tmp_path, fleet_with_key(tmp_path, "file:id")))

    assert "is open to others (mode 0644)" in told
    assert "b3BlbnNzaC1rZXk" not in told


def test_a_login_or_transport_that_is_unknown_is_a_refused_login(tmp_path: Path) -> None:
    fleet = fleet_with_key(tmp_path, "agent:")

    assert "no login" in str(refusal(tmp_path, fleet, login="gone"))
    assert "no transport 'pigeon'" in str(refusal(tmp_path, fleet, transport="pigeon"))
