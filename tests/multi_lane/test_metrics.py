"""Summaries counted by hand, savings that never stand alone, and their spread over seeds."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.lanes import NOMINAL_LANES
from lean_agentic.multi_lane.metrics import BEST_SINGLE, over_seeds, savings, summarise, summary_frame
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.workload import DRAWS_PER_REQUEST, Outcome, Workload

LOCAL, ANTHROPIC, OPENROUTER = range(3)
assert [lane.name for lane in NOMINAL_LANES] == ["onnx_local", "anthropic", "openrouter"]


def workload(quality):
    """n requests, a second apart, with the given quality (n, 3)."""
    quality = np.asarray(quality, dtype=float)
    n = len(quality)
    return Workload(
        arrival_s=np.arange(n, dtype=float),
        context_tokens=np.full(n, 900),
        generated_tokens=np.full(n, 100),
        priority=np.zeros(n, dtype=np.int64),
        prompt=np.arange(n),
        quality=quality,
        predicted_quality=quality,
        ttft_s=np.ones_like(quality),
        inter_token_s=np.ones_like(quality),
        draws=np.zeros((n, DRAWS_PER_REQUEST)),
    )


def outcome(work, name, lane, *, latency=1.0, missed=False):
    """What a policy made of it that sent request r to lane[r], a thousand tokens at nominal prices each."""
    lane = np.broadcast_to(lane, len(work)).astype(np.int64)
    answered = lane >= 0
    price = np.array([each.price_per_1k for each in NOMINAL_LANES])
    latency = np.broadcast_to(latency, len(work)).astype(float)
    return Outcome(
        policy=name,
        lane=lane,
        attempts=np.where(answered, 1, 2),
        cost_usd=np.where(answered, price[lane], 0.0),
        predicted_cost_usd=np.where(answered, price[lane], 0.0),
        latency_s=latency,
        finish_s=work.arrival_s + latency,
        quality=np.where(answered, work.quality[range(len(work)), lane], 0.0),
        missed=np.broadcast_to(missed, len(work)) | ~answered,
    )


# Best single lane: anthropic, right on 9 of 10; openrouter 6, local 3.
QUALITY = np.column_stack([np.arange(10) < 3, np.arange(10) < 9, np.arange(10) < 6])


@pytest.fixture
def work():
    return workload(QUALITY)


def replay(work):
    """Four policies on one workload: two single lanes, a random mix, and an adaptive one."""
    return [
        outcome(work, "anthropic only", ANTHROPIC),
        outcome(work, "openrouter only", OPENROUTER, missed=[True] + [False] * 9),
        outcome(work, "random mix", [LOCAL, ANTHROPIC] * 5),
        outcome(work, "adaptive", [LOCAL] * 3 + [OPENROUTER] * 3 + [ANTHROPIC] * 4),
    ]


def test_a_summary_counted_by_hand(work):
    lane = [LOCAL, LOCAL, ANTHROPIC, ANTHROPIC, ANTHROPIC, OPENROUTER, OPENROUTER, OPENROUTER, OPENROUTER, -1]
    summary = summarise(outcome(work, "mix", lane, latency=np.arange(1, 11)), work, Scenario(max_miss_rate=0.1))
    assert summary.cost_usd == pytest.approx(3 * 0.10 + 4 * 0.05)
    # Right: 0 and 1 locally, 2 to 4 at anthropic, 5 at openrouter.
    assert summary.quality == pytest.approx(0.6)
    assert summary.quality_kept == pytest.approx(0.6 / 0.9)
    assert (summary.unanswered, summary.missed) == (pytest.approx(0.1), pytest.approx(0.1))
    assert summary.shares == pytest.approx({"onnx_local": 0.2, "anthropic": 0.3, "openrouter": 0.4})
    assert summary.attempts == pytest.approx(1.1)
    # The unanswered request's ten seconds are no latency of an answer.
    assert (summary.p50_s, summary.p95_s) == (pytest.approx(5.0), pytest.approx(8.6))
    assert (summary.meets_floor, summary.meets_miss_rate) == (False, True)


@given(st.lists(st.integers(-1, 2), min_size=1, max_size=40), st.integers(0, 1000))
def test_shares_and_unanswered_make_up_all_requests(lanes, seed):
    work = workload(np.random.default_rng(seed).integers(0, 2, (len(lanes), 3)))
    summary = summarise(outcome(work, "any", np.array(lanes)), work, Scenario())
    assert sum(summary.shares.values()) + summary.unanswered == pytest.approx(1)
    assert summary.missed >= summary.unanswered - 1e-12
    assert 0 <= summary.quality <= 1


def test_nothing_answered_has_no_latency(work):
    summary = summarise(outcome(work, "none", -1), work, Scenario())
    assert np.isnan(summary.p95_s)
    assert (summary.unanswered, summary.quality_kept, summary.cost_usd) == (1, 0, 0)


def test_a_summary_refuses_another_workloads_outcome(work):
    with pytest.raises(LaneError, match="does not belong"):
        summarise(outcome(workload(QUALITY[:4]), "short", 0), work, Scenario())
    with pytest.raises(LaneError, match="over 2 lanes"):
        summarise(outcome(work, "three lanes", 2), work, Scenario(lanes=NOMINAL_LANES[:2]))


def test_savings_against_each_alternative_by_hand(work):
    table = savings(replay(work), work, Scenario(quality_floor=0.95))
    assert table.of("adaptive", "anthropic only").share == pytest.approx(1 - 0.55 / 1.0)
    assert table.of("adaptive", "openrouter only").share == pytest.approx(1 - 0.55 / 0.5)
    assert table.of("adaptive", "random mix").share == pytest.approx(1 - 0.55 / 0.5)
    # Only anthropic keeps 95% of anthropic's quality; openrouter keeps two thirds.
    assert table.best_single == "anthropic only"
    assert table.of("adaptive", BEST_SINGLE).share == pytest.approx(0.45)
    low = savings(replay(work), work, Scenario(quality_floor=0.6))
    assert low.best_single == "openrouter only"
    assert low.of("adaptive", BEST_SINGLE).share == pytest.approx(-0.1)


def test_no_single_lane_at_the_floor_is_said_and_not_made_up(work):
    outcomes = [each if "anthropic" not in each.policy else outcome(work, each.policy, -1) for each in replay(work)]
    table = savings(outcomes, work, Scenario(quality_floor=0.95))
    assert table.best_single == ""
    assert "none reaches the floor" in repr(table)
    assert BEST_SINGLE not in set(table.frame()["against"])
    assert np.isnan(table.of("adaptive", "anthropic only").share)


def test_every_view_of_a_saving_shows_quality_and_misses(work):
    table = savings(replay(work), work, Scenario(quality_floor=0.95))
    saving = table.of("random mix", "openrouter only")
    # Random: right on 0, 1, 2, 3, 5, 7 of 10; openrouter on 6, late once.
    for view in (repr(saving), str(saving), f"{saving}"):
        assert "quality kept 66.7% (theirs 66.7%)" in view
        assert "missed 0.00% (theirs 10.00%)" in view
    body = table._repr_html_().split("<tbody>")[1]
    for row in re.findall("<tr>(.*?)</tr>", body):
        assert len(re.findall(r"[\d.]+%", row)) == 5
    assert "(below the floor)" in body
    assert {"quality_kept", "missed", "against_quality_kept", "against_missed"} <= set(table.frame().columns)
    assert "%" not in repr(table)


def test_savings_refuse_missing_alternatives_and_two_of_one_name(work):
    with pytest.raises(LaneError, match="anthropic only"):
        savings(replay(work)[1:], work, Scenario())
    with pytest.raises(LaneError, match="one outcome a policy"):
        savings([*replay(work), replay(work)[0]], work, Scenario())
    with pytest.raises(LaneError, match="No saving of 'nobody'"):
        savings(replay(work), work, Scenario()).of("nobody", "random mix")


def test_summaries_as_a_table(work):
    frame = summary_frame([summarise(each, work, Scenario()) for each in replay(work)])
    assert frame.loc["adaptive", "share openrouter"] == pytest.approx(0.3)
    assert frame.loc["anthropic only", "cost_usd"] == pytest.approx(1.0)
    assert len(frame) == 4


def test_spread_over_seeds_is_the_mean_and_the_extremes():
    runs = []
    for seed in range(4):
        work = workload(np.random.default_rng(seed).integers(0, 2, (30, 3)))
        runs.append(savings(replay_any(work, seed), work, Scenario(quality_floor=0.5)))
    table = over_seeds(runs)
    row = table.loc[("adaptive", "anthropic only")]
    each = [run.of("adaptive", "anthropic only") for run in runs]
    assert row["runs"] == 4
    for name, values in {
        "saving": [saving.share for saving in each],
        "quality_kept": [saving.policy.quality_kept for saving in each],
        "missed": [saving.policy.missed for saving in each],
    }.items():
        assert row[f"{name}_mean"] == pytest.approx(np.mean(values))
        assert (row[f"{name}_min"], row[f"{name}_max"]) == (pytest.approx(min(values)), pytest.approx(max(values)))
    assert row["runs_at_floor"] == sum(saving.policy.meets_floor for saving in each)
    assert isinstance(table, pd.DataFrame)
    with pytest.raises(LaneError, match="at least one run"):
        over_seeds([])


def replay_any(work, seed):
    lanes = np.random.default_rng(seed).integers(0, 3, len(work))
    return [
        outcome(work, "anthropic only", ANTHROPIC),
        outcome(work, "openrouter only", OPENROUTER),
        outcome(work, "random mix", lanes),
        outcome(work, "adaptive", np.roll(lanes, seed + 1) * (lanes > 0)),
    ]
