"""The `world` fixture: one world per pytest session, shared by the rings that need it."""

import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.world.hosts import HostsMissing
from tests.world.world import World

EARLY = {"sign": {"test_approvals.py"}, "mixed": {"test_outcomes.py", "test_rollout_run.py"}}
"""Rollouts that run beside the first tests, when one of these files is to run at all."""

_WORLD = pytest.StashKey[World | BaseException]()


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest) -> World:
    """Bring the world up at its first use; the session's end takes it down, however it ends."""
    stash = request.config.stash
    if _WORLD not in stash:
        try:
            stash[_WORLD] = _bring_up(request.session)
        except Exception as error:
            stash[_WORLD] = error  # trying again for every test would take an hour
            raise
    found = stash[_WORLD]
    if isinstance(found, BaseException):
        pytest.fail(f"the world did not come up: {found}", pytrace=False)
    return found


def _bring_up(session: pytest.Session) -> World:
    plugins = session.config.pluginmanager
    reporter, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")
    home = Path(tempfile.mkdtemp(prefix="wavemend-world-"))

    def say(text: str) -> None:
        if reporter is None or capture is None:
            return
        with capture.global_and_fixture_disabled():  # SIMULATED must be seen when all is well too
            reporter.write_line(f"\nworld: {text}")

    def close() -> None:
        made.close()
        if session.testsfailed:
            say(f"logs and ledger of the failed tests: {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)

    try:
        made = World(home, say)
    except HostsMissing as error:
        home.rmdir()
        pytest.fail(str(error), pytrace=False)
    # Not a fixture's own end: two rings import this fixture, and share one world.
    session.config.add_cleanup(close)
    say(f"{made.hosts.label}, home {home}")
    try:
        made.prepare()
    except BaseException:
        with contextlib.suppress(OSError):
            say(made.tails())
        raise
    files = {item.path.name for item in session.items}
    for tenant, users in EARLY.items():
        if files & users:
            made.begin(tenant)
    return made
