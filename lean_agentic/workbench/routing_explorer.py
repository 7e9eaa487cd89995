"""The live part of the routing notebook: controls on one side, the replay of every policy on the other.

In: a `RoutingStudy`. Out: a widget. Each change replays every request with every policy that it can matter to: floor
and budget move the dual policy alone, so the study keeps the other outcomes. Nothing is computed ahead of a change.
"""

from __future__ import annotations

from lean_agentic.multi_lane.bound import BoundVerdict
from lean_agentic.multi_lane.study import Replayed, RoutingStudy, Setting
from lean_agentic.workbench.controls import Control, Slider, choice, slider, toggle
from lean_agentic.workbench.explorer import Explorer, View, explore
from lean_agentic.workbench.routing_charts import POLICIES, routing_charts, routing_table


def routing_explorer(study: RoutingStudy, start: Setting) -> Explorer:
    """Make the explorer, its controls at `start`."""
    # A slider needs an end, and the setting's budget may be infinite.
    dearest = _dearest(study, start)

    def compute(
        budget: float, latency_target: float, quality_floor: float, local_throughput: float, traffic: float,
        shares_of: str, **down: bool,
    ) -> View:  # fmt: skip
        setting = Setting(
            latency_target_s=latency_target,
            quality_floor=quality_floor,
            budget_usd=budget,
            local_tokens_per_s=local_throughput,
            traffic_multiplier=traffic,
            down=tuple(name for name, is_down in down.items() if is_down),
        )
        replayed = study.replay(setting)
        return View(routing_charts(replayed, shares_of), routing_table(replayed), summary(replayed))

    return explore(compute, _controls(study, start, dearest))


def summary(replayed: Replayed) -> str:
    """One sentence on the dual policy, read aloud when a control moves."""
    dual, saving = replayed.summaries["dual"], replayed.savings.of("dual", "anthropic only")
    # With anthropic down there is no bill to save against.
    saved = f"{saving.share:.1%} below anthropic only{_left_unanswered(replayed)}, " if saving.against.cost_usd else ""
    bound = replayed.bound
    reach = f"the bound is ${bound.cost_usd:,.2f}" if bound.verdict is BoundVerdict.OPTIMAL else bound.verdict.value
    return (
        f"Dual policy: ${dual.cost_usd:,.2f} for {dual.requests:,} requests, {saved}{dual.quality_kept:.1%} of quality "
        f"kept, {dual.missed:.2%} of targets missed; {reach}."
    )


def _left_unanswered(replayed: Replayed) -> str:
    """What makes the yardstick's bill too small to save against, where it does: requests that it left unanswered."""
    against = replayed.summaries["anthropic only"]
    # Rate limits can refuse half of fast traffic, and what is not answered is not billed.
    if against.unanswered <= replayed.scenario.max_miss_rate:
        return ""
    return f" (which left {against.unanswered:.1%} unanswered)"


def _dearest(study: RoutingStudy, start: Setting) -> float:
    """Dollars that buy every request on the dearest lane, failures included: a budget that never binds."""
    most = max(outcome.cost_usd.sum() for outcome in study.replay(start).outcomes)
    return float(10 * (1 + 1.2 * most // 10))


def _controls(study: RoutingStudy, start: Setting, dearest: float) -> dict[str, Control]:
    def wide(label: str, value: float, low: float, high: float, step: float, format: str) -> Slider:
        # Whatever setting a run was given, its explorer starts there.
        return slider(label, value, min(low, value), max(high, value), step, format=format)

    return {
        "budget": slider("Budget", min(start.budget_usd, dearest), 0, dearest, dearest / 100, format="${:,.0f}"),
        "latency_target": wide("Latency target", start.latency_target_s, 1, 40, 0.5, "{:.1f} s"),
        "quality_floor": wide("Quality floor", start.quality_floor, 0.7, 1.0, 0.01, "{:.0%}"),
        "local_throughput": wide("Local throughput", start.local_tokens_per_s, 25, 2000, 25, "{:,.0f} tok/s"),
        "traffic": wide("Traffic multiplier", start.traffic_multiplier, 0.25, 8, 0.25, "{:.2f}x"),
        "shares_of": choice("Lane shares of", POLICIES, "dual"),
        **{lane.name: toggle(f"Outage of {lane.name}", lane.name in start.down) for lane in study.lanes},
    }
