"""A rollout survives the death of everything that ran it: no host is changed twice or left out."""

import os
import signal
import time

import pytest

from tests.world import processes
from tests.world.world import World
from wavemend.ledger import audit

pytestmark = pytest.mark.live


def kill_flow_and_worker(world: World, flow_run: str) -> None:
    """End the flow's process, then the worker, so that Prefect never hears of either."""
    worker = world.worker_pid()
    os.kill(worker, signal.SIGSTOP)  # otherwise it may still report its child's death
    for pid in processes.of_flow_run(world.home, flow_run):
        processes.kill_9(pid)
    processes.kill_9(worker)
    world.wait_until(lambda: not processes.of_flow_run(world.home, flow_run), "the flow's death")


def test_killed_in_the_middle_of_an_apt_transaction_it_ends_with_every_host_changed_once(
    world: World,
) -> None:
    first = world.begin("crash")
    world.wait("crash", lambda s: "crash1" in s.attempts, "the pilot's intent")
    world.wait_until(lambda: slow_is_at_work(world), "wm-slow's postinst")
    before = world.standing("crash")
    assert before.attempts["crash1"].outcome == ""

    kill_flow_and_worker(world, first)

    assert world.state(first) == "RUNNING", "Prefect was to be left believing in a dead run"
    assert world.standing("crash").owner == before.owner != ""
    said = world.up()
    assert f"rollout {before.rollout}: taken up again" in said

    after = world.wait_finished("crash", dead=first)
    assert after.rollout == before.rollout
    assert after.flow_run != first
    assert after.outcomes == {"crash1": "patched", "crash2": "patched"}
    assert set(after.outcomes) == set(after.plan.expected() if after.plan else ())
    for host in ("crash1", "crash2"):
        assert world.installs(host).count("wm-fine 2.0") == 1
        attempt = after.attempts[host].id
        journal = world.journal(host)
        assert [line.split()[:2] for line in journal] == [["begin", attempt], ["end", attempt]]
    assert world.installs("crash1").count("wm-slow 2.0") == 1
    assert after.attempts["crash1"].id == before.attempts["crash1"].id
    world.wait_until(lambda: world.state(after.flow_run) == "COMPLETED", "the second run's end")
    with world.ledger.reading() as book:
        assert audit.verify(book).events > 0


def slow_is_at_work(world: World) -> bool:
    """True while wm-slow's postinst sleeps, by the file it keeps for that time."""
    if world.hosts.simulated:
        return (world.home / "lab/hosts/crash1/root/run/wm-slow.started").exists()
    time.sleep(0.2)
    return world.hosts.run("crash1", "ls", "/run/wm-slow.started") != ""
