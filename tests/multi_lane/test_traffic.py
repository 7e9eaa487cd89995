"""The trace as recorded, a corrupt trace refused, generated traffic of its shape, and workloads joined from them."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.lanes import NOMINAL_LANES, PRIORITIES, with_changes
from lean_agentic.multi_lane.latency import generated_profiles
from lean_agentic.multi_lane.quality import generate_quality, lane_qualities
from lean_agentic.multi_lane.traffic import (
    PRIORITY_SHARES,
    Traffic,
    build_workload,
    generate_traffic,
    load_azure_trace,
)

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
DATA = os.environ.get("LEAN_AGENTIC_DATA")
TRACE = Path(DATA or ".") / "azure_llm_inference_2023_conv.csv"
needs_trace = pytest.mark.skipif(not (DATA and TRACE.is_file()), reason="LEAN_AGENTIC_DATA holds no Azure trace")


def written(tmp_path, rows):
    path = tmp_path / "trace.csv"
    path.write_bytes((HEADER + rows).encode())
    return path


def test_reads_crlf_rows_with_seven_digit_fractions(tmp_path):
    rows = "2023-11-16 23:59:59.5000000,374,44\r\n2023-11-17 00:00:01.7500009,396,109"
    traffic = load_azure_trace(written(tmp_path, rows))
    assert traffic.arrival_s.tolist() == [0.0, 2.25]
    assert traffic.context_tokens.tolist() == [374, 396]
    assert traffic.generated_tokens.tolist() == [44, 109]
    assert traffic.source == "trace"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("2023-11-16 18:15:46.1,374,44\r\n2023-11-16 18:15", "line 3: 1 fields"),
        ("2023-11-16 18:15:46.1,374,\r\n", "line 2: invalid literal"),
        ("2023-11-16 18:15:46.1,many,44\r\n", "line 2: invalid literal"),
        ("yesterday,374,44\r\n", "line 2: Invalid isoformat"),
        ("2023-11-16 18:15:46.1+01:00,374,44\r\n", "line 2: .*time zone"),
        ("2023-11-16 18:15:46.1,374,0\r\n", "line 2: 374 context and 0 generated tokens; expected at least 1"),
        ("2023-11-16 18:15:46.1,-3,44\r\n", "line 2: -3 context"),
        ("2023-11-16 18:15:46.1,3,4\r\n2023-11-16 18:15:45.1,3,4\r\n", "line 3: time goes back by 1.0"),
        ("2023-11-16 18:15:46.1,3,4,5\r\n", "line 2: 4 fields"),
        ("\xff\xfe\x00garbage", "line 2: 1 fields"),
        ("", "no request after the header"),
    ],
)
def test_refuses_a_corrupt_trace_by_file_and_line(tmp_path, rows, says):
    with pytest.raises(LaneError, match=rf"trace\.csv.*{says}"):
        load_azure_trace(written(tmp_path, rows))


def test_refuses_other_columns_and_a_missing_file(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("TIMESTAMP,ContextTokens\n1,2\n")
    with pytest.raises(LaneError, match=r"line 1: the columns are .*expected \['TIMESTAMP'"):
        load_azure_trace(path)
    with pytest.raises(LaneError, match="data fetch"):
        load_azure_trace(tmp_path / "none.csv")


@needs_trace
def test_the_recorded_hour_has_its_published_size():
    traffic = load_azure_trace(TRACE)
    assert len(traffic) == 19_366
    assert 3_500 < traffic.arrival_s[-1] < 3_510
    # Splitwise, figure 3: median prompt 1,020 and median answer 129 tokens in the conversation trace.
    assert np.median(traffic.context_tokens) == 1020
    assert np.median(traffic.generated_tokens) == 129


@needs_trace
def test_generated_traffic_has_the_shape_of_the_trace():
    recorded, made = load_azure_trace(TRACE), generate_traffic(19_366, seed=3)
    assert np.median(made.generated_tokens) == pytest.approx(np.median(recorded.generated_tokens), rel=0.15)
    assert np.median(made.context_tokens) == pytest.approx(np.median(recorded.context_tokens), rel=0.25)
    for name, tolerance in (("context_tokens", 0.3), ("generated_tokens", 0.1)):
        assert getattr(made, name).mean() == pytest.approx(getattr(recorded, name).mean(), rel=tolerance)
    # An hour holds only 58 windows: one hour's figure is itself uncertain by a third.
    bursts = np.mean([dispersion(generate_traffic(19_366, seed)) for seed in range(10)])
    assert bursts == pytest.approx(dispersion(recorded), rel=0.5)


def dispersion(traffic, window=60.0):
    """Variance over mean of counts in whole windows; 1 for a Poisson process of constant rate."""
    counts = np.histogram(traffic.arrival_s, bins=np.arange(0, traffic.arrival_s[-1], window))[0]
    return counts.var() / counts.mean()


def test_generated_traffic_says_so_and_is_bursty():
    traffic = generate_traffic(10_000, seed=1)
    assert traffic.source == "generated"
    assert traffic.arrival_s[0] == 0
    assert (np.diff(traffic.arrival_s) >= 0).all()
    assert dispersion(traffic) > 5
    assert len(traffic) / traffic.arrival_s[-1] == pytest.approx(5.5, rel=0.2)
    long = traffic.generated_tokens > 300
    assert long.mean() == pytest.approx(1 / 3, abs=0.05)
    assert np.median(traffic.context_tokens[long]) > 2 * np.median(traffic.context_tokens[~long])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200), st.integers(0, 2**32))
def test_generated_traffic_is_valid_and_repeats_by_seed(n, seed):
    traffic, again = generate_traffic(n, seed), generate_traffic(n, seed)
    assert len(traffic) == n
    assert min(traffic.context_tokens.min(), traffic.generated_tokens.min()) >= 1
    for name in ("arrival_s", "context_tokens", "generated_tokens"):
        np.testing.assert_array_equal(getattr(traffic, name), getattr(again, name))


def test_generating_nothing_is_refused():
    with pytest.raises(LaneError, match="at least 1 request"):
        generate_traffic(0, seed=0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.floats(0, 100), st.floats(0.1, 50))
def test_slices_in_time_part_the_requests(times, start, length):
    times = np.sort(times)
    traffic = Traffic(times, np.ones(len(times), int), np.ones(len(times), int), "hand")
    part = traffic.between(start, start + length)
    inside = times[(times >= start) & (times < start + length)]
    np.testing.assert_allclose(part.arrival_s, inside - start)


def test_halves_keep_every_request_once_and_in_order():
    traffic = generate_traffic(101, seed=2)
    earlier, later = traffic.halves(0.3)
    assert (len(earlier), len(later)) == (30, 71)
    np.testing.assert_array_equal(
        np.concatenate([earlier.context_tokens, later.context_tokens]), traffic.context_tokens
    )
    assert later.arrival_s[0] == 0
    with pytest.raises(LaneError, match="strictly between 0 and 1"):
        traffic.halves(1.0)
    with pytest.raises(LaneError, match="cannot be cut"):
        traffic.head(1).halves()
    with pytest.raises(LaneError, match="start_s < end_s"):
        traffic.between(3, 3)


@pytest.fixture(scope="module")
def table():
    return lane_qualities(generate_quality(seed=0, n=300), seed=0)[1]


def built(traffic, table, **changes):
    parts = {"local_tokens_per_s": 500.0, "seed": 4} | changes
    return build_workload(traffic, NOMINAL_LANES, generated_profiles(0), table, **parts)


def test_a_workload_carries_the_answers_of_its_prompts(table):
    workload = built(generate_traffic(400, seed=5), table)
    for column, lane in enumerate(NOMINAL_LANES):
        source = table.column(lane.name)
        np.testing.assert_array_equal(workload.quality[:, column], table.right[workload.prompt, source])
        np.testing.assert_array_equal(workload.predicted_quality[:, column], table.predicted[workload.prompt, source])
    assert "generated" in workload.source


def test_priorities_and_draws_follow_their_distributions(table):
    workload = built(generate_traffic(20_000, seed=5), table)
    shares = np.bincount(workload.priority, minlength=len(PRIORITIES)) / len(workload)
    np.testing.assert_allclose(shares, PRIORITY_SHARES, atol=0.015)
    assert len(PRIORITY_SHARES) == len(PRIORITIES)
    assert sum(PRIORITY_SHARES) == pytest.approx(1)
    assert 0 <= workload.draws.min() <= workload.draws.max() < 1
    assert workload.draws.mean() == pytest.approx(0.5, abs=0.01)
    # Columns must not repeat one another, or lanes would fail and answer in step.
    assert abs(np.corrcoef(workload.ttft_s.T) - np.eye(3)).max() < 0.05


def test_local_throughput_changes_the_local_lane_alone(table):
    traffic = generate_traffic(300, seed=5)
    slow, fast = built(traffic, table, local_tokens_per_s=100), built(traffic, table, local_tokens_per_s=400)
    for name in ("ttft_s", "inter_token_s"):
        np.testing.assert_allclose(getattr(slow, name)[:, 0], 4 * getattr(fast, name)[:, 0])
        np.testing.assert_array_equal(getattr(slow, name)[:, 1:], getattr(fast, name)[:, 1:])
    for name in ("priority", "prompt", "quality", "draws"):
        np.testing.assert_array_equal(getattr(slow, name), getattr(fast, name))
    assert np.median(1 / fast.inter_token_s[:, 0]) == pytest.approx(400, rel=0.02)


def test_the_first_requests_do_not_depend_on_how_many_follow(table):
    traffic = generate_traffic(500, seed=5)
    short, long = built(traffic.head(50), table), built(traffic, table)
    for name in ("priority", "prompt", "quality", "ttft_s", "draws"):
        np.testing.assert_array_equal(getattr(short, name), getattr(long, name)[:50])


def test_without_data_a_lane_is_right_as_often_as_its_quality_says():
    lanes = with_changes(NOMINAL_LANES, onnx_local={"quality": 0.3}, anthropic={"quality": 0.9})
    parts = {"local_tokens_per_s": 500.0, "seed": 1}
    workload = build_workload(generate_traffic(5_000, seed=1), lanes, generated_profiles(0), None, **parts)
    np.testing.assert_allclose(workload.quality.mean(axis=0), [0.3, 0.9, 1.0], atol=0.03)
    assert (workload.predicted_quality == [0.3, 0.9, 1.0]).all()
    assert (workload.prompt == -1).all()


def test_a_workload_refuses_missing_profiles_unknown_lanes_and_bad_throughput(table):
    traffic = generate_traffic(5, seed=0)
    parts = {"local_tokens_per_s": 500.0, "seed": 1}
    profiles = generated_profiles(0)
    with pytest.raises(LaneError, match="No latency profile for anthropic, openrouter"):
        build_workload(traffic, NOMINAL_LANES, {"onnx_local": profiles["onnx_local"]}, table, **parts)
    other = (NOMINAL_LANES[0].__class__("elsewhere", 0.1),)
    with pytest.raises(LaneError, match="no lane called 'elsewhere'"):
        build_workload(traffic, other, {"elsewhere": profiles["anthropic"]}, table, **parts)
    with pytest.raises(LaneError, match="local throughput"):
        built(traffic, table, local_tokens_per_s=0)
