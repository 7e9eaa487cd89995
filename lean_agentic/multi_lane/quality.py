"""Which lane answers which prompt right, and what can be predicted of it from the prompt's text.

In: RouteLLM's GSM8K evaluation (github.com/lm-sys/RouteLLM; Ong et al., "RouteLLM", 2024): 1,319 word problems,
each answered right or wrong by a strong and a weak model; or made-up problems for machines without the file.
Out: `LaneQuality` tables for training and for testing that share no prompt, with predictions by a TF-IDF ridge
that never saw the answers it predicts. `apgr` scores a router as the paper does.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.workload import Floats

WEAK_MODEL = "mistralai/Mixtral-8x7B-Instruct-v0.1"
STRONG_MODEL = "gpt-4-1106-preview"
FOLDS = 5


@dataclass(frozen=True, repr=False)
class ModelPairs:
    """m prompts with the outcome of two models, each prompt once."""

    prompts: tuple[str, ...]
    weak: Floats
    """(m,) 1 where the weak model is right, otherwise 0."""
    strong: Floats
    """(m,) 1 where the strong model is right, otherwise 0."""
    source: str

    def __len__(self) -> int:
        return len(self.prompts)

    def __repr__(self) -> str:
        return (
            f"ModelPairs({len(self):,} prompts from {self.source}: weak {self.weak.mean():.3f}, strong "
            f"{self.strong.mean():.3f} right)"
        )


@dataclass(frozen=True, repr=False)
class LaneQuality:
    """m prompts over k lanes: what each lane answers and what was predicted of it."""

    prompts: tuple[str, ...]
    lanes: tuple[str, ...]
    right: Floats
    """(m, k) 1 where the lane is right, otherwise 0."""
    predicted: Floats
    """(m, k) predicted probability that the lane is right, from a fit that left this prompt out."""
    source: str

    def __len__(self) -> int:
        return len(self.prompts)

    def __repr__(self) -> str:
        means = ", ".join(f"{lane} {mean:.3f}" for lane, mean in zip(self.lanes, self.right.mean(axis=0), strict=True))
        return f"LaneQuality({len(self):,} prompts from {self.source}: {means} right)"

    def column(self, lane: str) -> int:
        """Where a lane's column is."""
        if lane not in self.lanes:
            raise LaneError(f"The quality table has no lane called {lane!r}; there are {list(self.lanes)}.")
        return self.lanes.index(lane)


def load_gsm8k(path: str | Path) -> ModelPairs:
    """Read the prompts and both models' outcomes; the responses' text is not kept.

    Raises
    ------
    LaneError
        A missing or corrupt file; the message names the file, the line and what was expected there.
    """
    path = Path(path)
    if not path.is_file():
        raise LaneError(f"No quality data at {path}. Run `lean-agentic data fetch`, or use `generate_quality`.")
    wanted = ["prompt", WEAK_MODEL, STRONG_MODEL]
    first_line: dict[str, int] = {}
    outcomes: list[tuple[float, float]] = []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.DictReader(file)
        missing = [column for column in wanted if column not in (rows.fieldnames or ())]
        if missing:
            raise LaneError(f"{path}, line 1: no column {missing}; expected {wanted} among the columns.")
        for row in rows:
            place = f"{path}, record ending on line {rows.line_num}"
            prompt = row["prompt"]
            if not prompt or None in row or None in row.values():
                raise LaneError(
                    f"{place}: not the header's {len(rows.fieldnames or ())} fields; expected a full record."
                )
            if prompt in first_line:
                raise LaneError(f"{place}: the prompt of line {first_line[prompt]} again; expected each prompt once.")
            first_line[prompt] = rows.line_num
            outcomes.append((_truth(row[WEAK_MODEL], place), _truth(row[STRONG_MODEL], place)))
    if not outcomes:
        raise LaneError(f"{path}: no record after the header; expected a prompt and two outcomes in each.")
    weak, strong = np.array(outcomes).T
    return ModelPairs(tuple(first_line), weak, strong, path.stem)


def _truth(text: str, place: str) -> float:
    if text not in ("True", "False"):
        raise LaneError(f"{place}: an outcome is {text!r}; expected True or False.")
    return float(text == "True")


def generate_quality(seed: int, n: int = 1_200) -> ModelPairs:
    """Make n word problems of 1 to 6 steps whose difficulty shows in the text.

    The strong model is right with probability .98 - .04 x steps (mean .84), the weak one with .97 - .095 x steps
    (mean .64), independently: means near the recorded models', and plainer for a predictor than theirs.
    """
    rng = np.random.default_rng(seed)
    steps = rng.integers(1, 7, n)
    prompts = tuple(f"Problem {number}. {_word_problem(count, rng)}" for number, count in enumerate(steps))
    weak, strong = rng.random(n) < 0.97 - 0.095 * steps, rng.random(n) < 0.98 - 0.04 * steps
    return ModelPairs(prompts, weak.astype(np.float64), strong.astype(np.float64), "generated")


STEPS = (
    "buys {} boxes of pencils",
    "gives a third of them to {} friends",
    "saves {} percent of the rest each week",
    "then doubles what is left over {} days",
    "pays {} dollars of tax on the remainder",
    "splits the difference evenly with {} cousins",
)


def _word_problem(steps: int, rng: np.random.Generator) -> str:
    name = ("Ada", "Bela", "Chidi", "Dana", "Emre", "Fatma")[rng.integers(6)]
    done = ", ".join(step.format(rng.integers(2, 60)) for step in STEPS[:steps])
    return f"{name} {done}. How many are there in the end?"


