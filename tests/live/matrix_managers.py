"""The rows P1 to P18: what package managers, their archives and other administrators do to us."""

import time

from tests.live.matrix_world import EDITED, LabBench, World
from wavemend.execution.attempt import attempt_host
from wavemend.execution.jobs import JobSpec, JobState, read_job, start_job
from wavemend.managers import MANAGERS
from wavemend.plans import PlannedPackage
from wavemend.policy.profiles import RebootRule

# apt takes fcntl locks, which flock(1) cannot hold.
_HOLD_LOCK = """
cat >/root/hold <<'X'
use Fcntl; open(F, ">>/var/lib/dpkg/lock-frontend");
my $lock = pack("s s l! l! i", F_WRLCK, 0, 0, 0, 0);
fcntl(F, F_SETLK, $lock) or die; open(G, ">/run/held"); close(G); sleep 1 while -e "/run/held";
X
stat -c %i /var/lib/dpkg/lock-frontend
setsid -f perl /root/hold </dev/null >/dev/null 2>&1
"""

_CUT = """
echo 30 >/etc/wm-slow.seconds
(apt-get -q -y install wm-slow=2.0 </dev/null >/dev/null 2>&1 &)
until [ -e /run/wm-slow.started ]; do sleep 0.1; done
pkill -9 -x apt-get; pkill -9 -x dpkg; pkill -9 -f wm-slow.postinst
echo 0 >/etc/wm-slow.seconds
"""

_OWN = r"""
cd /root && mkdir -p repo keys && chmod 700 keys && chmod a+x /root
pgp="gpg --homedir /root/keys --batch --quiet --passphrase="
[ -e keys/pubring.kbx ] || for name in lab other; do
  $pgp --quick-gen-key $name@example.org ed25519 sign never
done
$pgp --export lab@example.org >/usr/share/keyrings/own.gpg
source='deb [signed-by=/usr/share/keyrings/own.gpg] file:/root/repo ./'
echo "$source" >/etc/apt/sources.list.d/own.list
day() { LC_ALL=C date -u -d "$1" '+%a, %d %b %Y %H:%M:%S UTC'; }

build() {  # NAME VERSION POSTINST
  rm -rf new && mkdir -p new/DEBIAN
  printf 'Package: %s\nVersion: %s\nArchitecture: all\n' "$1" "$2" >new/DEBIAN/control
  printf 'Maintainer: lab <lab@example.org>\nDescription: own\n' >>new/DEBIAN/control
  printf '#!/bin/sh\n%s\n' "$3" >new/DEBIAN/postinst && chmod 755 new/DEBIAN/postinst
  dpkg-deb --build new "repo/$1_$2.deb" >/dev/null
}

offer() {  # SIGNER VALID-UNTIL
  cd repo && : >Packages
  for deb in *.deb; do
    dpkg-deb -f "$deb" >>Packages
    printf 'Filename: ./%s\nSize: %s\n' "$deb" "$(stat -c %s "$deb")" >>Packages
    printf 'SHA256: %s\n\n' "$(sha256sum "$deb" | cut -d' ' -f1)" >>Packages
  done
  printf 'Date: %s\nValid-Until: %s\nSHA256:\n' "$(day '3 days ago')" "$(day "$2")" >Release
  sum=$(sha256sum Packages | cut -d' ' -f1)
  printf ' %s %s Packages\n' "$sum" "$(stat -c %s Packages)" >>Release
  rm -f InRelease
  $pgp -u "$1@example.org" --clearsign -o InRelease Release && rm Release
  chmod -R a+rX . && cd ..
}
"""
"""An archive of the host's own: what the lab's cannot show on demand."""

_NO_MIRROR = "echo '127.0.0.1 mirror.lab' >/etc/hosts"


def _own(world: World, name: str, script: str) -> None:
    world.root(name, f"{_OWN}\n{script}")


def _versions(bench: LabBench, *names: str) -> str:
    seen = bench.look()
    assert seen.facts is not None, seen.detail
    return ", ".join(f"{name} {seen.facts.version_of(name) or 'missing'}" for name in names)


def _repaired(world: World, bench: LabBench) -> str:
    """Run the repair as the step of its own that it is."""
    manager = MANAGERS[bench.host.manager](bench.host.options)
    spec = JobSpec(
        attempt_id="matrix-repair", nonce="n" * 32, fence=99, script=manager.repair_script()
    )
    with world.on(bench.host.name) as transport:
        view = start_job(transport, spec, deadline=60)

        def ended() -> bool:
            seen = read_job(transport, spec.attempt_id, spec.nonce, deadline=60)
            return seen.state is JobState.ENDED

        if view.state is not JobState.ENDED:
            world.until(ended, "the repair")
    return world.ready(bench)


