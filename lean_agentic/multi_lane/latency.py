"""How long a lane takes: time to first token and time per further token, resampled in pairs from measurements.

In: the individual responses of llmperf benchmark runs (github.com/ray-project/llmperf-leaderboard, 70B Llama 2
behind three providers, 150 requests of 550 context tokens each), or a log-normal generator for machines without
them. Out: `LatencyProfile`.

No provider was measured for this project: each profile *stands in* for a lane of the same temper (`STAND_INS`).
The time to the first token does not depend on the length of the context, because the measurements have one length.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.workload import Floats

STAND_INS = {"anthropic": "groq_70b", "openrouter": "together_70b", "onnx_local": "bedrock_70b"}
"""Which measured profile stands in for which lane: the quickest for anthropic, the middle one for openrouter;
the slow one lends onnx_local its relative spread, its speed being `local_tokens_per_s`."""

GENERATED = {
    "anthropic": (0.22, 0.19, 0.0037, 0.08),
    "openrouter": (0.63, 0.15, 0.0115, 0.15),
    "onnx_local": (0.38, 0.17, 0.0438, 0.05),
}
"""Medians (s) and spreads (of the logarithm) of time to first token and of time per further token, chosen near
the measured ones; independent of each other, as the measurements nearly are (correlations .21, .13 and .00)."""


@dataclass(frozen=True, repr=False)
class LatencyProfile:
    """m measured responses of one lane; the two times of one response stay together."""

    ttft_s: Floats
    """(m,) time to the first token, seconds."""
    inter_token_s: Floats
    """(m,) mean time for each token after the first, seconds."""
    source: str

    def __post_init__(self) -> None:
        if self.ttft_s.shape != self.inter_token_s.shape or self.ttft_s.ndim != 1 or not len(self.ttft_s):
            raise LaneError(
                f"{self.source}: a profile needs two equally long columns of at least one row, not shapes "
                f"{self.ttft_s.shape} and {self.inter_token_s.shape}."
            )
        for name in ("ttft_s", "inter_token_s"):
            column = getattr(self, name)
            if not (np.isfinite(column).all() and (column > 0).all()):
                raise LaneError(f"{self.source}: {name} holds times that are not finite and above 0 seconds.")

    def __len__(self) -> int:
        return len(self.ttft_s)

    def __repr__(self) -> str:
        return (
            f"LatencyProfile({len(self)} responses from {self.source}: median {np.median(self.ttft_s):.3f} s to the "
            f"first token, {self.tokens_per_s:.0f} tokens/s after it)"
        )

    @property
    def tokens_per_s(self) -> float:
        """Median rate of tokens after the first."""
        return float(1 / np.median(self.inter_token_s))

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """n rows with replacement: time to first token and time per further token, (n,) seconds each."""
        rows = rng.integers(0, len(self), n)
        return self.ttft_s[rows], self.inter_token_s[rows]

    def scaled_to(self, tokens_per_s: float) -> LatencyProfile:
        """The same relative spread at another median speed: every time is multiplied by the same factor.

        The first token keeps its ratio to the others, 8.8 tokens' time in the measured local stand-in: reading
        the prompt slows down with the machine as writing does.
        """
        if not (tokens_per_s > 0 and np.isfinite(tokens_per_s)):
            raise LaneError(f"A local throughput is a finite number of tokens a second above 0, not {tokens_per_s}.")
        factor = self.tokens_per_s / tokens_per_s
        return replace(self, ttft_s=self.ttft_s * factor, inter_token_s=self.inter_token_s * factor)


def load_llmperf(path: str | Path) -> LatencyProfile:
    """Read the individual responses of one llmperf run.

    Time per further token is (end_to_end_latency_s - ttft_s) / (number_output_tokens - 1). The file's own
    inter_token_latency_s is not used: it spreads the first token's time over the others, and in the bedrock run's
    short answers it equals the whole latency.

    A row with error_code -100 ("Output too few tokens") is a complete answer, shorter than the benchmark asked
    for: its times are kept. Rows with any other error code carry no usable times and are left out. Outages are
    a matter of `Lane.availability`, never of this file.

    Raises
    ------
    LaneError
        A missing or malformed file; the message names the file, the response and what was expected.
    """
    path = Path(path)
    if not path.is_file():
        raise LaneError(f"No latency file at {path}. Run `lean-agentic data fetch`, or use `generated_profile`.")
    try:
        responses = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LaneError(f"{path}: not JSON ({error}); expected a list of llmperf responses.") from None
    if not isinstance(responses, list):
        raise LaneError(f"{path}: holds a {type(responses).__name__}; expected a list of llmperf responses.")
    pairs = [
        _pair(response, f"{path}, response {number}")
        for number, response in enumerate(responses)
        if not _failed(response)
    ]
    if not pairs:
        raise LaneError(f"{path}: none of its {len(responses)} responses succeeded; expected at least one.")
    ttft, inter_token = np.array(pairs, dtype=np.float64).T
    return LatencyProfile(ttft, inter_token, path.stem)


def _failed(response: Any) -> bool:
    return isinstance(response, dict) and response.get("error_code") not in (None, -100)


def _pair(response: Any, place: str) -> tuple[float, float]:
    if not isinstance(response, dict):
        raise LaneError(f"{place}: is a {type(response).__name__}; expected an object with times and token counts.")
    ttft, whole, tokens = (
        _number(response, field, place) for field in ("ttft_s", "end_to_end_latency_s", "number_output_tokens")
    )
    if not (0 < ttft < whole < np.inf and tokens >= 2):
        raise LaneError(
            f"{place}: first token after {ttft} s, the last of {tokens:g} after {whole} s; expected "
            "0 < ttft_s < end_to_end_latency_s and at least 2 tokens."
        )
    return ttft, (whole - ttft) / (tokens - 1)


def _number(response: dict[str, Any], field: str, place: str) -> float:
    value = response.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LaneError(f"{place}: {field} is {value!r}; expected a number.")
    return float(value)


def load_stand_ins(folder: str | Path) -> dict[str, LatencyProfile]:
    """The measured profile of every nominal lane, by lane name, from a folder of llmperf files."""
    return {lane: load_llmperf(Path(folder) / f"{name}.json") for lane, name in STAND_INS.items()}


def generated_profile(lane: str, seed: int, n: int = 150) -> LatencyProfile:
    """Make n log-normal responses for a nominal lane, with the medians and spreads in `GENERATED`.

    Raises
    ------
    LaneError
        A lane that `GENERATED` does not describe.
    """
    if lane not in GENERATED:
        raise LaneError(f"No generated latency for a lane called {lane!r}; there is one for {sorted(GENERATED)}.")
    first, first_spread, further, further_spread = GENERATED[lane]
    rng = np.random.default_rng(seed)
    return LatencyProfile(
        rng.lognormal(np.log(first), first_spread, n), rng.lognormal(np.log(further), further_spread, n), "generated"
    )


def generated_profiles(seed: int) -> dict[str, LatencyProfile]:
    """A generated profile of every nominal lane, by lane name."""
    return {lane: generated_profile(lane, seed + number) for number, lane in enumerate(GENERATED)}
