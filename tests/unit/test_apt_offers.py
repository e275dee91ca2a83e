"""Every fix that exists for a Debian or Ubuntu host is pending, with what keeps it from coming."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.apt_cases import CASES, read, recorded
from wavemend.hosts import InstalledPackage, PendingUpdate
from wavemend.managers.apt.parse import read_companions, read_policy
from wavemend.managers.apt.pending import pending_updates
from wavemend.managers.apt.withheld import Installed, behind_subscription, pinned_away
from wavemend.managers.reading.sections import Section
from wavemend.packages import Target


def case(name: str) -> tuple[str, ...]:
    """Return the lines that an Ubuntu host printed; where from says the README there."""
    return tuple(Path(CASES, f"{name}.txt").read_text().splitlines())


def section(lines: Sequence[str], status: int = 0) -> Section:
    return Section(lines=tuple(lines), errors=(), status=status)


def pending(
    sections: Mapping[str, Sequence[str]], withheld: Sequence[PendingUpdate] = ()
) -> dict[str, PendingUpdate]:
    answered = {name: section(lines) for name, lines in sections.items()}
    updates, unread = pending_updates(answered, frozenset(), withheld)
    assert unread == ()
    return {update.name: update for update in updates}


def package(name: str, version: str, arch: str = "amd64") -> InstalledPackage:
    return InstalledPackage(
        name=name, version=version, arch=arch, source=name, source_version=version
    )


# --- Ubuntu --------------------------------------------------------------------------------------

# UPGRADE, KEPT_BACK, NO_SECURITY and UPGRADABLE are no recordings: they are texts in the form that
# apt prints on Ubuntu 22.04 and 24.04, with packages and versions made up here.

BOTH = "Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security"
UPGRADE = f"""\
NOTE: This is only a simulation!
Reading package lists...
Building dependency tree...
Reading state information...
Calculating upgrade...
Get more security updates through Ubuntu Pro with 'esm-apps' enabled:
  wm-cellar
Learn more about Ubuntu Pro at https://ubuntu.com/pro
The following upgrades have been deferred due to phasing:
  wm-desk wm-desk-common
The following packages will be upgraded:
  wm-baker wm-calendar-data wm-larder wm-pantry
4 upgraded, 0 newly installed, 0 to remove and 2 not upgraded.
Inst wm-baker [1:3.4.1-2ubuntu1.3] (1:3.4.1-2ubuntu1.4 {BOTH} [amd64])
Inst wm-larder [0.9-6ubuntu2] (0.9-6ubuntu2.1 {BOTH} [amd64])
Inst wm-pantry [2.7+ds-1ubuntu0.24.04.1] (2.7+ds-1ubuntu0.24.04.3 {BOTH} [amd64])
Inst wm-calendar-data [0.31ubuntu0.4] (0.31ubuntu0.5 Ubuntu:24.04/noble-updates [all])
Conf wm-baker (1:3.4.1-2ubuntu1.4 {BOTH} [amd64])
Conf wm-larder (0.9-6ubuntu2.1 {BOTH} [amd64])
Conf wm-pantry (2.7+ds-1ubuntu0.24.04.3 {BOTH} [amd64])
Conf wm-calendar-data (0.31ubuntu0.5 Ubuntu:24.04/noble-updates [all])
""".splitlines()
KEPT_BACK = """\
NOTE: This is only a simulation!
Reading package lists...
Building dependency tree...
Reading state information...
Calculating upgrade...
The following packages have been kept back:
  linux-cloud-tools-virtual linux-generic linux-headers-generic
  linux-image-generic wm-plan
