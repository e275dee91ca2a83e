"""Patches Linux and Windows fleets in waves, stops when hosts go bad, and keeps the proof."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("wavemend")
except PackageNotFoundError:  # a checkout on sys.path, not installed
    __version__ = "0.0.0+checkout"
