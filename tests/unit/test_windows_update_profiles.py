"""A profile names the kinds of Windows updates it takes, and nothing Windows does not have."""

from pathlib import Path

import pytest

from wavemend.errors import FleetError
from wavemend.fleet import Fleet
from wavemend.inventory.fleet_file import load_fleet

RIGHT = (Path(__file__).parents[1] / "cases/fleet/right.yaml").read_text()
PROFILE = "    manager: apt\n    updates: security\n    reboot: if_needed\n    host_deadline: 45m\n"
WINDOWS = "    manager: windows_update\n    updates: security\n    reboot: if_needed\n"
LOGIN = "  - name: default\n    user: patch\n    key: file:keys/id_ed25519\n"
WINRM = "  - name: default\n    user: patch\n    auth: ntlm\n    password: env:PASSWORD\n"


def load(folder: Path, profile: str, *, windows: bool = True) -> Fleet:
    text = RIGHT.replace(PROFILE, profile)
    assert text != RIGHT
    if windows:
        text = text.replace(LOGIN, WINRM).replace(
            "    labels:", "    transport: winrm\n    labels:"
        )
    path = folder / "fleet.yaml"
    path.write_text(text)
    return load_fleet(path)


def refusal(folder: Path, profile: str, *, windows: bool = True) -> str:
    with pytest.raises(FleetError) as caught:
        load(folder, profile, windows=windows)
    return str(caught.value)


def test_kinds_and_sources_reach_the_hosts_and_their_manager(tmp_path: Path) -> None:
    said = (
        "    host_deadline: 3h\n    update_kinds: [previews, drivers]\n    sources: [chocolatey]\n"
    )

    fleet = load(tmp_path, WINDOWS + said)

    for host in fleet.hosts:
        assert host.options.update_kinds == ("drivers", "previews")
        assert host.options.sources == ("chocolatey",)


def test_what_a_windows_profile_does_not_say_is_what_windows_needs(tmp_path: Path) -> None:
    (profile,) = load(tmp_path, WINDOWS + "    host_deadline: 3h\n").profiles
    own = "    host_deadline: 3h\n    restore_point: {kind: commands}\n"

    assert profile.restore_point.kind == "windows"
    assert profile.reboots.back_within.total_seconds() == 3_600
    assert "kind commands needs all four" in refusal(tmp_path, WINDOWS + own)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("    sources: [flatpak]\n", "flatpak is not for windows_update; there it is chocolatey"),
        ("    sources: [snap]\n", "snap is not for windows_update; there it is chocolatey"),
        ("    restore_point: {kind: snapper}\n", 'kind "snapper" is not for windows_update'),
        (
            "    restore_point: {kind: package_versions}\n",
            'kind "package_versions" is not for windows_update',
        ),
        ("    update_kinds: [toolbars]\n", "update_kinds"),
    ],
)
def test_what_windows_does_not_have_is_refused(tmp_path: Path, said: str, words: str) -> None:
    assert words in refusal(tmp_path, f"{WINDOWS}    host_deadline: 3h\n{said}")


def test_a_deadline_that_a_restart_alone_may_use_up_is_refused(tmp_path: Path) -> None:
    words = refusal(tmp_path, WINDOWS + "    host_deadline: 45m\n")

    assert "host_deadline: is shorter than reboots.back_within, 60 minutes" in words
    never = WINDOWS.replace("if_needed", "never")
    assert load(tmp_path, never + "    host_deadline: 45m\n").hosts


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("    sources: [chocolatey]\n", "chocolatey is only for windows_update, not for apt"),
        ("    update_kinds: [drivers]\n", "update_kinds: are only for windows_update, not for apt"),
        ("    restore_point: {kind: windows}\n", "is only for windows_update, not for apt"),
    ],
)
def test_what_only_windows_has_is_refused_elsewhere(tmp_path: Path, said: str, words: str) -> None:
    assert words in refusal(tmp_path, PROFILE + said, windows=False)
