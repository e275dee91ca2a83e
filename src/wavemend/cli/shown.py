"""Text of hosts, feeds and people as a terminal may safely show it.

A package's version, a reason or a summary comes from outside. On the terminal it must neither be
read as markup, nor move the cursor, hide what follows or turn the reading direction: an approver
signs what he sees. Every such text goes through here, cells and titles of tables included.
"""

from rich.table import Table
from rich.text import Text


def spelled(text: str) -> str:
    """Spell out every sign that is not plainly visible, line ends too, e.g. `\\u001b`."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def visible(text: str) -> Text:
    """Return text for a cell, a title or a line of rich: never markup, and nothing in it unseen."""
    return Text(spelled(text))


def add_row(table: Table, *cells: str) -> None:
    """Add a row whose cells are text from outside."""
    table.add_row(*map(visible, cells))


def spelled_lines(text: str) -> str:
    """Spell out the same signs but keep the line ends: for text whose lines are ours."""
    return "\n".join(map(spelled, text.split("\n")))


def say(text: str) -> None:
    """Print lines of ours that hold text from outside."""
    print(spelled_lines(text))
