"""What a Debian host answers is read as it is: held, phased, kept back, broken, locked, stale."""

import dataclasses
import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.apt_cases import CASES, LAB, NOON, RECORDED, Replies, read, recorded, summary
from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import Facts, InstalledPackage, PendingUpdate
from wavemend.managers.apt.kernels import flavour_of, newest_kernel, reboot_reasons
from wavemend.managers.apt.parse import read_simulation, read_upgradable
from wavemend.versions import deb_key

FACTS = sorted(CASES.glob("facts-*.txt"))


@pytest.mark.parametrize("path", FACTS, ids=lambda path: path.stem)
def test_a_recorded_answer_gives_the_recorded_facts(path: Path) -> None:
    assert summary(read(path.read_bytes())) == json.loads(path.with_suffix(".json").read_text())


def updates(facts: Facts) -> dict[str, PendingUpdate]:
    return {update.name: update for update in facts.pending}


def test_a_held_package_is_pending_with_its_candidate_and_origin() -> None:
    facts = read(recorded("facts-held-phased-kept-back"))

    held = updates(facts)["lab-held"]
    assert (held.installed, held.candidate, held.held) == ("1.0", "1.1", True)
    assert held.origin == "Lab-Security:1/lab-security"
    assert facts.held == ("lab-held",)


def test_a_phased_update_is_told_apart_from_one_that_is_kept_back() -> None:
    found = updates(read(recorded("facts-held-phased-kept-back")))

    assert [name for name, update in found.items() if update.phased] == ["lab-phased"]
    kept = [name for name, update in found.items() if update.kept_back]
    assert kept == ["lab-conflict", "lab-newdep", "lab-unmet"]


def test_an_update_that_nothing_can_install_is_pending_all_the_same() -> None:
    unmet = updates(read(recorded("facts-held-phased-kept-back")))["lab-unmet"]

    assert (unmet.installed, unmet.candidate, unmet.security) == ("1.0", "1.1", True)


def test_an_update_that_passes_over_a_security_version_counts_as_security() -> None:
    skip = updates(read(recorded("facts-held-phased-kept-back")))["lab-skip"]

    assert skip.origin == "Lab:1/lab-updates"
    assert skip.security
    plain = updates(read(recorded("facts-held-phased-kept-back")))["lab-phased"]
    assert not plain.security


def test_a_half_configured_package_is_broken_and_not_installed() -> None:
    facts = read(recorded("facts-half-configured-reboot-due"))

    assert [(p.name, p.version, p.status) for p in facts.broken] == [("lab-postinst", "1.1", "iF")]
    assert facts.version_of("lab-postinst") == ""
    assert facts.reboot_reasons == ("/run/reboot-required: lab-reboot",)


def test_the_lock_holder_is_named_with_its_process_id() -> None:
    facts = read(recorded("facts-locked"))

    assert facts.lock_holder == "apt-get (8705), dpkg (8734)"


def test_an_index_that_cannot_be_refreshed_never_reads_as_no_updates() -> None:
    facts = read(recorded("facts-index-unreachable"))

    assert len(facts.index_errors) == 2
    assert "Connection refused" in facts.index_errors[0]
    assert "Some index files failed to download" in facts.index_errors[1]


def changed(name: str, old: bytes, new: bytes) -> bytes:
    text = recorded(name)
    assert old in text
    return text.replace(old, new)


def test_a_refresh_that_was_stopped_or_failed_without_a_word_is_an_index_error() -> None:
    stopped = changed("facts-held-phased-kept-back", b"end refresh 0", b"end refresh 124")
    failed = changed("facts-held-phased-kept-back", b"end refresh 0", b"end refresh 42")

    assert read(stopped).index_errors == ("apt-get update did not end in time and was stopped",)
    assert read(failed).index_errors == ("apt-get update ended with 42",)


def test_a_simulation_that_fails_is_said_and_the_listed_updates_stay() -> None:
    facts = read(changed("facts-held-phased-kept-back", b"end upgrade 0", b"end upgrade 100"))

    assert facts.index_errors == ("simulated upgrade ended with 100: ",)
    assert "lab-unmet" in updates(facts)


