"""Predicts what a request will cost before it is served, and judges such predictions.

In: context tokens, and the generated tokens of requests completed so far. Out: expected generated tokens.
"""

from __future__ import annotations

import math

import numpy as np

from lean_agentic.multi_lane.compiled import compiled
from lean_agentic.multi_lane.workload import Floats

_BINS = 32
_PER_DOUBLING = 2.0


def token_memory() -> Floats:
    """A predictor that has seen nothing: [(weight, mean) a bin]."""
    memory = np.zeros(2 * _BINS + 2)
    return memory


@compiled
def bin_of(context_tokens: float) -> int:
    """Which bin of context length a request falls into."""
    return min(int(_PER_DOUBLING * math.log2(max(context_tokens, 1.0))), _BINS - 1)


@compiled
def predict_tokens(memory: Floats, context_tokens: float) -> float:
    """Expected generated tokens."""
    place = bin_of(context_tokens)
    weight, mean = memory[2 * place], memory[2 * place + 1]
    overall = memory[2 * _BINS + 1] if memory[2 * _BINS] > 0 else 200.0
    return float((weight * mean + 5.0 * overall) / (weight + 5.0))


@compiled
def observe_tokens(memory: Floats, context_tokens: float, generated_tokens: float) -> None:
    """Learn from one completed request."""
    place = bin_of(context_tokens)
    for slot in (place, _BINS):
        memory[2 * slot] = min(memory[2 * slot] + 1.0, 50.0)
        memory[2 * slot + 1] += (generated_tokens - memory[2 * slot + 1]) / memory[2 * slot]
