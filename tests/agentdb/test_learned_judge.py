"""A learned judge on tasks it has not seen: finds what was planted, nothing where nothing is, and is calibrated."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lean_agentic.agentdb.judge_model import Evidence
from lean_agentic.agentdb.judges import Judge
from lean_agentic.agentdb.learned_judge import LearnedJudge
from lean_agentic.agentdb.records import Verdict
from tests.agentdb.made_trajectories import planted


def judged(judge, trajectories, *, trials: bool = False):
    """Probabilities and labels of trajectories, with their other trials where asked."""
    chances = []
    for trajectory in trajectories:
        others = [each for each in trajectories if trials and each.group == trajectory.group and each is not trajectory]
        chances.append(judge.judge(trajectory, others).probability)
    return np.array(chances), np.array([trajectory.verdict is Verdict.SUCCESS for trajectory in trajectories])


@pytest.fixture(scope="module")
def judge():
    return LearnedJudge.fit(planted(40, 3, seed=1, lift=0.8))


def test_what_was_planted_is_found_on_unseen_tasks(judge):
    chances, labels = judged(judge, planted(60, 3, seed=2, lift=0.8))
    # The best possible ranking, by whether the action was taken, has AUC .9.
    assert roc_auc_score(labels, chances) > 0.84
    assert isinstance(judge, Judge)


def test_probabilities_mean_what_they_say(judge):
    chances, labels = judged(judge, planted(300, 2, seed=3, lift=0.8))
    for part in np.array_split(np.argsort(chances), 4):
        error = np.sqrt(np.mean(chances[part] * (1 - chances[part])) / len(part))
        assert abs(labels[part].mean() - chances[part].mean()) < 0.06 + 3 * error


def test_verdicts_of_other_trials_tell_hard_tasks_from_easy_ones():
    learned, unseen = planted(50, 4, seed=4, difficulty=0.4), planted(50, 4, seed=5, difficulty=0.4)
    judge = LearnedJudge.fit(learned)
    alone = roc_auc_score(*reversed(judged(judge, unseen)))
    together = roc_auc_score(*reversed(judged(judge, unseen, trials=True)))
    assert together > alone + 0.05
    held_back = LearnedJudge(judge.model, most=Evidence.ALONE)
    np.testing.assert_array_equal(judged(held_back, unseen, trials=True)[0], judged(held_back, unseen)[0])


def test_nothing_is_found_where_nothing_is():
    scores = []
    for seed in range(12):
        chances, labels = judged(LearnedJudge.fit(planted(15, 2, seed=seed)), planted(20, 2, seed=100 + seed))
        scores.append(roc_auc_score(labels, chances))
    # Twelve AUCs of 40 trajectories each: standard error of their mean about .027.
    assert abs(np.mean(scores) - 0.5) < 0.09


def test_the_order_learned_in_does_not_matter():
    trajectories = planted(12, 3, seed=6, lift=0.5)
    first = LearnedJudge.fit(trajectories)
    second = LearnedJudge.fit(trajectories[::-1])
    unseen = planted(5, 3, seed=7)
    np.testing.assert_array_equal(judged(first, unseen, trials=True)[0], judged(second, unseen, trials=True)[0])


def test_it_abstains_between_the_thresholds_and_says_why(judge):
    trajectories = planted(30, 2, seed=8, lift=0.8)
    careful = LearnedJudge(judge.model, abstain_between=(0.2, 0.8))
    for trajectory in trajectories:
        judgement = careful.judge(trajectory, trajectories[:1])
        low, high = judgement.probability <= 0.2, judgement.probability >= 0.8
        assert judgement.verdict is (Verdict.SUCCESS if high else Verdict.FAILURE if low else Verdict.UNKNOWN)
        assert "of 1 other trials did the same; " in judgement.reason
    assert not judge.judge(trajectories[0]).abstained
    with pytest.raises(ValueError, match="0 <= low <= high"):
        LearnedJudge(judge.model, abstain_between=(0.8, 0.2))


def test_what_was_saved_judges_the_same(judge, tmp_path):
    judge.save(tmp_path / "judge.npz")
    loaded = LearnedJudge.load(tmp_path / "judge.npz")
    unseen = planted(6, 3, seed=9)
    for trials in (False, True):
        np.testing.assert_array_equal(judged(loaded, unseen, trials=trials)[0], judged(judge, unseen, trials=trials)[0])
    assert loaded.judge(unseen[0], unseen[1:3]) == judge.judge(unseen[0], unseen[1:3])
    assert [path.name for path in tmp_path.iterdir()] == ["judge.npz"]
