"""When each lane is down: an alternating renewal process drawn before the replay, plus what is forced from outside.

In: lanes with `availability` and `mean_outage_s`, a horizon and the scenario's seed. Out: for each lane sorted,
disjoint intervals [start, end) in seconds. Up and down times are exponential; with mean outage d and
availability a the mean up time is d*a/(1-a), so that the long-run share of up time is a. The process starts in
its stationary state. A lane's stream depends on its name and the seed only: adding a lane, or a longer horizon,
leaves the earlier outages where they were.
"""

from __future__ import annotations

import zlib

import numpy as np

from lean_agentic.multi_lane.lanes import Lane
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.workload import Floats

_CYCLES_PER_DRAW = 64


def random_outages(lane: Lane, horizon_s: float, seed: int) -> Floats:
    """Outages of one lane that begin before the horizon.

    Returns
    -------
    (m, 2) start and end in seconds, sorted and disjoint.
    """
    if lane.availability == 1:
        return np.empty((0, 2))
    if lane.availability == 0:
        return np.array([[0.0, np.inf]])
    rng = np.random.default_rng([seed, zlib.crc32(lane.name.encode())])
    mean_up_s = lane.mean_outage_s * lane.availability / (1 - lane.availability)
    # Exponential times have no memory: what is left of the first up time is distributed like a whole one.
    clock = 0.0 if rng.random() < lane.availability else -float(rng.exponential(mean_up_s))
    starts_down = clock < 0
    found = []
    while clock < horizon_s:
        up_down = rng.exponential(size=(_CYCLES_PER_DRAW, 2)) * (mean_up_s, lane.mean_outage_s)
        if starts_down:
            up_down[0, 0], clock, starts_down = 0.0, 0.0, False
        ends = clock + np.cumsum(up_down.sum(axis=1))
        found.append(np.column_stack([ends - up_down[:, 1], ends]))
        clock = float(ends[-1])
    outages = np.concatenate(found)
    return outages[outages[:, 0] < horizon_s]


def union(intervals: Floats) -> Floats:
    """Merge overlapping or touching intervals: (m, 2) in any order to (j, 2) sorted and disjoint, j <= m."""
    merged: list[list[float]] = []
    for start, end in sorted(intervals.tolist()):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return np.array(merged).reshape(-1, 2)


def outage_intervals(scenario: Scenario, horizon_s: float) -> list[Floats]:
    """Random and forced outages of every lane of the scenario, as one (m, 2) array of intervals each."""
    tables = []
    for lane in scenario.lanes:
        forced = [(o.start_s, o.end_s) for o in scenario.forced_outages if o.lane == lane.name]
        drawn = random_outages(lane, horizon_s, scenario.seed)
        tables.append(union(np.concatenate([drawn, np.array(forced).reshape(-1, 2)])))
    return tables
