"""Entry of all Python tools of a simulated host: `python -I -S run.py TOOL [ARGUMENTS]`."""

import importlib
import sys
import types
from pathlib import Path

TOOLS = {
    "apt": "apt_get",
    "apt-get": "apt_get",
    "apt-cache": "queries",
    "apt-config": "queries",
    "apt-mark": "queries",
    "dpkg": "queries",
    "dpkg-query": "queries",
    "poweroff": "power",
    "reboot": "power",
    "shutdown": "power",
}


def main() -> int:
    """Run one tool and return its exit status."""
    package = Path(__file__).resolve().parents[2]
    # A stand-in for the package itself: its real __init__ looks up its version, which would
    # cost every call of a tool 40 ms.
    stand_in = types.ModuleType("wavemend")
    stand_in.__path__ = [str(package)]
    sys.modules["wavemend"] = stand_in
    tool, *arguments = sys.argv[1:]
    module = importlib.import_module(f"wavemend.testing.guest.{TOOLS[tool]}")
    status: int = module.main(tool, arguments)
    return status


if __name__ == "__main__":
    sys.exit(main())
