"""A lab of real hosts on one machine, for the live tests and the demonstration."""

from tests.lab.errors import LabError
from tests.lab.info import LabHost, LabInfo
from tests.lab.lab import Lab
from tests.lab.probing import Probe, probe
from tests.lab.spec import HostSpec, default_hosts, load_spec

__all__ = [
    "HostSpec",
    "Lab",
    "LabError",
    "LabHost",
    "LabInfo",
    "Probe",
    "default_hosts",
    "load_spec",
    "probe",
]