def lane_qualities(
    pairs: ModelPairs, *, openrouter_strong_share: float = 0.5, test_share: float = 0.5, seed: int
) -> tuple[LaneQuality, LaneQuality]:
    """Split by prompt into a training and a test table over onnx_local, anthropic and openrouter.

    anthropic answers as the strong model, onnx_local as the weak one. The data holds no third model: openrouter
    is a **mixture**, on each prompt the strong model's outcome with probability `openrouter_strong_share` and
    otherwise the weak one's, drawn once for each prompt. Its prediction is the same mixture of the two models'
    predictions: a fit to the drawn outcomes would mostly follow the draws.

    Test predictions come from a fit on the training prompts; training predictions from folds that left the
    prompt out, so thresholds fitted on them meet errors of the same size as in the test.
    """
    for name, share in (("openrouter_strong_share", openrouter_strong_share), ("test_share", test_share)):
        if not 0 <= share <= 1:
            raise LaneError(f"{name} is a share between 0 and 1, not {share}.")
    rng = np.random.default_rng(seed)
    mixed = np.where(rng.random(len(pairs)) < openrouter_strong_share, pairs.strong, pairs.weak)
    right = np.column_stack([pairs.weak, pairs.strong, mixed])
    models = np.array([[1.0, 0.0, 1 - openrouter_strong_share], [0.0, 1.0, openrouter_strong_share]])
    order = rng.permutation(len(pairs))
    cut = round((1 - test_share) * len(pairs))
    train, test = np.sort(order[:cut]), np.sort(order[cut:])
    if len(train) < 2 * FOLDS or not len(test):
        raise LaneError(f"{len(train)} training and {len(test)} test prompts; expected {2 * FOLDS} and 1 or more.")
    train_prompts = tuple(pairs.prompts[i] for i in train)
    test_prompts = tuple(pairs.prompts[i] for i in test)
    predictor = QualityPredictor(train_prompts, right[train, :2], seed)
    lanes = ("onnx_local", "anthropic", "openrouter")
    return (
        LaneQuality(train_prompts, lanes, right[train], predictor.out_of_fold @ models, f"{pairs.source} (train)"),
        LaneQuality(
            test_prompts, lanes, right[test], predictor.predict(test_prompts) @ models, f"{pairs.source} (test)"
        ),
    )


class QualityPredictor:
    """Ridge regression of right answers on TF-IDF words and word pairs, one column for each lane.

    A ridge shrinks towards the mean by an amount that depends on its penalty, so each lane's prediction is put
    back on scale by a straight line fitted to the out-of-fold predictions, and clipped to [0, 1].

    Parameters
    ----------
    right : (m, k)
        Outcomes for the m training prompts.
    """

    def __init__(self, prompts: Sequence[str], right: Floats, seed: int) -> None:
        self._model = _tfidf_ridge()
        raw = _out_of_fold(prompts, right, seed)
        # A useless prediction would get a slope of either sign by chance: never below 0.
        centre = raw.mean(axis=0)
        spread = np.maximum(((raw - centre) ** 2).sum(axis=0), 1e-12)
        self._slope = np.maximum(((raw - centre) * (right - right.mean(axis=0))).sum(axis=0) / spread, 0.0)
        self._intercept = right.mean(axis=0) - self._slope * centre
        self._model.fit(prompts, right)
        self.out_of_fold: Floats = self._on_scale(raw)
        """(m, k) predictions for the training prompts, each from a fit that left it out."""

    def predict(self, prompts: Sequence[str]) -> Floats:
        """Probability that each lane is right, (m, k)."""
        return self._on_scale(self._model.predict(prompts))

    def _on_scale(self, raw: Floats) -> Floats:
        probability: Floats = np.clip(raw * self._slope + self._intercept, 0.0, 1.0)
        return probability


def _tfidf_ridge() -> Pipeline:
    return make_pipeline(TfidfVectorizer(min_df=2, ngram_range=(1, 2), sublinear_tf=True), Ridge(alpha=10.0))


def _out_of_fold(prompts: Sequence[str], right: Floats, seed: int) -> Floats:
    folds = KFold(FOLDS, shuffle=True, random_state=seed)
    return np.asarray(cross_val_predict(_tfidf_ridge(), np.array(prompts, dtype=object), right, cv=folds))


def apgr(score: Floats, weak: Floats, strong: Floats) -> float:
    """Average performance gap recovered: how well a score chooses the prompts to send to the strong model.

    For every share of prompts sent to the strong model, highest score first, the share recovered of the gap
    between the two models, averaged over the shares (trapezium rule). Random choice scores .5 on average.

    Parameters
    ----------
    score, weak, strong : (m,)
        Score of each prompt, and both models' outcomes.
    """
    gap = strong - weak
    if gap.sum() == 0:
        raise LaneError("Both models are right equally often: there is no performance gap to recover.")
    recovered = np.concatenate([[0.0], np.cumsum(gap[np.argsort(-score, kind="stable")])]) / gap.sum()
    return float(np.mean((recovered[1:] + recovered[:-1]) / 2))


def apgr_baselines(pairs: ModelPairs, seed: int) -> dict[str, float]:
    """APGR of three scores: random (mean of 100 draws), prompt length, and the ridge's predicted gap (out of fold)."""
    predicted = _out_of_fold(pairs.prompts, np.column_stack([pairs.weak, pairs.strong]), seed)
    rng = np.random.default_rng(seed)
    shuffled = [apgr(rng.random(len(pairs)), pairs.weak, pairs.strong) for _ in range(100)]
    length = np.array([float(len(prompt)) for prompt in pairs.prompts])
    return {
        "random": float(np.mean(shuffled)),
        "prompt length": apgr(length, pairs.weak, pairs.strong),
        "TF-IDF ridge": apgr(predicted[:, 1] - predicted[:, 0], pairs.weak, pairs.strong),
    }
