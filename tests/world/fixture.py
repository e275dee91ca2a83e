"""The `world` fixture: one world per pytest session, shared by the rings that need it."""

import contextlib
from pathlib import Path

import pytest

from tests.world.hosts import HostsMissing
from tests.world.world import World

_WORLD = pytest.StashKey[World]()


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Bring the world up at its first use; the session's end takes it down, however it ends."""
    stash = request.config.stash
    if _WORLD not in stash:
        stash[_WORLD] = _bring_up(request.config, tmp_path_factory.mktemp("world"))
    return stash[_WORLD]


def _bring_up(config: pytest.Config, home: Path) -> World:
    reporter = config.pluginmanager.get_plugin("terminalreporter")

    def say(text: str) -> None:
        if reporter is not None:
            reporter.write_line(f"world: {text}")

    home.chmod(0o700)
    try:
        made = World(home, say)
    except HostsMissing as error:
        pytest.fail(str(error), pytrace=False)
    # Not a fixture's own end: two rings import this fixture, and share one world.
    config.add_cleanup(made.close)
    say(f"{made.hosts.label}, home {home}")
    try:
        made.prepare()
    except BaseException:
        with contextlib.suppress(OSError):
            say(made.tails())
        raise
    return made
