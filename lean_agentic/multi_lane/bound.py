"""The least that any assignment of requests to lanes can cost under a scenario's constraints: a linear program.

In: a workload and a scenario. Out: `Bound`, for one quality floor or for several (`frontier`).

    minimise    sum_r sum_l  cost[r, l] x[r, l]          x[r, .] a mix over the lanes and "unanswered"
    subject to  mean quality       >= quality floor x the best single lane's quality
                mean misses        <= max_miss_rate      late by service time alone, or unanswered
                server seconds     <= servers x horizon  each lane with servers of its own
                calls              <= burst + rate x horizon  each lane with a rate limit

The bound is **optimistic**, so no policy can be expected to reach it quite: it knows token counts and latencies
before the request is sent, nobody waits in line, no attempt fails, and only forced outages take a lane down. The
horizon is the time between the first and the last arrival plus the longest latency target.

Solved by Dantzig-Wolfe decomposition: prices on the coupling rows give each request its best option, and such whole
assignments are the columns of a small master program (scipy's HiGHS). The Lagrangian at those prices bounds the full
program from below whatever the columns, so the distance from the optimum is known (`gap_usd`).
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.master_program import SLACK_PRICE, solve_master
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.workload import Floats, Workload

TOLERANCE = 1e-3
"""Largest `gap_usd`, as a share of what the costliest lane alone would cost: a tenth of a percentage point saved."""
MOST_ROUNDS = 200
SLACK_ALLOWED = 1e-6


class BoundVerdict(Enum):
    """What became of the linear program."""

    OPTIMAL = "optimal"
    QUALITY_FLOOR = "the quality floor is out of reach"
    MISS_RATE = "the miss rate is out of reach"
    QUALITY_AND_MISSES = "the quality floor and the miss rate are out of reach together"
    BUDGET = "the budget is too small"


@dataclass(frozen=True, repr=False)
class Bound:
    """The cheapest mix of lanes at one quality floor. Where the verdict is not OPTIMAL the figures are NaN."""

    verdict: BoundVerdict
    hindsight: bool
    """False: answers are known as well as the predictor knows them. True: the realised answers are known in
    advance, which no policy can do; the figure shows what better prediction would be worth."""
    quality_floor: float
    """Share of the best single lane's quality to keep."""
    cost_usd: float
    gap_usd: float
    """The optimum of the linear program lies at most this far below `cost_usd`."""
    quality: float
    """Mean quality by the same knowledge: predicted, or realised in hindsight."""
    realised_quality: float
    """Mean of the answers that this mix really gives."""
    quality_kept: float
    """`quality` over the best single lane's."""
    missed: float
    """Share late or unanswered."""
    shares: dict[str, float]
    """Share of requests by lane, "unanswered" among them."""
    lane_costs: dict[str, float]
    """What each lane alone would cost."""
    detail: str
    """Why, where the verdict is not OPTIMAL."""

    def saving(self, lane: str) -> float:
        """Share of cost saved against one lane alone; NaN for a lane that costs nothing."""
        if lane not in self.lane_costs:
            raise LaneError(f"No lane is called {lane!r}; the bound has {list(self.lane_costs)}.")
        alone = self.lane_costs[lane]
        return 1 - self.cost_usd / alone if alone > 0 else float("nan")

    def __repr__(self) -> str:
        kind = "hindsight, unreachable" if self.hindsight else "predicted quality"
        if self.verdict is not BoundVerdict.OPTIMAL:
            return f"Bound({kind}, floor {self.quality_floor:.1%}: {self.verdict.value}; {self.detail})"
        return (
            f"Bound({kind}, floor {self.quality_floor:.1%}: ${self.cost_usd:.4f}, {self.quality_kept:.1%} of quality "
            f"kept, {self.missed:.2%} missed)"
        )

    def _repr_html_(self) -> str:
        shares = ", ".join(f"{name} {share:.1%}" for name, share in self.shares.items())
        return f"<p>{html.escape(repr(self))}<br>{html.escape(shares)}</p>"


def lower_bound(workload: Workload, scenario: Scenario, *, hindsight: bool = False) -> Bound:
    """The least cost at the scenario's quality floor, miss rate, capacities and budget.

    Raises
    ------
    LaneError
        An empty workload, or one whose lanes are not the scenario's.
    """
    program = _Program.build(workload, scenario, hindsight)
    bound = program.bounds(np.array([scenario.quality_floor]))[0]
    return program.within_budget(bound, scenario.budget_usd)


