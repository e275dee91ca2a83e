"""The table of faults: what each one is, how it must end, and who plays it."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.live import matrix_managers as managers
from tests.live import matrix_network as network
from tests.live import matrix_reboots as reboots
from tests.live.matrix_world import World


@dataclass(frozen=True, slots=True)
class Row:
    """One fault. `expected`: what must be seen; a `*` stands for any words."""

    id: str
    title: str
    expected: str
    play: Callable[[World], str]

    def holds(self, seen: str) -> bool:
        """Say whether what was seen is what was expected."""
        return fnmatchcase(seen, self.expected)


@dataclass(frozen=True, slots=True)
class Unplayed:
    """A fault, or a part of one, that no Linux host of the lab can play, and why."""

    id: str
    what: str
    reason: str


ROWS = (
    Row(
        "N1",
        "refused, frozen, unroutable",
        "closed port, frozen silent, unroutable off; unreachable never begun",
        network.unreached,
    ),
    Row(
        "N2",
        "silent partition during the transaction",
        "lost within 30 s, place kept; patched begun once; script ran 1 time",
        network.silent_partition,
    ),
    Row(
        "N3",
        "controller killed during the transaction",
        "left running; patched begun once; script ran 1 time",
        network.killed_controller,
    ),
    Row(
        "N4",
        "reset at each stage of SSH and of an attempt",
        "before: lost, off, silent; in an attempt: unreachable never begun, patched begun once, "
        "patched begun once, patched begun once, unreachable begun once",
        network.resets,
    ),
    Row(
        "N5",
        "2 s latency, 64 kbit/s",
        "latency: silent in time, or connected; 64 kbit/s: read whole",
        network.slow_line,
    ),
    Row(
        "N6",
        "output flood: 200 MB in the job, 300 MB on the line",
        "patched begun once; output bounded and counted, exit status 3",
        network.flood,
    ),
    Row(
        "N7",
        "stderr full while stdout is read",
        "patched begun once; stdout done, stderr bounded and counted, exit status 3",
        network.full_stderr,
    ),
    Row(
        "N8",
        "terminal escapes, carriage returns, invalid UTF-8, SUCCESS",
        "failed begun once; reason printable",
        network.escapes,
    ),
    Row(
        "N9",
        "the job's own protocol in its output",
        "failed begun once; exit status 100",
        network.fake_sentinel,
    ),
    Row(
        "N10",
        "host key unknown, host key changed",
        "unknown: key; changed: blocked never begun, key",
        network.other_key,
    ),
    Row(
        "N11",
        "another machine at the address",
        "not_attempted never begun: drift: another machine answers: *; the other untouched",
        network.other_machine,
    ),
    Row(
        "N12",
        "wrong credential for 500 hosts",
        "497 held back, 3 refused by the host",
        network.wrong_credential,
    ),
    Row(
        "N13",
        "MaxStartups 2:50:4 and MaxSessions 2 on the bastion of 32 hosts",
        "32 of 32 connected through 1 connection to the bastion",
        network.full_startups,
    ),
    Row(
        "N14",
        "sudo asks for a password, wants a tty, has no rule",
        "blocked never begun, login; blocked never begun, login; blocked never begun, login",
        network.sudo_asks,
    ),
    Row(
        "N15",
        "/tmp noexec, disk full",
        "noexec: patched begun once; full: skipped never begun: not ready: space: / is nearly *",
        network.narrow_disk,
    ),
    Row(
        "N16",
        "slow drip, silent and dripping servers",
        "command ended at the deadline; servers that drip or say nothing: silent",
        network.slow_drip,
    ),
    Row(
        "P1",
        "package manager's lock held when the job starts",
        "not ready: lock: the package manager is in use by perl (*); patched begun once; "
        "lock file kept",
        managers.held_lock,
    ),
    Row(
        "P2",
        "half-configured package",
        "blocked never begun: packages are not whole before the change: wm-slow (iF); "
        "repaired: ready",
        managers.half_configured,
    ),
    Row(
        "P3",
        "question about an edited configuration file",
        "deb1 patched begun once, conffile_kept, own file kept; "
        "dnf1 patched begun once, conffile_kept, own file kept; "
        "pac1 patched begun once, conffile_kept, own file kept",
        managers.conffile,
    ),
    Row(
        "P4",
        "the disk is too small for the update, /boot is full",
        "blocked never begun: disk: / has * MiB free, the updates need 64 MiB *; "
        "not ready: space: /boot is nearly full: *",
        managers.full_disk,
    ),
    Row(
        "P5",
        "mirror down, wrong hash",
        "failed begun once: wm-fine: still at 1.0: E: Failed to fetch *; wm-fine 1.0; "
        "not ready: repositories: the package index cannot be refreshed: *; "
        "failed begun once: wm-fine: still at 1.0: * Hash Sum mismatch; wm-fine 1.0",
        managers.bad_archive,
    ),
    Row(
        "P6",
        "release expired, signature by nobody known",
        "not ready: repositories: * is expired *, refused; "
        "not ready: repositories: * NO_PUBKEY *, refused",
        managers.bad_release,
    ),
    Row(
        "P7",
        "held after the plan; exit 0 and nothing changed",
        "deb1 not_attempted never begun: drift: wm-fine was put on hold after the plan was made, "
        "wm-fine 1.0; dnf1 not_attempted never begun: drift: wm-fine was put on hold after the "
        "plan was made, wm-fine 1.0-1.el9; deb1 failed begun once: wm-fine: still at 1.0: "
        "apt-get reports success, wm-fine 1.0",
        managers.held_package,
    ),
    Row(
        "P8",
        "the solver would remove a package",
        "deb1 not_attempted never begun: drift: it would remove wm-fine; wm-fine 1.0; "
        "zyp1 not_attempted never begun: drift: the package manager would refuse: "
        "* deinstallation of wm-fine*; wm-fine 1.0-*",
        managers.would_remove,
    ),
    Row(
        "P9",
        "planned version gone, a newer one there",
        "not_attempted never begun: drift: the package manager would refuse: "
        "* Version '3.0' for 'wm-fine' was not found; wm-fine 1.0",
        managers.version_gone,
    ),
    Row(
        "P10",
        "postinst fails",
        "failed begun once: wm-fails: half done (iF, 2.0): *; "
        "asked again: failed, script ran 1 time",
        managers.failing_script,
    ),
    Row(
        "P11",
        "library updated, old one still in use",
        "patched_reboot_pending begun once: services still run replaced files: *ssh*",
        managers.old_library_in_use,
    ),
    Row(
        "P12",
        "new kernel installed, old one runs",
        "dnf1 patched_reboot_pending begun once: needs-restarting: kernel; "
        "deb1 patched_reboot_pending begun once: kernel * runs, 99.1.0-* is installed",
        managers.old_kernel_runs,
    ),
    Row(
        "P13",
        "the check for updates fails",
        "deb1 not ready: repositories: *; dnf1 not ready: repositories: *; "
        "pac1 not ready: repositories: *; zyp1 not ready: repositories: *",
        managers.check_failed,
    ),
    Row(
        "P15",
        "an older version is asked for",
        "deb1 not_attempted never begun: drift: the package manager would refuse: "
        "* Packages were downgraded *; dnf1 not_attempted never begun: drift: "
        "the package manager would refuse: it would downgrade wm-fine",
        managers.downgrade,
    ),
    Row(
        "P16",
        "initramfs broken, exit 0",
        "failed begun once: it might not come up again: /boot/initrd.img-99.1.0-* is empty; "
        "not restarted",
        managers.no_initramfs,
    ),
    Row(
        "P17",
        "somebody else changes the host after the plan",
        "not_attempted never begun: drift: wm-fine is not installed, planned from 1.0; "
        "nothing_to_do never begun: every target version is installed already",
        managers.somebody_else,
    ),
    Row(
        "P18",
        "root file system read-only",
        "; ".join(
            f"{name} not ready: read-only: / is mounted read-only, "
            "skipped never begun: not ready: read-only: / is mounted read-only"
            for name in ("deb1", "dnf1", "pac1", "zyp1")
        ),
        managers.read_only_root,
    ),
    Row(
        "R1",
        "never returns",
        "unreachable begun once: after the change: *; place kept",
        reboots.never_returns,
    ),
    Row(
        "R2",
        "returns without a restart, and with a forged boot id",
        "patched_reboot_pending begun once: it was told to reboot, and its boot id has not "
        "changed; patched_reboot_pending begun once: its boot id changed, but it has been up "
        "for * s and was told to restart * s ago",
        reboots.never_rebooted,
    ),
    Row(
        "R3",
        "returns with its old kernel",
        "failed begun once: after the restart: it came back with the kernel *, "
        "and 99.1.0-* is installed; restarted",
        reboots.old_kernel,
    ),
    Row(
        "R4",
        "boot loop",
        "failed begun once: after the restart: boot loop: it came up again within * s of its "
        "restart",
        reboots.boot_loop,
    ),
    Row(
        "R5",
        "would end after the window",
        "patched_reboot_pending begun once: not rebooted: window: it may take 180 minutes, and "
        "the window ends at *; not restarted; not_attempted never begun: window: * is outside *",
        reboots.too_late,
    ),
)

UNPLAYED = (
    Unplayed("N5", "5 % loss", "needs netem in the kernel; above TCP it shows as delay"),
    Unplayed("N16", "servers that drip", "played by the repository's own bad servers: sshd cannot"),
    Unplayed(
        "P14",
        "Windows exit codes",
        "no Windows host; played on a simulated one in tests/contract/test_windows_faults.py",
    ),
    Unplayed("P16", "DKMS", "no kernel modules are built on lab hosts; the initramfs is played"),
    Unplayed("R3", "a new kernel that runs", "hosts share the machine's kernel"),
)
