"""A kernel that cannot come up is seen before the reboot that would start it."""

import pytest

from wavemend.managers.reading.boot import boot_faults

OLD, NEW = "6.1.0-37-amd64", "6.1.0-50-amd64"
WHOLE = [f"whole vmlinuz-{OLD}", f"whole initrd.img-{OLD}"]


def faults(*files: str, modules: tuple[str, ...] = ()) -> tuple[str, ...]:
    return boot_faults(OLD, NEW, [*WHOLE, *files], modules)


def test_a_kernel_with_all_its_files_has_no_fault() -> None:
    assert faults(f"whole vmlinuz-{NEW}", f"whole initrd.img-{NEW}") == ()


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ([f"whole initrd.img-{NEW}"], f"/boot has no kernel for {NEW}"),
        ([f"whole vmlinuz-{NEW}"], f"/boot has no initial ramdisk for {NEW}"),
        ([f"empty vmlinuz-{NEW}", f"whole initrd.img-{NEW}"], f"/boot/vmlinuz-{NEW} is empty"),
        ([f"whole vmlinuz-{NEW}", f"empty initrd.img-{NEW}"], f"/boot/initrd.img-{NEW} is empty"),
    ],
)
def test_a_file_that_is_missing_or_empty_is_named(files: list[str], fault: str) -> None:
    assert faults(*files) == (fault,)


def test_a_kernel_that_was_built_again_and_lost_its_ramdisk_is_seen_too() -> None:
    lost = [f"whole vmlinuz-{OLD}", f"empty initrd.img-{OLD}"]

    assert boot_faults(OLD, OLD, lost, ()) == (f"/boot/initrd.img-{OLD} is empty",)
    assert boot_faults(OLD, OLD, WHOLE, ()) == ()


def test_a_host_that_starts_its_kernel_from_elsewhere_misses_nothing_in_boot() -> None:
    assert boot_faults(OLD, NEW, (), ()) == ()
    assert boot_faults(OLD, NEW, [f"whole vmlinuz-{OLD}", f"whole vmlinuz-{NEW}"], ()) == ()


def test_a_host_without_a_kernel_of_its_own_has_nothing_to_come_up() -> None:
    assert boot_faults("6.18.44", "", [f"empty vmlinuz-{NEW}"], ()) == ()


@pytest.mark.parametrize(
    "files",
    [
        [f"whole vmlinuz-{NEW}", f"whole initramfs-{NEW}.img"],
        [f"whole Image-{NEW}", f"whole initrd-{NEW}"],
    ],
)
def test_other_families_name_their_files_otherwise(files: list[str]) -> None:
    assert faults(*files) == ()


FILES = (f"whole vmlinuz-{NEW}", f"whole initrd.img-{NEW}")


@pytest.mark.parametrize("module", ["nvidia/535.183.01", "nvidia, 535.183.01"])
def test_a_module_that_was_not_built_for_the_new_kernel_is_named(module: str) -> None:
    old = f"{module}, {OLD}, x86_64: installed"

    assert faults(*FILES, modules=(old, f"{module}, {NEW}, x86_64: added")) == (
        f"the module {module} is built for {OLD}, not for {NEW}",
    )
    assert faults(*FILES, modules=(old, f"{module}, {NEW}, x86_64: installed")) == ()


def test_a_module_that_the_running_kernel_lacks_too_is_nobodys_fault() -> None:
    modules = (
        f"zfs/2.1, {NEW}, x86_64: built",
        "Deprecated feature: REMAKE_INITRD",
        "zfs/2: added",
    )

    assert faults(*FILES, modules=modules) == ()
