"""Load the fleet from one YAML file: whole, or not at all, with every problem in one message."""

from collections.abc import Iterator
from pathlib import Path

from wavemend.declarations import Declaration
from wavemend.fleet import Fleet, RolloutKey
from wavemend.inventory.fleet_checks import check
from wavemend.inventory.fleet_values import build
from wavemend.inventory.forms import Forms, read_forms
from wavemend.inventory.manager_file import read_declaration
from wavemend.inventory.merging import SourceNote, merged
from wavemend.inventory.problems import Problem, raise_if_any
from wavemend.inventory.yaml_source import read_source


def load_fleet(path: Path) -> Fleet:
    """Return the fleet a file declares, resolved, sorted and with its digest.

    Reads this file, the sources of hosts and the declarations of managers it names, nothing else:
    references to secrets are checked for their form and resolved later, where the work is done.
    Raises FleetError; its message has one line for every problem: `path:line: place: what is
    wrong; way out`.
    """
    return read_fleet(path)[0]


def read_fleet(path: Path) -> tuple[Fleet, tuple[SourceNote, ...]]:
    """Return the fleet as `load_fleet` does, and what its sources hold beside it."""
    source = read_source(path)
    if not source.readable:
        raise_if_any(str(path), source.problems)
    source, notes = merged(source, path.parent)
    forms, problems = read_forms(source)
    managers, faults = _declared(forms, path.parent)
    raise_if_any(str(path), [*source.problems, *problems, *check(forms), *faults])
    fleet = build(forms, str(path), managers)
    raise_if_any(str(path), list(_one_name_for_two(fleet)))
    return fleet, notes


def _one_name_for_two(fleet: Fleet) -> Iterator[Problem]:
    """Two rollouts whose names are joined to the same text would be one deployment in Prefect.

    Company `a` with profile `b-c`, and company `a-b` with profile `c`: one would never run, and
    the other's hosts would be changed instead.
    """
    first: dict[str, RolloutKey] = {}
    for key in (*fleet.rollouts(), *fleet.restarts(), *fleet.emergencies()):
        name = f"{key.kind} {key.tenant}-{key.profile}-{key.window}"
        known = first.setdefault(name, key)
        if known != key:
            what = (
                f"{known} and {key} would be one deployment, {name.partition(' ')[2]}; rename a "
                "company, a profile or a window"
            )
            yield Problem(0, (), what)


def _declared(forms: Forms, folder: Path) -> tuple[list[Declaration], list[Problem]]:
    """Return the declared managers, and what is wrong with their files, line by line."""
    managers, faults = [], []
    for number, form in forms.managers.items():
        declaration, problems = read_declaration(folder / form.file, form.name)
        managers += [declaration] if declaration else []
        for problem in problems:
            line = f"{form.file}:{problem.line}" if problem.line else form.file
            faults.append(forms.problem(("managers", number, "file"), f"{line}: {problem}"))
    return managers, faults
