"""Whether rows with and without an action are comparable, and what to say when they are not.

Each check returns None, or the reason for refusing an estimate with the numbers that make it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.aipw import AipwFit, effective_rows
from lean_agentic.agentdb.effect_estimate import Overlap, Refusal
from lean_agentic.agentdb.stratification import Strata
from lean_agentic.agentdb.within_groups import GroupDifferences

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Reason = tuple[Refusal, str]

LEAST_IN_ARM = 5
"""Rows with and without the action below which nothing is said."""
LEAST_MODELLED = 20
"""The same where a model has to be fitted."""
LEAST_GROUPS = 6
"""Informative groups, or clusters in each arm, below which no interval can be trusted."""
MOST_CLIPPED = 0.2
"""Share of rows whose chance of the action is too near 0 or 1 for a counterpart to exist."""
LEAST_EFFECTIVE = 10.0
"""Rows of an arm, counted by weight."""
LEAST_USED = 0.5
"""Share of rows that must lie in strata with both arms."""


def arms_problem(treated: Bools, outcome: Floats) -> Reason | None:
    """Too few rows, one arm, or an outcome that never differs."""
    with_action, without = int(treated.sum()), int((~treated).sum())
    counts = f"{with_action} rows with the action and {without} without"
    if with_action == 0 or without == 0:
        return Refusal.ONE_ARM, f"{counts}; there is nothing to compare with"
    if min(with_action, without) < LEAST_IN_ARM:
        return Refusal.TOO_FEW, f"{counts}; at least {LEAST_IN_ARM} of each are needed"
    if np.ptp(outcome) == 0:
        return Refusal.CONSTANT_OUTCOME, f"the outcome is {outcome[0]:g} in all {len(outcome)} rows"
    return None


def groups_problem(found: GroupDifferences, groups: int) -> Reason | None:
    """Too few groups in which the action was taken in some trials and not in others."""
    if len(found) >= LEAST_GROUPS:
        return None
    why = (
        f"the action was both taken and not taken in {len(found)} of {groups} groups, at least {LEAST_GROUPS} are "
        "needed; between groups the action may follow what the groups differ in"
    )
    return Refusal.NO_OVERLAP if len(found) < 2 else Refusal.TOO_FEW, why


def strata_problem(strata: Strata) -> Reason | None:
    """Too few rows in strata with both arms."""
    used = float(strata.used.mean())
    if used < LEAST_USED:
        why = f"only {used:.0%} of the rows have equals that did otherwise, at least {LEAST_USED:.0%} are needed"
        return Refusal.NO_OVERLAP, why
    return None


def model_problem(treated: Bools, clusters: Ints) -> Reason | None:
    """Too few rows or clusters for a model of the propensity."""
    if min(treated.sum(), (~treated).sum()) < LEAST_MODELLED:
        counts = f"{int(treated.sum())} rows with the action and {int((~treated).sum())} without"
        return Refusal.TOO_FEW, f"{counts}; adjusting by a model needs {LEAST_MODELLED} of each"
    return clusters_problem(treated, clusters)


def clusters_problem(treated: Bools, clusters: Ints) -> Reason | None:
    """Too few clusters with the action, or without it."""
    fewest = min(len(np.unique(clusters[treated])), len(np.unique(clusters[~treated])))
    if fewest < LEAST_GROUPS:
        return Refusal.TOO_FEW, f"one arm lies in {fewest} clusters, at least {LEAST_GROUPS} are needed in each"
    return None


def propensity_problem(fit: AipwFit, overlap: Overlap) -> Reason | None:
    """Too many rows whose action was as good as certain, or too few that carry the weight."""
    clipped = float(fit.clipped.mean())
    if clipped > MOST_CLIPPED:
        why = f"in {clipped:.0%} of the rows the action was as good as certain, one way or the other"
        return Refusal.NO_OVERLAP, why
    fewest = min(overlap.effective_treated, overlap.effective_untreated)
    if fewest < LEAST_EFFECTIVE:
        return Refusal.NO_OVERLAP, f"one arm rests on {fewest:.1f} effective rows, {LEAST_EFFECTIVE:.0f} are needed"
    return None


def interval_problem(low: float, high: float, outcome: Floats) -> Reason | None:
    """An interval that spans most of what is possible."""
    binary = bool(np.isin(outcome, (0.0, 1.0)).all())
    spread = 1.0 if binary else float(np.ptp(np.quantile(outcome, [0.025, 0.975])))
    if high - low > max(spread, 1e-12):
        return (
            Refusal.TOO_UNSURE,
            f"the interval {low:+.3g} to {high:+.3g} is wider than outcomes differ ({spread:.3g})",
        )
    return None


def overlap_of_strata(labels: Ints, treated: Bools, used: Bools) -> Overlap:
    """Overlap where rows with one label are compared with each other; arrays are (n,)."""
    index = np.unique(labels[used], return_inverse=True)[1]
    share = (np.bincount(index, treated[used]) / np.bincount(index))[index]
    weight = np.where(treated[used], 1 / share, 1 / (1 - share))
    arms = [weight[treated[used]], weight[~treated[used]]]
    effective = [float(arm.sum() ** 2 / np.sum(arm**2)) for arm in arms]
    return Overlap(int(used.sum()), int((~used).sum()), float(share.min()), float(share.max()), *effective)


def overlap_of_model(fit: AipwFit, treated: Bools) -> Overlap:
    """Overlap by the estimated chances of the action."""
    effective = effective_rows(fit.chance, treated, fit.bound)
    return Overlap(len(treated), 0, float(fit.chance.min()), float(fit.chance.max()), *effective)
