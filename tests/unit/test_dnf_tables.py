"""What yum, dnf4 and dnf5 print for people is read exactly, broken lines and old forms included."""

import pytest

from wavemend.managers.dnf.tables import (
    displaced,
    parse_nevra,
    read_advisories,
    read_listing,
    read_table,
)
from wavemend.packages import Target


def target(name: str, version: str, arch: str = "x86_64") -> Target:
    return Target(name=name, arch=arch, version=version)


# The forms below are those of public transcripts of the systems named, with other packages.

YUM_CENTOS7 = """
bind-license.noarch                      32:9.11.4-26.P2.el7_9.16        updates
kernel.x86_64                            3.10.0-1160.119.1.el7           updates
a-package-whose-name-takes-all-the-room-that-a-terminal-has.x86_64
                                         2:1.0-1.el7                     epel
Obsoleting Packages
iwl7265-firmware.noarch                  22.0.7.0-83.el7_9               updates
    iwl7265-firmware.noarch              22.0.7.0-79.el7                 @anaconda
"""


def test_yum_breaks_long_rows_and_they_are_read_whole() -> None:
    listing = read_listing(YUM_CENTOS7.split("\n"))

    assert [(row.package, row.repository) for row in listing.updates] == [
        (target("bind-license", "32:9.11.4-26.P2.el7_9.16", "noarch"), "updates"),
        (target("kernel", "3.10.0-1160.119.1.el7"), "updates"),
        (
            target("a-package-whose-name-takes-all-the-room-that-a-terminal-has", "2:1.0-1.el7"),
            "epel",
        ),
    ]
    assert listing.unread == ()


YUM_CENTOS6 = """
================================================================================
 Package                 Arch     Version                       Repository
                                                                           Size
================================================================================
Installing:
 gcc                     x86_64   4.4.7-23.el6                  base       10 M
     replacing  old-compiler.x86_64 4.4.7-18.el6
Updating:
 binutils                x86_64   2.20.51.0.2-5.48.el6_10.1     updates   2.8 M
Installing for dependencies:
 glibc-devel             x86_64   2.12-1.212.el6_10.3           updates   991 k
 spirv-tools-libs        i686     2018.1-0.2.20180205.git9e19fc0.el6
                                                                updates  614 k
Updating for dependencies:
 perl                    x86_64   4:5.10.1-144.el6              base       10 M
Removing:
 kernel                  x86_64   2.6.32-642.el6                @base     0.0

Transaction Summary
================================================================================
Install       3 Package(s)
Total download size: 24 M
"""


def test_yum_tables_are_read_with_rows_broken_anywhere() -> None:
    table = read_table(YUM_CENTOS6.split("\n"))

    assert [row.package for row in table.under("Installing for")] == [
        target("glibc-devel", "2.12-1.212.el6_10.3"),
        target("spirv-tools-libs", "2018.1-0.2.20180205.git9e19fc0.el6", "i686"),
    ]
    assert [row.package.name for row in table.incoming] == [
        "gcc",
        "binutils",
        "glibc-devel",
        "spirv-tools-libs",
        "perl",
    ]
    assert displaced(table.rows[0]) == ("old-compiler",)
    assert table.removed == ("kernel", "old-compiler")
    assert (table.complete, table.unread, table.download_bytes) == (True, (), 24 << 20)


DNF5_FEDORA40 = """
Package                     Arch     Version                     Repository          Size
Removing:
 kernel                     x86_64   6.8.5-301.fc40              fedora           0.0   B
 kernel-core                x86_64   0:6.8.5-301.fc40            fedora          66.4 MiB
Upgrading:
 openssl-libs               x86_64   1:3.2.4-1.fc40              updates          7.8 MiB
   replacing openssl-libs   x86_64   1:3.2.1-2.fc40              updates          7.8 MiB
Installing:
 kernel-core                x86_64   0:6.13.5-100.fc40           updates         66.4 MiB

Transaction Summary:
 Installing:         1 package
Total size of inbound packages is 27 KiB. Need to download 27 KiB.
After this operation, 157 MiB will be freed (install 47 KiB, remove 157 MiB).
"""


def test_dnf5_tables_are_read_and_an_old_kernel_that_makes_room_is_no_removal() -> None:
    lines = DNF5_FEDORA40.split("\n")
    table = read_table(lines, ())

    assert [row.package for row in table.incoming] == [
        target("openssl-libs", "1:3.2.4-1.fc40"),
        target("kernel-core", "6.13.5-100.fc40"),
    ]
    assert displaced(table.incoming[0]) == ()
    assert table.removed == ("kernel",)  # nothing newer of that name comes in
    assert (table.download_bytes, table.install_bytes) == (27 << 10, -157 << 20)


def test_a_table_without_a_summary_was_not_resolved() -> None:
    assert not read_table(YUM_CENTOS6.split("\n")[:9]).complete


def test_a_row_that_cannot_be_read_is_said() -> None:
    table = read_table(["Upgrading:", " foo x86_64", "Transaction Summary"])

    assert table.unread == (" foo x86_64",)


YUM_SKIPPED = """
Installing group/module packages:
 group-member               x86_64   1.0-1.el7              base                 22 k
Updating:
 zlib                       x86_64   1.2.7-99.el7           updates              90 k
Skipped (dependency problems):
 glibc                      x86_64   2.17-999.el7           updates             3.6 M
 a-name-that-takes-all-the-room-of-its-column
                            x86_64   1.0-1.el7              updates             3.6 M

Transaction Summary
"""


