"""Load the fleet from one YAML file: whole, or not at all, with every problem in one message."""

from pathlib import Path

from wavemend.fleet import Fleet
from wavemend.inventory.fleet_checks import check
from wavemend.inventory.fleet_values import build
from wavemend.inventory.forms import read_forms
from wavemend.inventory.problems import raise_if_any
from wavemend.inventory.yaml_source import read_source


def load_fleet(path: Path) -> Fleet:
    """Return the fleet a file declares, resolved, sorted and with its digest.

    Reads this one file and nothing else: references to secrets are checked for their form and
    resolved later, where the work is done. Raises FleetError; its message has one line for every
    problem: `path:line: place: what is wrong; way out`.
    """
    source = read_source(path)
    if not source.readable:
        raise_if_any(str(path), source.problems)
    forms, problems = read_forms(source)
    raise_if_any(str(path), [*source.problems, *problems, *check(forms)])
    return build(forms, str(path))
