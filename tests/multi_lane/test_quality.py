"""Right and wrong answers: read as recorded, split without a shared prompt, predicted without leaks."""

import csv
import os
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.quality import (
    STRONG_MODEL,
    WEAK_MODEL,
    ModelPairs,
    QualityPredictor,
    apgr,
    apgr_baselines,
    generate_quality,
    lane_qualities,
    load_gsm8k,
)

DATA = os.environ.get("LEAN_AGENTIC_DATA")
GSM8K = Path(DATA or ".") / "routellm_gsm8k.csv"
needs_gsm8k = pytest.mark.skipif(not (DATA and GSM8K.is_file()), reason="LEAN_AGENTIC_DATA holds no RouteLLM pairs")


def written(tmp_path, rows, header=("prompt", WEAK_MODEL, STRONG_MODEL, "response")):
    path = tmp_path / "pairs.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_reads_prompts_over_several_lines_and_both_outcomes(tmp_path):
    pairs = load_gsm8k(written(tmp_path, [("a\nb", "True", "False", "x"), ("c", "False", "True", "y\nz")]))
    assert pairs.prompts == ("a\nb", "c")
    assert pairs.weak.tolist() == [1, 0]
    assert pairs.strong.tolist() == [0, 1]
    assert pairs.source == "pairs"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("a", "True", "yes", "x")], "line 2: an outcome is 'yes'; expected True or False"),
        ([("a", "True", "True", "x"), ("b", "True")], "line 3: not the header's 4 fields"),
        ([("a", "True", "True", "x", "more")], "line 2: not the header's 4 fields"),
        ([("a", "True", "True", "x"), ("a", "True", "True", "x")], "line 3: the prompt of line 2 again"),
        ([("", "True", "True", "x")], "line 2: not the header's"),
        ([], "no record after the header"),
    ],
)
def test_refuses_a_corrupt_file_by_line(tmp_path, rows, says):
    with pytest.raises(LaneError, match=rf"pairs\.csv.*{says}"):
        load_gsm8k(written(tmp_path, rows))


def test_refuses_other_columns_and_a_missing_file(tmp_path):
    with pytest.raises(LaneError, match=r"line 1: no column \['gpt-4"):
        load_gsm8k(written(tmp_path, [], header=("prompt", WEAK_MODEL)))
    with pytest.raises(LaneError, match="data fetch"):
        load_gsm8k(tmp_path / "none.csv")


@pytest.fixture(scope="module")
def made():
    return generate_quality(seed=5)


def test_generated_problems_say_so_and_have_the_stated_means(made):
    assert made.source == "generated"
    assert len(set(made.prompts)) == len(made)
    assert made.weak.mean() == pytest.approx(0.64, abs=0.04)
    assert made.strong.mean() == pytest.approx(0.84, abs=0.04)
    assert generate_quality(seed=5).prompts == made.prompts


def test_generated_difficulty_shows_in_the_text(made):
    baselines = apgr_baselines(made, seed=0)
    assert baselines["random"] == pytest.approx(0.5, abs=0.02)
    assert baselines["TF-IDF ridge"] > 0.55


def test_training_and_test_prompts_are_apart_and_together_complete(made):
    train, test = lane_qualities(made, test_share=0.25, seed=1)
    assert not set(train.prompts) & set(test.prompts)
    assert set(train.prompts) | set(test.prompts) == set(made.prompts)
    assert len(test) == 300


def test_lanes_answer_as_the_models_they_stand_for(made):
    outcome = dict(zip(made.prompts, zip(made.weak, made.strong, strict=True), strict=True))
    for table in lane_qualities(made, seed=1):
        weak, strong = np.array([outcome[prompt] for prompt in table.prompts]).T
        np.testing.assert_array_equal(table.right[:, table.column("onnx_local")], weak)
        np.testing.assert_array_equal(table.right[:, table.column("anthropic")], strong)
        mixed = table.right[:, table.column("openrouter")]
        assert ((mixed == weak) | (mixed == strong)).all()


@pytest.mark.parametrize(("share", "lane"), [(0.0, "onnx_local"), (1.0, "anthropic")])
def test_the_mixture_at_its_ends_is_one_of_the_models(made, share, lane):
    _, test = lane_qualities(made, openrouter_strong_share=share, seed=1)
    np.testing.assert_array_equal(test.right[:, test.column("openrouter")], test.right[:, test.column(lane)])


def test_the_mixture_is_predicted_as_the_mixture_it_is(made):
    for table in lane_qualities(made, openrouter_strong_share=0.3, seed=1):
        weak, strong, mixed = table.predicted.T
        np.testing.assert_allclose(mixed, 0.7 * weak + 0.3 * strong)