def test_an_unreadable_simulation_line_is_said() -> None:
    odd = changed("facts-up-to-date", b"begin upgrade\n", b"begin upgrade\nInst ???\n")

    assert read(odd).index_errors == ("simulated upgrade: Inst ???",)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.97])
def test_an_answer_cut_off_anywhere_is_refused(share: float) -> None:
    whole = recorded("facts-held-phased-kept-back")

    with pytest.raises(HostAnswerInvalid, match="breaks off"):
        read(whole[: int(len(whole) * share)])


def test_an_answer_that_was_cut_to_fit_is_refused() -> None:
    replies = Replies(recorded("facts-up-to-date"), dropped=1)

    with pytest.raises(HostAnswerInvalid, match="larger than 1536 KiB"):
        RECORDED.read_facts(LAB, replies, NOON, refresh=False, deadline=60)


def test_an_answer_with_another_nonce_is_refused() -> None:
    with pytest.raises(HostAnswerInvalid):
        read(recorded("facts-up-to-date").replace(b"recorded ", b"forged "))


def test_a_failing_package_database_is_refused() -> None:
    with pytest.raises(HostAnswerInvalid, match="dpkg-query ended with 2"):
        read(changed("facts-up-to-date", b"end packages 0", b"end packages 2"))


def test_the_time_of_the_request_does_not_count_as_clock_skew() -> None:
    answer = recorded("facts-up-to-date")
    clock = float(answer.split(b"clock ")[1].split()[0])
    host_time = NOON + timedelta(seconds=clock - NOON.timestamp())

    for delay, seconds in ((0.0, 5.0), (2.0, 5.0), (0.5, 30.0)):
        asked = host_time - timedelta(seconds=delay)
        assert read(answer, now=asked, seconds=seconds).clock_skew_seconds == 0.0


@pytest.mark.parametrize(("ahead", "seen"), [(3600.0, 3600.0), (-3600.0, -3600.0)])
def test_a_clock_that_is_off_is_seen_to_the_second(ahead: float, seen: float) -> None:
    answer = recorded("facts-up-to-date")
    clock = float(answer.split(b"clock ")[1].split()[0])
    asked = NOON + timedelta(seconds=clock - NOON.timestamp() - ahead)

    assert read(answer, now=asked, seconds=4.0).clock_skew_seconds == pytest.approx(seen, abs=4.0)


SPACE = b"begin space\n"


@pytest.mark.parametrize("inodes", [b"0 0", b"- -"])
def test_a_file_system_that_makes_inodes_as_needed_is_not_called_full(inodes: bytes) -> None:
    answer = recorded("facts-up-to-date").replace(SPACE, SPACE + b"/data 100 2048 %b\n" % inodes)

    row = next(space for space in read(answer).free_space if space.path == "/data")
    assert (row.free_bytes, row.free_inodes) == (2048 * 1024, -1)


def test_a_full_file_system_without_inodes_left_reads_as_none_left() -> None:
    answer = recorded("facts-up-to-date").replace(SPACE, SPACE + b"/data 100 0 1000 0\n")

    row = next(space for space in read(answer).free_space if space.path == "/data")
    assert (row.free_bytes, row.free_inodes) == (0, 0)


NO_NUMBERS = ["9" * 17, "9" * 5_000, "\u0665", "nan", "inf", "1_0", "1e9", "-1"]


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize("name", [b"uptime ", b"clock "])
def test_a_time_of_a_host_that_is_none_is_refused(name: bytes, number: str) -> None:
    whole = recorded("facts-up-to-date")
    real = whole.split(b"\n" + name)[1].split()[0]

    with pytest.raises(HostAnswerInvalid, match="not a number of seconds"):
        read(whole.replace(b"\n" + name + real, b"\n" + name + number.encode(), 1))


