"""Which kernel is due to run is known for each flavour of the RPM world, and for no other host."""

import pytest

from wavemend.hosts import InstalledPackage
from wavemend.managers.reading.sections import Section
from wavemend.managers.rpm.installed import read_database
from wavemend.managers.rpm.kernels import is_kernel, newest_kernel


def package(name: str, version: str, arch: str = "x86_64") -> InstalledPackage:
    return InstalledPackage(
        name=name, version=version, arch=arch, source=name, source_version=version
    )


CASES: dict[str, tuple[str, list[tuple[str, ...]], str]] = {
    "rhel9": (
        "5.14.0-427.el9.x86_64",
        [("kernel-core", "5.14.0-427.el9"), ("kernel-core", "5.14.0-503.el9")],
        "5.14.0-503.el9.x86_64",
    ),
    "centos7": (
        "3.10.0-1160.el7.x86_64",
        [("kernel", "3.10.0-1160.el7"), ("kernel-devel", "3.10.0-1160.119.1.el7")],
        "3.10.0-1160.el7.x86_64",
    ),
    "rhel9-numbers-not-letters": (
        "5.14.0-70.9.1.el9.x86_64",
        [("kernel-core", "5.14.0-70.9.1.el9"), ("kernel-core", "5.14.0-70.13.1.el9")],
        "5.14.0-70.13.1.el9.x86_64",
    ),
    "rhel9-realtime": (
        "5.14.0-427.el9.x86_64+rt",
        [("kernel-rt-core", "5.14.0-503.el9"), ("kernel-core", "5.14.0-570.el9")],
        "5.14.0-503.el9.x86_64+rt",
    ),
    "rhel8-realtime": (
        "4.18.0-477.rt7.240.el8.x86_64",
        [("kernel-rt-core", "4.18.0-553.rt7.342.el8"), ("kernel-core", "4.18.0-600.el8")],
        "4.18.0-553.rt7.342.el8.x86_64",
    ),
    "oracle-uek": (
        "5.15.0-200.131.27.el8uek.x86_64",
        [("kernel-uek", "5.15.0-300.163.18.el8uek"), ("kernel-core", "9.0-1.el8")],
        "5.15.0-300.163.18.el8uek.x86_64",
    ),
    "almalinux10-for-older-processors": (
        "6.12.0-55.9.1.el10_0.x86_64_v2",
        [("kernel-core", "6.12.0-55.40.1.el10_0", "x86_64_v2")],
        "6.12.0-55.40.1.el10_0.x86_64_v2",
    ),
    "rhel9-64k": (
        "5.14.0-427.el9.aarch64+64k",
        [("kernel-64k-core", "5.14.0-503.el9")],
        "5.14.0-503.el9.x86_64+64k",
    ),
    "sles15": (
        "5.14.21-150500.55.39-default",
        [
            ("kernel-default", "5.14.21-150500.55.39.1"),
            ("kernel-default", "5.14.21-150500.55.44.1"),
        ],
        "5.14.21-150500.55.44-default",
    ),
    "sles15-rebuilt": (
        "5.14.21-150500.55.39-default",
        [("kernel-default", "5.14.21-150500.55.39.2")],
        "5.14.21-150500.55.39-default",
    ),
    "sles15-azure-beside-default": (
        "5.14.21-150500.33.20-azure",
        [
            ("kernel-azure", "5.14.21-150500.33.23.1"),
            ("kernel-default", "5.14.21-150500.55.44.1"),
        ],
        "5.14.21-150500.33.23-azure",
    ),
    "tumbleweed": (
        "6.5.9-1-default",
        [("kernel-default", "6.5.9-1.1"), ("kernel-default", "6.6.1-1.1")],
        "6.6.1-1-default",
    ),
    "amazon-linux-2023-follows-its-series": (
        "6.1.94-99.176.amzn2023.x86_64",
        [
            ("kernel", "6.1.94-99.176.amzn2023"),
            ("kernel", "6.1.97-104.177.amzn2023"),
            ("kernel6.12", "6.12.20-23.97.amzn2023"),
        ],
        "6.1.97-104.177.amzn2023.x86_64",
    ),
    "a-container-on-somebody-elses-kernel": (
        "6.8.0-45-generic",
        [("kernel-core", "5.14.0-503.el9")],
        "",
    ),
    "no-kernel-package": ("5.14.0-427.el9.x86_64", [("bash", "5.1-9.el9")], ""),
}


