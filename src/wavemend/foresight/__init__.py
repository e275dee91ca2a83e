"""Can every due date be met? Decided before the month begins, with the rules that stand in the way.

`problem.py` holds the question, `model.py` puts it to a constraint solver, `conflicts.py` finds
the fewest rules that cannot hold together, `repairs.py` the cheapest ways out, `assembling.py`
makes the question from a fleet, its calendars and what the ledger knows. The solver (OR-tools
CP-SAT) is the extra `foresight`: it is loaded when asked, and nothing else needs it.
"""