def test_the_mixture_takes_the_strong_outcome_as_often_as_stated(made):
    taken = []
    for seed in range(5):
        for table in lane_qualities(made, openrouter_strong_share=0.3, seed=seed):
            differ = table.right[:, 0] != table.right[:, 1]
            taken.extend((table.right[:, 2] == table.right[:, 1])[differ])
    assert np.mean(taken) == pytest.approx(0.3, abs=0.04)


def test_test_answers_cannot_leak_into_predictions(made):
    # Every test answer is turned round; not one prediction may move.
    train, test = lane_qualities(made, seed=2)
    held_out = np.isin(np.array(made.prompts, dtype=object), np.array(test.prompts, dtype=object))
    turned = ModelPairs(
        made.prompts,
        np.where(held_out, 1 - made.weak, made.weak),
        np.where(held_out, 1 - made.strong, made.strong),
        "turned",
    )
    train_again, test_again = lane_qualities(turned, seed=2)
    np.testing.assert_array_equal(test_again.predicted, test.predicted)
    np.testing.assert_array_equal(train_again.predicted, train.predicted)


def test_predictions_are_probabilities_on_the_right_scale(made):
    # Pooled over splits: the slope of outcome on prediction is 1 for a calibrated predictor.
    predicted, right = [], []
    for seed in range(5):
        _, test = lane_qualities(made, seed=seed)
        predicted.append(test.predicted)
        right.append(test.right)
    predicted, right = np.concatenate(predicted), np.concatenate(right)
    assert 0 <= predicted.min() <= predicted.max() <= 1
    np.testing.assert_allclose(predicted.mean(axis=0), right.mean(axis=0), atol=0.03)
    slope = np.polyfit(predicted[:, 0], right[:, 0], 1)[0]
    assert slope == pytest.approx(1, abs=0.25)


def test_useless_text_is_predicted_by_the_mean():
    rng = np.random.default_rng(0)
    prompts = [f"question {'word ' * 3}number {i % 7}" for i in range(200)]
    right = (rng.random((200, 1)) < 0.7).astype(float)
    predicted = QualityPredictor(prompts, right, seed=0).predict(prompts)
    assert predicted.mean() == pytest.approx(right.mean(), abs=0.02)
    assert predicted.std() < 0.06


@pytest.mark.parametrize("shares", [{"openrouter_strong_share": 1.5}, {"test_share": -0.1}])
def test_impossible_shares_are_refused(made, shares):
    with pytest.raises(LaneError, match="share between 0 and 1"):
        lane_qualities(made, seed=0, **shares)


def test_too_few_prompts_and_unknown_lanes_are_refused(made):
    with pytest.raises(LaneError, match="training and"):
        lane_qualities(generate_quality(seed=0, n=12), seed=0)
    with pytest.raises(LaneError, match="'elsewhere'"):
        lane_qualities(made, seed=0)[0].column("elsewhere")


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=5))
def test_apgr_of_all_orders_averages_one_half(outcomes):
    weak, strong = np.array(outcomes, dtype=float).T
    if weak.sum() == strong.sum():
        with pytest.raises(LaneError, match="no performance gap"):
            apgr(np.zeros(len(weak)), weak, strong)
        return
    scores = [apgr(np.array(order, dtype=float), weak, strong) for order in permutations(range(len(weak)))]
    assert np.mean(scores) == pytest.approx(0.5)


def test_apgr_by_hand():
    # The strong model gains on the first prompt alone; sent first, all is recovered after a third of the calls:
    # trapezia (0+1)/2, 1 and 1 over three steps.
    weak, strong = np.array([0.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.0])
    assert apgr(np.array([3.0, 2.0, 1.0]), weak, strong) == pytest.approx((0.5 + 1 + 1) / 3)
    assert apgr(np.array([1.0, 2.0, 3.0]), weak, strong) == pytest.approx(0.5 / 3)


@needs_gsm8k
def test_the_recorded_pairs_give_the_published_figures():
    pairs = load_gsm8k(GSM8K)
    assert len(pairs) == 1_319
    assert pairs.weak.mean() == pytest.approx(0.637, abs=0.002)
    assert pairs.strong.mean() == pytest.approx(0.858, abs=0.002)
    assert np.maximum(pairs.weak, pairs.strong).mean() == pytest.approx(0.930, abs=0.002)
    scores = [apgr_baselines(pairs, seed) for seed in range(3)]
    for name, published in {"random": 0.502, "prompt length": 0.597, "TF-IDF ridge": 0.617}.items():
        assert np.mean([score[name] for score in scores]) == pytest.approx(published, abs=0.015)
