"""The specification's cost demo: ten requests of 1,000 tokens at nominal prices, three ways to send them.

anthropic-only costs $1.0000 and openrouter-only $0.5000; adaptive (the weighted score) must cost $0.6000 or less.
The lanes here never fail and answer at fixed speeds, which the router knows, so that the sums can be checked by
hand: low priority goes to onnx_local, medium and high to openrouter, critical to anthropic, $0.6000 in all. Each
lane's quality is its mean share of right answers in RouteLLM's GSM8K evaluation (the middle lane: halfway), because a
price without a quality says nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lean_agentic.multi_lane.lanes import NOMINAL_LANES, PRIORITIES
from lean_agentic.multi_lane.metrics import Saving, Summary, summarise
from lean_agentic.multi_lane.policies import Policy, SingleLane, WeightedScore
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.simulator import simulate
from lean_agentic.multi_lane.workload import DRAWS_PER_REQUEST, Workload

REQUESTS, CONTEXT_TOKENS, GENERATED_TOKENS, EVERY_S = 10, 800, 200, 10.0
MIX = (0, 1, 2, 3, 3, 0, 1, 2, 3, 3)
"""Priorities of the ten requests: two low, two medium, two high, four critical."""
QUALITY = (0.637, 0.858, 0.7475)
TTFT_S = (0.37, 0.22, 0.64)
TOKENS_PER_S = (24.0, 270.0, 87.0)


def demo_workload() -> Workload:
    """The ten requests; every time and quality is a constant of its lane."""
    return Workload(
        arrival_s=EVERY_S * np.arange(REQUESTS, dtype=np.float64),
        context_tokens=np.full(REQUESTS, CONTEXT_TOKENS),
        generated_tokens=np.full(REQUESTS, GENERATED_TOKENS),
        priority=np.array(MIX),
        prompt=np.full(REQUESTS, -1),
        quality=np.tile(QUALITY, (REQUESTS, 1)),
        predicted_quality=np.tile(QUALITY, (REQUESTS, 1)),
        ttft_s=np.tile(TTFT_S, (REQUESTS, 1)),
        inter_token_s=np.tile(1 / np.array(TOKENS_PER_S), (REQUESTS, 1)),
        draws=np.full((REQUESTS, DRAWS_PER_REQUEST), 0.5),
        source="the specification's cost demo",
    )


def cost_demo() -> dict[str, Summary]:
    """Send the ten requests each way; by the demo's own names for the three ways."""
    lanes = tuple(
        replace(lane, availability=1.0, failure_rate=0.0, typical_ttft_s=first, typical_tokens_per_s=speed)
        for lane, first, speed in zip(NOMINAL_LANES, TTFT_S, TOKENS_PER_S, strict=True)
    )
    scenario, workload = Scenario(lanes=lanes), demo_workload()
    ways: dict[str, Policy] = {
        "Anthropic only": SingleLane("anthropic"),
        "OpenRouter only": SingleLane("openrouter"),
        "Adaptive": WeightedScore(),
    }
    return {name: summarise(simulate(workload, scenario, policy), workload, scenario) for name, policy in ways.items()}


def cost_demo_text() -> str:
    """The demo as it is printed: dollars with four decimals, each saving with what it keeps and misses."""
    rows = cost_demo()
    dear = rows["Anthropic only"]
    lines = [f"{REQUESTS} requests of {CONTEXT_TOKENS + GENERATED_TOKENS:,} tokens, priorities {_mix()}"]
    for name, row in rows.items():
        kept = f"{row.quality_kept:6.1%} of quality kept, {row.missed:.1%} of targets missed"
        saved = "" if row is dear else f", {Saving(row, dear, 'Anthropic only').share:.1%} saved"
        lines.append(f"{name + ':':<17} ${row.cost_usd:.4f}   {kept}{saved}")
    return "\n".join(lines)


def _mix() -> str:
    return ", ".join(f"{MIX.count(index)} {name}" for index, name in enumerate(PRIORITIES))
