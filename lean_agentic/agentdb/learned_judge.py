"""A judge that learns from judged trajectories: features, nearest trajectories, and the other trials of the task.

In: trajectories with verdicts, then one without. Out: a calibrated probability of success, the verdict or none, and a
reason in words. What is learned, and how, is in `judge_model`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from lean_agentic.agentdb.action_roles import RoleOf, role_of
from lean_agentic.agentdb.judge_file import load_model, save_model
from lean_agentic.agentdb.judge_model import Evidence, JudgeModel, evidence_row, fit_model, own_evidence, task_key
from lean_agentic.agentdb.judges import Judgement
from lean_agentic.agentdb.records import Trajectory, Verdict
from lean_agentic.agentdb.trials_agreement import agreement

Floats = npt.NDArray[np.float64]
SHOWN = 3
"""Columns named in a reason."""


class LearnedJudge:
    """A judge fitted by `LearnedJudge.fit`, or read by `LearnedJudge.load`.

    Parameters
    ----------
    abstain_between
        Probabilities strictly between these two get no verdict.
    most
        The most evidence it may use.
    """

    def __init__(
        self,
        model: JudgeModel,
        *,
        roles: RoleOf = role_of,
        abstain_between: tuple[float, float] = (0.5, 0.5),
        most: Evidence = Evidence.VERDICTS,
    ) -> None:
        low, high = abstain_between
        if not 0 <= low <= high <= 1:
            raise ValueError(f"expected 0 <= low <= high <= 1 to abstain between, got {abstain_between}")
        self.model = model
        self.abstain_between = abstain_between
        self.most = most
        self._roles = roles

    @classmethod
    def fit(
        cls,
        trajectories: Sequence[Trajectory],
        *,
        roles: RoleOf = role_of,
        abstain_between: tuple[float, float] = (0.5, 0.5),
        most: Evidence = Evidence.VERDICTS,
        seed: int = 0,
    ) -> Self:
        """Learn from the trajectories that have a verdict; the others are left out.

        Do not pass trajectories that this judge itself has judged: it would learn its own opinion.

        Raises
        ------
        JudgeError
            There are too few tasks, or only successes, or only failures.
        """
        return cls(fit_model(trajectories, roles, seed), roles=roles, abstain_between=abstain_between, most=most)

    def judge(self, trajectory: Trajectory, trials: Sequence[Trajectory] = ()) -> Judgement:
        """See `Judge.judge`; `trials` must not hold the trajectory itself."""
        row = self.model.columns.rows([trajectory], self._roles)
        own = own_evidence(self.model, row, [task_key(trajectory, -1)])
        evidence = self._evidence(trials)
        extra = evidence_row(trajectory, trials, evidence, self._roles)
        columns = np.concatenate([own[0], extra])
        probability = float(expit(self.model.stacks[evidence](columns[None])[0]))
        return Judgement(
            self._verdict(probability), probability, self._reason(row, own[0], evidence, trajectory, trials)
        )

    def save(self, path: Path | str) -> None:
        """Write what was learned as an .npz file of plain arrays; roles and thresholds are the caller's to keep."""
        save_model(self.model, Path(path))

    @classmethod
    def load(
        cls,
        path: Path | str,
        *,
        roles: RoleOf = role_of,
        abstain_between: tuple[float, float] = (0.5, 0.5),
        most: Evidence = Evidence.VERDICTS,
    ) -> Self:
        """Read what `save` wrote. Raises JudgeError where the file is something else."""
        return cls(load_model(Path(path)), roles=roles, abstain_between=abstain_between, most=most)

    def _evidence(self, trials: Sequence[Trajectory]) -> Evidence:
        """The most that there is, that was learned from, and that may be used."""
        usable = [Evidence.ALONE]
        if trials:
            usable.append(Evidence.TRIALS)
        if any(trial.verdict is not Verdict.UNKNOWN for trial in trials):
            usable.append(Evidence.VERDICTS)
        order = list(Evidence)
        return [each for each in usable if each in self.model.stacks and order.index(each) <= order.index(self.most)][
            -1
        ]

    def _verdict(self, probability: float) -> Verdict:
        low, high = self.abstain_between
        if probability >= high:
            return Verdict.SUCCESS
        return Verdict.FAILURE if probability <= low else Verdict.UNKNOWN

    def _reason(
        self, row: Floats, own: Floats, evidence: Evidence, trajectory: Trajectory, trials: Sequence[Trajectory]
    ) -> str:
        parts = self.model.first.parts(row)[0]
        strongest = sorted(range(len(parts)), key=lambda at: -abs(parts[at]))[:SHOWN]
        named = ", ".join(f"{self.model.columns.names[at]} {parts[at]:+.2f}" for at in strongest)
        said = [f"its own features say {expit(own[0]):.2f} ({named} log odds)", f"similar tasks {expit(own[1]):.2f}"]
        if evidence is not Evidence.ALONE:
            same = agreement(trajectory, trials, self._roles)[0]
            said.append(f"{round(same * len(trials))} of {len(trials)} other trials did the same")
        if evidence is Evidence.VERDICTS:
            verdicts = [trial.verdict for trial in trials if trial.verdict is not Verdict.UNKNOWN]
            said.append(f"{verdicts.count(Verdict.SUCCESS)} of {len(verdicts)} judged ones succeeded")
        return "; ".join(said)
