from __future__ import annotations

import pytest

from lean_agentic.multi_lane.cost_demo import MIX, QUALITY, cost_demo, cost_demo_text, demo_workload
from lean_agentic.multi_lane.lanes import PRIORITIES


def test_the_specification_s_three_sums() -> None:
    rows = cost_demo()
    assert f"${rows['Anthropic only'].cost_usd:.4f}" == "$1.0000"
    assert f"${rows['OpenRouter only'].cost_usd:.4f}" == "$0.5000"
    assert rows["Adaptive"].cost_usd <= 0.6 + 1e-12


def test_adaptive_by_hand() -> None:
    # Weights by priority against (cost, latency) on [0, 1]: local (0, 1), openrouter (.5, .26), anthropic (1, 0).
    lane = {"low": 0, "medium": 2, "high": 2, "critical": 1}
    served = [lane[PRIORITIES[priority]] for priority in MIX]
    cost = sum((0.0, 0.1, 0.05)[index] for index in served)
    quality = sum(QUALITY[index] for index in served) / len(MIX)

    adaptive = cost_demo()["Adaptive"]

    assert adaptive.cost_usd == pytest.approx(cost)
    assert adaptive.quality == pytest.approx(quality)


def test_it_is_printed_with_four_decimals_and_never_without_quality() -> None:
    lines = cost_demo_text().splitlines()
    assert lines[1].startswith("Anthropic only:   $1.0000 ")
    assert lines[2].startswith("OpenRouter only:  $0.5000 ")
    assert lines[3].startswith("Adaptive:         $0.6000 ")
    assert all("of quality kept" in line and "targets missed" in line for line in lines[1:])


def test_ten_thousand_tokens_in_all() -> None:
    workload = demo_workload()
    assert (workload.context_tokens + workload.generated_tokens).sum() == 10_000
