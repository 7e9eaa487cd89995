"""What a replay came to: costs, quality kept, late and unanswered requests, and savings against named alternatives.

In: outcomes of one workload under one scenario. Out: `Summary` for each, `Savings` between them, and their spread
over seeds. A saving is never shown alone: cutting cost by answering worse or later is no saving, so every view of
one carries the quality kept and the missed targets on both sides.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.scenario import Scenario
from lean_agentic.multi_lane.workload import Outcome, Workload

AGAINST = ("anthropic only", "openrouter only", "random mix")
BEST_SINGLE = "best single lane at the floor"


@dataclass(frozen=True, repr=False)
class Summary:
    """One policy's outcome in a row."""

    policy: str
    requests: int
    cost_usd: float
    quality: float
    """Mean share of right answers; an unanswered request counts as wrong."""
    quality_kept: float
    """`quality` over what the best single lane would answer with nothing failing."""
    unanswered: float
    """Share of requests."""
    missed: float
    """Share later than its latency target, or unanswered."""
    p50_s: float
    p95_s: float
    p99_s: float
    """Latency percentiles over answered requests, seconds; NaN where none was answered."""
    shares: dict[str, float]
    """Share of all requests that each lane answered."""
    attempts: float
    """Mean calls a request, failed ones included."""
    meets_floor: bool
    """Whether `quality_kept` reaches the scenario's quality floor."""
    meets_miss_rate: bool
    """Whether `missed` stays within the scenario's max_miss_rate."""

    def __repr__(self) -> str:
        return (
            f"Summary({self.policy}: ${self.cost_usd:.4f} for {self.requests:,} requests, {self.quality_kept:.1%} of "
            f"quality kept, {self.missed:.2%} missed, p95 {self.p95_s:.2f} s)"
        )

    def _repr_html_(self) -> str:
        shares = ", ".join(f"{lane} {share:.1%}" for lane, share in self.shares.items())
        return f"<p>{html.escape(repr(self))}<br>{html.escape(shares)}; {self.attempts:.3f} attempts a request</p>"


def summarise(outcome: Outcome, workload: Workload, scenario: Scenario) -> Summary:
    """Count what became of a workload.

    Raises
    ------
    LaneError
        An outcome of another workload or of other lanes, or no request at all.
    """
    n, k = workload.quality.shape
    if n == 0 or len(outcome) != n or k != len(scenario.lanes) or outcome.lane.max() >= k:
        raise LaneError(
            f"{outcome!r} does not belong to {workload!r} over {len(scenario.lanes)} lanes; expected the outcome of "
            "this workload, of at least one request."
        )
    answered = outcome.lane >= 0
    latency = outcome.latency_s[answered]
    p50, p95, p99 = np.percentile(latency, (50, 95, 99)).tolist() if len(latency) else [float("nan")] * 3
    quality, missed = float(outcome.quality.mean()), float(outcome.missed.mean())
    best = float(workload.quality.mean(axis=0).max())
    # With no right answer to be had from any lane there is nothing to lose.
    kept = quality / best if best > 0 else 1.0
    counts = np.bincount(outcome.lane[answered], minlength=k) / n
    return Summary(
        policy=outcome.policy,
        requests=n,
        cost_usd=float(outcome.cost_usd.sum()),
        quality=quality,
        quality_kept=kept,
        unanswered=1 - float(answered.mean()),
        missed=missed,
        p50_s=p50,
        p95_s=p95,
        p99_s=p99,
        shares={lane.name: float(share) for lane, share in zip(scenario.lanes, counts, strict=True)},
        attempts=float(outcome.attempts.mean()),
        meets_floor=kept >= scenario.quality_floor,
        meets_miss_rate=missed <= scenario.max_miss_rate,
    )


def summary_frame(summaries: Sequence[Summary]) -> pd.DataFrame:
    """One row a policy, its lane shares in columns `share <lane>`."""
    rows = []
    for summary in summaries:
        row = {name: value for name, value in vars(summary).items() if name != "shares"}
        rows.append(row | {f"share {lane}": share for lane, share in summary.shares.items()})
    return pd.DataFrame(rows).set_index("policy")


@dataclass(frozen=True, repr=False)
class Saving:
    """What one policy saves against another, with what it keeps and misses: never the share alone."""

    policy: Summary
    against: Summary
    role: str
    """What the alternative is called: its policy's name, or `BEST_SINGLE`."""

    @property
    def share(self) -> float:
        """1 - cost / the alternative's cost; NaN against an alternative that cost nothing."""
        if self.against.cost_usd == 0:
            return float("nan")
        return 1 - self.policy.cost_usd / self.against.cost_usd

    def row(self) -> dict[str, str | float | bool]:
        """The saving and what it was bought with."""
        return {
            "policy": self.policy.policy,
            "against": self.role,
            "saving": self.share,
            "quality_kept": self.policy.quality_kept,
            "missed": self.policy.missed,
            "meets_floor": self.policy.meets_floor,
            "meets_miss_rate": self.policy.meets_miss_rate,
            "cost_usd": self.policy.cost_usd,
            "against_policy": self.against.policy,
            "against_cost_usd": self.against.cost_usd,
            "against_quality_kept": self.against.quality_kept,
            "against_missed": self.against.missed,
        }

    def __repr__(self) -> str:
        kept = f"{self.policy.quality_kept:.1%} (theirs {self.against.quality_kept:.1%})"
        missed = f"{self.policy.missed:.2%} (theirs {self.against.missed:.2%})"
        return (
            f"Saving({self.policy.policy} against {self.role}: {self.share:.1%}, quality kept {kept}, missed {missed})"
        )


