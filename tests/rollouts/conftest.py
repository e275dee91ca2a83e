"""Whole rollouts work on the hosts of one shared world."""

from tests.world.fixture import world

__all__ = ["world"]
