"""An update that raises builds is there when the host is at them, whatever says "installed". Pure.

Windows reports success and rolls an update back at the next boot: only the build tells.
"""

from collections.abc import Iterable
from dataclasses import replace

from wavemend.hosts import Facts
from wavemend.outcomes import PackageOutcome, PackageResult
from wavemend.plans import PlannedHost, PlannedPackage
from wavemend.versions import windows_key


def proven(
    results: Iterable[PackageResult], planned: PlannedHost, after: Facts
) -> tuple[PackageResult, ...]:
    """Return the results; what is said to be installed without its builds has failed.

    `after`: the second look. Where the host waits for a restart, the build that comes with it
    counts: the outcome is then `patched_reboot_pending`, and a later look decides.
    """
    wanted = {(item.name, item.arch): item.builds for item in planned.packages}
    return tuple(_proven(item, wanted.get((item.name, item.arch), ()), after) for item in results)


def build_reached(package: PlannedPackage, seen: Facts) -> bool | None:
    """Say whether a host runs the builds of an update; None: it raises none, or none is seen."""
    known = [
        windows_key(have) >= windows_key(build)
        for product, build in package.builds
        if (have := _newest(product, seen)) and _is_build(build)
    ]
    return all(known) if known else None


def _proven(
    result: PackageResult, builds: tuple[tuple[str, str], ...], after: Facts
) -> PackageResult:
    if result.outcome is not PackageOutcome.INSTALLED:
        return result
    missed = [missed for product, build in builds if (missed := _missed(product, build, after))]
    if not missed:
        return result
    return replace(result, outcome=PackageOutcome.FAILED, detail="; ".join(missed))


def _missed(product: str, build: str, after: Facts) -> str:
    """Say how a product misses a build; empty when it is there or comes with the restart."""
    have = _newest(product, after)
    if not _is_build(build) or (have and windows_key(have) >= windows_key(build)):
        return ""
    words = f"said to be installed, but {product} is {have or 'nowhere to be seen'}"
    if not after.reboot_reasons:
        return f"{words}, below {build}"
    coming = after.newest_kernel if product == after.codename else ""
    if not _is_build(coming) or windows_key(coming) >= windows_key(build):
        return ""  # the restart will tell
    return f"{words}, {coming} after the restart it waits for, below {build}"


def _newest(product: str, seen: Facts) -> str:
    """Return the highest build of a product on a host: runtimes lie beside their older ones."""
    builds = [item.version for item in seen.installed if item.name == product]
    return max(filter(_is_build, builds), key=windows_key, default="")


def _is_build(text: str) -> bool:
    try:
        windows_key(text)
    except ValueError:
        return False
    return True