def held_lock(world: World) -> str:
    bench = world.bench("deb1")
    bench.freeze("wm-fine")
    inode = world.root("deb1", _HOLD_LOCK).strip()
    world.wait("deb1", "/run/held")
    ready = world.ready(bench)
    with world.attempting(bench) as ends:
        world.until(lambda: world.begins("deb1") == 1, "the job")
        time.sleep(3)  # it has to wait
        world.root("deb1", "rm /run/held")
    kept = world.root("deb1", "stat -c %i /var/lib/dpkg/lock-frontend").strip() == inode
    return f"{ready}; {ends[0]}; lock file {'kept' if kept else 'replaced'}"


def half_configured(world: World) -> str:
    bench = world.bench("deb1")
    bench.freeze("wm-fine")
    world.root("deb1", _CUT)
    return f"{world.attempt(bench)}; repaired: {_repaired(world, bench)}"


def conffile(world: World) -> str:
    seen = []
    for name in ("deb1", "dnf1", "pac1"):
        bench = world.bench(name)
        bench.freeze("wm-conffile")
        ended, result = world.attempt(bench), bench.packages()["wm-conffile"]
        text = world.root(name, "cat /etc/wm-conffile.conf")
        kept = "kept" if text == EDITED["/etc/wm-conffile.conf"] else "lost"
        seen.append(f"{name} {ended}, {result}, own file {kept}")
    return "; ".join(seen)


def full_disk(world: World) -> str:
    small = world.bench("small1")
    small.freeze("wm-big")
    ended = world.attempt(small)
    boot = world.bench("deb1", refresh=False)
    world.root("deb1", "mkdir -p /boot && mount -t tmpfs -o size=2m tmpfs /boot")
    return f"{ended}; {world.ready(boot)}"


def bad_archive(world: World) -> str:
    bench = world.bench("deb1")
    bench.freeze("wm-fine")
    world.root("deb1", f"{_NO_MIRROR}; apt-get clean")
    down = f"{world.attempt(bench)}; {_versions(bench, 'wm-fine')}"
    ready = world.ready(bench, refresh=True)
    bench = world.bench("deb1", refresh=False)
    _own(world, "deb1", "build wm-fine 3.0 :; offer lab 'next week'")
    assert bench.look(refresh=True).facts
    bench.freeze("wm-fine")
    world.root(
        "deb1", "printf x | dd of=/root/repo/wm-fine_3.0.deb bs=1 seek=200 conv=notrunc status=none"
    )
    return f"{down}; {ready}; {world.attempt(bench)}; {_versions(bench, 'wm-fine')}"


def bad_release(world: World) -> str:
    bench = world.bench("deb1", refresh=False)
    seen = []
    for signer, until in (("lab", "yesterday"), ("other", "next week")):
        _own(world, "deb1", f"build wm-fine 3.0 :; offer {signer} '{until}'")
        ready = world.ready(bench, refresh=True)
        facts = bench.look().facts
        assert facts is not None
        offered = any(update.candidate == "3.0" for update in facts.pending)
        seen.append(f"{ready}, {'taken' if offered else 'refused'}")
    return "; ".join(seen)


_SAYS_SUCCESS = r"""
cp /usr/bin/apt-get /usr/bin/apt-get.real
cat >/root/apt-get <<'X'
#!/bin/sh
case " $* " in
  *NoLocking*) ;;
  *" install "*) echo "wm-fine is already the newest version (2.0)."; exit 0 ;;
esac
exec /usr/bin/apt-get.real "$@"
X
chmod 755 /root/apt-get && cp /root/apt-get /usr/bin/apt-get
"""


def held_package(world: World) -> str:
    seen = []
    for name, script in (
        ("deb1", "apt-mark hold wm-fine"),
        ("dnf1", "dnf -q versionlock add wm-fine"),
        ("deb1", _SAYS_SUCCESS),
    ):
        bench = world.bench(name)
        bench.freeze("wm-fine")
        world.root(name, script)
        seen.append(f"{name} {world.attempt(bench)}, {_versions(bench, 'wm-fine')}")
    return "; ".join(seen)


def would_remove(world: World) -> str:
    seen = []
    for name in ("deb1", "zyp1"):
        bench = world.bench(name)
        bench.freeze("wm-clash")
        seen.append(f"{name} {world.attempt(bench)}; {_versions(bench, 'wm-fine')}")
    return "; ".join(seen)


