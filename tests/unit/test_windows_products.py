"""A Windows is known by its build and by being a client or a server, in Microsoft's own names."""

import pytest

from tests.cases.windows_hosts import read
from wavemend.windows.products import component_of, is_beside, is_windows, release_key


@pytest.mark.parametrize(
    ("build", "product_type", "release"),
    [
        ("10.0.20348.4171", 3, "windows-server-2022"),
        ("10.0.20348.4171", 2, "windows-server-2022"),
        ("10.0.26100.32370", 3, "windows-server-2025"),
        ("10.0.26100.7840", 1, "windows-11-24h2"),
        ("10.0.17763.8389", 1, "windows-10-1809"),
        ("10.0.17763.8389", 3, "windows-server-2019"),
        ("10.0.14393.8868", 1, "windows-10-1607"),
        ("10.0.14393.8868", 3, "windows-server-2016"),
        ("6.3.9600.23022", 3, "windows-server-2012-r2"),
        ("6.3.9600.23022", 1, "windows-8.1"),
        ("10.0.25398.1", 3, "windows-server-23h2"),
    ],
)
def test_the_product_type_parts_what_shares_a_build(
    build: str, product_type: int, release: str
) -> None:
    assert release_key(build, product_type) == release


@pytest.mark.parametrize(
    ("build", "product_type", "display_version"),
    [
        ("10.0.99999.1", 3, "29H1"),
        ("10.0.99999.1", 1, ""),
        ("10.0.99999.1", 1, "Dev"),
        ("10.0.19999.1", 1, "29H1"),
        ("10.0.20348.1", 1, "21H2x"),
        ("10.0.26100.1", 0, "24H2"),
        ("", 3, ""),
        ("10.0", 1, "24H2"),
    ],
)
def test_what_is_not_known_is_taken_for_no_other_windows(
    build: str, product_type: int, display_version: str
) -> None:
    assert release_key(build, product_type, display_version) == ""


def test_a_client_newer_than_our_table_is_named_by_its_display_version() -> None:
    assert release_key("10.0.29000.1", 1, "27H2") == "windows-11-27h2"
    assert release_key("10.0.29000.1", 1, "27h2") == "windows-11-27h2"


def test_each_build_that_microsoft_publishes_for_a_windows_leads_back_to_its_name() -> None:
    published = {
        (item.release, item.fixed_version or "")
        for item in read().advisories
        if item.release == item.package and is_windows(item.release)
    }
    wrong = {
        (release, build)
        for release, build in published
        if release_key(build, 3 if "server" in release else 1) != release
    }

    assert len({release for release, _ in published}) == 19
    assert not wrong


def test_what_microsoft_calls_windows_something_is_not_always_a_windows() -> None:
    released = {item.release for item in read().advisories if item.release.startswith("windows-")}

    assert {name for name in released if not is_windows(name)} == {
        "windows-admin-center",
        "windows-app-client-for-windows-desktop",
        "windows-app-for-mac",
        "windows-notepad",
    }
    assert is_beside("windows-notepad")
    assert not is_beside("windows-app-for-mac")
    assert not is_beside("net-8.0-installed-on-linux")
    assert is_windows("windows-8.1")
    assert is_windows("windows-server-2008-r2")


def test_a_runtime_has_the_name_of_the_bulletins_and_the_framework_keeps_its_own() -> None:
    runtime = component_of("Microsoft.NETCore.App", "8.0.20")

    assert runtime in {item.package for item in read().advisories}
    assert component_of("Microsoft.AspNetCore.App", "10.0.1") == "net-10.0-installed-on-windows"
    assert component_of("dotnet-framework", "4.8.04161") == "dotnet-framework"
    assert component_of("Microsoft.NETCore.App", "") == "Microsoft.NETCore.App"
