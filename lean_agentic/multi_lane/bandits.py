"""Two policies that learn which lane pays from rewards alone: epsilon-greedy and LinUCB.

Reward in dollars: `quality_usd` for a right answer, minus what was billed, minus `late_usd` for a missed target. The
exchange rates are fixed in advance, where the dual policy fits and adapts them. LinUCB is Li, Chu, Langford and
Schapire, "A contextual-bandit approach to personalized news article recommendation" (2010), disjoint arms: one ridge
regression a lane, its inverse kept by Sherman-Morrison updates.

In: `settings` [exploration, quality_usd, late_usd] and `memory`, (lanes, columns), changed by learning.
"""

from __future__ import annotations

import math

import numpy as np

from lean_agentic.multi_lane.beliefs import CONTEXT, COST, HEALTH, P_LATE, PRIORITY, QUALITY
from lean_agentic.multi_lane.candidates import candidate_rank, rank_of
from lean_agentic.multi_lane.compiled import compiled
from lean_agentic.multi_lane.lanes import PRIORITIES
from lean_agentic.multi_lane.workload import Floats

FEATURES = 7
_INVERSE = 0
_TARGET = FEATURES * FEATURES
_CLASSES = len(PRIORITIES)


def epsilon_memory(lanes: int) -> Floats:
    """(lanes, 8): mean reward, then number of rewards, by priority; 0 before the first."""
    return np.zeros((lanes, 2 * _CLASSES))


def linucb_memory(lanes: int) -> Floats:
    """(lanes, d*d + d): the inverse of the ridge matrix, at first the identity, and the reward-weighted features."""
    memory = np.zeros((lanes, _TARGET + FEATURES))
    memory[:, _INVERSE:_TARGET] = np.eye(FEATURES).ravel()
    return memory


@compiled
def reward(settings: Floats, cost_usd: float, quality: float, missed: float) -> float:
    """Dollars that an attempt was worth."""
    return float(settings[1] * quality - cost_usd - settings[2] * missed)


@compiled
def choose_epsilon(settings: Floats, memory: Floats, request: Floats, view: Floats, draw: float) -> int:
    """A lane at random with probability epsilon, otherwise the one with the best mean reward for this priority."""
    best_rank = candidate_rank(view)
    priority = int(request[PRIORITY])
    count, best = 0, -1
    for lane in range(len(view)):
        if rank_of(view[lane]) == best_rank:
            count += 1
            # An untried lane counts as 0, below what a usual answer earns: exploration has to find it.
            if best < 0 or memory[lane, priority] > memory[best, priority]:
                best = lane
    if draw >= settings[0]:
        return best
    # Given that it is below epsilon, draw / epsilon is uniform again and picks the lane.
    place = int(draw / settings[0] * count)
    for lane in range(len(view)):
        if rank_of(view[lane]) == best_rank:
            if place == 0:
                return lane
            place -= 1
    return best


@compiled
def learn_epsilon(memory: Floats, request: Floats, lane: int, gain: float) -> None:
    """Move the lane's mean reward for this priority."""
    priority = int(request[PRIORITY])
    memory[lane, _CLASSES + priority] += 1.0
    memory[lane, priority] += (gain - memory[lane, priority]) / memory[lane, _CLASSES + priority]


@compiled
def features(request: Floats, row: Floats) -> tuple[float, ...]:
    """Of a request on a lane, `FEATURES` numbers of order 1."""
    length, urgency = request[CONTEXT] / 1024.0, request[PRIORITY] / (_CLASSES - 1)
    return 1.0, row[QUALITY], row[P_LATE], 10.0 * row[COST], row[HEALTH], length, urgency


@compiled
def upper_bound(alpha: float, ridge: Floats, x: tuple[float, ...]) -> float:
    """Estimated reward of a lane plus alpha deviations of the estimate."""
    mean, variance = 0.0, 0.0
    for i in range(FEATURES):
        projected = 0.0
        for j in range(FEATURES):
            projected += ridge[_INVERSE + FEATURES * i + j] * x[j]
        mean += projected * ridge[_TARGET + i]
        variance += projected * x[i]
    return mean + alpha * math.sqrt(max(variance, 0.0))


@compiled
def choose_linucb(settings: Floats, memory: Floats, request: Floats, view: Floats) -> int:
    """The candidate with the highest upper confidence bound."""
    best_rank = candidate_rank(view)
    best, best_bound = -1, -math.inf
    for lane in range(len(view)):
        if rank_of(view[lane]) == best_rank:
            bound = upper_bound(settings[0], memory[lane], features(request, view[lane]))
            if bound > best_bound:
                best, best_bound = lane, bound
    return best


@compiled
def learn_linucb(memory: Floats, request: Floats, row: Floats, lane: int, gain: float) -> None:
    """Sherman-Morrison: (A + xx')^-1 = A^-1 - (A^-1 x)(A^-1 x)' / (1 + x'A^-1 x)."""
    ridge, x = memory[lane], features(request, row)
    projected = np.zeros(FEATURES)
    scale = 1.0
    for i in range(FEATURES):
        for j in range(FEATURES):
            projected[i] += ridge[_INVERSE + FEATURES * i + j] * x[j]
        scale += projected[i] * x[i]
    for i in range(FEATURES):
        for j in range(FEATURES):
            ridge[_INVERSE + FEATURES * i + j] -= projected[i] * projected[j] / scale
        ridge[_TARGET + i] += gain * x[i]
