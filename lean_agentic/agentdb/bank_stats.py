"""What a reasoning bank holds and what a run of distillation did, as small results for a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from lean_agentic.agentdb.records import Pattern, Trajectory, Verdict


@dataclass(frozen=True)
class TaskTypeStats:
    """One task type."""

    task_type: str
    trajectories: int
    successes: int
    failures: int
    unjudged: int
    groups: int
    """Tasks tried more than once."""
    do: int
    """Patterns in use that say what to do."""
    avoid: int
    retired: int
    improvement: float | None
    """Mean measured improvement of its trajectories, where measured."""

    @property
    def success_rate(self) -> float | None:
        """Of the judged ones."""
        judged = self.successes + self.failures
        return self.successes / judged if judged else None


@dataclass(frozen=True)
class BankStats:
    """What a bank holds."""

    task_types: tuple[TaskTypeStats, ...]

    @property
    def trajectories(self) -> int:
        """Of all task types."""
        return sum(each.trajectories for each in self.task_types)

    @property
    def patterns(self) -> int:
        """In use."""
        return sum(each.do + each.avoid for each in self.task_types)

    def __repr__(self) -> str:
        return (
            f"<BankStats {self.trajectories} trajectories, {self.patterns} patterns, {len(self.task_types)} task types>"
        )

    def _repr_html_(self) -> str:
        head = ("task type", "trajectories", "succeeded", "unjudged", "tried again", "do", "avoid", "retired", "gain")
        return table(head, (_cells(each) for each in self.task_types))


@dataclass(frozen=True)
class TaskTypeChange:
    """What distillation did to the patterns of one task type."""

    task_type: str
    tested: int
    """Moves tested."""
    added: tuple[int, ...]
    """Ids of patterns."""
    changed: tuple[int, ...]
    retired: tuple[int, ...]
    revived: tuple[int, ...]
    merged: int
    """Discoveries told by another that says the same."""
    unchanged: int


@dataclass(frozen=True)
class DistillationReport:
    """What a run of distillation did."""

    task_types: tuple[TaskTypeChange, ...]

    @property
    def added(self) -> tuple[int, ...]:
        """Ids of new patterns."""
        return tuple(each for change in self.task_types for each in change.added)

    @property
    def changed(self) -> tuple[int, ...]:
        """Ids of patterns whose evidence changed, those retired and revived among them."""
        return tuple(each for change in self.task_types for each in change.changed)

    @property
    def retired(self) -> tuple[int, ...]:
        """Ids of patterns retired by this run."""
        return tuple(each for change in self.task_types for each in change.retired)

    @property
    def news(self) -> bool:
        """Whether anything changed."""
        return bool(self.added or self.changed)

    def __repr__(self) -> str:
        return f"<DistillationReport {len(self.added)} new, {len(self.changed)} changed, {len(self.retired)} retired>"

    def _repr_html_(self) -> str:
        head = ("task type", "moves tested", "new", "changed", "retired", "revived", "merged", "unchanged")
        rows = (
            (c.task_type, c.tested, *map(len, (c.added, c.changed, c.retired, c.revived)), c.merged, c.unchanged)
            for c in self.task_types
        )
        return table(head, rows)


def stats_of(trajectories: Sequence[Trajectory], patterns: Sequence[Pattern]) -> BankStats:
    """Count trajectories and patterns by task type, in alphabetical order."""
    names = sorted({each.task_type for each in trajectories} | {each.task_type for each in patterns})
    rows = []
    for name in names:
        tracked = [each for each in trajectories if each.task_type == name]
        rows.append(_stats_of(name, tracked, [each for each in patterns if each.task_type == name]))
    return BankStats(tuple(rows))


def _stats_of(task_type: str, trajectories: Sequence[Trajectory], patterns: Sequence[Pattern]) -> TaskTypeStats:
    verdicts = [each.verdict for each in trajectories]
    groups = [each.group for each in trajectories if each.group]
    gains = [each.improvement for each in trajectories if each.improvement is not None]
    used = [pattern for pattern in patterns if not pattern.retired]
    return TaskTypeStats(
        task_type,
        len(trajectories),
        verdicts.count(Verdict.SUCCESS),
        verdicts.count(Verdict.FAILURE),
        verdicts.count(Verdict.UNKNOWN),
        sum(groups.count(name) > 1 for name in set(groups)),
        sum(not pattern.avoid for pattern in used),
        sum(pattern.avoid for pattern in used),
        len(patterns) - len(used),
        float(np.mean(gains)) if gains else None,
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table; the first column is text, the others are figures."""
    title = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(str(first))}</th>'
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return f"<table><thead><tr>{title}</tr></thead><tbody>{body}</tbody></table>"


def _cells(each: TaskTypeStats) -> tuple[object, ...]:
    rate = "" if each.success_rate is None else f"{each.successes} ({each.success_rate:.0%})"
    gain = "" if each.improvement is None else f"{each.improvement:+.1%}"
    return (
        each.task_type,
        each.trajectories,
        rate,
        each.unjudged,
        each.groups,
        each.do,
        each.avoid,
        each.retired,
        gain,
    )
