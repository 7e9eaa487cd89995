from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.multi_lane import beliefs, multipliers
from lean_agentic.multi_lane.program import Feedback

#                  steps           floor miss budget  requests
SETTINGS = np.array([0.1, 0.2, 0.3, 0.8, 0.05, np.inf, 100.0])


def memory_of(budget=0.0, latency=1.0, quality=1.0):
    memory = np.zeros((4, multipliers.DUAL_MEMORY))
    memory[0, :3] = budget, latency, quality
    return memory


def request_of(best):
    request = np.zeros(beliefs.REQUEST_COLUMNS)
    request[beliefs.BEST_QUALITY] = best
    return request


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=9, max_size=9), st.lists(st.floats(0, 10), min_size=4, max_size=4))
def test_takes_the_least_lagrangian(numbers, prices):
    """Server time counts in proportion to the load; the second lane has no servers of its own."""
    view = np.ones((3, beliefs.VIEW_COLUMNS))
    cost, late, quality = np.array(numbers).reshape(3, 3)
    view[:, beliefs.COST], view[:, beliefs.P_LATE], view[:, beliefs.QUALITY] = cost, late, quality
    view[:, beliefs.SERVER_S], view[:, beliefs.LOAD] = (2.0, 0.0, 3.0), (multipliers.AIMED_LOAD, 0.0, 0.5)
    score = cost * (1 + prices[0]) + prices[1] * late - prices[2] * quality
    score += prices[3] * np.array([2.0, 0.0, 3.0 * 0.5 / multipliers.AIMED_LOAD])
    memory = memory_of(*prices[:3])
    memory[1:, multipliers.SERVER_PRICE] = prices[3]
    assert score[multipliers.choose_dual(memory, view)] == pytest.approx(score.min(), abs=1e-9)


def test_an_idle_server_costs_nothing():
    memory, view = memory_of(), np.ones((2, beliefs.VIEW_COLUMNS))
    memory[1, multipliers.SERVER_PRICE] = 1e6
    view[:, beliefs.COST], view[0, beliefs.LOAD] = (0.1, 0.2), 0.0
    assert multipliers.choose_dual(memory, view) == 0
    view[0, beliefs.LOAD] = 0.1
    assert multipliers.choose_dual(memory, view) == 1


def test_one_step_by_hand():
    memory, row = memory_of(), np.zeros(beliefs.VIEW_COLUMNS)
    row[beliefs.QUALITY] = 0.6
    answer = Feedback(cost_usd=0.2, quality=0.0, missed=1.0, failed=False, over=True)
    multipliers.learn_dual(SETTINGS, memory, request_of(0.9), row, 0, answer)
    assert memory[0, multipliers.LATENCY_PRICE] == pytest.approx(1 + 0.2 * (1 - 0.05))
    assert memory[0, multipliers.QUALITY_PRICE] == pytest.approx(1 + 0.3 * (0.8 * 0.9 - 0))
    assert memory[0, multipliers.SPENT] == 0.2
    assert memory[0, multipliers.BUDGET] == 0


def test_failed_attempts_count_as_spending_only():
    memory, row = memory_of(), np.zeros(beliefs.VIEW_COLUMNS)
    failure = Feedback(cost_usd=0.1, quality=0.0, missed=1.0, failed=True, over=False)
    multipliers.learn_dual(SETTINGS, memory, request_of(0.9), row, 0, failure)
    assert memory[0].tolist() == [0, 1, 1, 0.1, 0, 0, 0, 0]


def test_prices_never_fall_below_zero():
    memory, row = memory_of(latency=0.01, quality=0.01), np.zeros(beliefs.VIEW_COLUMNS)
    for _ in range(50):
        answer = Feedback(0.0, 1.0, 0.0, False, True)
        multipliers.learn_dual(SETTINGS, memory, request_of(0.9), row, 0, answer)
    assert memory[0, multipliers.LATENCY_PRICE] == memory[0, multipliers.QUALITY_PRICE] == 0


def test_finds_out_how_much_better_the_best_lane_is_than_predicted():
    memory, row = memory_of(), np.zeros(beliefs.VIEW_COLUMNS)
    row[beliefs.QUALITY] = 0.7
    rng = np.random.default_rng(0)
    for right in rng.random(5000) < 0.9:
        answer = Feedback(0.0, float(right), 0.0, False, True)
        multipliers.learn_dual(SETTINGS, memory, request_of(0.7), row, 1, answer)
    assert memory[0, multipliers.SURPRISE] == pytest.approx(0.2, abs=0.02)


def test_spending_too_fast_raises_the_price_of_money_and_slowly_lowers_it():
    limited = SETTINGS.copy()
    limited[5], limited[6] = 100.0, 1000.0
    memory, row, prices = memory_of(), np.zeros(beliefs.VIEW_COLUMNS), []
    for cost in [0.3] * 100 + [0.01] * 400:
        multipliers.learn_dual(limited, memory, request_of(0.5), row, 0, Feedback(cost, 1.0, 0.0, False, True))
        prices.append(memory[0, multipliers.BUDGET])
    # 0.3 a request against the 0.1 that the budget allows, then 0.01: up at once, and down soon after the change.
    assert (np.diff(prices[:100]) > 0).all()
    assert 100 <= np.argmax(prices) < 250
    assert prices[-1] < 0.5 * max(prices)
