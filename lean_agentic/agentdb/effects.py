"""The effect of an action on an outcome, from a table of decisions, or the reason why it cannot be told.

`effect_of` compares like with like by the strictest means that the table allows: trials of one task with each other
where the table has groups; rows with exactly equal covariates where those are few categories; rows weighted by the
modelled chance of the action otherwise. `effects_of_all` asks about many actions and controls false discoveries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lean_agentic.agentdb import overlap as checks
from lean_agentic.agentdb.effect_estimate import EffectEstimate, Method, UnidentifiedEffectError, Uplift
from lean_agentic.agentdb.effect_methods import METHODS, Found, Refused, choose_method, difference_in, refuse
from lean_agentic.agentdb.effect_table import EffectTable, Sample, sample_of
from lean_agentic.agentdb.false_discovery import Procedure, adjusted_p_values
from lean_agentic.agentdb.judged_effects import Effects, JudgedEffect


def effect_of(
    table: EffectTable,
    action: str,
    outcome: str,
    *,
    method: Method | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> EffectEstimate:
    """Estimate what taking an action does to the mean of an outcome.

    Parameters
    ----------
    table
        Decisions with what was known before them.
    action
        Column of 0 and 1.
    outcome
        Column of numbers; 0 and 1 for success and failure.
    method
        None chooses: within groups where the table has groups, stratified where covariates are few categories, AIPW
        otherwise. `Method.RANDOMISED` says that chance alone decided on the action.
    level
        Of the interval.
    seed
        Of the split into folds.

    Raises
    ------
    UnidentifiedEffectError
        The data cannot tell, see `Refusal`. It is a NotIdentifiedError.
    ValueError
        A column is missing or holds something else.
    """
    if not 0.5 <= level < 1:
        raise ValueError(f"level must lie in [.5, 1), got {level}: .95 gives a 95% interval")
    sample = sample_of(table, action, outcome)
    naive = _naive(sample, level)
    try:
        refuse(checks.arms_problem(sample.treated, sample.outcome))
        chosen = method or choose_method(table, sample)
        found = METHODS[chosen](table, sample, level, seed)
        refuse(checks.interval_problem(found.difference.low, found.difference.high, sample.outcome))
    except Refused as refused:
        raise UnidentifiedEffectError(action, outcome, refused.refusal, refused.why, naive) from None
    return _estimate(table, sample, chosen, found, action=action, outcome=outcome, naive=naive, level=level)


def effects_of_all(
    table: EffectTable | Callable[[str], EffectTable],
    actions: Sequence[str],
    outcome: str,
    *,
    rate: float = 0.05,
    procedure: Procedure = Procedure.BENJAMINI_HOCHBERG,
    level: float = 0.95,
    seed: int = 0,
) -> Effects:
    """Estimate the effects of several actions; at most a share `rate` of the discoveries is false on average.

    Parameters
    ----------
    table
        One table for all actions, or a function that makes the table of an action.

    Other parameters as those of `effect_of`.
    """
    estimates, refused = [], []
    for action in actions:
        try:
            of_action = table if isinstance(table, EffectTable) else table(action)
            estimates.append(effect_of(of_action, action, outcome, level=level, seed=seed))
        except UnidentifiedEffectError as error:
            refused.append(error)
    q_values = adjusted_p_values([each.p_value for each in estimates], procedure)
    judged = [JudgedEffect(each, float(q), bool(q <= rate)) for each, q in zip(estimates, q_values, strict=True)]
    judged.sort(key=lambda each: (each.q_value, -abs(each.estimate.uplift), each.estimate.action))
    return Effects(tuple(judged), tuple(refused), rate, procedure)


def _naive(sample: Sample, level: float) -> Uplift | None:
    """The difference of means, where both arms have rows."""
    if min(sample.treated.sum(), (~sample.treated).sum()) < 2:
        return None
    difference, _ = difference_in(sample, np.zeros(len(sample.treated), np.int64), level)
    return Uplift(difference.uplift, difference.low, difference.high)


def _estimate(
    table: EffectTable,
    sample: Sample,
    method: Method,
    found: Found,
    **named: Any,
) -> EffectEstimate:
    """The found difference as an estimate; `named` holds what the caller asked and the naive uplift."""
    difference = found.difference
    return EffectEstimate(
        uplift=difference.uplift,
        standard_error=difference.standard_error,
        low=difference.low,
        high=difference.high,
        p_value=difference.p_value,
        method=method,
        n=found.overlap.rows,
        treated=found.treated,
        clusters=found.clusters,
        overlap=found.overlap,
        population=found.population,
        assumptions=found.assumptions + table.notes,
        evidence=found.evidence | {"rows with something unknown": sample.dropped} | _records(table, sample),
        **named,
    )


def _records(table: EffectTable, sample: Sample) -> dict[str, Any]:
    """Ids of some records behind the estimate."""
    if table.records is None:
        return {}
    ids = sample.rows[table.records].to_numpy(np.int64)
    return {"with the action": ids[sample.treated][:20].tolist(), "without": ids[~sample.treated][:20].tolist()}
