"""Hosts of a CSV file: one row each, columns named like the keys of a host in a fleet file.

The column `label:os` holds one label. An empty cell says nothing. Unknown columns are refused: a
mistyped `critcal` would take a host out of the approvals unseen.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wavemend.inventory.problems import shown as quoted
from wavemend.inventory.problems import suggestion
from wavemend.inventory.sources.found import (
    MOST_HOSTS,
    Fault,
    Found,
    FoundHost,
    refused,
    text_of,
)
from wavemend.inventory.sources.values import LABELS, READ, Misread, labels

_LABEL = "label:"
_SIGNS = (",", ";", "\t")


def read(path: Path, shown: str) -> Found:
    """Return the hosts of a CSV file, comma, semicolon or tab between the columns."""
    text = text_of(path, shown)
    if isinstance(text, Fault):
        return Found(faults=(text,))
    head = text.partition("\n")[0]
    sign = max(_SIGNS, key=head.count)
    rows = csv.reader(text.splitlines(keepends=True), delimiter=sign, strict=True)
    hosts: list[FoundHost] = []
    faults: list[Fault] = []
    try:
        columns = [cell.strip() for cell in next(rows, [])]
        if wrong := tuple(_columns(columns, f"{shown}:1")):
            return Found(faults=wrong)
        for line, row in _rows(rows):
            host = _host(columns, row, f"{shown}:{line}", faults)
            hosts += [host] if host else []
            if len(hosts) > MOST_HOSTS:
                return refused(shown, f"holds more than {MOST_HOSTS} hosts; split it")
    except csv.Error as error:
        return refused(f"{shown}:{rows.line_num}", f"is no CSV: {error}")
    return Found(hosts=tuple(hosts), faults=tuple(faults))


def _rows(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield rows that hold something, with the line on which each begins."""
    line = reader.line_num + 1
    for row in reader:
        if any(cell.strip() for cell in row):
            yield line, row
        line = reader.line_num + 1


def _columns(columns: list[str], spot: str) -> Iterator[Fault]:
    known = ["name", *READ]
    if "name" not in columns:
        yield Fault(spot, "has no column name; the first row names the columns")
    for at, column in enumerate(columns):
        if column in columns[:at]:
            yield Fault(spot, f"column {quoted(column)} is here twice; keep one of them")
        elif column not in known and not (column.startswith(_LABEL) and column != _LABEL):
            way_out = suggestion(column, [*known, f"{_LABEL}os"])
            yield Fault(spot, f"unknown column {quoted(column)}; {way_out}")


def _host(columns: list[str], row: list[str], spot: str, faults: list[Fault]) -> FoundHost | None:
    if len(row) != len(columns):
        what = f"has {len(row)} cells, the first row has {len(columns)}; is a sign unquoted?"
        faults.append(Fault(spot, what))
        return None
    cells = {column: cell.strip() for column, cell in zip(columns, row, strict=True)}
    name = cells.pop("name")
    values: dict[str, object] = {}
    own: dict[str, str] = {}
    for column, cell in cells.items():
        if not cell:
            continue
        try:
            if column.startswith(_LABEL):
                own[column.removeprefix(_LABEL)] = cell
            elif column == LABELS:
                own |= labels(cell)
            else:
                values[column] = READ[column](cell)
        except Misread as error:
            faults.append(Fault(f"{spot}, column {column}", str(error)))
    if own:
        values[LABELS] = own
    spots = {_place(column): f"{spot}, column {column}" for column in columns}
    return FoundHost(name=name, spot=spot, values=values, spots=spots)


def _place(column: str) -> tuple[str, ...]:
    is_label = column.startswith(_LABEL)
    return (LABELS, column.removeprefix(_LABEL)) if is_label else (column,)
