"""The policies that choose a lane, behind one small interface that the replay and a live router share.

A policy is a frozen dataclass with a `name` and a method `start`, which turns it into a `Program`: a kind, settings and
memory in flat arrays. Two compiled functions run any program, one request at a time: `choose_lane` from what the
router knows (see `beliefs.py`), and `learn_from` when an attempt ended. The replay calls the same code from its loop.

The kind is an integer and the dispatch a chain of ifs. numba's first-class function types would save the chain, but
are not cached on disk, and all programs then would have to be compiled in every process. To add a policy: write
its `choose_...` (and `learn_...`) over views as in `weighted.py`, give it a kind and a line in `choose` and `learn`,
and a dataclass below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lean_agentic.multi_lane.bandits import (
    choose_epsilon,
    choose_linucb,
    epsilon_memory,
    learn_epsilon,
    learn_linucb,
    linucb_memory,
    reward,
)
from lean_agentic.multi_lane.compiled import STAMP, compiled, compiled_entry
from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.multipliers import DUAL_MEMORY, MISS_AIM, SERVER_PRICE, choose_dual, learn_dual
from lean_agentic.multi_lane.program import Feedback, Program
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.weighted import choose_random, choose_single, choose_weighted
from lean_agentic.multi_lane.workload import Floats

SINGLE, RANDOM, WEIGHTED, EPSILON, LINUCB, DUAL = range(6)


class Policy(Protocol):
    """What `simulate` asks of a policy."""

    @property
    def name(self) -> str:
        """What captions call it."""

    def start(self, scenario: Scenario, requests: int) -> Program:
        """A fresh program for a scenario and a horizon of so many requests."""


@compiled
def choose(kind: int, settings: Floats, memory: Floats, request: Floats, view: Floats, draw: float) -> int:
    """Run a program for one request, from compiled code."""
    if kind == SINGLE:
        return choose_single(settings, view)
    if kind == RANDOM:
        return choose_random(settings, view, draw)
    if kind == WEIGHTED:
        return choose_weighted(request, view)
    if kind == EPSILON:
        return choose_epsilon(settings, memory, request, view, draw)
    if kind == LINUCB:
        return choose_linucb(settings, memory, request, view)
    return choose_dual(memory, view)


@compiled
def learn(
    kind: int, settings: Floats, memory: Floats, request: Floats, row: Floats, lane: int, feedback: Feedback
) -> None:
    """Let a program learn from one ended attempt, from compiled code. Lane -1: given up before any attempt."""
    if kind == DUAL:
        learn_dual(settings, memory, request, row, lane, feedback)
    elif kind == EPSILON and lane >= 0:
        gain = reward(settings, feedback.cost_usd, feedback.quality, feedback.missed)
        learn_epsilon(memory, request, lane, gain)
    elif kind == LINUCB and lane >= 0:
        gain = reward(settings, feedback.cost_usd, feedback.quality, feedback.missed)
        learn_linucb(memory, request, row, lane, gain)


def _entries(stamp: int):  # type: ignore[no-untyped-def]
    """Compiled entry points, cached on disk until `stamp` changes."""

    @compiled_entry
    def choose_lane(program: Program, request: Floats, view: Floats, draw: float) -> int:
        _ = stamp
        return choose(program.kind, program.settings, program.memory, request, view, draw)

    @compiled_entry
    def learn_from(program: Program, request: Floats, row: Floats, lane: int, feedback: Feedback) -> None:
        _ = stamp
        learn(program.kind, program.settings, program.memory, request, row, lane, feedback)

    return choose_lane, learn_from


choose_lane, learn_from = _entries(STAMP)
"""`choose_lane(program, request, view, draw)`, -1 for none; `learn_from(program, request, row, lane, feedback)`."""


def _no_memory() -> Floats:
    return np.zeros((1, 1))


def _share(owner: str, name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise LaneError(f"{owner}: {name} is a share between 0 and 1, not {value}.")


def _at_least_zero(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise LaneError(f"{owner}: {name} is a number of at least 0, not {value}.")


@dataclass(frozen=True)
class SingleLane:
    """One lane for everything, without fall-back: the baseline that savings are measured against."""

    lane: str

    @property
    def name(self) -> str:
        """What captions call it."""
        return f"{self.lane} only"

    def start(self, scenario: Scenario, requests: int) -> Program:
        """A fresh program; refuses a lane that the scenario lacks."""
        return Program(SINGLE, np.array([float(scenario.lane_index(self.lane))]), _no_memory(), False)


@dataclass(frozen=True)
class RandomMix:
    """A lane at random among those not yet tried, without a look at anything."""

    weights: tuple[float, ...] = ()
    """One a lane, in the scenario's order; empty: all the same."""
    name: str = "random mix"

    def start(self, scenario: Scenario, requests: int) -> Program:
        """A fresh program; refuses weights that do not fit the scenario's lanes."""
        weights = self.weights or (1.0,) * len(scenario.lanes)
        _at_least_zero("RandomMix", **{f"weights[{i}]": weight for i, weight in enumerate(weights)})
        if len(weights) != len(scenario.lanes) or sum(weights) == 0:
            raise LaneError(f"RandomMix: {len(scenario.lanes)} lanes need as many weights, not all 0; got {weights}.")
        return Program(RANDOM, np.array(weights, dtype=np.float64), _no_memory(), False)


