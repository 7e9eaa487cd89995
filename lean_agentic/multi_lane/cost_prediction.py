"""Predicts what a request will cost before it is served, online, and judges such predictions.

In: the context tokens of a request, known on arrival, and the generated tokens of requests completed by then; nothing
ahead of time. Out: expected generated tokens, and with a lane's price the expected cost, which the replay freezes
when it reserves for that lane.

The predictor is a mean by bin of context length times a drift. Traffic has regimes: answers to prompts of about
1,000 tokens are four times as long as those to prompts of 400, so that length bins carry most of what can be known, and
the mix of tasks changes within minutes, which the drift follows: exponentially weighted tokens seen over those
that the bins alone expected.

"Cost variance" as a target: per window of 100 billed requests |sum predicted - sum actual| / sum actual, of which
the 95th percentile over windows counts. (Read as the spread of single costs, the target would be out of reach: their
coefficient of variation is above 60% on real traffic.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lean_agentic.multi_lane.compiled import compiled
from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.workload import Floats, Outcome

BINS_PER_DOUBLING = 4
BIN_MEMORY = 200.0
"""A bin's mean runs over about so many of its latest requests."""
OVERALL_WEIGHT = 2.0
"""The mean over all bins counts as so many requests of each bin: what an empty bin says."""
DRIFT_STEP = 0.02
LEAST_DRIFT, MOST_DRIFT = 0.5, 2.0
FIRST_GUESS = 200.0
"""Generated tokens expected before any request has completed."""

_BINS = 80
"""Enough for a million tokens of context; longer ones share the last bin."""
_OVERALL = _BINS
_SEEN, _EXPECTED = 2 * _BINS + 2, 2 * _BINS + 3


def token_memory() -> Floats:
    """A predictor that has seen nothing: (weight, mean) of each bin and overall, then tokens seen and expected."""
    memory = np.zeros(2 * _BINS + 4)
    memory[2 * _OVERALL + 1] = FIRST_GUESS
    memory[_SEEN] = memory[_EXPECTED] = FIRST_GUESS
    return memory


@compiled
def bin_tokens(memory: Floats, context_tokens: float) -> float:
    """Expected generated tokens by context length alone."""
    place = context_bin(context_tokens)
    weight, overall = memory[2 * place], memory[2 * _OVERALL + 1]
    return float((weight * memory[2 * place + 1] + OVERALL_WEIGHT * overall) / (weight + OVERALL_WEIGHT))


@compiled
def context_bin(context_tokens: float) -> int:
    """Bin of a context length: the doublings above 1 token, in quarters."""
    return min(int(BINS_PER_DOUBLING * math.log2(max(context_tokens, 1.0))), _BINS - 1)


@compiled
def predict_tokens(memory: Floats, context_tokens: float) -> float:
    """Expected generated tokens: bin mean times drift, at least 1."""
    # Bounded, since a few odd answers at the start would otherwise carry every prediction away.
    drift = min(max(memory[_SEEN] / memory[_EXPECTED], LEAST_DRIFT), MOST_DRIFT)
    return float(max(bin_tokens(memory, context_tokens) * drift, 1.0))


@compiled
def observe_tokens(memory: Floats, context_tokens: float, generated_tokens: float) -> None:
    """Learn from a request that has completed."""
    # Before the bins learn from this request: what they expected of it must not hold its own answer.
    memory[_EXPECTED] += DRIFT_STEP * (bin_tokens(memory, context_tokens) - memory[_EXPECTED])
    memory[_SEEN] += DRIFT_STEP * (generated_tokens - memory[_SEEN])
    for slot in (context_bin(context_tokens), _OVERALL):
        memory[2 * slot] = min(memory[2 * slot] + 1.0, BIN_MEMORY)
        memory[2 * slot + 1] += (generated_tokens - memory[2 * slot + 1]) / memory[2 * slot]


@dataclass(frozen=True)
class CostVariance:
    """How far predicted costs were from actual ones over windows of requests."""

    p95: float
    """95th percentile over windows of |sum predicted - sum actual| / sum actual; NaN without a window."""
    median: float
    window: int
    """Requests in a window."""
    windows: int
    """Windows that count."""
    zero_windows: int
    """Windows left out because they cost nothing."""
    unbilled: int
    """Requests outside every window because no lane charged for them or was expected to."""

    def __repr__(self) -> str:
        return f"CostVariance(p95 {self.p95:.2%} over {self.windows} windows of {self.window})"


def window_errors(predicted_usd: Floats, actual_usd: Floats, window: int) -> Floats:
    """Relative error of the predicted sum of each whole window, in the order given: (n,) and (n,) to (n // window,).

    A window whose actual sum is 0 gives NaN. Requests after the last whole window are left out.

    Raises
    ------
    LaneError
        The window is below 1, or the columns differ in length.
    """
    if window < 1 or len(predicted_usd) != len(actual_usd):
        raise LaneError(
            f"A window holds at least 1 request, and both columns are of one length; got window={window} "
            f"over {len(predicted_usd)} and {len(actual_usd)} requests."
        )
    whole = len(actual_usd) // window * window
    predicted = predicted_usd[:whole].reshape(-1, window).sum(axis=1)
    actual = actual_usd[:whole].reshape(-1, window).sum(axis=1)
    errors = np.full(len(actual), np.nan)
    np.divide(np.abs(predicted - actual), actual, out=errors, where=actual > 0)
    return errors


def billed_costs(outcome: Outcome) -> tuple[Floats, Floats]:
    """Predicted and actual dollars of the billed requests, (m,) each, in the order in which they were over.

    Actual is everything billed for a request, its failed attempts included, against the prediction for the lane
    that answered: what a failure cost and nobody predicted counts as error, and so does the bill of a request that
    was never answered (predicted 0). Billed requests are those with a cost or a predicted cost.
    """
    billed = (outcome.cost_usd > 0) | (outcome.predicted_cost_usd > 0)
    order = np.argsort(outcome.finish_s[billed], kind="stable")
    return outcome.predicted_cost_usd[billed][order], outcome.cost_usd[billed][order]


def cost_variance(outcome: Outcome, window: int = 100) -> CostVariance:
    """Judge the predicted costs of an outcome: `window_errors` over its `billed_costs`.

    Raises
    ------
    LaneError
        The window is below 1.
    """
    predicted, actual = billed_costs(outcome)
    errors = window_errors(predicted, actual, window)
    counted = errors[~np.isnan(errors)]
    p95, median = np.percentile(counted, (95, 50)).tolist() if len(counted) else (math.nan, math.nan)
    return CostVariance(p95, median, window, len(counted), len(errors) - len(counted), len(outcome) - len(actual))
