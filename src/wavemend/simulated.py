"""Hosts that are only played are called so wherever they are named."""

from collections.abc import Callable, Iterable
from typing import Protocol

SIMULATED = "SIMULATED"
"""Tag of every run, and word in every name and table, that is about played hosts."""


class _Known(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def simulated(self) -> bool: ...


def named(name: str, *, simulated: bool) -> str:
    """Return what a host is called wherever a person reads of it."""
    return f"{name} ({SIMULATED})" if simulated else name


def naming(hosts: Iterable[_Known]) -> Callable[[str], str]:
    """Return what says by its name how each of these hosts is called; others keep their name."""
    played = frozenset(host.name for host in hosts if host.simulated)
    return lambda name: named(name, simulated=name in played)
