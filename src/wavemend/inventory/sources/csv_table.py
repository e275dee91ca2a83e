"""Hosts of a CSV file: one row each, columns named like the keys of a host in a fleet file.

The column `label:os` holds one label. An empty cell says nothing. Unknown columns are refused: a
mistyped `critcal` would take a host out of the approvals unseen.
"""

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping
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
_SEPARATOR = re.compile(r"sep=([,;\t])[\r\n]*")
"""A first line by which a spreadsheet program is told what stands between columns."""

_MOST_UNKNOWN = 10
"""Columns told of; a table of something else may have any number."""


def read(path: Path, shown: str) -> Found:
    """Return the hosts of a CSV file, comma, semicolon or tab between the columns."""
    text = text_of(path, shown)
    if isinstance(text, Fault):
        return Found(faults=(text,))
    lines = io.StringIO(text, newline="")  # lines as editors count them; splitlines() makes more
    head = lines.readline()
    told = _SEPARATOR.fullmatch(head)
    before = 1 if told else 0
    if not told:
        lines.seek(0)
    sign = told[1] if told else max(_SIGNS, key=head.count)
    return _table(csv.reader(lines, delimiter=sign, strict=True), shown, before)


def _table(rows: Any, shown: str, before: int) -> Found:
    """Return the hosts of a reader's rows; so many lines of the file come before its first."""
    hosts: list[FoundHost] = []
    faults: list[Fault] = []
    try:
        columns = [cell.strip() for cell in next(rows, [])]
        if wrong := tuple(_columns(columns, f"{shown}:{before + 1}")):
            return Found(faults=wrong)
        for line, row in _rows(rows):
            host = _host(columns, row, f"{shown}:{before + line}", faults)
            hosts += [host] if host else []
            if len(hosts) > MOST_HOSTS:
                return refused(shown, f"holds more than {MOST_HOSTS} hosts; split it")
    except csv.Error as error:
        return refused(f"{shown}:{before + rows.line_num}", f"is no CSV: {error}")
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
        # Nothing of the row is shown: this may be any file of this machine.
        yield Fault(spot, "has no column name; the first row names the columns")
        return
    for column in sorted({column for column in columns if columns.count(column) > 1}):
        yield Fault(spot, f"column {quoted(column)} is here twice; keep one of them")
    unknown = [column for column in columns if not _is_known(column, known)]
    for column in unknown[:_MOST_UNKNOWN]:
        way_out = suggestion(column, [*known, f"{_LABEL}os"])
        yield Fault(spot, f"unknown column {quoted(column)}; {way_out}")
    if len(unknown) > _MOST_UNKNOWN:
        yield Fault(spot, f"and {len(unknown) - _MOST_UNKNOWN} more unknown columns")


def _is_known(column: str, known: Collection[str]) -> bool:
    return column in known or (column.startswith(_LABEL) and column != _LABEL)


def _host(columns: list[str], row: list[str], spot: str, faults: list[Fault]) -> FoundHost | None:
    if len(row) != len(columns):
        what = f"has {len(row)} cells, the first row has {len(columns)}; is a sign unquoted?"
        faults.append(Fault(spot, what))
        return None
    cells = {column: cell.strip() for column, cell in zip(columns, row, strict=True)}
    name = cells.pop("name")
    values: dict[str, object] = {}
    own: dict[str, str] = {}
    said_in: dict[str, str] = {}
    for column, cell in cells.items():
        if not cell:
            continue
        try:
            if column.startswith(_LABEL) or column == LABELS:
                found = labels(cell) if column == LABELS else {_place(column)[1]: cell}
                _refuse_contradiction(found, own, said_in)
                own |= found
                said_in |= dict.fromkeys(found, column)
            else:
                values[column] = READ[column](cell)
        except Misread as error:
            faults.append(Fault(f"{spot}, column {column}", str(error)))
    if own:
        values[LABELS] = own
    spots = {_place(column): f"{spot}, column {column}" for column in columns}
    return FoundHost(name=name, spot=spot, values=values, spots=spots)


def _refuse_contradiction(
    found: Mapping[str, str], own: Mapping[str, str], said_in: Mapping[str, str]
) -> None:
    """Raise Misread where a column says another value of a label than one before it."""
    for key, value in found.items():
        if own.get(key, value) != value:
            raise Misread(
                f"says {key}={quoted(value)}, and column {said_in[key]} says "
                f"{key}={quoted(own[key])}; keep one of them"
            )


def _place(column: str) -> tuple[str, ...]:
    is_label = column.startswith(_LABEL)
    return (LABELS, column.removeprefix(_LABEL)) if is_label else (column,)
