"""What apt leaves behind is mended, undone or told as it is: on real Debian hosts."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cases.rollouts.build import PROFILE, ranked
from tests.contract.attempt_bench import Bench
from tests.lab import HostSpec, Lab, probe
from wavemend.execution.attempt import attempt_host
from wavemend.execution.jobs import JobSpec, JobState, read_job, start_job
from wavemend.execution.looks import look
from wavemend.hosts import Conffiles, Facts, Host, ManagerOptions, Repository, Services
from wavemend.managers.apt import AptManager
from wavemend.outcomes import Outcome, PackageOutcome, PackageResult
from wavemend.packages import JobEnd, JobScript, Target
from wavemend.planning import Candidate, plan_updates
from wavemend.plans import PlannedHost
from wavemend.transport import Login, Transport
from wavemend.transports.ssh import connect

pytestmark = pytest.mark.live

EDITED = {"/etc/wm-conffile.conf": "greeting = edited by the administrator\n"}
HOSTS = (
    HostSpec("keeps1", packages=("wm-fine", "wm-conffile", "wm-newdep", "wm-slow"), files=EDITED),
    HostSpec("brings1", packages=("wm-fine", "wm-newdep")),
    HostSpec("swaps1", packages=("wm-fine", "wm-conffile", "wm-clash"), files=EDITED),
)
APT = AptManager()
REPLACING = AptManager(
    options=ManagerOptions(conffiles=Conffiles.REPLACE, services=Services.RESTART)
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    found = probe()
    if found.mode is None and os.environ.get("WAVEMEND_LAB") == "required":
        pytest.fail(found.reason)
    if found.mode is None:
        pytest.skip(found.reason)
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        lab.up(HOSTS)
        yield lab
    finally:
        lab.down()


def host_of(lab: Lab, name: str) -> Host:
    where = lab.info().host(name)
    return Host(name=name, tenant="acme", address=where.address, port=where.port)


def login_of(lab: Lab) -> Login:
    info = lab.info()
    return Login(
        name="lab",
        user=info.user,
        private_key=Path(info.key).read_text(),
        known_hosts=Path(info.known_hosts).read_text(),
    )


@contextlib.contextmanager
def on(lab: Lab, name: str) -> Iterator[Transport]:
    with contextlib.closing(connect(host_of(lab, name), login_of(lab))) as transport:
        yield transport


def facts(lab: Lab, name: str, *, refresh: bool = True) -> Facts:
    with on(lab, name) as transport:
        return APT.read_facts(
            host_of(lab, name), transport, datetime.now(UTC), refresh=refresh, deadline=180
        )


def run(lab: Lab, name: str, script: JobScript) -> JobEnd:
    """Run a job as an attempt does, and wait for its end."""
    spec = JobSpec(
        attempt_id=f"depth-{name}-{time.monotonic_ns()}", nonce="n" * 32, fence=1, script=script
    )
    with on(lab, name) as transport:
        view = start_job(transport, spec, deadline=60)
        until = time.monotonic() + 120
        while view.state is not JobState.ENDED and time.monotonic() < until:
            time.sleep(0.2)
            view = read_job(transport, spec.attempt_id, spec.nonce, deadline=60)
    return JobEnd(exit_status=view.exit_status, log=view.log)


def apply(
    lab: Lab, name: str, targets: Sequence[Target], manager: AptManager = APT
) -> dict[str, PackageResult]:
    before = facts(lab, name)
    end = run(lab, name, manager.apply_script(targets))
    after = facts(lab, name, refresh=False)
    return {result.name: result for result in manager.judge(targets, before, after, end)}


def target(name: str, version: str, arch: str = "all") -> Target:
    return Target(name=name, arch=arch, version=version)


def root(lab: Lab, name: str, script: str) -> str:
    done = lab.exec(name, "sh", "-s", stdin=f"export LC_ALL=C.UTF-8\n{script}")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def states(seen: Facts) -> list[str]:
    return [f"{package.name} {package.version} {package.status}" for package in seen.broken]


# --- repair --------------------------------------------------------------------------------------


def test_what_was_cut_while_it_was_configured_is_mended_by_the_repair(lab: Lab) -> None:
    root(
        lab,
        "keeps1",
        """
        echo 30 >/etc/wm-slow.seconds
        apt-get -qq update
        (apt-get -q -y install wm-slow=2.0 </dev/null >/dev/null 2>&1 &)
        until [ -e /run/wm-slow.started ]; do sleep 0.2; done
        pkill -9 -x apt-get; pkill -9 -x dpkg; pkill -9 -f wm-slow.postinst
        echo 0 >/etc/wm-slow.seconds
        """,
    )
    assert states(facts(lab, "keeps1")) == ["wm-slow 2.0 iF"]

    end = run(lab, "keeps1", APT.repair_script())
    seen = facts(lab, "keeps1")

    assert (end.exit_status, seen.broken) == (0, ())
    assert seen.version_of("wm-slow") == "2.0"


def test_a_dpkg_killed_at_its_very_end_is_half_done_and_mended_by_the_repair(lab: Lab) -> None:
    root(
        lab,
        "keeps1",
        """
        cd /var/lib/dpkg/updates
        awk 'BEGIN { RS = ""; ORS = "\\n\\n" } /^Package: zip\\n/' ../status >0000
        ! apt-get -q -y install wm-fine=1.0 </dev/null
        """,
    )
    assert [state.split()[0::2] for state in states(facts(lab, "keeps1"))] == [
        ["dpkg", "interrupted"]
    ]

    end = run(lab, "keeps1", APT.repair_script())
    seen = facts(lab, "keeps1")

    assert (end.exit_status, seen.broken) == (0, ())
    root(lab, "keeps1", "apt-get -q -y install wm-fine=1.0 </dev/null")


CUT = """
mkdir -p /tmp/cut/DEBIAN
printf 'Package: wm-fine\\nVersion: 9.0\\nArchitecture: all\\n' >/tmp/cut/DEBIAN/control
printf 'Maintainer: lab <lab@example.org>\\nDescription: cut\\n' >>/tmp/cut/DEBIAN/control
printf '#!/bin/sh\\n: >/run/cut.started\\nsleep 30\\n' >/tmp/cut/DEBIAN/preinst
chmod 755 /tmp/cut/DEBIAN/preinst
dpkg-deb --build /tmp/cut /tmp/cut.deb >/dev/null
(dpkg -i /tmp/cut.deb </dev/null >/dev/null 2>&1 &)
until [ -e /run/cut.started ]; do sleep 0.2; done
pkill -9 -x dpkg; pkill -9 -f tmp.ci/preinst || :
"""


def test_what_was_cut_while_it_was_unpacked_is_unpacked_again_in_the_same_version(
    lab: Lab,
) -> None:
    root(lab, "keeps1", CUT)
    assert states(facts(lab, "keeps1")) == ["wm-fine 1.0 iHR"]

    end = run(lab, "keeps1", APT.repair_script())
    seen = facts(lab, "keeps1")

    assert (end.exit_status, seen.broken) == (0, ()), end.log.decode()
    assert seen.version_of("wm-fine") == "1.0", "a repair brings no other version"


def test_a_repair_that_would_need_another_package_changes_nothing_and_names_it(lab: Lab) -> None:
    root(
        lab,
        "keeps1",
        "cd /tmp && apt-get -qq update && apt-get -qq download wm-newdep=2.0 2>/dev/null"
        " && dpkg --unpack wm-newdep_2.0_all.deb",
    )

    end = run(lab, "keeps1", APT.repair_script())
    seen = facts(lab, "keeps1")

    assert end.exit_status == 71
    assert b"wavemend-beyond a repair: Inst wm-extra" in end.log
    assert states(seen) == ["wm-newdep 2.0 iU"]
    assert seen.version_of("wm-extra") == ""

    root(lab, "keeps1", "apt-get -q -y --allow-downgrades install wm-newdep=1.0")


# --- new packages, and the way back --------------------------------------------------------------


def test_an_update_that_needs_a_new_package_brings_it_and_goes_back_alone(lab: Lab) -> None:
    before = facts(lab, "keeps1")
    update = next(item for item in before.pending if item.name == "wm-newdep")
    assert update.kept_back
    assert update.brings == (target("wm-extra", "2.0"),)
    targets = [target("wm-newdep", "2.0"), *update.brings]

    results = apply(lab, "keeps1", targets)

    assert {result.outcome for result in results.values()} == {PackageOutcome.INSTALLED}
    assert (results["wm-extra"].before, results["wm-extra"].after) == ("", "2.0")
    there = facts(lab, "keeps1")
    old = [target("wm-newdep", "1.0")]
    end = run(lab, "keeps1", APT.undo_script(old))
    back = facts(lab, "keeps1")
    (result,) = APT.judge(old, there, back, end)
    assert (result.outcome, result.after) == (PackageOutcome.INSTALLED, "1.0")
    assert back.version_of("wm-extra") == "2.0", "an undo removes nothing"


def test_a_rollout_patches_a_host_with_the_new_package_in_its_plan(
    lab: Lab, tmp_path: Path
) -> None:
    host = host_of(lab, "brings1")
    bench = Bench(tmp_path, host, lambda each: connect(each, login_of(lab)))
    seen = look(bench.hands(), host, refresh=True)
    assert seen.facts is not None
    update = next(item for item in seen.facts.pending if item.name == "wm-newdep")
    planned = plan_updates(Candidate(host=host, look=seen, ranked=(ranked(update),)), PROFILE)
    assert isinstance(planned, PlannedHost)
    assert [(p.name, p.installed, p.target) for p in planned.packages] == [
        ("wm-newdep", "1.0", "2.0"),
        ("wm-extra", "", "2.0"),
    ]

    bench.freeze("wm-newdep", packages=planned.packages, simulated=False)
    outcome = attempt_host(bench.hands(), bench.order())

    assert outcome is Outcome.PATCHED, bench.row().reason
    assert bench.packages() == {
        "wm-newdep": PackageOutcome.INSTALLED,
        "wm-extra": PackageOutcome.INSTALLED,
    }
    assert facts(lab, "brings1").version_of("wm-extra") == "2.0"


def test_a_real_security_update_goes_back_to_exactly_the_version_before(lab: Lab) -> None:
    before = facts(lab, "keeps1")
    zip_ = next(item for item in before.pending if item.name == "zip")
    new, old = target("zip", zip_.candidate, zip_.arch), target("zip", zip_.installed, zip_.arch)

    assert apply(lab, "keeps1", [new])["zip"].outcome is PackageOutcome.INSTALLED
    there = facts(lab, "keeps1")
    end = run(lab, "keeps1", APT.undo_script([old]))
    (result,) = APT.judge([old], there, facts(lab, "keeps1"), end)

    assert (result.before, result.after) == (zip_.candidate, zip_.installed)
    assert result.outcome is PackageOutcome.INSTALLED


def test_a_downgrade_that_nobody_asked_for_is_refused(lab: Lab) -> None:
    root(lab, "keeps1", "apt-get -q -y install wm-fine=2.0")
    with on(lab, "keeps1") as transport:
        rehearsal = APT.rehearse(transport, [target("wm-fine", "1.0")], deadline=60)

    assert "Packages were downgraded" in rehearsal.refusal
    root(lab, "keeps1", "apt-get -q -y --allow-downgrades install wm-fine=1.0")


def test_a_rehearsal_knows_what_is_fetched_and_what_it_takes_on_disk(lab: Lab) -> None:
    words = "wm-newdep=2.0 wm-extra=2.0 zip"
    listed = root(lab, "keeps1", f"apt-get clean; apt-get -qq -y --print-uris install {words}")
    sizes = [int(line.split()[2]) for line in listed.splitlines()]
    zip_ = next(item for item in facts(lab, "keeps1").pending if item.name == "zip")
    targets = [target("wm-newdep", "2.0"), target("zip", zip_.candidate, zip_.arch)]
    with on(lab, "keeps1") as transport:
        rehearsal = APT.rehearse(transport, targets, deadline=60)

    assert rehearsal.refusal == ""
    assert rehearsal.download_bytes == sum(sizes) > 0
    assert rehearsal.install_bytes is not None


# --- configuration files and services ------------------------------------------------------------


def test_an_edited_file_is_kept_or_replaced_as_the_profile_says_and_both_are_named(
    lab: Lab,
) -> None:
    wanted = [target("wm-conffile", "2.0")]
    kept = apply(lab, "keeps1", wanted)["wm-conffile"]
    swapped = apply(lab, "swaps1", wanted, REPLACING)["wm-conffile"]
    read = "cd /etc && cat wm-conffile.conf wm-conffile.conf.dpkg-*"

    assert kept.outcome is PackageOutcome.CONFFILE_KEPT
    assert kept.detail == "kept the host's own /etc/wm-conffile.conf"
    assert root(lab, "keeps1", read).splitlines() == [
        "greeting = edited by the administrator",
        "greeting = hello from version 2.0 of the package",
    ]
    assert swapped.outcome is PackageOutcome.INSTALLED
    assert swapped.detail == "replaced /etc/wm-conffile.conf; the host's own is beside it"
    assert root(lab, "swaps1", read).splitlines() == [
        "greeting = hello from version 2.0 of the package",
        "greeting = edited by the administrator",
    ]


@pytest.mark.parametrize(
    ("manager", "mode", "ucf"),
    [(APT, "l", "UCF_FORCE_CONFFOLD=1"), (REPLACING, "a", "UCF_FORCE_CONFFNEW=1")],
    ids=["list and keep", "restart and replace"],
)
def test_what_apt_runs_after_a_change_is_told_the_profiles_wish(
    lab: Lab, manager: AptManager, mode: str, ucf: str
) -> None:
    hook = 'DPkg::Post-Invoke {"env >/run/hook.env";};'
    root(lab, "swaps1", f"rm -f /run/hook.env; echo '{hook}' >/etc/apt/apt.conf.d/95hook")
    version = "2.0" if mode == "l" else "1.0"
    go = manager.apply_script if mode == "l" else manager.undo_script
    assert (
        run(lab, "swaps1", go([target("wm-clash", "1.0"), target("wm-fine", version)])).exit_status
        == 0
    )
    told = root(lab, "swaps1", "rm /etc/apt/apt.conf.d/95hook; cat /run/hook.env").splitlines()

    assert f"NEEDRESTART_MODE={mode}" in told
    assert (ucf in told) == (mode == "l"), "an undo keeps configuration files"
    assert "DEBIAN_FRONTEND=noninteractive" in told


# --- sources -------------------------------------------------------------------------------------

SOURCES = """
cd /root && rm -rf repo keys && mkdir repo keys && chmod 700 keys
pgp="gpg --homedir /root/keys --batch --quiet --passphrase="
for name in lab other; do $pgp --quick-gen-key $name@example.org ed25519 sign never; done
$pgp --export lab@example.org >/usr/share/keyrings/own.gpg
day() { date -u -d "$1 days ago" '+%a, %d %b %Y %H:%M:%S UTC'; }
for kind in good expired forged broken unsigned; do
  mkdir -p repo/$kind && cd repo/$kind
  printf 'Package: own-%s\\nVersion: 1\\nArchitecture: all\\n' $kind >Packages
  printf 'Filename: ./own.deb\\nSize: 1\\n' >>Packages
  sum=$(sha256sum Packages | cut -d' ' -f1)
  printf 'Date: %s\\nSHA256:\\n' "$(day 3)" >Release
  printf ' %s %s Packages\\n' $sum "$(stat -c %s Packages)" >>Release
  [ $kind != expired ] || echo "Valid-Until: $(day 2)" >>Release
  who=lab
  [ $kind != forged ] || who=other
  if [ $kind != unsigned ]; then
    $pgp -u $who@example.org --clearsign -o InRelease Release && rm Release
  fi
  [ $kind != broken ] || sed -i s/own/bad/ Packages
  cd ../..
