from __future__ import annotations

from itertools import product

import numpy as np

from lean_agentic.multi_lane import beliefs
from lean_agentic.multi_lane.candidates import candidate_rank, rank_of


def row_of(is_open, room, health):
    row = np.zeros(beliefs.VIEW_COLUMNS)
    row[[beliefs.OPEN, beliefs.ROOM, beliefs.HEALTH]] = is_open, room, health
    return row


def test_ranks_every_combination():
    expected = {(1, 1, 0.9): 3, (1, 0, 0.9): 2, (1, 1, 0.1): 1, (1, 0, 0.1): 1}
    for combination in product((0, 1), (0, 1), (0.9, 0.1)):
        assert rank_of(row_of(*combination)) == expected.get(combination, -1)


def test_the_best_rank_counts_and_none_open_is_zero():
    assert candidate_rank(np.stack([row_of(1, 0, 0.9), row_of(1, 1, 0.9), row_of(0, 1, 1)])) == 3
    assert candidate_rank(np.stack([row_of(1, 0, 0.9), row_of(1, 1, 0.2)])) == 2
    assert candidate_rank(np.stack([row_of(0, 1, 0.9)])) == 0