0 upgraded, 0 newly installed, 0 to remove and 5 not upgraded.
""".splitlines()
NO_SECURITY = "Inst wm-plan [0.6.1-7ubuntu2] (0.7-3ubuntu1 Ubuntu:22.04/jammy-updates [amd64]) []"
UPGRADABLE = """\
Listing... Done
libwm-pearl2/jammy-updates,jammy-security 2.4.1-3ubuntu1.2 amd64 [upgradable from: 2.4.1-3ubuntu1]
wm-notes-common/jammy-updates 5.20.1 all [upgradable from: 5.20]
wm-pearl/jammy-updates,jammy-security 2.4.1-3ubuntu1.2 amd64 [upgradable from: 2.4.1-3ubuntu1]
""".splitlines()


def test_ubuntus_security_updates_are_told_from_its_other_ones() -> None:
    found = pending({"upgrade": UPGRADE})

    assert {name: update.security for name, update in found.items()} == {
        "wm-baker": True,
        "wm-calendar-data": False,
        "wm-larder": True,
        "wm-pantry": True,
    }
    assert found["wm-pantry"].candidate == "2.7+ds-1ubuntu0.24.04.3"


def test_a_kernel_that_a_plain_upgrade_keeps_back_is_pending_as_a_security_update() -> None:
    shown = case("simulate-new-kernel-ubuntu2204-2023-10")
    found = pending({"upgrade": KEPT_BACK, "full-upgrade": (*shown, NO_SECURITY)})

    kernel = found["linux-image-generic"]
    assert (kernel.kept_back, kernel.security) == (True, True)
    assert (kernel.installed, kernel.candidate) == ("5.15.0.69.67", "5.15.0.86.83")
    assert "linux-image-5.15.0-86-generic" not in found, "what is new is no update of the host"
    assert not found["wm-plan"].security
    assert kernel.not_taken == "it would add or remove other packages"


def test_a_kernel_update_names_the_packages_that_it_brings_and_those_that_come_along() -> None:
    shown = case("simulate-new-kernel-ubuntu2204-2023-10")
    found = pending(
        {
            "upgrade": (),
            "full-upgrade": shown,
            "companions": ("alone linux-generic=5.15.0.86.83", *shown),
        }
    )
    kernel = found["linux-generic"]

    assert kernel.not_taken == ""
    assert Target(name="linux-image-5.15.0-86-generic", arch="amd64", version="5.15.0-86.96") in (
        kernel.brings
    )
    assert Target(name="linux-headers-generic", arch="amd64", version="5.15.0.86.83") in (
        kernel.brings
    )
    assert len(kernel.brings) == 10
    assert found["linux-headers-generic"].brings == (), "only what was asked for is known"


def test_updates_that_no_simulation_shows_come_from_the_list_with_their_pockets() -> None:
    found = pending({"upgrade": (), "upgradable": UPGRADABLE})

    assert found["wm-pearl"].origin == "jammy-updates, jammy-security"
    assert found["wm-pearl"].security
    assert not found["wm-notes-common"].security


PRO = {
    "package": "adminer",
    "version": "4.7.6-1ubuntu0.1~esm1",
    "service_name": "esm-apps",
    "status": "pending_attach",
    "origin": "esm.ubuntu.com",
    "download_size": 123456,
}
"""One entry in the documented form of `pro security-status --format json`: not a recording."""

INSTALLED = Installed(
    [package("adminer", "4.7.6-1", "all"), package("libc6", "2", "i386")], "amd64"
)


def esm(*entries: object) -> Section:
    return section(json.dumps({"_schema_version": "0.1", "packages": entries}).splitlines())


def test_a_fix_behind_a_subscription_is_pending_and_not_taken() -> None:
    (update,), trouble = behind_subscription(esm(PRO), INSTALLED)

    assert trouble == ""
    assert (update.name, update.arch, update.installed) == ("adminer", "all", "4.7.6-1")
    assert (update.candidate, update.security) == ("4.7.6-1ubuntu0.1~esm1", True)
    assert update.not_taken == "needs an Ubuntu Pro subscription (esm-apps)"
    enable = behind_subscription(esm({**PRO, "status": "pending_enable"}), INSTALLED)[0][0]
    assert enable.withheld == "needs this service of Ubuntu Pro to be enabled (esm-apps)"


def test_what_the_subscription_offers_itself_is_left_to_apt() -> None:
    offered = {**PRO, "status": "upgrade_available"}
    unknown = {**PRO, "package": "not-here"}

    assert behind_subscription(esm(offered, unknown), INSTALLED) == ((), "")


def test_an_update_that_apt_offers_is_not_hidden_by_one_behind_a_subscription() -> None:
    (update,), _ = behind_subscription(esm({**PRO, "package": "wm-pantry"}), _has("wm-pantry"))
    found = pending({"upgrade": UPGRADE}, [update])

    assert found["wm-pantry"].not_taken == ""


def _has(name: str) -> Installed:
    return Installed([package(name, "1")], "amd64")


def test_a_host_without_ubuntus_client_says_nothing_of_it() -> None:
    assert behind_subscription(None, INSTALLED) == ((), "")
    assert behind_subscription(section(()), INSTALLED) == ((), "")


@pytest.mark.parametrize(
    "answer",
    [
        section(("not json",), 1),
        section(("[" * 100_000,)),
        section(('{"packages": [{"package": "adminer"}]}',)),
        section(('{"packages": 7}',)),
        section((), 124),
    ],
)
def test_an_answer_of_ubuntus_client_that_cannot_be_read_is_said(answer: Section) -> None:
    updates, trouble = behind_subscription(answer, INSTALLED)

    assert updates == ()
    assert trouble.startswith(f"pro security-status ended with {answer.status}")


def test_it_is_told_where_the_sources_are_told_and_blocks_nothing() -> None:
    said = b"begin esm\nTraceback\n\nrecorded errors esm\nno network\n\nrecorded end esm 1\n\n"
    answer = recorded("facts-up-to-date").replace(b"begin end\n", said + b"recorded begin end\n", 1)
    facts = read(answer)

    (pro,) = facts.repositories
    assert (pro.name, pro.reachable) == ("Ubuntu Pro", True)
    assert pro.detail == "pro security-status ended with 1: no network"
    assert facts.index_errors == ()


# --- pins ----------------------------------------------------------------------------------------


def test_a_pinned_update_is_pending_with_the_pin_as_its_reason() -> None:
    found = {u.name: u for u in read(recorded("facts-pinned-brings-unsigned")).pending}

    assert found["zip"].withheld == "pinned away by the host's preferences (priority -1)"
    assert (found["zip"].candidate, found["zip"].security) == ("3.0-13+deb12u1", True)
    assert found["jq"].withheld == "the host's preferences keep it at 1.6-2.1+deb12u2"
    assert found["libjq1"].not_taken == "it would remove jq"
    assert found["wm-newdep"].brings == (Target(name="wm-extra", arch="all", version="2.0"),)


BACKPORTS = """\
curl:
  Installed: 7.88.1-10+deb12u8
  Candidate: 7.88.1-10+deb12u8
  Version table:
     8.14.1-2~bpo12+1 100
        100 http://deb.example.org/debian bookworm-backports/main amd64 Packages
 *** 7.88.1-10+deb12u8 500
