"""The rows R1 to R5: what restarts do to us."""

from datetime import timedelta

from tests.live.matrix_managers import newer_kernel
from tests.live.matrix_world import LabBench, World
from wavemend.hosts import Host
from wavemend.ledger import rollouts
from wavemend.policy.care import RebootManners
from wavemend.policy.profiles import RebootRule
from wavemend.transport import Transport

_HURRIED = RebootManners(back_within=timedelta(seconds=15))


def _place(bench: LabBench) -> str:
    with bench.ledger.reading() as book:
        view = rollouts.read_view(book, "r-1").attempts[bench.host.name]
    return "place kept" if view.uses_budget else "place given back"


def never_returns(world: World) -> str:
    bench = world.bench("deb1", reboot=RebootRule.ALWAYS, manners=_HURRIED)
    bench.freeze("wm-fine")
    boots = world.lab.host_status("deb1")["boots"]
    try:
        with world.attempting(bench) as ends:
            world.until(lambda: world.lab.host_status("deb1")["boots"] > boots, "the restart")
            world.lab.link("deb1", "down")
    finally:
        world.lab.link("deb1", "up")
    return f"{ends[0]}; {_place(bench)}"


def never_rebooted(world: World) -> str:
    seen = []
    random = "/proc/sys/kernel/random"
    fake = f"cat {random}/uuid >/run/id; mount --bind /run/id {random}/boot_id"
    manners = RebootManners(back_within=timedelta(seconds=10))
    for pretends in ("exit 0", fake):
        bench = world.bench("deb1", reboot=RebootRule.ALWAYS, manners=manners)
        bench.freeze("wm-fine")
        # Only a host that has been up for longer can be told from one that was restarted.
        world.root("deb1", "until [ $(cut -d. -f1 /proc/uptime) -ge 16 ]; do sleep 1; done")
        world.root(
            "deb1",
            f"""
            printf '#!/bin/sh\\n%s\\n' '{pretends}' >/root/pretends
            chmod 755 /root/pretends
            for program in systemctl shutdown reboot; do
              path=$(command -v $program) && mount --bind /root/pretends "$path"
            done
            """,
        )
        seen.append(str(world.attempt(bench)))
    return "; ".join(seen)


def old_kernel(world: World) -> str:
    """The machine's kernel is every boot's kernel, whatever is installed on the host."""
    bench = world.bench("deb1", reboot=RebootRule.IF_NEEDED, manners=_HURRIED)
    newer_kernel(world, "deb1")
    bench.freeze("wm-fine")
    before = world.boot_id("deb1")
    ended = world.attempt(bench)
    return f"{ended}; {'restarted' if world.boot_id('deb1') != before else 'not restarted'}"


def boot_loop(world: World) -> str:
    manners = RebootManners(stable_for=timedelta(seconds=15))
    boots: list[int] = []

    def connect(host: Host) -> Transport:
        transport = world.connect(host)
        boots.append(world.lab.host_status("deb1")["boots"])
        return transport

    bench = world.bench("deb1", connect=connect, reboot=RebootRule.ALWAYS, manners=manners)
    bench.freeze("wm-fine")
    before = boots[-1]
    with world.attempting(bench) as ends:
        # The second visit to the new boot: the first one saw it.
        world.until(lambda: boots.count(before + 1) >= 2, "the restart to be seen", 120)
        world.lab.power("deb1", "reboot")
    return str(ends[0])


def too_late(world: World) -> str:
    manners = RebootManners(back_within=timedelta(hours=3))
    bench = world.bench("deb1", reboot=RebootRule.ALWAYS, manners=manners)
    bench.freeze("wm-fine")
    before = world.boot_id("deb1")
    ended = world.attempt(bench)
    stayed = world.boot_id("deb1") == before
    # A start that is too late itself is refused before anything is touched.
    late = world.bench("deb1")
    late.freeze("wm-fine")
    late.shift = timedelta(minutes=90)
    refused = world.attempt(late)
    return f"{ended}; {'not restarted' if stayed else 'restarted'}; {refused}"
