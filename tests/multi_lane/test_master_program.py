from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.master_program import solve_master


def random_columns(seed, columns=6):
    """Cost, quality with its sign turned, misses and one capacity of some assignments."""
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(0, 10, columns), -rng.random(columns), *rng.random((2, columns))])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_each_floor_gets_what_a_program_of_its_own_gives(seed):
    columns = random_columns(seed)
    # Between the least and the most quality of the columns, so that every floor can be met.
    limits = np.array([[-quality, 1.0, 1.0] for quality in np.quantile(-columns[:, 1], [0.2, 0.5, 0.9])])
    weights, slacks, prices = solve_master(columns, limits, scale=10.0)
    for limit, weight, price in zip(limits, weights, prices, strict=True):
        alone = linprog(columns[:, 0], A_ub=columns[:, 1:].T, b_ub=limit, A_eq=np.ones((1, 6)), b_eq=[1.0])
        assert weight @ columns[:, 0] == pytest.approx(alone.fun, abs=1e-6)
        # Weak duality is tight: the least Lagrangian of any column at these prices is the same cost.
        assert (columns[:, 0] + columns[:, 1:] @ price).min() - price @ limit == pytest.approx(alone.fun, abs=1e-6)
    assert np.allclose(weights.sum(axis=1), 1)
    assert np.allclose(slacks, 0, atol=1e-9)
    assert (prices >= 0).all()


def test_an_unreachable_floor_is_broken_by_what_lacks():
    columns = np.array([[1.0, -0.5, 0.0], [0.0, 0.0, 1.0]])
    weights, slacks, _ = solve_master(columns, np.array([[-0.75, 0.1]]), scale=1.0)
    assert weights[0] == pytest.approx([1, 0])
    assert slacks[0] == pytest.approx([0.25, 0])


def test_a_capacity_that_no_mix_keeps_is_an_error():
    columns = np.array([[1.0, -1.0, 0.0, 2.0]])
    with pytest.raises(LaneError, match="was not solved"):
        solve_master(columns, np.array([[-1.0, 1.0, 1.0]]), scale=1.0)
