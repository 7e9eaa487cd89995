"""Latency profiles: pairs kept, time per token derived by its definition, corrupt files refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.lanes import NOMINAL_LANES
from lean_agentic.multi_lane.latency import (
    GENERATED,
    STAND_INS,
    LatencyProfile,
    generated_profile,
    generated_profiles,
    load_llmperf,
    load_stand_ins,
)

DATA = os.environ.get("LEAN_AGENTIC_DATA")
FOLDER = Path(DATA or ".") / "llmperf"
needs_llmperf = pytest.mark.skipif(not (DATA and FOLDER.is_dir()), reason="LEAN_AGENTIC_DATA holds no llmperf folder")


def response(**changes):
    row = {"error_code": None, "ttft_s": 0.5, "end_to_end_latency_s": 2.5, "number_output_tokens": 101}
    return row | {"inter_token_latency_s": 99.0} | changes


def written(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_time_per_token_is_what_follows_the_first_token(tmp_path):
    # 2 s for the 100 tokens after the first; the file's own field is not believed.
    profile = load_llmperf(written(tmp_path, [response()]))
    assert profile.ttft_s.tolist() == [0.5]
    assert profile.inter_token_s.tolist() == [0.02]
    assert profile.tokens_per_s == pytest.approx(50)


def test_short_answers_stay_and_other_errors_go(tmp_path):
    rows = [response(), response(error_code=-100, ttft_s=1.0), response(error_code=429, ttft_s=None)]
    assert load_llmperf(written(tmp_path, rows)).ttft_s.tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[{", "not JSON"),
        ({"a": 1}, "holds a dict; expected a list"),
        ([], "none of its 0 responses succeeded"),
        ([response(error_code=500)], "none of its 1 responses succeeded"),
        ([response(), 7], "response 1: is a int"),
        ([response(ttft_s="fast")], "response 0: ttft_s is 'fast'; expected a number"),
        ([response(ttft_s=True)], "response 0: ttft_s is True"),
        ([{"error_code": None}], "response 0: ttft_s is None"),
        ([response(ttft_s=3.0)], "response 0: first token after 3.0 s"),
        ([response(ttft_s=-1.0)], "expected 0 < ttft_s"),
        ([response(number_output_tokens=1)], "at least 2 tokens"),
        ([response(end_to_end_latency_s=float("nan"))], "after nan s"),
    ],
)
def test_refuses_a_malformed_file(tmp_path, content, says):
    with pytest.raises(LaneError, match=rf"run\.json.*{says}"):
        load_llmperf(written(tmp_path, content))


def test_refuses_a_missing_file(tmp_path):
    with pytest.raises(LaneError, match="data fetch"):
        load_llmperf(tmp_path / "none.json")


@given(st.integers(1, 50), st.integers(0, 1000))
def test_sampled_times_stay_in_their_pairs(n, seed):
    first = np.arange(1.0, 8.0)
    profile = LatencyProfile(first, first**2, "hand")
    ttft, inter_token = profile.sample(n, np.random.default_rng(seed))
    np.testing.assert_array_equal(inter_token, ttft**2)
    assert set(ttft) <= set(first)


@given(st.floats(0.1, 1e5))
def test_scaling_moves_the_speed_and_keeps_the_relative_spread(tokens_per_s):
    profile = generated_profile("onnx_local", seed=1)
    scaled = profile.scaled_to(tokens_per_s)
    assert scaled.tokens_per_s == pytest.approx(tokens_per_s)
    for name in ("ttft_s", "inter_token_s"):
        before, after = getattr(profile, name), getattr(scaled, name)
        np.testing.assert_allclose(after / after[0], before / before[0])
    np.testing.assert_allclose(scaled.ttft_s / scaled.inter_token_s, profile.ttft_s / profile.inter_token_s)


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_scaling_to_no_speed_is_refused(speed):
    with pytest.raises(LaneError, match="local throughput"):
        generated_profile("onnx_local", seed=1).scaled_to(speed)


@pytest.mark.parametrize(("first", "further"), [([1.0], [0.0]), ([float("nan")], [1.0]), ([], []), ([1.0, 2.0], [1.0])])
def test_a_profile_refuses_impossible_columns(first, further):
    with pytest.raises(LaneError, match="hand"):
        LatencyProfile(np.array(first), np.array(further), "hand")


def test_generated_profiles_have_the_stated_medians_and_spreads():
    for lane, (first, first_spread, further, further_spread) in GENERATED.items():
        profile = generated_profile(lane, seed=7, n=20_000)
        assert profile.source == "generated"
        assert np.median(profile.ttft_s) == pytest.approx(first, rel=0.02)
        assert np.log(profile.ttft_s).std() == pytest.approx(first_spread, rel=0.05)
        assert np.median(profile.inter_token_s) == pytest.approx(further, rel=0.02)
        assert np.log(profile.inter_token_s).std() == pytest.approx(further_spread, rel=0.05)
    with pytest.raises(LaneError, match="'nowhere'"):
        generated_profile("nowhere", seed=0)


def test_every_nominal_lane_has_a_stand_in_and_a_generated_profile():
    names = {lane.name for lane in NOMINAL_LANES}
    assert names == set(STAND_INS) == set(generated_profiles(0))


@needs_llmperf
def test_the_measured_runs_order_the_lanes_as_stated():
    profiles = load_stand_ins(FOLDER)
    assert all(len(profile) == 150 for profile in profiles.values())
    quick, middle, slow = (profiles[lane] for lane in ("anthropic", "openrouter", "onnx_local"))
    assert quick.tokens_per_s > 2 * middle.tokens_per_s > 2 * slow.tokens_per_s
    assert np.median(quick.ttft_s) < np.median(middle.ttft_s)
    for lane, profile in generated_profiles(0).items():
        assert profile.tokens_per_s == pytest.approx(profiles[lane].tokens_per_s, rel=0.1)


@needs_llmperf
@pytest.mark.parametrize("name", sorted(STAND_INS.values()))
def test_measured_times_add_up_to_the_whole_latency(name):
    profile = load_llmperf(FOLDER / f"{name}.json")
    rows = json.loads((FOLDER / f"{name}.json").read_text())
    tokens = np.array([row["number_output_tokens"] for row in rows])
    whole = np.array([row["end_to_end_latency_s"] for row in rows])
    np.testing.assert_allclose(profile.ttft_s + (tokens - 1) * profile.inter_token_s, whole)
