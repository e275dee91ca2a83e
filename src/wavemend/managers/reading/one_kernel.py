"""Kernels of distributions that replace a kernel in place: Arch, Alpine. Pure.

A kernel package has one release at a time: an update takes the modules of the running one away.
"""

import re
from collections.abc import Mapping, Sequence

_FLAVOUR = re.compile(r"-(?P<flavour>[a-z][a-z0-9]*)")


def flavour_of(release: str) -> str:
    """Return `lts` of `6.6.8-1-lts`, `zen` of `6.6.8-zen1-1-zen`, nothing of `6.6.8-arch1-1`."""
    found = _FLAVOUR.fullmatch(release, release.rfind("-")) if "-" in release else None
    return found["flavour"] if found else ""


def read_kernels(lines: Sequence[str]) -> Mapping[str, str]:
    """Return the installed kernels, package by release, from `<release> <package>` lines."""
    return {release: name for release, _, name in (line.partition(" ") for line in lines) if name}


def newest_kernel(running: str, kernels: Mapping[str, str]) -> str:
    """Return the release that a reboot would start; empty where no kernel is installed."""
    if running in kernels:
        return running
    alike = [release for release in kernels if flavour_of(release) == flavour_of(running)]
    # Of several flavours the boot loader chooses; a single one leaves it no choice.
    return max(alike or (kernels if len(kernels) == 1 else ()), default="")


def reboot_reasons(
    running: str, kernels: Mapping[str, str], replaced: Sequence[str]
) -> tuple[str, ...]:
    """Return every sign that the host runs something older than what is installed."""
    reasons = []
    if kernels and running not in kernels:
        newest = newest_kernel(running, kernels)
        instead = f", {newest} is installed" if newest else ""
        reasons.append(f"kernel {running} runs, and its modules are gone{instead}")
    if replaced:
        reasons.append(f"services still run replaced files: {', '.join(sorted(set(replaced)))}")
    return tuple(reasons)
