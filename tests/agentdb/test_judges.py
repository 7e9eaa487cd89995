"""What a judgement means, and the judge that is a rule."""

import pytest

from lean_agentic.agentdb.judges import Judge, JudgeError, Judgement, RuleJudge, success_probability, with_judgement
from lean_agentic.agentdb.records import Verdict
from tests.agentdb.made_trajectories import made


def test_a_rule_answers_with_truth_chance_or_silence():
    answers = {
        True: (Verdict.SUCCESS, 1),
        False: (Verdict.FAILURE, 0),
        0.5: (Verdict.SUCCESS, 0.5),
        0.2: (Verdict.FAILURE, 0.2),
        None: (Verdict.UNKNOWN, 0.5),
    }
    for answer, (verdict, probability) in answers.items():
        judgement = RuleJudge(lambda trajectory, answer=answer: answer, "why").judge(made("respond"))
        assert (judgement.verdict, judgement.probability, judgement.reason) == (verdict, probability, "why")
        assert judgement.abstained is (answer is None)


def test_a_rule_judges_by_the_trajectory():
    judge = RuleJudge(lambda trajectory: trajectory.steps[-1].action == "update_item")
    assert isinstance(judge, Judge)
    assert judge.judge(made("get_item", "update_item")).verdict is Verdict.SUCCESS
    assert judge.judge(made("update_item", "get_item")).verdict is Verdict.FAILURE


@pytest.mark.parametrize("probability", [-0.1, 1.5, float("nan")])
def test_a_probability_outside_0_and_1_is_refused(probability):
    with pytest.raises(JudgeError, match="must lie in"):
        Judgement(Verdict.SUCCESS, probability)


def test_confidence_is_that_of_the_verdict_and_comes_back_as_the_probability():
    for verdict, probability in ((Verdict.SUCCESS, 0.8), (Verdict.FAILURE, 0.1)):
        judged = with_judgement(made("respond"), Judgement(verdict, probability))
        assert judged.verdict is verdict
        assert judged.confidence == pytest.approx(max(probability, 1 - probability))
        assert success_probability(judged) == pytest.approx(probability)
    assert success_probability(with_judgement(made("respond"), Judgement(Verdict.UNKNOWN, 0.6))) is None
