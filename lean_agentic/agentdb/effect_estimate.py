"""What is known of the effect of an action on an outcome, or why nothing can be said.

`effects.effect_of` returns an `EffectEstimate` or raises `UnidentifiedEffectError`; both carry the naive uplift (mean
outcome with the action minus mean outcome without it), so that a reader sees what adjustment changed.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lean_agentic.agentdb.errors import NotIdentifiedError


class Method(StrEnum):
    """How an effect was estimated."""

    RANDOMISED = "randomised"
    """Difference of means; the caller says that chance alone decided on the action."""
    WITHIN_GROUPS = "within groups"
    """Trials of one task compared with each other; differences between tasks cannot enter."""
    STRATIFIED = "stratified"
    """Rows with exactly equal covariates compared with each other."""
    AIPW = "aipw"
    """Cross-fitted augmented inverse propensity weighting (Robins 1994; Chernozhukov 2018)."""


class Refusal(StrEnum):
    """Why the data cannot tell an effect."""

    TOO_FEW = "too few"
    """Fewer rows or groups with and without the action than an interval can rest on."""
    ONE_ARM = "one arm"
    """The action was always taken, or never."""
    CONSTANT_OUTCOME = "constant outcome"
    """The outcome never differed."""
    NO_OVERLAP = "no overlap"
    """Those who took the action and those who did not are not comparable."""
    NOTHING_TO_ADJUST = "nothing to adjust for"
    """Nothing is known from before the action, and nobody says that chance decided."""
    TOO_UNSURE = "too unsure"
    """The interval spans most of what is possible."""


@dataclass(frozen=True)
class Uplift:
    """A difference of mean outcomes with its 95% (or other) interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


@dataclass(frozen=True)
class Overlap:
    """How comparable the rows with and without the action are."""

    rows: int
    """Rows that the estimate rests on."""
    left_out: int
    """Rows without a counterpart on the other side."""
    least: float
    """Smallest estimated chance of the action among the rows used."""
    most: float
    """Largest."""
    effective_treated: float
    """Rows with the action, counted by weight: (sum w)^2 / sum w^2."""
    effective_untreated: float
    """Rows without it, likewise."""

    def __str__(self) -> str:
        return (
            f"{self.rows} rows used, {self.left_out} without counterpart; chance of the action {self.least:.2f} to "
            f"{self.most:.2f}; effective rows {self.effective_treated:.0f} with, {self.effective_untreated:.0f} without"
        )


@dataclass(frozen=True)
class EffectEstimate:
    """The effect of an action on the mean of an outcome."""

    action: str
    outcome: str
    uplift: float
    """Mean outcome had the action been taken, minus mean outcome had it not."""
    standard_error: float
    low: float
    """Lower end of the interval."""
    high: float
    p_value: float
    """Two-sided, of no effect."""
    method: Method
    n: int
    """Rows used."""
    treated: int
    """Of those, rows with the action."""
    clusters: int
    """Independent units: groups, or rows where there are no groups."""
    naive: Uplift
    """What comparing all rows with and without the action would have said."""
    overlap: Overlap
    population: str
    """Whom the uplift is about, in words."""
    assumptions: tuple[str, ...]
    """What must be true for the uplift to be causal, in words."""
    level: float = 0.95
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: counts, strata, ids of records where the table knew them."""

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of no effect."""
        return self.low > 0 or self.high < 0

    def __repr__(self) -> str:
        return (
            f"EffectEstimate({self.action!r} on {self.outcome!r}: {self.uplift:+.3f} "
            f"[{self.low:+.3f}, {self.high:+.3f}], {self.method}, n={self.n}, naive {self.naive.value:+.3f})"
        )

    def _repr_html_(self) -> str:
        rows = {
            "uplift": f"<b>{self.uplift:+.3f}</b> ({self.level:.0%} interval {self.low:+.3f} to {self.high:+.3f})",
            "naive uplift": html.escape(str(self.naive)),
            "method": html.escape(str(self.method)),
            "rows": f"{self.n}, {self.treated} with the action, {self.clusters} independent units",
            "overlap": html.escape(str(self.overlap)),
            "about": html.escape(self.population),
            "holds if": "<br>".join(html.escape(text) for text in self.assumptions),
        }
        body = "".join(
            f"<tr><th style='text-align:left'>{key}</th><td>{value}</td></tr>" for key, value in rows.items()
        )
        caption = f"Effect of {html.escape(self.action)} on {html.escape(self.outcome)}"
        return f"<table><caption>{caption}</caption>{body}</table>"


class UnidentifiedEffectError(NotIdentifiedError):
    """The data cannot tell the effect of this action on this outcome.

    Attributes
    ----------
    refusal
        The kind of reason; the message has the particulars.
    naive
        The naive uplift, where both arms exist. It is no effect.
    """

    def __init__(self, action: str, outcome: str, refusal: Refusal, why: str, naive: Uplift | None = None) -> None:
        self.action, self.outcome, self.refusal, self.why, self.naive = action, outcome, refusal, why, naive
        aside = f" (The naive uplift {naive} is not an effect.)" if naive else ""
        super().__init__(f"The effect of {action!r} on {outcome!r} cannot be told, {refusal}: {why}{aside}")

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are pickled by their args, which hold the finished message only.
        return type(self), (self.action, self.outcome, self.refusal, self.why, self.naive)