@dataclass(frozen=True)
class WeightedScore:
    """The specification's weights of cost, latency and availability by priority; see `weighted.py`."""

    name: str = "weighted score"

    def start(self, scenario: Scenario, requests: int) -> Program:
        """A fresh program."""
        return Program(WEIGHTED, np.zeros(1), _no_memory(), False)


@dataclass(frozen=True)
class EpsilonGreedy:
    """The lane with the best mean reward for the request's priority, a random one now and then; see `bandits.py`."""

    epsilon: float = 0.05
    quality_usd: float = 0.5
    """What a right answer is worth."""
    late_usd: float = 0.5
    """What a missed target costs."""
    name: str = "epsilon-greedy"

    def start(self, scenario: Scenario, requests: int) -> Program:
        """A fresh program that knows nothing yet."""
        _share("EpsilonGreedy", "epsilon", self.epsilon)
        _at_least_zero("EpsilonGreedy", quality_usd=self.quality_usd, late_usd=self.late_usd)
        settings = np.array([self.epsilon, self.quality_usd, self.late_usd])
        return Program(EPSILON, settings, epsilon_memory(len(scenario.lanes)), False)


@dataclass(frozen=True)
class LinUCB:
    """Ridge regression of the reward per lane, chosen by upper confidence bound; see `bandits.py`."""

    alpha: float = 0.3
    """Deviations of the estimate added as a bonus for what is little known."""
    quality_usd: float = 0.5
    """What a right answer is worth."""
    late_usd: float = 0.5
    """What a missed target costs."""
    name: str = "LinUCB"

    def start(self, scenario: Scenario, requests: int) -> Program:
        """A fresh program that knows nothing yet."""
        _at_least_zero("LinUCB", alpha=self.alpha, quality_usd=self.quality_usd, late_usd=self.late_usd)
        settings = np.array([self.alpha, self.quality_usd, self.late_usd])
        return Program(LINUCB, settings, linucb_memory(len(scenario.lanes)), False)


@dataclass(frozen=True)
class Dual:
    """Least cost under budget, latency and quality constraints; see `multipliers.py`. `fit_dual` makes a fitted one."""

    lambda_latency: float = 0.05
    """Dollars that a missed target is charged with, at the start."""
    lambda_quality: float = 0.5
    """Dollars that a unit of quality is credited with, at the start."""
    server_prices: tuple[float, ...] = ()
    """Dollars charged for a second of each lane's servers, in the scenario's order of lanes; empty: 0."""
    margin: float = 0.01
    """Share of the best lane's quality aimed for above the floor, because its answers to requests that it never got
    stay unknown; `fit_dual` sets it by how many prompts it has seen."""
    steps: tuple[float, float, float] = (0.05, 0.15, 0.04)
    """Subgradient steps of the budget's, the latency's and the quality's multiplier; 0 freezes one."""
    name: str = "dual"

    def start(self, scenario: Scenario, requests: int) -> Program:
        """A fresh program that keeps the scenario's budget, paced over the expected number of requests."""
        _at_least_zero(
            "Dual", lambda_latency=self.lambda_latency, lambda_quality=self.lambda_quality, margin=self.margin
        )
        _at_least_zero("Dual", **{f"steps[{i}]": step for i, step in enumerate(self.steps)})
        _at_least_zero("Dual", **{f"server_prices[{i}]": price for i, price in enumerate(self.server_prices)})
        if self.server_prices and len(self.server_prices) != len(scenario.lanes):
            raise LaneError(f"Dual: {len(scenario.lanes)} lanes need as many server_prices; got {self.server_prices}.")
        limits = (
            self.quality_share(scenario),
            MISS_AIM * scenario.max_miss_rate,
            scenario.budget_usd,
            float(requests),
        )
        memory = np.zeros((1 + len(scenario.lanes), DUAL_MEMORY))
        memory[0, 1:3] = self.lambda_latency, self.lambda_quality
        memory[1:, SERVER_PRICE] = self.server_prices or 0.0
        return Program(DUAL, np.array([*self.steps, *limits]), memory, True)

    def quality_share(self, scenario: Scenario) -> float:
        """Share of the best lane's quality that is aimed for: the floor and the margin."""
        return min(scenario.quality_floor + self.margin, 1.0)
