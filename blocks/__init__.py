"""What an operator fills in through the Prefect UI: places and references, never secrets.

Prefect's database can be read by whoever reaches its API, so nothing secret is stored in it.
Register with `python -m prefect block register -m blocks`; `wavemend up` does it.
"""

from blocks.site import WavemendSite

__all__ = ["WavemendSite"]
