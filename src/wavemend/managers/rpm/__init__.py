"""What every package manager above RPM shares: its database, its kernels, its words and its log.

`software.sh` asks; `installed.py`, `kernels.py` and `rivals.py` read; `targets.py` turns a plan's
packages into words; `changing.sh` and `repair.sh` are parts of what a detached job runs;
`logs.py` reads what came of it.
"""