@pytest.mark.parametrize("case", CASES)
def test_the_newest_kernel_of_the_running_flavour_is_named_as_uname_would(case: str) -> None:
    running, installed, expected = CASES[case]

    assert newest_kernel(running, [package(*row) for row in installed]) == expected


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("kernel", True),
        ("kernel-core", True),
        ("kernel-modules-extra", True),
        ("kernel-uek", True),
        ("kernel-default", True),
        ("kernel6.12", True),
        ("kernel-tools", False),
        ("kernel-tools-libs", False),
        ("kernel-headers", False),
        ("kernel-firmware-all", False),
        ("kernelshark", False),
    ],
)
def test_packages_that_lie_side_by_side_are_told_from_ordinary_ones(
    name: str,
    kernel: bool,
) -> None:
    assert is_kernel(name) is kernel


def section(*lines: str) -> Section:
    return Section(lines=lines, errors=(), status=0)


ROWS = (
    "gpg-pubkey\t8483c65d-5ccc5b19\t(none)\t(none)\t1700000000\t(none)",
    "gpg-pubkey\tfd431d51-4ae0493b\t(none)\t(none)\t1700000000\t(none)",
    "kernel-core\t5.14.0-427.el9\tx86_64\tkernel-5.14.0-427.el9.src.rpm\t1700000000\t(none)",
    "kernel-core\t5.14.0-503.el9\tx86_64\tkernel-5.14.0-503.el9.src.rpm\t1700000001\t(none)",
    "glibc\t2.34-100.el9\ti686\tglibc-2.34-100.el9.src.rpm\t1700000000\t(none)",
    "glibc\t2.34-100.el9\tx86_64\tglibc-2.34-100.el9.src.rpm\t1700000000\t(none)",
    "bind-libs\t32:9.16-1.el9\tx86_64\tbind-9.16-1.el9.src.rpm\t1700000000\t(none)",
    "perl-base\t0:2.27-1.el9\tnoarch\tperl-5.32.1-480.el9.src.rpm\t1700000000\t(none)",
    "nodejs\t1:18.20.2-1.module+el8\tx86_64\tnodejs-18.20.2-1.module+el8.src.rpm\t1700000000"
    "\tnodejs:18:8090020240415:a75119d5",
    "myapp-driver\t1.0-1\tx86_64\t(none)\t1700000000\t(none)",
    "myapp-driver\t2.0-1\tx86_64\t(none)\t1700000000\t(none)",
)


def test_sources_epochs_and_module_streams_are_read_as_the_feeds_write_them() -> None:
    sections = {"packages": section(*ROWS), "install-only": section("myapp-driver")}
    database = read_database("h", sections)
    found = {package.name: package for package in database.whole}

    assert "gpg-pubkey" not in found
    assert found["bind-libs"].source_version == "32:9.16-1.el9"
    assert (found["perl-base"].version, found["perl-base"].source) == ("2.27-1.el9", "perl")
    assert found["perl-base"].source_version == "5.32.1-480.el9"
    assert found["nodejs"].module == "nodejs:18"
    assert (found["glibc"].module, found["myapp-driver"].source) == ("", "myapp-driver")


def test_several_versions_are_whole_where_that_is_meant_and_the_newest_speaks_for_them() -> None:
    sections = {"packages": section(*ROWS), "install-only": section("myapp-driver")}
    database = read_database("h", sections)

    assert database.duplicates == ()
    assert database.newest[("kernel-core", "x86_64")] == "5.14.0-503.el9"
    kernels = [p.version for p in database.whole if p.name == "kernel-core"]
    assert kernels == ["5.14.0-503.el9", "5.14.0-427.el9"]


def test_several_versions_are_broken_where_that_is_not_meant() -> None:
    sections = {"packages": section(*ROWS), "install-only": section()}

    assert [p.name for p in read_database("h", sections).duplicates] == ["myapp-driver"] * 2
