"""Which lanes a policy considers at all: the rule that every policy but the single lane and the random mix shares.

In: a view. Out: the best rank that any lane has; the policy then chooses among the lanes of that rank. Open, believed
up and with room comes before open and believed up, before merely open. No lane open: rank 0, and nothing is chosen.
"""

from __future__ import annotations

from lean_agentic.multi_lane.beliefs import BELIEVED_UP, HEALTH, OPEN, ROOM
from lean_agentic.multi_lane.compiled import compiled
from lean_agentic.multi_lane.workload import Floats


@compiled
def rank_of(row: Floats) -> int:
    """3 open, believed up, with room; 2 believed up but full; 1 believed down; -1 not open."""
    if row[OPEN] == 0.0:
        return -1
    if row[HEALTH] < BELIEVED_UP:
        return 1
    return 3 if row[ROOM] > 0.0 else 2


@compiled
def candidate_rank(view: Floats) -> int:
    """The best rank among the lanes, 0 where none is open."""
    best = 0
    for lane in range(len(view)):
        best = max(best, rank_of(view[lane]))
    return best
