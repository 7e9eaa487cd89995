"""The four pictures of a routing replay: cost over time, cost against quality, latencies, lane shares over time.

In: a `Replayed` of the routing study. Out: `Chart`s and a `Table`, drawn alike live and static.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lean_agentic.multi_lane.bound import Bound, BoundVerdict, frontier
from lean_agentic.multi_lane.cost_prediction import billed_costs, window_errors
from lean_agentic.multi_lane.study import Replayed, RoutingStudy
from lean_agentic.multi_lane.traffic import Traffic
from lean_agentic.multi_lane.workload import Floats, Outcome
from lean_agentic.workbench.charts import Chart, ChartError, Reference, Series
from lean_agentic.workbench.style import PALETTE
from lean_agentic.workbench.tables import Table

BOUND = "reachable bound (LP)"
UNANSWERED = "unanswered"
TIME_BINS = 40
POLICIES = (
    "dual", "anthropic only", "openrouter only", "onnx_local only", "weighted score", "LinUCB", "random mix",
    "epsilon-greedy",
)  # fmt: skip
# Fixed once, so that a policy looks the same in every chart, and each lane has the colour of its single-lane policy.
PALETTE.reserve(*POLICIES, "anthropic", "openrouter", "onnx_local", UNANSWERED, BOUND)
OFF_THE_CHART = 0.6
"""Policies below this share of the best policy's quality would squeeze all others into one corner."""


def cumulative_cost(replayed: Replayed) -> Chart:
    """Dollars billed so far, by policy."""
    series = []
    for outcome in _in_order(replayed):
        order = np.argsort(outcome.finish_s, kind="stable")
        minutes, spent = outcome.finish_s[order] / 60, np.cumsum(outcome.cost_usd[order])
        series.append(Series(outcome.policy, minutes, spent, "step"))
    budget = replayed.scenario.budget_usd
    most = max(outcome.cost_usd.sum() for outcome in replayed.outcomes)
    # A budget far above all bills would squeeze the lines into the bottom of the chart.
    references = (Reference(budget, "budget of the dual policy"),) if budget <= 1.2 * most else ()
    return Chart(
        "Cost so far",
        "minutes",
        "dollars",
        tuple(series),
        references=references,
        x_format="{:.1f}",
        y_format="${:,.2f}",
    )


def _in_order(replayed: Replayed) -> list[Outcome]:
    return sorted(replayed.outcomes, key=lambda outcome: POLICIES.index(outcome.policy))


def cost_quality(replayed: Replayed, bounds: Sequence[Bound]) -> Chart:
    """Every policy as a point, the linear program's curve as the line that none can pass by more than luck."""
    best = float(replayed.workload.quality.mean(axis=0).max())
    rows = [replayed.summaries[outcome.policy] for outcome in _in_order(replayed)]
    below = [row.policy for row in rows if row.quality < OFF_THE_CHART * max(row.quality for row in rows)]
    series = [Series(row.policy, [row.cost_usd], [row.quality], "points") for row in rows if row.policy not in below]
    reached = [bound for bound in bounds if bound.verdict is BoundVerdict.OPTIMAL]
    if reached:
        costs, qualities = zip(*sorted((bound.cost_usd, bound.quality) for bound in reached), strict=True)
        series.append(Series(BOUND, costs, qualities, "line"))
    title = "Cost against quality" + (f" (far below: {', '.join(below)})" if below else "")
    floor = Reference(replayed.scenario.quality_floor * best, "quality floor")
    return Chart(
        title, "dollars", "answers right", tuple(series), references=(floor,), x_format="${:,.2f}", y_format="{:.1%}"
    )


def latency_distribution(replayed: Replayed) -> Chart:
    """Share of requests answered within so many seconds, by policy; an unanswered request never is."""
    series = []
    for outcome in _in_order(replayed):
        answered = np.sort(outcome.latency_s[outcome.lane >= 0])
        share = np.arange(1, answered.size + 1) / len(outcome)
        if not answered.size:  # a policy that never answers is a point on the ground
            answered, share = np.array([replayed.scenario.latency_target_s]), np.zeros(1)
        series.append(Series(outcome.policy, answered, share, "step"))
    target = Reference(replayed.scenario.latency_target_s, "target, medium priority", axis="x")
    return Chart(
        "Latency", "seconds from arrival to the last token", "share of requests", tuple(series), x_log=True,
        references=(target,), x_format="{:,.3g}", y_format="{:.1%}",
    )  # fmt: skip


