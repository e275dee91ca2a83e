"""What makes a bootstrapped root into the lab's base: packages, accounts, sources, masks."""

import shutil
from pathlib import Path

from tests.lab.namespaces import GUEST, inside

# A small server. All of it comes from the release pocket; about fifteen small packages of it
# have security updates waiting, which upgrade in seconds.
INCLUDE = (
    "dbus",
    "gpg",
    "gpg-agent",
    "iproute2",
    "jq",
    "libexpat1",
    "openssh-server",
    "openssl",
    "procps",
    "rsync",
    "sudo",
    "systemd-sysv",
    "tzdata",
    "unzip",
    "xz-utils",
    "zip",
)

LOGIN, LIMITED = "wavemend", "wmlimited"
MIRROR_NAME = "mirror.lab"
_KEYRING = "/usr/share/keyrings/wavemend-lab.gpg"

# They would fetch, trim or probe behind the back of a test, or need hardware.
_MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "modprobe@.service",
    "motd-news.timer",
    "systemd-modules-load.service",
    "systemd-sysctl.service",
    "systemd-timesyncd.service",
    "systemd-udev-trigger.service",
    "systemd-udevd.service",
    "rsync.service",
)

_ACCOUNTS = f"""
set -e
useradd --create-home --shell /bin/bash {LOGIN}
useradd --create-home --shell /bin/bash {LIMITED}
install -d -m 700 -o {LOGIN} -g {LOGIN} /home/{LOGIN}/.ssh
install -d -m 700 -o {LIMITED} -g {LIMITED} /home/{LIMITED}/.ssh
echo '{LOGIN} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{LOGIN}
chmod 440 /etc/sudoers.d/{LOGIN}
dpkg-divert --local --rename --add /usr/bin/systemctl
rm -f /etc/ssh/ssh_host_* /var/cache/apt/archives/*.deb /var/cache/apt/*.bin
rm -rf /var/lib/apt/lists/*
: >/etc/machine-id
"""


def sources_list(codename: str) -> str:
    """Return the hosts' apt sources: only the lab's mirror."""
    option = f"[signed-by={_KEYRING}]"
    where = f"http://{MIRROR_NAME}"
    return (
        f"deb {option} {where}/debian {codename} main\n"
        f"deb {option} {where}/debian-security {codename}-security main\n"
        f"deb {option} {where}/wavemend-lab {codename} main\n"
    )


def configure(root: Path, keyring: Path, codename: str) -> None:
    """Turn a bootstrapped root into the state every host starts from."""
    inside(root, ["sh", "-c", _ACCOUNTS])
    shutil.copyfile(GUEST / "power.sh", root / "usr/bin/systemctl")
    (root / "usr/bin/systemctl").chmod(0o755)
    folder = root / "usr/lib/wavemend-lab"
    folder.mkdir()
    shutil.copyfile(GUEST / "init", folder / "init")
    (folder / "init").chmod(0o755)
    shutil.copyfile(keyring, root / _KEYRING.lstrip("/"))
    (root / _KEYRING.lstrip("/")).chmod(0o644)
    (root / "etc/apt/sources.list").write_text(sources_list(codename))
    (root / "etc/fstab").write_text("")
    # Nothing outside the lab is reachable: a lookup must fail at once, not after a timeout.
    (root / "etc/resolv.conf").write_text("")
    (root / "etc/apt/apt.conf.d/90lab").write_text('Acquire::Languages "none";\n')
    ssh = root / "etc/ssh/sshd_config.d/lab.conf"
    ssh.write_text("UseDNS no\nPasswordAuthentication no\nHostKey /etc/ssh/ssh_host_ed25519_key\n")
    _configure_systemd(root)


def _configure_systemd(root: Path) -> None:
    system = root / "etc/systemd/system"
    for unit in _MASKED:
        (system / unit).unlink(missing_ok=True)
        (system / unit).symlink_to("/dev/null")
    journal = root / "etc/systemd/journald.conf.d"
    journal.mkdir(parents=True, exist_ok=True)
    (journal / "lab.conf").write_text("[Journal]\nStorage=volatile\nRuntimeMaxUse=2M\n")
