"""When to compile: configuration, what a compile will cost, and whether the time spent so far is worth it.

In: time spent in a tier, calls, and the size of a function. Out: the tier that is due. The rule is that of the
ski-rental problem: pay for a compile once as much has been spent without it, which is never more than twice the best
that hindsight could do (Karlin, Manasse, Rudolph, Sleator, Algorithmica 1988). Counts of calls are upper limits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LAST_TIER = 3


@dataclass(frozen=True)
class JitRuntimeConfig:
    """How functions move through the tiers."""

    baseline_threshold: int = 10
    """Calls after which tier 1 is due at the latest."""
    optimising_threshold: int = 100
    """Calls after which tier 2 is due at the latest."""
    max_opt_threshold: int = 1000
    """Calls after which tier 3 is due at the latest."""
    least_work: float = 0.75
    """A count makes a tier due only when this share of its compile's cost has been spent; 0 makes the counts strict."""
    patience: float = 1.0
    """A tier is due when this many times its compile's cost have been spent in the one below."""
    deopt_threshold: int = 3
    """Failed speculations of a version before it is given up."""
    deopt_share: float = 0.1
    """A version is given up only if more than this share of its calls failed."""
    max_versions: int = 4
    """Argument type combinations that one function is compiled for."""
    max_tier: int = LAST_TIER
    """The highest tier to use; 0 leaves everything in CPython."""
    background: bool = True
    """Compile tiers 2 and 3 in a thread while the tier below runs. False: at once, in the caller."""
    on_stack_replacement: bool = True
    """Let a call that is under way go on in compiled code."""
    engine: str = "auto"
    """Back end of tier 1: "x86", "llvm" or "auto"."""
    fast_math: bool = False
    """Let floating-point operations be reassociated, which changes results in their last bits."""
    parallel: bool = False
    """Run loops whose iterations are proved independent on several threads."""
    numba: bool = False
    """Let Numba compete: for functions outside of the kernel language that it runs with CPython's results, and with
    tier 3. The faster one in a contest on the calls as they come stays."""
    cache: bool = False
    """Keep compiled code on disk for later processes."""
    cache_folder: Path | None = None
    """Where; by default the user's cache folder."""
    sampling_ms: float = 1.0
    """How often is looked at what the program runs."""
    sampling: bool = True
    """Whether to look at all. False: nothing goes higher than tier 1, which the counts alone decide; for tests."""
    record_timeline: bool = False
    """Time every call for `timeline`. This makes calls slower by about half a microsecond."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_tier <= LAST_TIER:
            raise ValueError(f"max_tier is {self.max_tier}; it has to be 0, 1, 2 or 3")
        if self.engine not in ("auto", "x86", "llvm"):
            raise ValueError(f"engine is {self.engine!r}; it has to be 'auto', 'x86' or 'llvm'")
        for name in (
            "baseline_threshold",
            "optimising_threshold",
            "max_opt_threshold",
            "deopt_threshold",
            "max_versions",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be at least 1")
        # Comparisons are written so that NaN fails them.
        for name in ("least_work", "patience", "deopt_share"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be at least 0")
        if not self.sampling_ms > 0:
            raise ValueError(f"sampling_ms is {self.sampling_ms}; it has to be positive")

    def threshold(self, tier: int) -> int:
        """Calls after which a tier is due at the latest."""
        return (0, self.baseline_threshold, self.optimising_threshold, self.max_opt_threshold)[tier]


LOAD_LLVM_MS = 50.0
MOVE = 0
"""In place of a tier: lowering a function and compiling the rest of a call of it in tier 1."""
_FIXED_MS = {MOVE: 0.8, 1: 0.5, 2: 2.0, 3: 2.0}
_PER_STATEMENT_MS = {MOVE: 0.2, 1: 0.11, 2: 0.55, 3: 1.2}
_MEMORY = 0.3
"""Weight of the latest compile in the running correction."""


class CostModel:
    """Estimates compile times in milliseconds, corrected by the times measured in this process."""

    def __init__(self, llvm_is_loaded: Callable[[], bool] = lambda: True) -> None:
        self._correction = dict.fromkeys(_FIXED_MS, 1.0)
        self._lock = threading.Lock()
        self._llvm_is_loaded = llvm_is_loaded

    def estimate(self, tier: int, statements: int) -> float:
        """Milliseconds that compiling so many kernel statements in a tier will take, `lower` included."""
        usual = (_FIXED_MS[tier] + _PER_STATEMENT_MS[tier] * statements) * self._correction[tier]
        return usual + (LOAD_LLVM_MS if tier > 1 and not self._llvm_is_loaded() else 0.0)

    def learn(self, tier: int, statements: int, milliseconds: float) -> None:
        """Take note of a compile."""
        usual = _FIXED_MS[tier] + _PER_STATEMENT_MS[tier] * statements
        with self._lock:
            change = min(max(milliseconds / usual, 0.1), 10.0) - self._correction[tier]
            self._correction[tier] += _MEMORY * change


def is_due(config: JitRuntimeConfig, tier: int, *, spent_ms: float, calls: int, cost_ms: float) -> bool:
    """Whether a tier should be compiled now.

    Parameters
    ----------
    spent_ms : float
        Time spent in the tier below.
    calls : int
        Calls so far, in all tiers.
    cost_ms : float
        Estimate for the compile.
    """
    if tier > config.max_tier:
        return False
    if spent_ms >= config.patience * cost_ms:
        return True
    return calls >= config.threshold(tier) and spent_ms >= config.least_work * cost_ms
