"""Workloads for the replay's tests, made by hand: no trace, no latency file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lean_agentic.multi_lane.workload import DRAWS_PER_REQUEST, Workload

LANE_QUALITY = np.array([0.64, 0.86, 0.78])


def make_workload(n: int, seed: int = 0, per_second: float = 5.0, lanes: int = 3) -> Workload:
    """Poisson arrivals, answers of geometric length, gamma latencies; the first lane is least right.

    Predicted quality is calibrated: it is the very probability with which an answer is right.
    """
    rng = np.random.default_rng(seed)
    quality = np.clip(rng.normal(np.resize(LANE_QUALITY, lanes), 0.05, (n, lanes)), 0, 1)
    ttft = np.resize([0.3, 0.2, 0.6], lanes)
    inter_token = np.resize([0.003, 0.005, 0.015], lanes)
    return Workload(
        arrival_s=np.cumsum(rng.exponential(1 / per_second, n)),
        context_tokens=rng.integers(10, 3000, n),
        generated_tokens=np.minimum(rng.geometric(1 / 150, n), 1000),
        priority=rng.integers(0, 4, n),
        prompt=np.full(n, -1),
        quality=(rng.random((n, lanes)) < quality).astype(float),
        predicted_quality=quality,
        ttft_s=rng.gamma(8, ttft / 8, (n, lanes)),
        inter_token_s=rng.gamma(20, inter_token / 20, (n, lanes)),
        draws=rng.random((n, DRAWS_PER_REQUEST)),
        source="test",
    )


@pytest.fixture(scope="session")
def workload_of() -> Callable[..., Workload]:
    """`workload_of(n, seed=0, per_second=5.0, lanes=3)`."""
    return make_workload
