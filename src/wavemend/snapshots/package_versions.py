"""The cheapest restore point: the old versions can still be had from the host's repositories."""

from collections.abc import Sequence
from dataclasses import dataclass

from wavemend.packages import Target
from wavemend.snapshots import RestorePoint
from wavemend.transport import Transport

RESTORES = (
    "package versions only: a downgrade brings the old programs back, "
    "not data, configuration or database formats they have changed since"
)

# Each package on its own, so that one that is gone does not hide the others. `--reinstall` of
# the installed version succeeds only when a repository still offers exactly that version.
_SCRIPT = """
LC_ALL=C.UTF-8; export LC_ALL
for wanted in "$@"; do
  apt-get -s -qq --reinstall install "$wanted" </dev/null >/dev/null 2>&1
  printf '%s %s\\n' "$?" "$wanted"
done
"""


@dataclass(frozen=True, slots=True)
class _PackageVersions:
    def prove(
        self, transport: Transport, before: Sequence[Target], name: str, *, deadline: float
    ) -> RestorePoint:
        """Ask the host's package manager whether each old version could be installed again."""
        wanted = [f"{target.name}:{target.arch}={target.version}" for target in before]
        done = transport.run_as_root(
            ("/bin/sh", "-s", "--", *wanted), stdin=_SCRIPT.encode(), deadline=deadline
        )
        lines = done.stdout.decode(errors="replace").splitlines()
        gone = [line.split()[1] for line in lines if not _offered(line)]
        complete = len(lines) == len(wanted) and done.exit_status == 0
        detail = f"{len(lines) - len(gone)} of {len(wanted)} old versions can still be had"
        if gone:
            detail += f"; not: {', '.join(sorted(gone))}"
        return RestorePoint(
            kind="package_versions",
            name=name,
            proven=complete and not gone,
            restores=RESTORES,
            detail=detail,
        )


def _offered(line: str) -> bool:
    return line.startswith("0 ")


PACKAGE_VERSIONS = _PackageVersions()
