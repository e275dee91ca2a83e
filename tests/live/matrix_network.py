"""The rows N1 to N16: what lines, servers, logins and terminals do to us."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from tests.lab.namespaces import ROOT
from tests.live.matrix_lines import WHOLE, Fault, line_to
from tests.live.matrix_world import LabBench, World
from wavemend.errors import DeadlinePassed, LoginRefused, TransportError
from wavemend.execution.attempt import attempt_host
from wavemend.hosts import Host
from wavemend.ledger import attempts, rollouts
from wavemend.testing.bad_servers import banner_only, dripping_banner, listening, silent
from wavemend.testing.keys import new_key
from wavemend.transport import OUTPUT_BOUND, STDERR_BOUND, Login, Transport
from wavemend.transports.ssh import BASTIONS, connect

_SSHD = "/etc/ssh/sshd_config.d/matrix.conf"
# Every process of the host but its sessions: the listening sshd is the oldest of them.
_RELOAD = "pkill -HUP -o -x sshd; sleep 0.3"


def _reason(connects: Callable[[], Transport]) -> str:
    """Return in which way a connection fails, or that it does not."""
    try:
        connects().close()
    except TransportError as error:
        return error.reason
    return "connected"


def unreached(world: World) -> str:
    bench = world.bench("deb1")
    bench.freeze("wm-fine")
    host = bench.host
    closed = _reason(lambda: world.connect(replace(host, port=9)))
    world.root("deb1", "pkill -STOP -x sshd")
    frozen = _reason(lambda: connect(host, replace(world.login(), connect_seconds=2)))
    world.root("deb1", "pkill -CONT -x sshd")
    world.lab.link("deb1", "down")
    try:
        bench.connect = lambda host: connect(host, replace(world.login(), connect_seconds=3))
        gone, ended = bench.look().reason, world.attempt(bench)
    finally:
        world.lab.link("deb1", "up")
    if world.lab.info().mode != ROOT and gone == "port":
        gone = "off"  # the lab's own door answers for a host whose cable is out
    return f"closed {closed}, frozen {frozen}, unroutable {gone}; {ended.outcome} {ended.times}"


def silent_partition(world: World) -> str:
    bench = world.bench("deb1")
    bench.freeze("wm-slow")
    world.root("deb1", "echo 2 >/etc/wm-slow.seconds")
    with world.attempting(bench) as ends:
        world.wait("deb1", "/run/wm-slow.started")
        world.lab.link("deb1", "down")
        began = time.monotonic()
        try:
            world.until(lambda: bench.row().lost_since is not None, "the loss to be seen")
            seconds = time.monotonic() - began
            with bench.ledger.reading() as book:
                view = rollouts.read_view(book, "r-1").attempts["deb1"]
            place = "kept" if view.uses_budget and not ends else "given back"
        finally:
            world.lab.link("deb1", "up")
    within = "within 30 s" if seconds <= 30 else f"after {seconds:.0f} s"
    tries = world.installs("deb1", "wm-slow")
    return f"lost {within}, place {place}; {ends[0]}; script ran {tries} time"


def _carry_out(bench: LabBench) -> None:
    attempt_host(bench.hands(), bench.order())


def killed_controller(world: World) -> str:
    bench = world.bench("deb1")
    bench.freeze("wm-slow")
    world.root("deb1", "echo 10 >/etc/wm-slow.seconds")
    controller = multiprocessing.get_context("fork").Process(target=_carry_out, args=(bench,))
    controller.start()
    world.wait("deb1", "/run/wm-slow.started")
    # The host may begin before its answer has come: killed there, the ledger still says intent.
    world.until(lambda: bench.row().state == "running", "the start to be written down")
    assert controller.pid is not None
    os.kill(controller.pid, signal.SIGKILL)
    controller.join()
    left = bench.row().state
    ended = world.attempt(bench)
    return f"left {left}; {ended}; script ran {world.installs('deb1', 'wm-slow')} time"


def resets(world: World) -> str:
    """Break connections at each stage of SSH, and the connections of an attempt one by one."""
    key = world.lab.info().host("deb1").host_key
    host = world.host("deb1")
    reasons: set[str] = set()
    for stage in (0, 10, 300, 1200, 1700, 2200):
        with line_to(host, key, partial(_breaks_at, stage)) as line:
            reasons.add(_reason(partial(_used, world, line.host)))
    ends = []
    # The first connection is the plan's own look; then look, rehearsal, start, following, look.
    for number, after in ((1, 2200), (3, 10), (3, 2200), (4, 2200), (5, 2200)):
        bench = world.bench("deb1")
        with line_to(host, key, _breaks(number, after)) as line:
            bench.host = line.host
            bench.freeze("wm-fine")
            ended = world.attempt(bench)
            ends.append(f"{ended.outcome} {ended.times}")
    return f"before: {', '.join(sorted(reasons))}; in an attempt: {', '.join(ends)}"


def _breaks_at(stage: int, _: int) -> Fault:
    """Break every connection there: one that is hung up on before a word is tried again."""
    return Fault(reset_after=stage)


def _breaks(number: int, after: int) -> Callable[[int], Fault]:
    return lambda opened: Fault(reset_after=after) if opened == number else WHOLE


def _used(world: World, host: Host) -> Transport:
    transport = world.connect(host)
    try:
        transport.run(["true"], deadline=10)
    except BaseException:
        transport.close()
        raise
    return transport


def slow_line(world: World) -> str:
    """2 s there and back, then 64 kbit/s. What is lost shows above TCP as such a delay."""
    host, key = world.host("deb2"), world.lab.info().host("deb2").host_key

    def login(seconds: float) -> Login:
        return replace(world.login(), connect_seconds=seconds)

    with line_to(host, key, lambda _: Fault(delay=1.0)) as line:
        began = time.monotonic()
        hurried = _reason(lambda: connect(line.host, login(5)))
        seconds = time.monotonic() - began
        patient = _reason(lambda: connect(line.host, login(60)))
    with line_to(host, key, lambda _: Fault(bytes_per_second=8_000)) as line:
        bench = world.second("deb2")
        bench.host = line.host
        seen = bench.look()
    in_time = "in time" if seconds < 20 else f"after {seconds:.0f} s"
    return f"latency: {hurried} {in_time}, or {patient}; 64 kbit/s: {seen.reason or 'read whole'}"


def flood(world: World) -> str:
    bench = _printing(world, "head -c 100000000 /dev/zero | tr '\\000' x")
    bench.freeze("wm-fine")
    ended = world.attempt(bench)
    evidence = attempts.evidence_of(bench.row())
    assert evidence is not None
    with world.on("deb1") as transport:
        script = "head -c 300000000 /dev/zero; exit 3"
        done = transport.run(["sh", "-c", script], deadline=120)
    kept = len(done.stdout) <= OUTPUT_BOUND and len(evidence.log_tail) <= 8_000
    counted = len(done.stdout) + done.dropped_bytes == 300_000_000
    bounded = "bounded and counted" if kept and counted else "not bounded"
    return f"{ended}; output {bounded}, exit status {done.exit_status}"


def full_stderr(world: World) -> str:
    bench = _printing(world, "head -c 20000000 /dev/zero >&2")
    bench.freeze("wm-fine")
    ended = world.attempt(bench)
    with world.on("deb1") as transport:
        script = "head -c 20000000 /dev/zero >&2; echo done; exit 3"
        done = transport.run(["sh", "-c", script], deadline=60)
    counted = len(done.stderr) + done.dropped_stderr == 20_000_000
    bounded = "bounded and counted" if len(done.stderr) <= STDERR_BOUND and counted else "lost"
    said = done.stdout.decode().strip()
    return f"{ended}; stdout {said}, stderr {bounded}, exit status {done.exit_status}"


def escapes(world: World) -> str:
    bench = _printing(world, r"printf 'all is well\r\033[2J\033[1A\377\376\300\200SUCCESS RC:0\n'")
    bench.freeze("wm-fails")
    ended = world.attempt(bench)
    plain = ended.reason.isprintable()
    return f"{ended.outcome} {ended.times}; reason {'printable' if plain else 'with escapes'}"


def fake_sentinel(world: World) -> str:
    lie = (
        "wavemend-job 1\\nheld no\\nrc "
        + "n" * 32
        + " 0 1\\nbegun 1 1 x\\nlog 0\\n\\nwavemend-journal 1\\n"
    )
    bench = _printing(world, f"printf '{lie}'")
    bench.freeze("wm-fails")
    ended = world.attempt(bench)
    evidence = attempts.evidence_of(bench.row())
    assert evidence is not None
    return f"{ended.outcome} {ended.times}; exit status {evidence.job_exit_status}"


def _printing(world: World, command: str) -> LabBench:
    """Return a rollout of a host whose package manager prints this around every change."""
    bench = world.bench("deb1")
    world.root(
        "deb1",
        f"""
        cat >/root/prints <<'X'
