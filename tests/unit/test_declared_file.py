"""A declaration is read whole or refused whole, and every mistake is named with its line."""

import re
from pathlib import Path

import pytest

from wavemend.declarations import Action, ExitMeaning, Order
from wavemend.errors import FleetError
from wavemend.fleet import fleet_from_document
from wavemend.inventory.fleet_file import load_fleet
from wavemend.inventory.manager_docs import manager_reference, manager_schema_text
from wavemend.inventory.manager_file import load_declaration

ROOT = Path(__file__).parents[2]
CASES = sorted((ROOT / "tests/cases/managers").glob("*.yaml"))
EXAMPLES = sorted((ROOT / "examples/managers").glob("*.yaml"))
FLEET = (ROOT / "tests/cases/fleet/right.yaml").read_text()


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_each_wrong_file_is_refused_with_exactly_these_words(path: Path) -> None:
    wanted = re.findall(r"^# expect: (.+)$", path.read_text(), re.MULTILINE)
    with pytest.raises(FleetError) as caught:
        load_declaration(path, "box")
    assert [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()] == wanted


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_shipped_declarations_are_right(path: Path) -> None:
    declaration = load_declaration(path, path.stem)
    assert declaration.name == path.stem
    assert declaration.roll_back is not None
    assert declaration.apply.exit[0] is ExitMeaning.DONE


def test_what_is_left_out_means_what_the_reference_says(tmp_path: Path) -> None:
    path = tmp_path / "box.yaml"
    path.write_text(
        "schema: wavemend.manager/1\ntitle: A box\nversions: offered\n"
        "installed: {run: [box, show], json: items}\n"
        "available: {run: [box, new], json: items}\n"
        'apply: {steps: [[box, get, "{version}"]]}\n'
    )
    declaration = load_declaration(path, "box")
    assert declaration.account == "root"
    assert declaration.order is Order.OFFERED
    assert declaration.reboot == ("shutdown", "-r", "now")
    assert declaration.installed.deadline.total_seconds() == 20
    assert declaration.apply == Action(steps=(("box", "get", "{version}"),))
    assert declaration.apply.deadline is None
    nothing = (declaration.running, declaration.verify, declaration.rehearse, declaration.roll_back)
    assert nothing == (None,) * 4


def fleet_with(folder: Path, file: str) -> Path:
    """Write a fleet whose profile is driven by a declared manager."""
    text = FLEET.replace("manager: apt", "manager: box", 1)
    assert text != FLEET
    path = folder / "fleet.yaml"
    path.write_text(f"{text}\nmanagers:\n  - name: box\n    file: {file}\n")
    return path


def test_a_fleet_holds_all_that_its_declarations_say(tmp_path: Path) -> None:
    (tmp_path / "vyos.yaml").write_text((ROOT / "examples/managers/vyos.yaml").read_text())
    fleet = load_fleet(fleet_with(tmp_path, "vyos.yaml"))
    (declaration,) = fleet.managers
    assert declaration.name == "box"
    assert {host.manager for host in fleet.hosts} >= {"box"}
    # A worker has the stored fleet and not the file.
    stored = fleet_from_document(fleet.document(), fleet.digest)
    assert stored.managers == fleet.managers


def test_another_declaration_is_another_fleet(tmp_path: Path) -> None:
    text = (ROOT / "examples/managers/vyos.yaml").read_text()
    (tmp_path / "vyos.yaml").write_text(text)
    before = load_fleet(fleet_with(tmp_path, "vyos.yaml")).digest
    (tmp_path / "vyos.yaml").write_text(text.replace("--no-prompt", "--no-question"))
    assert load_fleet(fleet_with(tmp_path, "vyos.yaml")).digest != before


def test_what_is_wrong_with_a_declaration_is_wrong_with_its_fleet(tmp_path: Path) -> None:
    text = (ROOT / "examples/managers/vyos.yaml").read_text()
    (tmp_path / "vyos.yaml").write_text(text.replace("versions: deb", "versions: tea"))
    with pytest.raises(FleetError, match=r'managers\[0\]\.file: vyos\.yaml:5: versions: "tea" is'):
        load_fleet(fleet_with(tmp_path, "vyos.yaml"))
    with pytest.raises(FleetError, match=r"gone\.yaml: cannot be read"):
        load_fleet(fleet_with(tmp_path, "gone.yaml"))


def test_the_reference_names_every_key() -> None:
    for key in ("installed", "together", "skip", "roll_back", "deadline"):
        assert f"`{key}`" in manager_reference()
        assert f'"{key}"' in manager_schema_text()