done
chmod -R a+rX /root/repo && chmod a+x /root
for kind in good expired forged broken; do
  echo "deb [signed-by=/usr/share/keyrings/own.gpg] file:/root/repo/$kind ./"
done >/etc/apt/sources.list.d/own.list
echo 'deb file:/root/repo/unsigned ./' >>/etc/apt/sources.list.d/own.list
echo 'deb http://nowhere.lab/nobody bookworm main' >>/etc/apt/sources.list.d/own.list
printf 'Types: deb\\nURIs: file:/root/repo/forged/.\\nSuites: ./\\nTrusted: yes\\n' \
  >/etc/apt/sources.list.d/own.sources
printf 'Acquire::%s;\\n' 'Check-Date "false"' 'AllowInsecureRepositories "true"' \
  >/etc/apt/apt.conf.d/95weak
"""


def by_name(seen: Facts) -> dict[str, Repository]:
    return {
        r.name.removeprefix("file:/root/repo/").removesuffix(" ./"): r for r in seen.repositories
    }


def test_each_source_says_whether_it_can_be_had_and_trusted(lab: Lab) -> None:
    root(lab, "swaps1", SOURCES)
    try:
        seen = facts(lab, "swaps1")
    finally:
        root(lab, "swaps1", "rm /etc/apt/sources.list.d/own.* /etc/apt/apt.conf.d/95weak")
    found = by_name(seen)

    assert (found["good"].reachable, found["good"].signed) == (True, True)
    assert not found["expired"].reachable
    assert "expired" in found["expired"].detail
    assert (found["forged"].reachable, found["forged"].signed) == (True, False)
    assert "NO_PUBKEY" in found["forged"].detail
    assert not found["broken"].reachable
    assert not found["unsigned"].signed
    assert not found["http://nowhere.lab/nobody bookworm"].reachable
    trusting = found["forged/."]
    assert not trusting.signed
    assert "/etc/apt/sources.list.d/own.sources:1: Trusted: yes" in trusting.detail
    assert "Acquire::Check-Date 'false'" in found["good"].detail
    assert "as of" in found["http://mirror.lab/debian bookworm"].detail
    assert seen.index_errors, "a source that cannot be had is never read as no updates"


def test_a_list_that_another_apt_renews_is_waited_for(lab: Lab) -> None:
    root(
        lab,
        "swaps1",
        """
        cat >/root/hold <<'X'
