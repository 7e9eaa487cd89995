"""Judges say whether a trajectory succeeded: the protocol, what they answer, and the judge that is a rule.

`LearnedJudge` learns from judged trajectories, `LlmJudge` asks a language model. Each may abstain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from lean_agentic.agentdb.errors import AgentDBError
from lean_agentic.agentdb.records import Trajectory, Verdict


class JudgeError(AgentDBError, ValueError):
    """A judge cannot be made from this, or gave an answer that is none."""


@dataclass(frozen=True)
class Judgement:
    """What a judge says of one trajectory."""

    verdict: Verdict
    """UNKNOWN where the judge abstained."""
    probability: float
    """That the trajectory succeeded, 0 to 1; kept where the judge abstained too."""
    reason: str = ""

    def __post_init__(self) -> None:
        """Raise JudgeError where the probability is none."""
        if not (math.isfinite(self.probability) and 0 <= self.probability <= 1):
            raise JudgeError(f"the probability of success must lie in [0, 1], not {self.probability}")

    @property
    def abstained(self) -> bool:
        """Whether the judge would not say."""
        return self.verdict is Verdict.UNKNOWN

    @property
    def confidence(self) -> float:
        """The probability of the verdict given; that of success where there is none."""
        return 1 - self.probability if self.verdict is Verdict.FAILURE else self.probability


@runtime_checkable
class Judge(Protocol):
    """Anything that judges."""

    def judge(self, trajectory: Trajectory, trials: Sequence[Trajectory] = ()) -> Judgement:
        """Judge one trajectory; `trials` are other trajectories of the same task, judged or not."""


class RuleJudge:
    """A judge that asks a function of the caller's.

    Parameters
    ----------
    rule
        True or a probability for success, False for failure, None to abstain.
    reason
        Given with every judgement.

    Examples
    --------
    >>> tests_pass = RuleJudge(lambda trajectory: trajectory.steps[-1].outcome == "passed", "the last test run")
    >>> tests_pass.judge(Trajectory("code.repair", (Step({}, "run_tests", "passed"),))).verdict.value
    'success'
    """

    def __init__(
        self, rule: Callable[[Trajectory], bool | float | None], reason: str = "a rule of the caller's"
    ) -> None:
        self._rule = rule
        self._reason = reason

    def judge(self, trajectory: Trajectory, trials: Sequence[Trajectory] = ()) -> Judgement:
        """See `Judge.judge`; what the rule raises is passed on."""
        answer = self._rule(trajectory)
        if answer is None:
            return Judgement(Verdict.UNKNOWN, 0.5, self._reason)
        return Judgement(Verdict.SUCCESS if answer >= 0.5 else Verdict.FAILURE, float(answer), self._reason)


def with_judgement(trajectory: Trajectory, judgement: Judgement) -> Trajectory:
    """The trajectory with verdict and confidence as judged."""
    return replace(trajectory, verdict=judgement.verdict, confidence=judgement.confidence)


def success_probability(trajectory: Trajectory) -> float | None:
    """That a trajectory succeeded, by its verdict and the verdict's confidence; None where nobody judged it."""
    if trajectory.verdict is Verdict.UNKNOWN:
        return None
    return trajectory.confidence if trajectory.verdict is Verdict.SUCCESS else 1 - trajectory.confidence
