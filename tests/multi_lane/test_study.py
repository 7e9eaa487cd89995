from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lean_agentic.multi_lane.dual import fit_dual
from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.metrics import summarise
from lean_agentic.multi_lane.outages import outage_intervals
from lean_agentic.multi_lane.policies import SingleLane
from lean_agentic.multi_lane.simulator import simulate
from lean_agentic.multi_lane.study import RoutingStudy, Setting, Sources, generated_sources, requests_per_second


@pytest.fixture(scope="module")
def sources() -> Sources:
    return generated_sources(1000, seed=1)


@pytest.fixture(scope="module")
def study(sources: Sources) -> RoutingStudy:
    return RoutingStudy(sources, arrivals=400, seed=1)


def test_fitting_and_reporting_share_neither_traffic_nor_prompts(study: RoutingStudy) -> None:
    assert not set(study.train_quality.prompts) & set(study.test_quality.prompts)
    half = len(study.sources.traffic) // 2
    assert np.array_equal(study.train_traffic.context_tokens, study.sources.traffic.context_tokens[:400])
    assert np.array_equal(study.test_traffic.context_tokens, study.sources.traffic.context_tokens[half : half + 400])


def test_fitting_and_reporting_meet_different_outages(study: RoutingStudy) -> None:
    fitted, reported = study.training_scenario(Setting()), study.scenario(Setting())
    assert replace(fitted, seed=reported.seed) == reported
    for known, met in zip(outage_intervals(fitted, 1e6), outage_intervals(reported, 1e6), strict=True):
        assert len(met) > 0
        assert not set(known[:, 0]) & set(met[:, 0])
    assert study.policies(Setting())[-1] == fit_dual(study.train(Setting()), fitted)


def test_every_policy_meets_the_same_requests(study: RoutingStudy) -> None:
    replayed = study.replay(Setting())
    again = simulate(replayed.workload, replayed.scenario, SingleLane("anthropic"))
    assert np.array_equal(again.cost_usd, replayed.outcome("anthropic only").cost_usd)
    assert {outcome.policy for outcome in replayed.outcomes} == set(replayed.summaries)
    row = summarise(replayed.outcome("dual"), replayed.workload, replayed.scenario)
    assert row == replayed.summaries["dual"]


def test_the_same_seed_gives_the_same_replay(sources: Sources) -> None:
    first, second = (RoutingStudy(sources, arrivals=300, seed=7).replay(Setting()) for _ in range(2))
    for one, other in zip(first.outcomes, second.outcomes, strict=True):
        assert np.array_equal(one.lane, other.lane)
        assert np.array_equal(one.finish_s, other.finish_s)


def test_another_seed_gives_other_prompts(sources: Sources, study: RoutingStudy) -> None:
    other = RoutingStudy(sources, arrivals=400, seed=2)
    assert set(other.test_quality.prompts) != set(study.test_quality.prompts)


def test_policies_start_from_the_median_speeds_of_the_profiles(study: RoutingStudy) -> None:
    slow, fast = (study.scenario(Setting(local_tokens_per_s=speed)).lanes for speed in (100, 400))
    for lane, profile in (
        (fast[1], study.sources.latencies["anthropic"]),
        (fast[2], study.sources.latencies["openrouter"]),
    ):
        assert lane.typical_ttft_s == np.median(profile.ttft_s)
        assert lane.typical_tokens_per_s == pytest.approx(1 / np.median(profile.inter_token_s))
    assert slow[1:] == fast[1:]
    assert slow[0].typical_tokens_per_s == pytest.approx(100)
    assert slow[0].typical_ttft_s == pytest.approx(4 * fast[0].typical_ttft_s)


def test_a_forced_outage_reaches_the_replay_and_not_the_fit(study: RoutingStudy) -> None:
    calm, down = Setting(), Setting(down=("anthropic",))
    assert study.policies(calm)[-1] == study.policies(down)[-1]
    assert study.replay(down).summaries["anthropic only"].unanswered == 1
    assert all(outcome.lane.max() < 1 or (outcome.lane != 1).all() for outcome in study.replay(down).outcomes)


def test_a_replay_with_kept_outcomes_is_the_replay_itself(sources: Sources) -> None:
    """Moved through floors, budgets, outages and back, against a study that keeps nothing yet."""
    moved = RoutingStudy(sources, arrivals=300, seed=3)
    for change in (
        {},
        {"quality_floor": 0.8},
        {"budget_usd": 4.0},
        {"down": ("openrouter",)},
        {"latency_target_s": 3.0},
        {},
    ):
        setting = Setting(**change)  # type: ignore[arg-type]
        kept, fresh = moved.replay(setting), RoutingStudy(sources, arrivals=300, seed=3).replay(setting)
        assert kept.scenario == fresh.scenario
        for one, other in zip(kept.outcomes, fresh.outcomes, strict=True):
            assert one.policy == other.policy
            np.testing.assert_array_equal(one.finish_s, other.finish_s)
            np.testing.assert_array_equal(one.cost_usd, other.cost_usd)


def test_another_floor_or_budget_replays_the_dual_policy_alone(study: RoutingStudy) -> None:
    first = study.replay(Setting())
    for setting in (Setting(quality_floor=0.9), Setting(budget_usd=3.0)):
        again = study.replay(setting)
        assert all(one is other for one, other in zip(first.outcomes[:-1], again.outcomes[:-1], strict=True))
        assert again.outcomes[-1] is not first.outcomes[-1]
    other = study.replay(Setting(latency_target_s=10.0))
    assert all(one is not other for one, other in zip(first.outcomes, other.outcomes, strict=True))


def test_the_budget_binds_only_the_dual_policy(study: RoutingStudy) -> None:
    free, tight = study.replay(Setting()), study.replay(Setting(budget_usd=5))
    assert tight.summaries["dual"].cost_usd <= 5 < free.summaries["dual"].cost_usd
    assert tight.summaries["LinUCB"].cost_usd == free.summaries["LinUCB"].cost_usd


def test_faster_traffic_arrives_faster(study: RoutingStudy) -> None:
    assert np.allclose(study.test(Setting(traffic_multiplier=4)).arrival_s * 4, study.test(Setting()).arrival_s)


@pytest.mark.parametrize("arrivals", [0, 501])
def test_too_many_arrivals_are_refused_with_what_is_possible(sources: Sources, arrivals: int) -> None:
    with pytest.raises(LaneError, match="Ask for 1 to 500 arrivals"):
        RoutingStudy(sources, arrivals=arrivals, seed=1)


def test_a_negative_seed_is_refused(sources: Sources) -> None:
    with pytest.raises(LaneError, match="at least 0, not -1"):
        RoutingStudy(sources, arrivals=10, seed=-1)


def test_an_unknown_policy_is_named_with_the_known_ones(study: RoutingStudy) -> None:
    with pytest.raises(LaneError, match=r"No policy 'best'.*'dual'"):
        study.replay(Setting()).outcome("best")


def test_the_rate_counts_requests(study: RoutingStudy) -> None:
    assert requests_per_second(study.replay(Setting()), SingleLane("anthropic"), repetitions=2) > 0