"""


def test_what_an_archive_does_not_offer_automatically_is_no_update() -> None:
    assert tuple(pinned_away(BACKPORTS.splitlines(), _has("curl"))) == ()
    pinned = BACKPORTS.replace("     8.14.1-2~bpo12+1 100", "     8.14.1-2~bpo12+1 50")
    (update,) = pinned_away(pinned.splitlines(), _has("curl"))
    assert update.withheld == "the host's preferences keep it at 7.88.1-10+deb12u8"


def test_a_foreign_architecture_is_told_from_the_native_one() -> None:
    lines = BACKPORTS.replace("curl:", "libc6:i386:").replace(" 100\n", " 500\n", 1).splitlines()

    (update,) = pinned_away(lines, INSTALLED)
    assert (update.name, update.arch) == ("libc6", "i386")
    assert tuple(pinned_away(BACKPORTS.splitlines(), INSTALLED)) == (), "it is not installed"


def test_an_older_version_that_the_preferences_ask_for_is_never_taken() -> None:
    found = pending({"upgrade": ("Inst zip [3.0-14] (3.0-13 Debian:12/stable [amd64])",)})

    assert found["zip"].not_taken == "the host's preferences ask for the older 3.0-13"


def test_a_line_of_a_simulation_that_cannot_be_read_is_said_and_nothing_is_brought() -> None:
    sections = {
        "upgrade": section(()),
        "full-upgrade": section(("Inst zip [1] (2 Debian:12/stable [amd64])",)),
        "companions": section(("alone zip=2", "Inst ???")),
    }
    (update,), unread = pending_updates(sections, frozenset(), ())

    assert unread == ("simulated zip=2: Inst ???",)
    assert update.not_taken == "it would add or remove other packages"


@given(st.lists(st.text(max_size=60)))
def test_no_text_breaks_the_readers_of_tables_and_companions(lines: list[str]) -> None:
    read_policy([f" *** {line}" for line in lines])
    tables = read_policy(["zip:", "  Candidate: 1", *lines])
    assert "zip" in tables
    companions = read_companions(["alone zip=2", *(f"Inst {line}" for line in lines)])
    seen = companions["zip=2"]
    assert len(seen.steps) + len(seen.unread) == len(lines)