def version_gone(world: World) -> str:
    bench = world.bench("deb1", refresh=False)
    _own(world, "deb1", "build wm-fine 3.0 :; offer lab 'next week'")
    assert bench.look(refresh=True).facts
    bench.freeze("wm-fine")
    _own(world, "deb1", "rm repo/wm-fine_3.0.deb; build wm-fine 4.0 :; offer lab 'next week'")
    assert bench.look(refresh=True).facts
    return f"{world.attempt(bench)}; {_versions(bench, 'wm-fine')}"


def failing_script(world: World) -> str:
    bench = world.bench("deb1")
    bench.freeze("wm-fails")
    ended = world.attempt(bench)
    again = attempt_host(bench.hands(), bench.order())
    tries = world.installs("deb1", "wm-fails")
    return f"{ended}; asked again: {again}, script ran {tries} time"


def old_library_in_use(world: World) -> str:
    bench = world.bench("deb1")
    bench.freeze("liblzma5", "xz-utils")
    return str(world.attempt(bench))


def old_kernel_runs(world: World) -> str:
    installed = world.bench("dnf1")
    installed.freeze("kernel")
    runs = world.bench("deb1")
    newer_kernel(world, "deb1")
    runs.freeze("wm-fine")
    return f"dnf1 {world.attempt(installed)}; deb1 {world.attempt(runs)}"


def check_failed(world: World) -> str:
    seen = []
    for name in ("deb1", "dnf1", "pac1", "zyp1"):
        bench = world.bench(name, refresh=False)
        world.root(name, _NO_MIRROR)
        seen.append(f"{name} {world.ready(bench, refresh=True)}")
    return "; ".join(seen)


def read_only_root(world: World) -> str:
    seen = []
    for name in ("deb1", "dnf1", "pac1", "zyp1"):
        bench = world.bench(name)
        bench.freeze("wm-fine")
        world.root(name, "mount -o remount,bind,ro /")
        seen.append(f"{name} {world.ready(bench)}, {world.attempt(bench)}")
    return "; ".join(seen)


def downgrade(world: World) -> str:
    seen = []
    for name, new in (
        ("deb1", "apt-get -q -y install wm-fine=2.0"),
        ("dnf1", "dnf -q -y upgrade wm-fine"),
    ):
        bench = world.bench(name)
        facts = bench.look().facts
        assert facts
        old = facts.version_of("wm-fine")
        arch = next(p.arch for p in facts.installed if p.name == "wm-fine")
        world.root(name, new)
        facts = bench.look().facts
        assert facts
        package = PlannedPackage(
            name="wm-fine",
            arch=arch,
            installed=facts.version_of("wm-fine"),
            target=old,
            origin="lab",
            lane="routine",
        )
        bench.freeze(packages=(package,))
        seen.append(f"{name} {world.attempt(bench)}")
    return "; ".join(seen)


def newer_kernel(world: World, name: str) -> str:
    """Install a kernel package that is newer than the running kernel; return its release."""
    running = world.root(name, "uname -r").strip()
    newest = f"99.1.0-{running.partition('-')[2]}"
    _own(
        world,
        name,
        f"""
        mkdir -p /boot
        for release in {running} {newest}; do
          echo image >/boot/vmlinuz-$release; echo ramdisk >/boot/initrd.img-$release
        done
        build linux-image-{newest} 1 :
        dpkg -i repo/linux-image-*.deb >/dev/null
        """,
    )
    return newest


def no_initramfs(world: World) -> str:
    bench = world.bench("deb1", refresh=False, reboot=RebootRule.ALWAYS)
    broken = f"/boot/initrd.img-{newer_kernel(world, 'deb1')}"
    _own(world, "deb1", f"build wm-fine 3.0 ': >{broken}; exit 0'; offer lab 'next week'")
    assert bench.look(refresh=True).facts
    bench.freeze("wm-fine")
    before = world.boot_id("deb1")
    ended = world.attempt(bench)
    return f"{ended}; {'not restarted' if world.boot_id('deb1') == before else 'restarted'}"


def somebody_else(world: World) -> str:
    bench = world.bench("deb1")
    bench.freeze("wm-fine")
    world.root("deb1", "dpkg --purge wm-fine >/dev/null")
    other = world.attempt(bench)
    bench = world.bench("deb1")
    bench.freeze("wm-fine")
    world.root("deb1", "apt-get -q -y install wm-fine=2.0")
    return f"{other}; {world.attempt(bench)}"