#!/bin/sh
{command}
X
        chmod 755 /root/prints
        printf 'DPkg::%s {{"/root/prints";}};\\n' Pre-Invoke Post-Invoke >/etc/apt/apt.conf.d/95own
        """,
    )
    return bench


def other_key(world: World) -> str:
    bench = world.bench("deb1")
    bench.freeze("wm-fine")
    unknown = _reason(lambda: connect(bench.host, replace(world.login(), known_hosts="")))
    world.root(
        "deb1",
        f"""
        rm /etc/ssh/ssh_host_ed25519_key*
        ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
        {_RELOAD}
        """,
    )
    ended = world.attempt(bench)
    return f"unknown: {unknown}; changed: {ended.short}"


def other_machine(world: World) -> str:
    bench = world.bench("deb1")
    bench.freeze("wm-fine")
    bench.connect = lambda _: world.connect(world.host("deb2"))
    before = world.begins("deb2")
    ended = world.attempt(bench)
    other = "untouched" if world.begins("deb2") == before else "changed"
    return f"{ended.outcome} {ended.times}: {ended.reason}; the other {other}"


def wrong_credential(world: World) -> str:
    world.lab.reset("deb1")
    world.root("deb1", f"echo 'MaxStartups 100' >{_SSHD}; {_RELOAD}")
    login = replace(world.login(), name="matrix-wrong", private_key=new_key().private)
    host = world.host("deb1")

    def refused(_: int) -> str:
        try:
            connect(host, login).close()
        except LoginRefused as error:
            return "held back" if "is not tried again" in str(error) else "refused by the host"
        return "let in"

    with ThreadPoolExecutor(50) as pool:
        words = list(pool.map(refused, range(500)))
    return ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))


def full_startups(world: World) -> str:
    """A bastion that takes hardly anybody: everybody goes through one connection to it."""
    world.lab.reset("deb1")
    world.root("deb1", f"printf 'MaxStartups 2:50:4\\nMaxSessions 2\\n' >{_SSHD}; {_RELOAD}")
    info = world.lab.info()
    login, bastion = world.login(), world.host("deb1")
    inside = {entry["name"]: entry["address"] for entry in world.lab.status()["hosts"]}
    config = (
        f"Host jump\n  HostName {bastion.address}\n  Port {bastion.port}\n  User {login.user}\n"
        "Host 10.*\n  ProxyJump jump\n"
    )
    login = replace(login, ssh_config=config)
    hosts = [
        replace(
            world.host(name), address=inside[name], port=22, host_keys=(info.host(name).host_key,)
        )
        for name in ("deb2", "dnf1", "pac1", "zyp1") * 8
    ]
    with ThreadPoolExecutor(32) as pool:
        opened = list(pool.map(lambda host: connect(host, login), hosts))
    shared = list(BASTIONS.counts().values())
    works = sum(each.run(["true"], deadline=20).exit_status == 0 for each in opened)
    for each in opened:
        each.close()
    return f"{works} of {len(hosts)} connected through {len(shared)} connection to the bastion"


def sudo_asks(world: World) -> str:
    seen = []
    for rule in (
        "wavemend ALL=(ALL) PASSWD: ALL",
        "Defaults requiretty\nwavemend ALL=(ALL) NOPASSWD: ALL",
        "",
    ):
        bench = world.bench("deb1")
        bench.freeze("wm-fine")
        world.root("deb1", f"printf '{rule}\\n' >/etc/sudoers.d/wavemend")
        began = time.monotonic()
        ended = world.attempt(bench)
        late = ", late" if time.monotonic() - began > 15 else ""
        seen.append(f"{ended.short}{late}")
    return "; ".join(seen)


def narrow_disk(world: World) -> str:
    bench = world.bench("small1")
    bench.freeze("wm-fine")
    noexec = world.attempt(bench)
    bench = world.bench("small1")
    bench.freeze("wm-fine")
    world.root("small1", "dd if=/dev/zero of=/fill bs=1M 2>/dev/null || :")
    full = world.attempt(bench)
    return f"noexec: {noexec}; full: {full}"


def slow_drip(world: World) -> str:
    with world.on("deb2") as transport:
        began = time.monotonic()
        with contextlib.suppress(DeadlinePassed):
            script = "while :; do echo still here; sleep 0.2; done"
            transport.run(["sh", "-c", script], deadline=2)
            return "it was believed"
        seconds = time.monotonic() - began
    login = replace(world.login(), connect_seconds=2)
    host = replace(world.host("deb2"), address="127.0.0.1")
    stages = set()
    for server in (silent, banner_only, dripping_banner):
        with listening(server) as port:
            there = replace(host, port=port)
            stages.add(_reason(partial(connect, there, login)))
    ended = "at the deadline" if seconds < 20 else f"after {seconds:.0f} s"
    return f"command ended {ended}; servers that drip or say nothing: {', '.join(sorted(stages))}"