def lane_shares(replayed: Replayed, policy: str) -> Chart:
    """Which lane answered, over time, for one policy."""
    outcome = replayed.outcome(policy)
    minutes = replayed.workload.arrival_s / 60
    edges = np.linspace(minutes[0], max(minutes[-1], minutes[0] + 1e-9), min(TIME_BINS, len(minutes)) + 1)
    which = np.clip(np.searchsorted(edges, minutes, side="right") - 1, 0, len(edges) - 2)
    arrived = np.bincount(which, minlength=len(edges) - 1)
    names = [*(lane.name for lane in replayed.scenario.lanes), UNANSWERED]
    middles = (edges[1:] + edges[:-1]) / 2
    series = []
    for index, name in enumerate(names):
        lane = index if name != UNANSWERED else -1
        served = np.bincount(which[outcome.lane == lane], minlength=len(edges) - 1)
        series.append(Series(name, middles, served / np.maximum(arrived, 1), "area"))
    return Chart(
        f"Who answers: {policy}", "minutes", "share of requests", tuple(series), x_format="{:.1f}", y_format="{:.0%}"
    )


def routing_charts(replayed: Replayed, shares_of: str = "dual", floors: Sequence[float] = ()) -> tuple[Chart, ...]:
    """All four, the bound's curve at the given quality floors (default: 9 of them up to the best reachable)."""
    floors = floors or np.linspace(0.75, 1.0, 9).tolist()
    bounds = frontier(replayed.workload, replayed.scenario, floors)
    return (
        cumulative_cost(replayed),
        cost_quality(replayed, bounds),
        latency_distribution(replayed),
        lane_shares(replayed, shares_of),
    )


def routing_table(replayed: Replayed) -> Table:
    """One row a policy: no saving without the quality kept and the targets missed."""
    # As replayed, with its outages and failures: what it left unanswered it did not bill either.
    dear = replayed.summaries["anthropic only"].cost_usd
    rows = []
    for name in sorted(replayed.summaries, key=POLICIES.index):
        row = replayed.summaries[name]
        saved = 1 - row.cost_usd / dear if dear else float("nan")
        verdict = "yes" if row.meets_floor and row.meets_miss_rate else "no"
        rows.append((name, row.cost_usd, saved, row.quality_kept, row.missed, row.p95_s, verdict))
    columns = (
        "policy", "cost", "saved against anthropic only", "quality kept", "targets missed", "latency p95",
        "keeps floor and targets",
    )  # fmt: skip
    formats = ("", "${:,.2f}", "{:.1%}", "{:.1%}", "{:.2%}", "{:.1f} s", "")
    return Table("Policies on the same requests", columns, tuple(rows), formats)


def traffic_charts(study: RoutingStudy) -> tuple[Chart, ...]:
    """What comes in: arrivals over time and tokens of prompt and answer, of both halves."""
    parts = {"fitted on": study.train_traffic, "reported on": study.test_traffic}
    arrivals = [Series(name, *_per_minute(part), "step") for name, part in parts.items()]
    tokens = [Series(name, part.context_tokens, part.generated_tokens, "points") for name, part in parts.items()]
    return (
        Chart("Requests a minute", "minutes", "requests", tuple(arrivals)),
        Chart(
            "Length of prompt and answer", "context tokens", "generated tokens", tuple(tokens), x_log=True, y_log=True
        ),
    )


def _per_minute(traffic: Traffic) -> tuple[Floats, Floats]:
    minutes = traffic.arrival_s / 60
    # The last, begun minute would look like a lull.
    whole = max(int(minutes[-1]), 1)
    return np.arange(whole, dtype=np.float64), np.bincount(minutes.astype(int), minlength=whole)[:whole].astype(float)


def prediction_charts(replayed: Replayed, policy: str = "dual", window: int = 100) -> tuple[Chart, ...]:
    """Predicted against billed cost of one policy over windows, and how the errors of the windows are spread.

    Raises
    ------
    ChartError
        The policy was billed for fewer requests than one window holds.
    """
    predicted, actual = billed_costs(replayed.outcome(policy))
    windows = len(actual) // window
    if not windows:
        raise ChartError(
            f"The policy {policy!r} was billed for {len(actual)} requests, fewer than a window of {window}: replay "
            "more arrivals, or judge smaller windows."
        )
    sums = [costs[: windows * window].reshape(windows, window).sum(axis=1) for costs in (predicted, actual)]
    errors = np.sort(window_errors(predicted, actual, window))
    position = np.arange(windows, dtype=np.float64)
    return (
        Chart(
            f"Bills of {window} requests", f"window of {window} billed requests", "dollars",
            (Series("predicted", position, sums[0]), Series("billed", position, sums[1])),
            x_format="{:.0f}", y_format="${:,.2f}",
        ),
        Chart(
            "Error of the prediction", "error of a window's bill", "share of windows",
            (Series("windows", errors, (position + 1) / windows, "step"),),
            references=(Reference(float(np.nanpercentile(errors, 95)), "p95", "x"), Reference(0.05, "target", "x")),
            x_format="{:.1%}", y_format="{:.0%}",
        ),
    )  # fmt: skip
