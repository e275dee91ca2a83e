"""Findings, policies and fleet make a plan: which hosts get what, in which order. Pure.

`making.py` makes it; `hosts.py` says what one host gets, `rules.py` and `bars.py` what policies
keep out, `sets.py` that all hosts get one version, `waves.py` in which order,
`reboot_forecast.py` who will restart.
"""

from wavemend.planning.hosts import Candidate, plan_updates
from wavemend.planning.making import Occasion, PlanHost, make_plan

__all__ = ["Candidate", "Occasion", "PlanHost", "make_plan", "plan_updates"]
