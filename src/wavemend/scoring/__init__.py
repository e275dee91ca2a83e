"""Turn a finding into a lane, a due date and a place in the queue, and say what each rests on.

What is attacked comes first (KEV, the vendor's word, zero-days), then the band of the table of
timelines (CISA's BOD 26-04: exposure and SSVC), then exploit probability x impact x criticality x
exposure inside the band. What is not known is decided as its worst case and shown as such: a
missing feed, score or answer never makes anything later, nor milder than the worst it may hide.

This is the door; the rooms are `priorities` (one finding), `ranking` (a host's updates), `risks`
(what a vulnerability weighs), `dues` (by when), `lanes` (which way), `exploitation` (zero-days) and
`policy.risk_profiles` (the rules, as data). `bulk` does the same for all CVEs at once.
"""

from wavemend.scoring.lanes import Lane
from wavemend.scoring.priorities import Priority, prioritise
from wavemend.scoring.ranking import NEVER_SEEN, RankedUpdate, rank_updates

__all__ = ["NEVER_SEEN", "Lane", "Priority", "RankedUpdate", "prioritise", "rank_updates"]
