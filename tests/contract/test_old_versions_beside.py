"""A flatpak or a snap is a restore point only as long as its old version can really come back.

flatpak is real, with a repository of its own; snap is a program that prints what snapd prints.
"""

import subprocess
from pathlib import Path

import pytest

from tests.contract import flatpak_bench
from tests.contract.flatpak_bench import FlatpakRoot
from wavemend.hosts import Host
from wavemend.packages import Target
from wavemend.policy.care import RestorePointRule
from wavemend.snapshots import SNAPSHOTS, Command, Found, Missing, Said, Subject

LACKING = flatpak_bench.lacks()
TOOL = "org.lab.Tool"
SNAPS = """\
Name     Version  Rev   Tracking       Publisher  Notes
firefox  153.0-1  8664  latest/stable  mozilla**  disabled
firefox  153.0-2  8701  latest/stable  mozilla**  -
"""


def find(*before: Target, environment: dict[str, str]) -> Found | Missing:
    """Ask on this machine, as the host's root would."""

    def ask(command: Command) -> Said:
        done = subprocess.run(
            command.argv, input=command.stdin, env=environment, capture_output=True, check=True
        )
        return Said(text=done.stdout.decode())

    host = Host(name="web1", tenant="acme", address="192.0.2.11", manager="apt")
    subject = Subject(host=host, name="wavemend-r-1-web1", before=before)
    return SNAPSHOTS["package_versions"](RestorePointRule()).find(ask, subject)


@pytest.mark.skipif(bool(LACKING), reason=f"not installed here: {LACKING}")
def test_a_flatpak_can_come_back_as_long_as_its_remote_has_the_commit(tmp_path: Path) -> None:
    paks = FlatpakRoot(tmp_path / "flatpak")
    paks.install()
    commit = paks.run("info", "--show-commit", TOOL).strip()
    old = Target(name=TOOL, arch="flatpak/x86_64/stable", version=commit)
    environment = {"PATH": "/usr/bin:/bin", **paks.environment}

    assert isinstance(find(old, environment=environment), Found)
    paks.publish("2.0")
    paks.run("update", "-y", "--noninteractive", TOOL)
    assert isinstance(find(old, environment=environment), Found)

    prune = ("ostree", f"--repo={paks.repository}", "prune", "--refs-only", "--depth=0")
    subprocess.run(prune, check=True, capture_output=True)
    assert find(old, environment=environment) == Missing(
        f"0 of 1 old versions can still be had; not: {TOOL} {commit}"
    )


def test_a_snap_can_come_back_as_long_as_snapd_keeps_the_revision(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (tmp_path / "list").write_text(SNAPS)
    script = f'#!/bin/sh\n[ "$1 $2" = "list --all" ] && cat {tmp_path / "list"}\n'
    (folder / "snap").write_text(script)
    (folder / "snap").chmod(0o755)
    kept, gone = (
        Target(name="firefox", arch="snap/latest/stable", version=revision)
        for revision in ("8664", "866")
    )

    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    assert isinstance(find(kept, environment=environment), Found)
    assert find(kept, gone, environment=environment) == Missing(
        "1 of 2 old versions can still be had; not: firefox 866"
    )
    assert isinstance(find(kept, environment={"PATH": "/usr/bin:/bin"}), Missing)
