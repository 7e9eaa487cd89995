"""The four ways of estimating an effect: randomised, within groups, stratified, AIPW.

Each takes a table and its sample and returns what it found, or raises `Refused` with the reason why it cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from lean_agentic.agentdb import overlap as checks
from lean_agentic.agentdb.aipw import clustered_standard_error, fit_aipw
from lean_agentic.agentdb.covariate_design import candidate_columns, encode, is_number
from lean_agentic.agentdb.effect_estimate import Method, Overlap, Refusal
from lean_agentic.agentdb.effect_table import EffectTable, Sample, codes
from lean_agentic.agentdb.stratification import (
    Difference,
    clustered_difference,
    p_value,
    strata_of,
    stratified_difference,
)
from lean_agentic.agentdb.within_groups import group_differences, permutation_p_value, within_difference

Ints = npt.NDArray[np.int64]
FEW_GROUPS = 20
"""Below this many informative groups the p-value must hold under permutation as well."""
MOST_SHUFFLED = 4000
"""Rows beyond which Student's t is as good and permuting slow."""
MOST_VALUES = 10
"""A number with more values is no category."""
ROWS_PER_STRATUM = 10
FOLDS = 5


@dataclass(frozen=True)
class Found:
    """What a method makes of a sample."""

    difference: Difference
    overlap: Overlap
    treated: int
    """Rows used in which the action was taken."""
    clusters: int
    """Independent units."""
    population: str
    assumptions: tuple[str, ...]
    evidence: dict[str, Any]


class Refused(Exception):
    """A method cannot tell, and why."""

    def __init__(self, refusal: Refusal, why: str) -> None:
        self.refusal, self.why = refusal, why


def refuse(problem: checks.Reason | None) -> None:
    """Raise Refused where a check has found a problem."""
    if problem is not None:
        raise Refused(*problem)


def choose_method(table: EffectTable, sample: Sample) -> Method:
    """The strictest method that the table allows."""
    if table.group is not None:
        return Method.WITHIN_GROUPS
    if not table.covariates and table.time is None:
        why = "no column was known before the action: name covariates or groups, or say method=Method.RANDOMISED"
        raise Refused(Refusal.NOTHING_TO_ADJUST, why)
    return Method.STRATIFIED if _can_stratify(table, sample) else Method.AIPW


def _can_stratify(table: EffectTable, sample: Sample) -> bool:
    """Whether the covariates are categories with enough rows for each combination of them."""
    if table.time is not None:
        return False
    for name in table.covariates:
        if is_number(sample.rows[name]) and sample.rows[name].nunique() > MOST_VALUES:
            return False
    labels = codes(sample.rows, table.covariates)
    if len(labels) < ROWS_PER_STRATUM * (labels.max() + 1):
        return False
    return bool(strata_of(labels, sample.treated, sample.outcome).used.mean() >= 0.9)


def _randomised(table: EffectTable, sample: Sample, level: float, seed: int) -> Found:
    if sample.clusters.max() + 1 < len(sample.clusters):
        refuse(checks.clusters_problem(sample.treated, sample.clusters))
    everything = np.zeros(len(sample.treated), np.int64)
    difference, clusters = difference_in(sample, everything, level)
    overlap = checks.overlap_of_strata(everything, sample.treated, np.ones(len(everything), bool))
    assumptions = ("chance alone decided whether the action was taken",)
    treated = int(sample.treated.sum())
    return Found(difference, overlap, treated, clusters, "all rows", assumptions, {})