@dataclass(frozen=True, repr=False)
class Savings:
    """Every policy against every alternative, on one workload."""

    savings: tuple[Saving, ...]
    best_single: str
    """The policy that is the cheapest single lane at the floor; empty where no single lane reaches it."""

    def __len__(self) -> int:
        return len(self.savings)

    def of(self, policy: str, against: str) -> Saving:
        """One saving by names."""
        for saving in self.savings:
            if (saving.policy.policy, saving.role) == (policy, against):
                return saving
        pairs = sorted({(saving.policy.policy, saving.role) for saving in self.savings})
        raise LaneError(f"No saving of {policy!r} against {against!r}; there are {pairs}.")

    def frame(self) -> pd.DataFrame:
        """One row for each policy and alternative; shares as fractions."""
        return pd.DataFrame([saving.row() for saving in self.savings], columns=_COLUMNS)

    def __repr__(self) -> str:
        best = self.best_single or "none reaches the floor"
        return f"Savings({len(self)} pairs; best single lane at the floor: {best})"

    def _repr_html_(self) -> str:
        head = ("policy", "against", "saving", "quality kept", "missed", "their quality kept", "their missed")
        cells = "".join(f'<th scope="col">{name}</th>' for name in head)
        body = "".join(f"<tr>{_html_cells(saving)}</tr>" for saving in self.savings)
        return f"<p>{html.escape(repr(self))}</p><table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


_COLUMNS = (
    "policy", "against", "saving", "quality_kept", "missed", "meets_floor", "meets_miss_rate", "cost_usd",
    "against_policy", "against_cost_usd", "against_quality_kept", "against_missed",
)  # fmt: skip


def _html_cells(saving: Saving) -> str:
    mine, theirs = saving.policy, saving.against
    texts = (
        saving.role,
        f"{saving.share:.1%}",
        f"{mine.quality_kept:.1%}" + ("" if mine.meets_floor else " (below the floor)"),
        f"{mine.missed:.2%}" + ("" if mine.meets_miss_rate else " (over the limit)"),
        f"{theirs.quality_kept:.1%}",
        f"{theirs.missed:.2%}",
    )
    return f'<th scope="row">{html.escape(mine.policy)}</th>' + "".join(f"<td>{html.escape(t)}</td>" for t in texts)


def savings(
    outcomes: Sequence[Outcome], workload: Workload, scenario: Scenario, against: Sequence[str] = AGAINST
) -> Savings:
    """Compare every outcome with named alternatives among them, and with the best single lane at the floor.

    Parameters
    ----------
    outcomes
        One a policy, the alternatives included.
    against
        Policy names. The cheapest policy called "<lane> only" that reaches the quality floor is added as
        `BEST_SINGLE`; where none does there is no such row.

    Raises
    ------
    LaneError
        Two outcomes of one name, or an alternative that is not among them.
    """
    rows = {outcome.policy: summarise(outcome, workload, scenario) for outcome in outcomes}
    missing = [name for name in against if name not in rows]
    if missing or len(rows) < len(outcomes):
        raise LaneError(
            f"Savings need one outcome a policy and the alternatives {list(against)} among them; there are "
            f"{[outcome.policy for outcome in outcomes]}."
        )
    singles = [rows[name] for lane in scenario.lanes if (name := f"{lane.name} only") in rows]
    # By the floor alone: held to the miss rate too, no single lane might be left to save against.
    at_floor = [single for single in singles if single.meets_floor]
    roles = {name: rows[name] for name in against}
    if at_floor:
        roles[BEST_SINGLE] = min(at_floor, key=lambda single: single.cost_usd)
    pairs = [
        Saving(row, theirs, role)
        for row in rows.values()
        for role, theirs in roles.items()
        if row.policy != theirs.policy
    ]
    return Savings(tuple(pairs), roles[BEST_SINGLE].policy if at_floor else "")


def over_seeds(runs: Sequence[Savings]) -> pd.DataFrame:
    """Mean, least and most over replays with different seeds, for each policy and alternative.

    Returns
    -------
    Indexed by (policy, against): `runs`, `runs_at_floor` (how many kept the floor and the miss rate), and
    mean, min and max of saving, quality kept and missed, as fractions. An alternative that only some seeds have
    (`BEST_SINGLE`) counts those.
    """
    if not runs:
        raise LaneError("A spread over seeds needs at least one run.")
    frame = pd.concat([run.frame() for run in runs], ignore_index=True)
    frame["runs_at_floor"] = frame["meets_floor"] & frame["meets_miss_rate"]
    groups = frame.groupby(["policy", "against"], sort=False)
    table = groups.agg(runs=("saving", "size"), runs_at_floor=("runs_at_floor", "sum"))
    for name in ("saving", "quality_kept", "missed"):
        table[[f"{name}_mean", f"{name}_min", f"{name}_max"]] = groups[name].agg(["mean", "min", "max"])
    return table