@pytest.mark.parametrize("blocks", ["9" * 17, "9" * 5_000, "\u00b2", "--5", "1.5"])
def test_a_free_space_that_is_no_count_is_refused(blocks: str) -> None:
    row = f"/data 100 {blocks} 10 10\n".encode()

    with pytest.raises(HostAnswerInvalid, match="df printed"):
        read(recorded("facts-up-to-date").replace(SPACE, SPACE + row))


@pytest.mark.parametrize("inodes", ["\u00b2 1", "1 \u00b2", "9" * 5_000 + " 1", "1 " + "9" * 20])
def test_inodes_that_cannot_be_counted_are_no_limit(inodes: str) -> None:
    answer = recorded("facts-up-to-date").replace(SPACE, SPACE + f"/data 1 1 {inodes}\n".encode())

    assert next(s for s in read(answer).free_space if s.path == "/data").free_inodes == -1


@pytest.mark.parametrize("release", ["6.1@x-amd64", "9" * 5_000 + "-amd64", "6.1:1_\u00e9-amd64"])
def test_a_kernel_package_of_odd_naming_raises_nothing_and_outranks_nothing(release: str) -> None:
    real = package("linux-image-6.1.0-37-amd64")

    for packages in (
        [real, package(f"linux-image-{release}")],
        [package("linux-image-6.1@-amd64")],
    ):
        newest_kernel("6.1.0-37-amd64", packages)
    odd = [package(f"linux-image-{release}"), real]
    assert newest_kernel("6.1.0-37-amd64", odd) == "6.1.0-37-amd64"


@pytest.mark.parametrize("version", ["9" * 5_000, "9" * 5_000 + ":1", "1-" + "9" * 5_000])
def test_a_version_with_an_endless_number_spoils_no_look(version: str) -> None:
    line = f"zz-odd\t{version}\tall\tzz-odd\t{version}\tii \n".encode()
    answer = recorded("facts-up-to-date").replace(b"begin packages\n", b"begin packages\n" + line)

    assert "zz-odd" in {item.name for item in read(answer).installed}
    with pytest.raises(ValueError, match="is not a Debian version"):
        deb_key(version)


RIVALS = b"begin rivals\n"
UNATTENDED = b"unattended-upgrades\t2.9\tall\tunattended-upgrades\t2.9\tii \n"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b'APT::Periodic::Unattended-Upgrade "1";\ntimer enabled\n', ("unattended-upgrades",)),
        (b'APT::Periodic::Unattended-Upgrade "1";\ntimer cron\n', ("unattended-upgrades",)),
        (b'APT::Periodic::Unattended-Upgrade "1";\ntimer masked\n', ()),
        (b'APT::Periodic::Unattended-Upgrade "0";\ntimer enabled\n', ()),
        (
            b'APT::Periodic::Enable "0";\nAPT::Periodic::Unattended-Upgrade "1";\ntimer enabled\n',
            (),
        ),
        (b"/proc/44/comm:apt.systemd.dai\n", ("apt-daily (44)",)),
        (b"/proc/45/comm:aptitude\n", ("aptitude (45)",)),
    ],
)
def test_rival_updaters_are_named_only_when_they_can_act(
    lines: bytes, expected: tuple[str, ...]
) -> None:
    answer = recorded("facts-up-to-date").replace(b"timer enabled\n", b"")
    answer = answer.replace(RIVALS, RIVALS + lines)
    answer = answer.replace(b"begin packages\n", b"begin packages\n" + UNATTENDED)

    assert read(answer).rivals == expected


def package(name: str, version: str = "1") -> InstalledPackage:
    return InstalledPackage(
        name=name, version=version, arch="amd64", source="linux", source_version=version
    )


@pytest.mark.parametrize(
    ("release", "flavour"),
    [
        ("6.1.0-37-amd64", "amd64"),
        ("6.1.0-37-cloud-amd64", "cloud-amd64"),
        ("5.10.0-0.deb10.16-amd64", "amd64"),
        ("5.15.0-91-generic", "generic"),
        ("6.12.43+deb13-amd64", "amd64"),
        ("6.6.20+rpt-rpi-v8", "rpi-v8"),
        ("6.8.12-4-pve", "pve"),
        ("6.18.44", ""),
    ],
)
def test_a_kernels_flavour_is_what_is_left_without_numbers(release: str, flavour: str) -> None:
    assert flavour_of(release) == flavour


