"""Several effects judged together, so that few of those called discoveries are false."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from lean_agentic.agentdb.effect_estimate import EffectEstimate, UnidentifiedEffectError
from lean_agentic.agentdb.false_discovery import Procedure


@dataclass(frozen=True)
class JudgedEffect:
    """One of several effects, with what asking about all of them does to it."""

    estimate: EffectEstimate
    q_value: float
    """The smallest false discovery rate at which it counts."""
    discovered: bool


@dataclass(frozen=True)
class Effects:
    """Effects of several actions on one outcome, the surest first."""

    judged: tuple[JudgedEffect, ...]
    refused: tuple[UnidentifiedEffectError, ...]
    """Actions whose effect the data cannot tell."""
    rate: float
    procedure: Procedure

    @property
    def discoveries(self) -> tuple[EffectEstimate, ...]:
        """Those that count at the given rate."""
        return tuple(each.estimate for each in self.judged if each.discovered)

    def frame(self) -> pd.DataFrame:
        """One row an action, those refused at the end with the reason."""
        rows = [_frame_row(each) for each in self.judged]
        rows += [
            {"action": each.action, "naive": each.naive and each.naive.value, "refused": each.refusal}
            for each in self.refused
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        return f"Effects({len(self.discoveries)} discovered, {len(self.judged)} estimated, {len(self.refused)} refused)"

    def _repr_html_(self) -> str:
        return self.frame()._repr_html_()  # type: ignore[operator, no-any-return]


def _frame_row(judged: JudgedEffect) -> dict[str, Any]:
    each = judged.estimate
    return {
        "action": each.action,
        "uplift": each.uplift,
        "low": each.low,
        "high": each.high,
        "naive": each.naive.value,
        "p": each.p_value,
        "q": judged.q_value,
        "discovered": judged.discovered,
        "method": str(each.method),
        "n": each.n,
    }
