"""Whether the newest kernel can come up: its files in /boot, and modules built for it. Pure.

A full /boot or a module that does not compile can leave an update with exit status 0 and a host
that does not come back; see frame.sh for what is asked.
"""

import re
from collections.abc import Sequence

_IMAGES = ("vmlinuz-{}", "vmlinux-{}", "Image-{}")
_RAMDISKS = ("initrd.img-{}", "initramfs-{}.img", "initrd-{}")
_WHOLE = "whole "

# `nvidia/535.183.01, 6.1.0-37-amd64, x86_64: installed`; before DKMS 3: `nvidia, 535.183.01, ...`.
_MODULE = re.compile(
    r"(?P<module>[^,:]+(?:, [^,:]+)?), (?P<kernel>[^,: ]+), (?P<arch>[^,: ]+): (?P<state>\w+).*"
)


def boot_faults(
    running: str, newest: str, files: Sequence[str], modules: Sequence[str]
) -> tuple[str, ...]:
    """Return what is wrong with the kernel that a reboot would start; none where none is known.

    `files`: `whole <name>` or `empty <name>` for each kernel and initial ramdisk in /boot.
    `modules`: what `dkms status` prints. Files of a host that starts its kernel from elsewhere
    are not missed: only what the running kernel has, the newest must have too.
    """
    if not newest:
        return ()
    found = []
    for what, forms in (("kernel", _IMAGES), ("initial ramdisk", _RAMDISKS)):
        if fault := _missing(what, forms, running, newest, files):
            found.append(fault)
    built = _built(modules)
    lost = sorted(built.get(running, set()) - built.get(newest, set()))
    found += [f"the module {module} is built for {running}, not for {newest}" for module in lost]
    return tuple(found)


def _missing(
    what: str, forms: Sequence[str], running: str, newest: str, files: Sequence[str]
) -> str:
    wanted = {form.format(newest) for form in forms}
    if any(_WHOLE + name in files for name in wanted):
        return ""
    empty = sorted(name for name in wanted if f"empty {name}" in files)
    if empty:
        return f"/boot/{empty[0]} is empty"
    if any(_WHOLE + form.format(running) in files for form in forms):
        return f"/boot has no {what} for {newest}"
    return ""


def _built(modules: Sequence[str]) -> dict[str, set[str]]:
    built: dict[str, set[str]] = {}
    for line in modules:
        found = _MODULE.match(line)
        if found and found["state"] == "installed":
            built.setdefault(found["kernel"], set()).add(found["module"])
    return built