def test_the_newest_kernel_is_of_the_running_flavour_and_compared_as_a_version() -> None:
    installed = [
        package("linux-image-6.1.0-9-amd64"),
        package("linux-image-6.1.0-37-amd64"),
        package("linux-image-6.12.0-1-cloud-amd64"),
        package("linux-image-6.1.0-99-amd64-dbg"),
        package("linux-image-amd64", "6.1.192-1"),
    ]

    assert newest_kernel("6.1.0-9-amd64", installed) == "6.1.0-37-amd64"
    assert newest_kernel("5.15.0-91-generic", installed) == ""
    assert newest_kernel("", []) == ""


def test_a_signed_and_an_unsigned_image_are_the_same_kernel() -> None:
    installed = [package("linux-image-unsigned-6.8.0-49-generic")]
    assert newest_kernel("6.8.0-31-generic", installed) == "6.8.0-49-generic"
    installed = [package("proxmox-kernel-6.8.12-11-pve-signed")]
    assert newest_kernel("6.8.12-4-pve", installed) == "6.8.12-11-pve"


def test_an_older_running_kernel_asks_for_a_reboot_and_a_rescue_kernel_does_not() -> None:
    newer = [package("linux-image-6.1.0-9-amd64"), package("linux-image-6.1.0-37-amd64")]
    rescue = [package("linux-image-6.1.0-9-amd64"), package("linux-image-6.12.0-1-rt-amd64")]

    reasons = reboot_reasons("6.1.0-9-amd64", "", newer, (), ())
    assert reasons == ("kernel 6.1.0-9-amd64 runs, 6.1.0-37-amd64 is installed",)
    assert reboot_reasons("6.1.0-9-amd64", "", rescue, (), ()) == ()


def test_a_rebuilt_kernel_of_the_same_release_asks_for_a_reboot() -> None:
    build = "Linux version 6.1.0-37-amd64 (x) (gcc) #1 SMP PREEMPT_DYNAMIC Debian 6.1.140-1 (2025)"
    same = [package("linux-image-6.1.0-37-amd64", "6.1.140-1")]
    newer = [package("linux-image-6.1.0-37-amd64", "6.1.140-2")]

    assert reboot_reasons("6.1.0-37-amd64", build, same, (), ()) == ()
    assert "6.1.140-2 is installed" in reboot_reasons("6.1.0-37-amd64", build, newer, (), ())[0]


def test_needrestart_adds_stale_services_and_never_repeats_the_kernel() -> None:
    lines = (
        "NEEDRESTART-VER: 3.6",
        "NEEDRESTART-KCUR: 6.1.0-9-amd64",
        "NEEDRESTART-KEXP: 6.1.0-37-amd64",
        "NEEDRESTART-KSTA: 3",
        "NEEDRESTART-SVC: ssh.service",
        "NEEDRESTART-SVC: cron.service",
    )
    stale = "services still run replaced files: cron.service, ssh.service"

    assert reboot_reasons("6.1.0-9-amd64", "", (), (), lines) == (
        "needrestart: kernel 6.1.0-9-amd64 runs, 6.1.0-37-amd64 is expected",
        stale,
    )
    newer = [package("linux-image-6.1.0-37-amd64")]
    assert reboot_reasons("6.1.0-9-amd64", "", newer, (), lines)[1:] == (stale,)
    assert reboot_reasons("6.1.0-9-amd64", "", (), (), ("NEEDRESTART-KSTA: 1",)) == ()


