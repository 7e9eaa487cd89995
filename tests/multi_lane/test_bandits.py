from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.multi_lane import bandits, beliefs
from lean_agentic.multi_lane.policies import EpsilonGreedy, LinUCB
from lean_agentic.multi_lane.scenario import Scenario


def random_case(rng):
    request, view = rng.random(beliefs.REQUEST_COLUMNS), rng.random((3, beliefs.VIEW_COLUMNS))
    request[beliefs.PRIORITY] = rng.integers(0, 4)
    view[:, [beliefs.OPEN, beliefs.ROOM, beliefs.HEALTH]] = 1
    return request, view


def test_reward_is_quality_less_bill_less_lateness():
    assert bandits.reward(np.array([0.1, 2.0, 3.0]), 0.25, 1.0, 1.0) == pytest.approx(2 - 0.25 - 3)


def test_linucb_is_ridge_regression_with_an_upper_confidence_bound():
    """Against numpy.linalg on the stacked features after every update."""
    rng, memory = np.random.default_rng(0), bandits.linucb_memory(3)
    seen = [([np.zeros(bandits.FEATURES)], [0.0]) for _ in range(3)]
    for _ in range(60):
        request, view = random_case(rng)
        bounds = []
        for lane in range(3):
            rows, gains = np.array(seen[lane][0]), np.array(seen[lane][1])
            x = np.array(bandits.features(request, view[lane]))
            matrix = rows.T @ rows + np.eye(bandits.FEATURES)
            theta = np.linalg.solve(matrix, rows.T @ gains)
            bounds.append(theta @ x + 0.7 * np.sqrt(x @ np.linalg.solve(matrix, x)))
        chosen = bandits.choose_linucb(np.array([0.7, 1.0, 1.0]), memory, request, view)
        assert bounds[chosen] == pytest.approx(max(bounds), abs=1e-9)
        gain = rng.normal()
        bandits.learn_linucb(memory, request, view[chosen], chosen, gain)
        seen[chosen][0].append(np.array(bandits.features(request, view[chosen])))
        seen[chosen][1].append(gain)


def test_epsilon_greedy_keeps_plain_means_by_priority():
    rng, memory, gains = np.random.default_rng(1), bandits.epsilon_memory(3), {}
    for _ in range(200):
        request, _ = random_case(rng)
        lane, gain = int(rng.integers(3)), rng.normal()
        bandits.learn_epsilon(memory, request, lane, gain)
        gains.setdefault((lane, int(request[beliefs.PRIORITY])), []).append(gain)
    for (lane, priority), values in gains.items():
        assert memory[lane, priority] == pytest.approx(np.mean(values))


def test_epsilon_greedy_explores_a_share_evenly_and_is_greedy_otherwise():
    program = EpsilonGreedy(epsilon=0.3).start(Scenario(), 1)
    request, view = random_case(np.random.default_rng(2))
    program.memory[:, int(request[beliefs.PRIORITY])] = 0.1, 0.9, 0.5
    grid = (np.arange(3000) + 0.5) / 3000
    chosen = np.array([bandits.choose_epsilon(program.settings, program.memory, request, view, draw) for draw in grid])
    np.testing.assert_allclose([(chosen == lane).mean() for lane in range(3)], [0.1, 0.8, 0.1], atol=1e-3)


@pytest.mark.parametrize("policy", [EpsilonGreedy(), LinUCB()], ids=lambda policy: policy.name)
def test_neither_chooses_a_closed_lane(policy):
    program, rng = policy.start(Scenario(), 1), np.random.default_rng(3)
    choose = {"LinUCB": bandits.choose_linucb, "epsilon-greedy": bandits.choose_epsilon}[policy.name]
    for draw in (0.0, 0.02, 0.9):
        request, view = random_case(rng)
        view[:, beliefs.OPEN] = 0, 0, 1
        more = (draw,) if policy.name == "epsilon-greedy" else ()
        assert choose(program.settings, program.memory, request, view, *more) == 2
        view[2, beliefs.OPEN] = 0
        assert choose(program.settings, program.memory, request, view, *more) == -1
