"""The performance targets of the specification: the rows of the targets table.

A target says what is asked for; an experiment's `experiment.toml` says which of its metrics answers it
(see `experiment.py`); the report joins the two and leaves "not measured" where no run answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class Target:
    """One row of the targets table."""

    id: str
    """Short name that experiments refer to."""
    title: str
    """What is measured, as the table shows it."""
    wanted: str
    """The words of the specification, or of the issue that asked for more."""
    bound: float
    """The figure that must be reached, in `unit`."""
    unit: str
    direction: Direction
    """`higher`: at least `bound` is wanted; `lower`: at most, or below where `strict`."""
    strict: bool = False
    """The bound itself does not meet the target (`< 10 ms`)."""

    def met_by(self, value: float) -> bool:
        """Whether a measured value, in `unit`, reaches the target."""
        if self.direction == "higher":
            return value > self.bound if self.strict else value >= self.bound
        return value < self.bound if self.strict else value <= self.bound


TARGETS: tuple[Target, ...] = (
    Target("vector_search_p99", "Vector search, P99", "< 10 ms", 10, "ms", "lower", strict=True),
    Target("vector_search_qps", "Vector search, throughput", "1K+ QPS", 1000, "QPS", "higher"),
    Target("vector_search_recall", "Vector search, recall@10", "95%+", 95, "%", "higher"),
    Target("vector_memory", "Vector index memory over raw vectors", "1.2-1.4x", 1.4, "x", "lower"),
    Target("inference_latency", "Model inference latency", "< 100 ms", 100, "ms", "lower", strict=True),
    Target("vectorisation_speedup", "Auto-vectorisation speed-up", "10-30%", 10, "%", "higher"),
    Target("mutation_score", "Mutation score of synthesised tests", "90%+", 90, "%", "higher"),
    Target("tier1_compile", "JIT tier 1, compile time", "1-5 ms", 5, "ms", "lower"),
    Target("tier1_speedup", "JIT tier 1, speed-up over CPython", "5-15x", 5, "x", "higher"),
    Target("tier2_compile", "JIT tier 2, compile time", "10-50 ms", 50, "ms", "lower"),
    Target("tier2_speedup", "JIT tier 2, speed-up over CPython", "20-50x", 20, "x", "higher"),
    Target("tier3_compile", "JIT tier 3, compile time", "100-500 ms", 500, "ms", "lower"),
    Target("tier3_speedup", "JIT tier 3, speed-up over CPython", "50-200x", 50, "x", "higher"),
    Target("long_call_speedup", "JIT, one long call with compiling, over CPython", "10x+", 10, "x", "higher"),
    Target("time_to_result", "JIT, time to result over the best peer's, worst point", "within 1.2x", 1.2, "x", "lower"),
    Target("steady_over_numba", "JIT, steady speed over Numba's (geomean)", "1.0x+", 1, "x", "higher"),
    Target("steady_over_pypy", "JIT, steady speed over PyPy's (geomean)", "3x+", 3, "x", "higher"),
    Target("cost_savings", "Routing, cost saved against anthropic-only", "30-50%", 30, "%", "higher"),
    Target(
        "cost_variance", "Routing, cost variance (p95 per 100 billed requests)", "< 5%", 5, "%", "lower", strict=True
    ),
)

TARGET_BY_ID = {target.id: target for target in TARGETS}