def test_what_is_skipped_or_stands_below_an_unknown_heading_is_not_of_the_one_before() -> None:
    table = read_table(YUM_SKIPPED.split("\n"))

    assert [row.package.name for row in table.under("Updating")] == ["zlib"]
    assert [row.package.name for row in table.incoming] == ["group-member", "zlib"]
    assert len(table.under("Skipped (dependency problems)")) == 2
    assert table.unread == ()


DNF4_STREAMS = """
Upgrading:
 webserver                  x86_64   1.14.1-9.module+el8    appstream           570 k
Enabling module streams:
 webserver                           1.14
 interpreter                         5.26
Skipping packages with conflicts:
(add '--best --allowerasing' to command line to force their upgrade):
 container-engine           x86_64   3:19.03.5-3.el7        vendor-stable        24 M

Transaction Summary
"""


def test_module_streams_that_would_be_enabled_are_named() -> None:
    table = read_table(DNF4_STREAMS.split("\n"))

    assert table.streams == ("webserver:1.14", "interpreter:5.26")
    assert [row.package.name for row in table.incoming] == ["webserver"]
    assert table.unread == ()


def test_a_row_of_an_architecture_that_nobody_knew_is_a_row() -> None:
    rows = ["bash.x86_64_v2  5.2.26-6.el10  baseos", "zlib.future64  1:1.3-1.el12  baseos"]
    listing = read_listing([*rows, "zip.future64  3.0-1", "mirrors.example.org is slow today"])

    assert [(row.package.name, row.package.arch) for row in listing.updates] == [
        ("bash", "x86_64_v2"),
        ("zlib", "future64"),
    ]
    assert listing.unread == ("zip.future64  3.0-1",)


RHEL8 = """
Updating Subscription Management repositories.
RHSA-2024:3344 Important/Sec. glibc-2.28-251.el8_10.2.x86_64
RHSA-2024:5101 Moderate/Sec.  kernel-core-4.18.0-553.16.1.el8_10.x86_64
RHBA-2024:3267 bugfix         sudo-1.9.5p2-1.el8_9.x86_64
FEDORA-EPEL-2024-aa0f1 unspecified screen-4.6.2-12.el8.x86_64
RHSA-2024:1687 Important/Sec. nodejs-1:18.20.2-1.module+el8.9.0+21767+537f34ee.x86_64
"""
OL6 = """
Loaded plugins: security, ulninfo, versionlock
ELSA-2018-0013 moderate/Sec. libgcc-4.4.7-18.el6_9.2.x86_64
OVMBA-2017-0131 bugfix       irqbalance-2:1.0.7-9.el6.x86_64
updateinfo list done
"""
FEDORA41 = """
Name                   Type     Severity                 Package              Issued
FEDORA-2024-0d1c5a7f1b security Important xz-5.6.3-2.fc41.x86_64 2024-11-02 02:11:45
FEDORA-2024-aaaaaaaaaa bugfix   None    bash-5.2.32-1.fc41.x86_64 2024-11-02 02:11:45
"""
FEDORA40_NARROW = """
Name                   Type Severity               Package              Issued
FEDORA-2024-0d1c5a7f1b secu Importan xz-5.6.3-2.fc40.x86_64 2024-11-02 02:11:45
FEDORA-2024-aaaaaaaaaa bugf None   bash-5.2.32-1.fc40.x86_64 2024-11-02 02:11:45
FEDORA-2024-bbbbbbbbbb unsp         zip-3.0-41.fc40.x86_64 2024-11-02 02:11:45
"""


@pytest.mark.parametrize(
    ("text", "names", "secure"),
    [
        (RHEL8, ["glibc", "kernel-core", "sudo", "screen", "nodejs"], 3),
        (OL6, ["libgcc", "irqbalance"], 1),
        (FEDORA41, ["xz", "bash"], 1),
        (FEDORA40_NARROW, ["xz", "bash", "zip"], 1),
    ],
    ids=["rhel8", "oracle-linux-6", "fedora41", "fedora40-narrow"],
)
def test_advisory_lists_are_read_in_every_form(text: str, names: list[str], secure: int) -> None:
    rows, unread = read_advisories([line for line in text.split("\n") if line])

    assert ([row.package.name for row in rows], unread) == (names, ())
    assert sum(row.security for row in rows) == secure


def test_an_advisory_row_without_a_package_is_said() -> None:
    rows, unread = read_advisories(["RHSA-2024:1 Important/Sec. nothing"])

    assert (rows, unread) == ((), ("RHSA-2024:1 Important/Sec. nothing",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("zip-3.0-13.el9.x86_64", target("zip", "3.0-13.el9")),
        ("bind-libs-32:9.16.23-18.el9_4.6.x86_64", target("bind-libs", "32:9.16.23-18.el9_4.6")),
        ("wm-fine-0:2.0-1.el9.noarch", target("wm-fine", "2.0-1.el9", "noarch")),
        ("zip", None),
        ("zip-3.0.x86_64", None),
    ],
)
def test_builds_are_read_with_their_epoch(text: str, expected: Target | None) -> None:
    assert parse_nevra(text) == expected