def _within_groups(table: EffectTable, sample: Sample, level: float, seed: int) -> Found:
    if table.group is None:
        raise ValueError("the table names no group to compare within")
    groups = codes(sample.rows, [table.group])
    columns = encode(sample.rows, table.covariates, table.time).columns
    found = group_differences(groups, sample.treated, sample.outcome, columns)
    refuse(checks.groups_problem(found, int(groups.max()) + 1))
    difference, degrees = within_difference(found, level)
    used = found.used
    if len(found) < FEW_GROUPS and used.sum() <= MOST_SHUFFLED:
        shuffled = permutation_p_value(groups[used], sample.treated[used], sample.outcome[used], seed)
        difference = replace(difference, p_value=max(difference.p_value, shuffled))
    evidence = {
        "groups": int(groups.max()) + 1,
        "informative groups": len(found),
        "degrees of freedom": round(degrees, 2),
    }
    assumptions = (
        f"trials with the same {table.group!r} were alike before the action"
        + (", but for the covariates" if table.covariates else ""),
        "trials did not affect each other",
    )
    population = f"the {len(found)} of {int(groups.max()) + 1} groups in which some trials took the action and some not"
    overlap = checks.overlap_of_strata(groups, sample.treated, used)
    treated = int(sample.treated[used].sum())
    return Found(difference, overlap, treated, len(found), population, assumptions, evidence)


def _stratified(table: EffectTable, sample: Sample, level: float, seed: int) -> Found:
    columns = [*table.covariates, *([table.group] if table.group else [])]
    if not columns:
        raise ValueError("the table has no covariates to stratify by")
    labels = codes(sample.rows, columns)
    strata = strata_of(labels, sample.treated, sample.outcome)
    refuse(checks.strata_problem(strata))
    used = sample.clusters[strata.used]
    if used.max() + 1 < len(used):
        refuse(checks.clusters_problem(sample.treated[strata.used], used))
    difference, clusters = difference_in(sample, labels, level)
    evidence = {"strata": int(labels.max()) + 1, "strata with both arms": len(strata.treated)}
    overlap = checks.overlap_of_strata(labels, sample.treated, strata.used)
    assumptions = (f"rows with equal {', '.join(map(repr, columns))} differ in nothing else that moves both",)
    population = "rows with equals that did otherwise" if not strata.used.all() else "all rows"
    treated = int(sample.treated[strata.used].sum())
    return Found(difference, overlap, treated, clusters, population, assumptions, evidence)


def _aipw(table: EffectTable, sample: Sample, level: float, seed: int) -> Found:
    refuse(checks.model_problem(sample.treated, sample.clusters))
    design = encode(sample.rows, table.covariates, table.time)
    if not design.names:
        raise Refused(Refusal.NOTHING_TO_ADJUST, "no covariate differs between rows")
    fit = fit_aipw(candidate_columns(design), sample.treated, sample.outcome, sample.clusters, FOLDS, seed)
    overlap = checks.overlap_of_model(fit, sample.treated)
    refuse(checks.propensity_problem(fit, overlap))
    clusters = int(sample.clusters.max()) + 1
    effective = min(overlap.effective_treated, overlap.effective_untreated)
    degrees = min(clusters, effective) - 1
    uplift, error = float(fit.scores.mean()), clustered_standard_error(fit.scores, sample.clusters)
    half = float(t.ppf((1 + level) / 2, degrees)) * error
    difference = Difference(uplift, error, uplift - half, uplift + half, p_value(uplift, error, degrees))
    evidence = {"columns": len(design.names), "clipped": int(fit.clipped.sum()), "clipping bound": round(fit.bound, 4)}
    assumptions = (
        f"{', '.join(table.covariates) or 'the time'}{' and the time' if table.time and table.covariates else ''} "
        "hold everything that moves both the action and the outcome",
        "the model of the action or that of the outcome is right",
    )
    treated = int(sample.treated.sum())
    return Found(difference, overlap, treated, clusters, "all rows", assumptions, evidence)


METHODS: dict[Method, Callable[[EffectTable, Sample, float, int], Found]] = {
    Method.RANDOMISED: _randomised,
    Method.WITHIN_GROUPS: _within_groups,
    Method.STRATIFIED: _stratified,
    Method.AIPW: _aipw,
}


def difference_in(sample: Sample, labels: Ints, level: float) -> tuple[Difference, int]:
    """The difference between arms within labels, and the number of independent units."""
    strata = strata_of(labels, sample.treated, sample.outcome)
    used = strata.used
    if len(np.unique(sample.clusters[used])) < used.sum():
        return clustered_difference(strata, sample.treated[used], sample.outcome[used], sample.clusters[used], level)
    return stratified_difference(strata, sample.binary, level), int(used.sum())
