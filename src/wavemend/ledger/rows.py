"""Rows that are written for each host of a fleet, without a session's bookkeeping for each of them.

A session takes twice as long for one row as its database does. What goes past it has to be made
storable here.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Insert, Select, bindparam, insert, select
from sqlmodel import Session, SQLModel

from wavemend.documents import storable


def insert_row(session: Session, table: type[SQLModel], values: Mapping[str, Any]) -> int:
    """Insert one row; returns the number that the database gave it. All columns must be there."""
    values = {name: clean(value) for name, value in values.items()}
    key = session.connection().execute(_insert_into(table), values).inserted_primary_key
    if not key or key[0] is None:
        raise AssertionError(f"the database gave the row of {table.__name__} no number")
    number: int = key[0]
    return number


@cache
def rows_of_host(table: type[SQLModel]) -> Select[Any]:
    """Return the question for a host's rows of a table, its name to be given as `host`.

    Made once: making it takes longer than the database does. Past the session, so for who sees all
    companies.
    """
    columns = table.__table__.c  # type: ignore[attr-defined]  # SQLModel's own
    return select(*columns).where(columns.host == bindparam("host"))


def clean(value: Any) -> Any:
    """As `storable`, at no cost for plain text."""
    if not isinstance(value, str) or (value.isascii() and "\0" not in value):
        return value
    return storable(value)


@cache
def _insert_into(table: type[SQLModel]) -> Insert:
    return insert(table)