use Fcntl; open(F, ">>/var/lib/apt/lists/lock");
my $lock = pack("s s l! l! i", F_WRLCK, 0, 0, 0, 0);
fcntl(F, F_SETLK, $lock) or die; sleep 5
X
        setsid -f perl /root/hold </dev/null >/dev/null 2>&1
        sleep 0.5
        """,
    )
    began = time.monotonic()
    seen = facts(lab, "swaps1")

    assert seen.index_errors == ()
    assert time.monotonic() - began > 3


def test_whoever_fetches_packages_is_waited_for(lab: Lab) -> None:
    root(
        lab,
        "swaps1",
        """
        cat >/root/hold <<'X'
use Fcntl; open(F, ">>/var/cache/apt/archives/lock");
my $lock = pack("s s l! l! i", F_WRLCK, 0, 0, 0, 0);
fcntl(F, F_SETLK, $lock) or die; sleep 7
X
        apt-get -qq update
        setsid -f perl /root/hold </dev/null >/dev/null 2>&1
        sleep 0.5
        """,
    )

    assert run(lab, "swaps1", APT.apply_script([target("wm-fine", "2.0")])).exit_status == 0
    assert run(lab, "swaps1", APT.undo_script([target("wm-fine", "1.0")])).exit_status == 0


# --- what is not taken ---------------------------------------------------------------------------


def test_pins_and_removals_are_told_as_what_they_are(lab: Lab) -> None:
    pin = "Package: zip\\nPin: release l=Debian-Security\\nPin-Priority: -1\\n"
    root(lab, "swaps1", f"printf '{pin}' >/etc/apt/preferences.d/own")
    try:
        pending = {update.name: update for update in facts(lab, "swaps1").pending}
    finally:
        root(lab, "swaps1", "rm /etc/apt/preferences.d/own")

    assert pending["zip"].withheld == "pinned away by the host's preferences (priority -1)"
    assert pending["zip"].security
    assert pending["wm-clash"].removes == ("wm-fine",)
    assert pending["wm-clash"].not_taken == "it would remove wm-fine"


def test_what_a_pin_keeps_away_is_seen_on_a_host_that_speaks_german(lab: Lab) -> None:
    pin = "Package: zip\\nPin: release l=Debian-Security\\nPin-Priority: -1\\n"
    root(lab, "swaps1", f"printf '{pin}' >/etc/apt/preferences.d/own")
    # As Debian's installer writes it: sshd puts it into a login's environment, and sudo keeps it.
    root(lab, "swaps1", "echo LANGUAGE=de_DE:de >/etc/default/locale")
    try:
        pending = {update.name: update for update in facts(lab, "swaps1").pending}
    finally:
        root(lab, "swaps1", "rm /etc/apt/preferences.d/own /etc/default/locale")

    assert (pending["zip"].security, bool(pending["zip"].withheld)) == (True, True)


def test_a_kernel_that_cannot_come_up_is_seen_before_the_reboot(lab: Lab) -> None:
    running = facts(lab, "swaps1").running_kernel
    flavour = running.partition("-")[2]
    newest = f"99.1.0-{flavour}"
    root(
        lab,
        "swaps1",
        f"""
        mkdir -p /tmp/kernel/DEBIAN /boot
        printf 'Package: linux-image-{newest}\\nVersion: 1\\nArchitecture: amd64\\n' \
          >/tmp/kernel/DEBIAN/control
        printf 'Maintainer: lab <lab@example.org>\\nDescription: no kernel at all\\n' \
          >>/tmp/kernel/DEBIAN/control
        dpkg-deb --build /tmp/kernel /tmp/kernel.deb >/dev/null && dpkg -i /tmp/kernel.deb
        echo image >/boot/vmlinuz-{running}; echo ramdisk >/boot/initrd.img-{running}
        : >/boot/initrd.img-{newest}
        """,
    )
    try:
        seen = facts(lab, "swaps1", refresh=False)
    finally:
        root(lab, "swaps1", f"rm /boot/*; dpkg --purge linux-image-{newest}")

    assert seen.newest_kernel == newest
    assert seen.boot_faults == (
        f"/boot has no kernel for {newest}",
        f"/boot/initrd.img-{newest} is empty",
    )
