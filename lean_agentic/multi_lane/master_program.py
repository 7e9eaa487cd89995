"""The master program of the cost bound: the best mix of known assignments under each of several quality floors.

In: columns, one a whole assignment of requests to lanes (its cost first, then what it uses of each coupling row), and
the rows' limits at each floor. Out: how to mix the columns at each floor, and the prices of the rows, from which
`bound.py` makes better columns (Dantzig-Wolfe decomposition). The floors know nothing of each other; they are solved
as the blocks of one program because each call of the solver costs more than a block.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.workload import Floats

SLACK_PRICE = 1e4
"""Price of breaking the floor or the miss rate by 1, in units of the costliest lane's total: only when they must be."""
ELASTIC_ROWS = 2
"""Rows that an assignment may be unable to meet: quality, then misses. Capacity can always be met by not answering."""


def solve_master(columns: Floats, limits: Floats, scale: float) -> tuple[Floats, Floats, Floats]:
    """Best mix of columns under each of F limits, all in one program of F blocks.

    Parameters
    ----------
    columns : (C, 1 + J or more)
        Dollars of each assignment, then its use of the J coupling rows: minus quality, misses, capacities.
    limits : (F, J)
    scale
        Dollars in which the program is solved.

    Returns
    -------
    weights : (F, C)
    slacks : (F, ELASTIC_ROWS)
    prices : (F, J) dollars for one unit of each row, at least 0.

    Raises
    ------
    LaneError
        Not solved: a capacity that no mix keeps, or figures that are not numbers.
    """
    floors, rows = limits.shape
    elastic = np.zeros((rows, ELASTIC_ROWS))
    elastic[range(ELASTIC_ROWS), range(ELASTIC_ROWS)] = -1.0
    block = np.hstack([columns[:, 1 : 1 + rows].T, elastic])
    one = np.concatenate([np.ones(len(columns)), np.zeros(ELASTIC_ROWS)])
    cost = np.concatenate([columns[:, 0] / scale, np.full(ELASTIC_ROWS, SLACK_PRICE)])
    result = linprog(  # type: ignore[call-overload]  # its stubs leave sparse matrices out
        np.tile(cost, floors),
        A_ub=_repeat_block(block, floors),
        b_ub=limits.ravel(),
        A_eq=_repeat_block(one[None], floors),
        b_eq=np.ones(floors),
        method="highs-ds",
    )
    if result.status != 0:
        raise LaneError(f"The master program was not solved ({result.message}); check the workload's figures.")
    mixed = result.x.reshape(floors, -1)
    # HiGHS gives the change of the minimum by a unit of right-hand side, at most 0 but for rounding.
    prices = np.maximum(-result.ineqlin.marginals.reshape(floors, rows), 0.0) * scale
    return mixed[:, : len(columns)], mixed[:, len(columns) :], prices


def _repeat_block(block: Floats, times: int) -> sparse.csr_array[np.float64, tuple[int, int]]:
    """The block along the diagonal, this many times; ten times as fast as `sparse.kron`."""
    height, width = block.shape
    column = np.arange(times)[:, None, None] * width + np.arange(width)
    indices = np.broadcast_to(column, (times, height, width)).ravel()
    starts = np.arange(times * height + 1) * width
    return sparse.csr_array((np.tile(block.ravel(), times), indices, starts), shape=(times * height, times * width))