def frontier(
    workload: Workload, scenario: Scenario, floors: Sequence[float], *, hindsight: bool = False
) -> tuple[Bound, ...]:
    """The least cost at each of several quality floors: the curve of cost against quality.

    The budget is left out: on this curve it is a line of equal cost.

    Parameters
    ----------
    floors
        Shares of the best single lane's quality, in any order.
    """
    if not len(floors):
        raise LaneError("A frontier needs at least one quality floor.")
    return _Program.build(workload, scenario, hindsight).bounds(np.asarray(floors, dtype=np.float64))


@dataclass(frozen=True)
class _Program:
    """Every option of every request: K = k + 1 options, "unanswered" first, and J coupling rows."""

    names: tuple[str, ...]
    hindsight: bool
    cost: Floats
    """(n, K) dollars."""
    rows: Floats
    """(J, n, K) use of each coupling row as a share of its scale: minus quality, misses, then capacities."""
    limits: Floats
    """(J,) right-hand sides; the first is overwritten by each floor."""
    realised: Floats
    """(n, K) realised quality."""
    best_quality: float
    lane_costs: dict[str, float]

    @classmethod
    def build(cls, workload: Workload, scenario: Scenario, hindsight: bool) -> _Program:
        n = len(workload)
        if n == 0 or workload.lanes != len(scenario.lanes):
            raise LaneError(
                f"{workload!r} against {len(scenario.lanes)} lanes of the scenario: a bound needs a request or more, "
                "and the same lanes in both."
            )
        up = _up(workload, scenario)
        tokens = (workload.context_tokens + workload.generated_tokens)[:, None]
        cost = tokens * np.array([lane.price_per_1k for lane in scenario.lanes]) / 1000
        known = workload.quality if hindsight else workload.predicted_quality
        service_s = workload.ttft_s + workload.inter_token_s * (workload.generated_tokens - 1)[:, None]
        late = service_s > scenario.latency_targets(workload.priority)[:, None]
        rows = [_options(-known / n, up), _options(late / n, up, unanswered=1 / n)]
        limits = [0.0, scenario.max_miss_rate]
        for row, limit in _capacities(workload, scenario, service_s):
            # A row that even every request together would meet can never bind: left out for speed.
            if row.sum() > limit:
                rows.append(_options(row / limit, up))
                limits.append(1.0)
        return cls(
            ("unanswered", *(lane.name for lane in scenario.lanes)),
            hindsight,
            _options(cost, up),
            np.stack(rows),
            np.array(limits),
            _options(workload.quality, up),
            float(known.mean(axis=0).max()),
            {lane.name: float(total) for lane, total in zip(scenario.lanes, cost.sum(axis=0), strict=True)},
        )

    def bounds(self, floors: Floats) -> tuple[Bound, ...]:
        limits = np.tile(self.limits, (len(floors), 1))
        limits[:, 0] = -floors * self.best_quality
        return tuple(self._bound(floor, *parts) for floor, parts in zip(floors, self._solve(limits), strict=True))

    def _solve(self, limits: Floats) -> list[tuple[Floats, float, Floats]]:
        """For each row of limits: the mixed column, its distance from the optimum, and the slack it needed."""
        solved: dict[int, tuple[Floats, float, Floats]] = {}
        scale = max(self.lane_costs.values()) or 1.0
        # First columns: nobody answered, and quality at a range of prices with nothing else priced.
        prices = np.zeros((8, len(self.limits)))
        prices[:, 0] = scale * np.geomspace(0.1, 100, 8)
        columns = np.vstack([self._column(np.zeros((1, len(self.cost)), dtype=np.int64)), self._best(prices)[1]])
        for last in range(MOST_ROUNDS):
            open_floors = [floor for floor in range(len(limits)) if floor not in solved]
            weights, slacks, prices = solve_master(columns, limits[open_floors], scale)
            lower, fresh = self._best(prices)
            lower -= (prices * limits[open_floors]).sum(axis=1)
            # With the price of slack on both sides, so that the gap is also known where a constraint has to break.
            upper = weights @ columns[:, 0] + SLACK_PRICE * scale * slacks.sum(axis=1)
            near = (upper - lower <= TOLERANCE * scale) | (last == MOST_ROUNDS - 1)
            for place in np.flatnonzero(near):
                gap = max(float(upper[place] - lower[place]), 0.0)
                solved[open_floors[place]] = (weights[place] @ columns, gap, slacks[place])
            if near.all():
                break
            columns = np.vstack([columns, fresh[~near]])
        return [solved[floor] for floor in range(len(limits))]

    def _best(self, prices: Floats) -> tuple[Floats, Floats]:
        """Each request's best option at each of F price vectors (F, J): the Lagrangians (F,) and the columns."""
        n, options = self.cost.shape
        priced = self.cost.reshape(1, -1) + prices @ self.rows.reshape(len(self.limits), -1)
        choice = priced.reshape(-1, n, options).argmin(axis=2)
        columns = self._column(choice)
        uses = columns[:, 1 : 1 + len(self.limits)]
        return columns[:, 0] + (prices * uses).sum(axis=1), columns

    def _column(self, choice: NDArray[np.int64]) -> Floats:
        """(F, n) choices to (F, 1 + J + 1 + K): cost, coupling rows, realised quality, requests by option."""
        n, options = self.cost.shape
        flat = choice + options * np.arange(n)
        parts = [self.cost.ravel()[flat].sum(axis=1)]
        parts += [row.ravel()[flat].sum(axis=1) for row in self.rows]
        parts.append(self.realised.ravel()[flat].sum(axis=1))
        parts += [(choice == option).sum(axis=1).astype(np.float64) for option in range(options)]
        return np.stack(parts, axis=1)

    def _bound(self, floor: float, column: Floats, gap: float, slack: Floats) -> Bound:
        rows = len(self.limits)
        counts = column[2 + rows :] / len(self.cost)
        quality = -float(column[1])
        short, over = (slack > SLACK_ALLOWED).tolist()
        if short or over:
            verdict = _OUT_OF_REACH[short, over]
            detail = f"the nearest mix is {slack[0]:.4f} short of quality and {slack[1]:.4f} over the miss rate"
            return self._without_figures(verdict, float(floor), detail)
        return Bound(
            BoundVerdict.OPTIMAL, self.hindsight, float(floor), float(column[0]), gap, quality,
            float(column[1 + rows]) / len(self.cost), quality / self.best_quality if self.best_quality else 1.0,
            float(column[2]), dict(zip(self.names, counts.tolist(), strict=True)), self.lane_costs, "",
        )  # fmt: skip

    def _without_figures(self, verdict: BoundVerdict, floor: float, detail: str) -> Bound:
        nan = float("nan")
        return Bound(verdict, self.hindsight, floor, nan, nan, nan, nan, nan, nan, {}, self.lane_costs, detail)

    def within_budget(self, bound: Bound, budget_usd: float) -> Bound:
        if bound.verdict is not BoundVerdict.OPTIMAL or bound.cost_usd - bound.gap_usd <= budget_usd:
            return bound
        # The optimum may lie below the figure by the gap: only a budget below that is surely too small.
        detail = f"at least ${bound.cost_usd - bound.gap_usd:.4f} is needed and ${budget_usd:.4f} allowed"
        return self._without_figures(BoundVerdict.BUDGET, bound.quality_floor, detail)


