"""Package managers other than apt: hosts that are like RHEL, SUSE or Arch to whoever logs in."""

from tests.lab.families.debian import APT
from tests.lab.families.dnf import DNF
from tests.lab.families.family import Family
from tests.lab.families.pacman import PACMAN
from tests.lab.families.zypper import ZYPPER

FAMILIES = {family.name: family for family in (APT, DNF, ZYPPER, PACMAN)}

__all__ = ["FAMILIES", "Family"]
