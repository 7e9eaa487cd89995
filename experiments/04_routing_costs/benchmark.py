"""Replays 20,000 generated requests over three lanes with the dual policy: what `lean-agentic compare` times."""

from __future__ import annotations

from lean_agentic.multi_lane.lanes import NOMINAL_LANES
from lean_agentic.multi_lane.latency import generated_profiles
from lean_agentic.multi_lane.policies import Dual
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.simulator import simulate
from lean_agentic.multi_lane.traffic import build_workload, generate_traffic

REQUESTS = 20_000
SEED = 4

scenario = Scenario(seed=SEED)
# Set multipliers and not fitted ones: the work must not depend on what a revision's fitting finds.
policy = Dual(lambda_latency=1.0, lambda_quality=0.3)


def prepare() -> None:
    """Generate the requests."""
    global workload
    traffic = generate_traffic(REQUESTS, SEED)
    workload = build_workload(
        traffic, NOMINAL_LANES, generated_profiles(SEED), None, local_tokens_per_s=400.0, seed=SEED
    )


def sample() -> None:
    """Replay them once."""
    simulate(workload, scenario, policy)
