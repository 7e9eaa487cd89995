from __future__ import annotations

import csv
import math
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.multi_lane.cost_prediction import (
    FIRST_GUESS,
    context_bin,
    cost_variance,
    observe_tokens,
    predict_tokens,
    token_memory,
    window_errors,
)
from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.policies import Dual, RandomMix, SingleLane
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.simulator import simulate

TRACE = Path(os.environ.get("LEAN_AGENTIC_DATA", "data")) / "azure_llm_inference_2023_conv.csv"


def test_guesses_before_it_has_seen_anything():
    assert predict_tokens(token_memory(), 500.0) == FIRST_GUESS


def test_learns_what_each_length_of_prompt_leads_to():
    memory, rng = token_memory(), np.random.default_rng(0)
    for context in rng.choice([100.0, 1000.0, 4000.0], 3000):
        observe_tokens(memory, context, {100.0: 50.0, 1000.0: 400.0, 4000.0: 80.0}[context] + rng.normal(0, 5))
    for context, tokens in ((100.0, 50), (1000.0, 400), (4000.0, 80)):
        assert predict_tokens(memory, context) == pytest.approx(tokens, rel=0.15)


def test_follows_a_drift_faster_than_its_bins_forget():
    memory = token_memory()
    for _ in range(2000):
        observe_tokens(memory, 1000.0, 100.0)
    for _ in range(100):
        observe_tokens(memory, 1000.0, 180.0)
    assert predict_tokens(memory, 1000.0) == pytest.approx(180, rel=0.15)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**4)), max_size=50), st.integers(0, 10**7))
def test_predictions_are_finite_and_at_least_one_token(seen, context):
    memory = token_memory()
    for past, generated in seen:
        observe_tokens(memory, float(past), float(generated))
    assert 1 <= predict_tokens(memory, float(context)) < math.inf
    assert context_bin(float(context)) <= context_bin(2.0 * context + 1)


def test_window_errors_by_hand():
    predicted, actual = np.array([1.0, 2, 3, 5, 0, 1, 9]), np.array([1.0, 1, 4, 4, 0, 0, 9])
    np.testing.assert_allclose(window_errors(predicted, actual, 2), [0.5, 0, np.nan])
    for window, count in ((0, 7), (2, 6)):
        with pytest.raises(LaneError, match="at least 1 request"):
            window_errors(predicted, actual[:count], window)


def test_actual_is_everything_billed_and_free_requests_stand_aside(workload_of):
    outcome = simulate(workload_of(4), Scenario(), SingleLane("anthropic"))
    outcome = replace(
        outcome,
        finish_s=np.array([3.0, 1.0, 2.0, 4.0]),
        cost_usd=np.array([1.0, 0.0, 2.0, 1.0]),
        predicted_cost_usd=np.array([1.5, 0.0, 2.5, 0.0]),  # the last was billed but never answered
    )
    found = cost_variance(outcome, window=3)
    assert (found.windows, found.zero_windows, found.unbilled) == (1, 0, 1)
    assert found.p95 == pytest.approx((1.5 + 2.5 - 4) / 4)
    assert math.isnan(cost_variance(outcome, window=10).p95)
    assert "over 1 windows of 3" in repr(found)


def test_a_prediction_is_frozen_before_anything_is_known_of_the_request(workload_of):
    work = workload_of(300)
    outcome = simulate(work, Scenario(), SingleLane("anthropic"))
    longer = replace(work, generated_tokens=np.where(np.arange(300) == 299, 1000, work.generated_tokens))
    again = simulate(longer, Scenario(), SingleLane("anthropic"))
    assert outcome.predicted_cost_usd[299] == again.predicted_cost_usd[299]
    assert outcome.cost_usd[299] != again.cost_usd[299]
    answered = outcome.lane >= 0
    assert (outcome.predicted_cost_usd[answered] > 0).all()
    assert (outcome.predicted_cost_usd[~answered] == 0).all()


@pytest.mark.skipif(not TRACE.exists(), reason="the Azure trace is not here; set LEAN_AGENTIC_DATA")
@pytest.mark.parametrize("policy", [SingleLane("anthropic"), RandomMix(), Dual()], ids=lambda policy: policy.name)
def test_reaches_the_target_on_recorded_traffic(policy, workload_of):
    with TRACE.open() as file:
        rows = list(csv.DictReader(file))
    times = [datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp() for row in rows]
    work = replace(
        workload_of(len(rows)),
        arrival_s=np.array(times) - times[0],
        context_tokens=np.array([int(row["ContextTokens"]) for row in rows]),
        generated_tokens=np.array([int(row["GeneratedTokens"]) for row in rows]),
    )
    outcome = simulate(work, Scenario(), policy)
    assert cost_variance(outcome, 100).p95 <= 0.05
    assert cost_variance(outcome, 1000).p95 <= 0.02
    # A constant mean, known in hindsight even, is far from it.
    billed = outcome.cost_usd[np.argsort(outcome.finish_s)]
    billed = billed[billed > 0]
    assert np.percentile(window_errors(np.full(len(billed), billed.mean()), billed, 100), 95) > 0.2
