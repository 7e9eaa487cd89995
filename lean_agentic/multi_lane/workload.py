"""The two tables of a replay: what comes in (`Workload`) and what became of it (`Outcome`).

Everything random about a request is drawn before the replay and stored here, so that every policy meets
the same prompts, latencies and failures (common random numbers): differences between policies are then
the policies' own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lean_agentic.multi_lane.errors import LaneError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS_PER_REQUEST = 8
"""Uniform numbers kept for each request: one an attempt, for failures and for policies that explore."""


@dataclass(frozen=True, repr=False)
class Workload:
    """n requests over k lanes, in the order of their arrival."""

    arrival_s: Floats
    """(n,) seconds since the start, never falling."""
    context_tokens: Ints
    """(n,) tokens in the prompt, known on arrival."""
    generated_tokens: Ints
    """(n,) tokens in the answer, known only when it is complete."""
    priority: Ints
    """(n,) index into `lanes.PRIORITIES`."""
    prompt: Ints
    """(n,) which prompt of the quality data it carries; -1 where there is none."""
    quality: Floats
    """(n, k) quality of the answer if the lane serves it: 1 right, 0 wrong."""
    predicted_quality: Floats
    """(n, k) what a predictor that never saw these answers expects."""
    ttft_s: Floats
    """(n, k) time to the first token if the lane serves it."""
    inter_token_s: Floats
    """(n, k) time for each further token if the lane serves it."""
    draws: Floats
    """(n, DRAWS_PER_REQUEST) uniform in [0, 1)."""
    source: str = "unnamed"
    """Where the traffic comes from, for captions."""

    def __post_init__(self) -> None:
        if self.quality.ndim != 2:
            raise LaneError(f"Workload.quality has shape {self.quality.shape}; expected (requests, lanes).")
        n, k = self.quality.shape
        wanted: dict[str, tuple[int, ...]] = {}
        for name in ("arrival_s", "context_tokens", "generated_tokens", "priority", "prompt"):
            wanted[name] = (n,)
        for name in ("quality", "predicted_quality", "ttft_s", "inter_token_s"):
            wanted[name] = (n, k)
        wanted["draws"] = (n, DRAWS_PER_REQUEST)
        for name, shape in wanted.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise LaneError(f"Workload.{name} has shape {array.shape}; {n} requests over {k} lanes need {shape}.")
            if not np.isfinite(array).all():
                raise LaneError(f"Workload.{name} holds NaN or infinite values; mend the source before the replay.")
        if np.any(np.diff(self.arrival_s) < 0):
            raise LaneError("Workload.arrival_s must not fall: sort the requests by arrival first.")
        self._check_ranges()

    def _check_ranges(self) -> None:
        # A negative time or bill would let an event go back in time, or a policy earn by answering.
        for name in ("arrival_s", "context_tokens", "generated_tokens", "ttft_s", "inter_token_s"):
            least = getattr(self, name).min(initial=0)
            if least < 0:
                raise LaneError(f"Workload.{name} holds {least}; expected numbers of at least 0.")
        for name in ("quality", "predicted_quality", "draws"):
            array = getattr(self, name)
            if array.min(initial=0.0) < 0 or array.max(initial=0.0) > 1:
                raise LaneError(
                    f"Workload.{name} lies between {array.min()} and {array.max()}; expected shares between 0 and 1."
                )

    def __len__(self) -> int:
        return len(self.arrival_s)

    def __repr__(self) -> str:
        span = float(self.arrival_s[-1] - self.arrival_s[0]) if len(self) else 0.0
        return f"Workload({len(self):,} requests over {span:,.0f} s, {self.lanes} lanes, from {self.source})"

    @property
    def lanes(self) -> int:
        """How many lanes the tables describe."""
        return int(self.quality.shape[1])

    def head(self, n: int) -> Workload:
        """The first n requests."""
        return self._each(lambda array: array[:n])

    def faster(self, multiplier: float) -> Workload:
        """The same requests arriving `multiplier` times as fast."""
        if not multiplier > 0:
            raise LaneError(f"A traffic multiplier is above 0, not {multiplier}.")
        return replace(self, arrival_s=self.arrival_s / multiplier)

    def _each(self, change: Any) -> Workload:
        arrays = {f.name: change(getattr(self, f.name)) for f in fields(self) if f.name != "source"}
        return replace(self, **arrays)


@dataclass(frozen=True, repr=False)
class Outcome:
    """What a policy made of a workload of n requests."""

    policy: str
    lane: Ints
    """(n,) lane that answered, -1 where none did."""
    attempts: Ints
    """(n,) calls made, failed ones included."""
    cost_usd: Floats
    """(n,) billed, failed attempts included."""
    predicted_cost_usd: Floats
    """(n,) prediction for the lane that answered, frozen when it was chosen; 0 where none answered."""
    latency_s: Floats
    """(n,) from arrival to the last token, waiting, failed attempts and fall-back included."""
    finish_s: Floats
    """(n,) arrival_s + latency_s."""
    quality: Floats
    """(n,) quality of the answer, 0 where none came."""
    missed: NDArray[np.bool_]
    """(n,) later than its latency target, or never answered."""

    def __len__(self) -> int:
        return len(self.lane)

    def __repr__(self) -> str:
        return (
            f"Outcome({self.policy}: {len(self):,} requests, ${self.cost_usd.sum():.4f}, quality "
            f"{self.quality.mean():.3f}, {100 * self.missed.mean():.2f}% late)"
        )
