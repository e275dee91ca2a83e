"""The orchestration ring runs flows in one shared world."""

from tests.world.fixture import world

__all__ = ["world"]