_OUT_OF_REACH = {
    (True, False): BoundVerdict.QUALITY_FLOOR,
    (False, True): BoundVerdict.MISS_RATE,
    (True, True): BoundVerdict.QUALITY_AND_MISSES,
}


def _up(workload: Workload, scenario: Scenario) -> NDArray[np.bool_]:
    """(n, k) False where a forced outage holds the lane down when the request arrives."""
    up = np.ones((len(workload), workload.lanes), dtype=np.bool_)
    for outage in scenario.forced_outages:
        down = (workload.arrival_s >= outage.start_s) & (workload.arrival_s < outage.end_s)
        up[down, scenario.lane_index(outage.lane)] = False
    return up


def _options(lanes: NDArray[Any], up: NDArray[np.bool_], unanswered: float = 0.0) -> Floats:
    """(n, k) to (n, k + 1): a lane that is down is worth as much as no answer, which comes first and wins ties."""
    return np.column_stack([np.full(len(lanes), unanswered), np.where(up, lanes, unanswered)])


def _capacities(workload: Workload, scenario: Scenario, service_s: Floats) -> Iterator[tuple[Floats, float]]:
    """What each limited lane is used for, (n, k), and how much of it there is."""
    # What is let in last may be served until the longest target has passed. Answers later than that could still be had
    # for nothing, but they are missed, and no more than the miss rate of them are allowed: they are left out.
    span = float(workload.arrival_s[-1] - workload.arrival_s[0])
    horizon_s = span + float(scenario.latency_targets(workload.priority).max())
    for index, lane in enumerate(scenario.lanes):
        only = np.zeros(workload.lanes)
        only[index] = 1.0
        if lane.servers:
            yield service_s * only, lane.servers * horizon_s
        if np.isfinite(lane.requests_per_minute):
            yield np.tile(only, (len(workload), 1)), lane.burst + lane.requests_per_minute / 60 * horizon_s