def test_needrestart_is_not_believed_about_a_kernel_of_another_flavour() -> None:
    lines = (
        "NEEDRESTART-KCUR: 6.1.0-37-amd64",
        "NEEDRESTART-KEXP: 6.12.0-1-rt-amd64",
        "NEEDRESTART-KSTA: 3",
    )
    both = [package("linux-image-6.1.0-37-amd64"), package("linux-image-6.12.0-1-rt-amd64")]

    assert reboot_reasons("6.1.0-37-amd64", "", both, (), lines) == ()
    # Where the running flavour is gone, the other one is what comes next.
    assert reboot_reasons("6.1.0-37-amd64", "", both[1:], (), lines) == (
        "needrestart: kernel 6.1.0-37-amd64 runs, 6.12.0-1-rt-amd64 is expected",
    )


@pytest.mark.parametrize(
    ("line", "name", "arch", "installed", "candidate", "origin"),
    [
        (
            "Inst perl [5.36.0-7] (5.36.0-7+deb12u4 Debian-Security:12/oldstable-security"
            " [amd64]) []",
            *("perl", "amd64", "5.36.0-7", "5.36.0-7+deb12u4"),
            "Debian-Security:12/oldstable-security",
        ),
        (
            "Inst libpam-modules-bin [1] (2 Debian:12.15/oldstable [amd64])"
            " [libpam-modules:amd64 on libpam-modules-bin:amd64] [libpam-modules:amd64 ]",
            *("libpam-modules-bin", "amd64", "1", "2", "Debian:12.15/oldstable"),
        ),
        (
            "Inst libc6:i386 [2.36-9] (2.36-9+deb12u1 Debian:12/stable, Debian-Security:12/"
            "stable-security [i386])",
            *("libc6", "i386", "2.36-9", "2.36-9+deb12u1"),
            "Debian:12/stable, Debian-Security:12/stable-security",
        ),
        (
            "Inst new-dep (1.0 Docker CE:bookworm [amd64])",
            "new-dep",
            "amd64",
            "",
            "1.0",
            "Docker CE:bookworm",
        ),
        ("Inst local-deb [1] (2 [all])", "local-deb", "all", "1", "2", ""),
    ],
)
def test_lines_of_a_simulation_are_read_whatever_stands_behind_them(
    line: str, name: str, arch: str, installed: str, candidate: str, origin: str
) -> None:
    read_back = read_simulation([line, "Conf x", "Reading package lists..."])

    assert read_back.unread == ()
    (step,) = read_back.steps
    assert (step.name, step.arch, step.installed) == (name, arch, installed)
    assert (step.candidate, step.origin) == (candidate, origin)


@given(st.lists(st.text(max_size=80)))
def test_no_text_breaks_the_readers_and_every_step_or_oddity_is_kept(lines: list[str]) -> None:
    simulated = [f"Inst {line}" for line in lines]
    seen = read_simulation(simulated)
    assert len(seen.steps) + len(seen.unread) == len(simulated)
    listed = [f"{line} [upgradable from: 1]" for line in lines]
    found = read_upgradable(listed)
    assert len(found.steps) + len(found.unread) == len(listed)


@given(st.binary(max_size=2_000))
def test_no_bytes_a_host_sends_raise_anything_but_the_declared_error(noise: bytes) -> None:
    whole = recorded("facts-up-to-date")
    for answer in (noise, whole[:900] + noise + whole[900:], whole.replace(b"ii \n", noise, 1)):
        try:
            read(answer)
        except HostAnswerInvalid:
            continue


def test_facts_of_a_simulated_host_say_so() -> None:
    simulated = dataclasses.replace(LAB, simulated=True)
    replies = Replies(recorded("facts-up-to-date"))

    assert RECORDED.read_facts(simulated, replies, NOON, refresh=False, deadline=60).simulated


@pytest.mark.parametrize(
    ("deadline", "refresh", "seconds"),
    [(420, True, "300"), (120, True, "30"), (20, True, "10"), (420, False, "0")],
)
def test_the_refresh_is_bounded_by_the_deadline(
    deadline: float, refresh: bool, seconds: str
) -> None:
    replies = Replies(recorded("facts-up-to-date"))
    RECORDED.read_facts(LAB, replies, NOON, refresh=refresh, deadline=deadline)

    ((argv, _),) = replies.asked
    assert argv == ("/bin/sh", "-s", "--", "recorded", seconds)
