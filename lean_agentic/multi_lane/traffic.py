"""What comes in: recorded or generated traffic, joined with prompts and latencies into a `Workload`.

In: the Azure LLM inference trace of 2023 (arrival time, context and generated tokens of every request of an
hour; Patel et al., "Splitwise", ISCA 2024), or a generator of the same shape for machines without the file.
Out: `Traffic`, and with the quality and latency tables a `Workload` in which every random choice is already made.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from lean_agentic.multi_lane.errors import LaneError
from lean_agentic.multi_lane.lanes import Lane
from lean_agentic.multi_lane.latency import LatencyProfile
from lean_agentic.multi_lane.quality import LaneQuality
from lean_agentic.multi_lane.workload import DRAWS_PER_REQUEST, Floats, Ints, Workload

PRIORITY_SHARES = (0.4, 0.3, 0.2, 0.1)
"""Shares of low, medium, high and critical requests. The trace records none: this mix is an assumption."""
COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")


@dataclass(frozen=True, repr=False)
class Traffic:
    """n requests in the order of their arrival."""

    arrival_s: Floats
    """(n,) seconds since the first request, never falling."""
    context_tokens: Ints
    """(n,) at least 1."""
    generated_tokens: Ints
    """(n,) at least 1."""
    source: str
    """A file's name, or "generated"."""

    def __len__(self) -> int:
        return len(self.arrival_s)

    def __repr__(self) -> str:
        span = float(self.arrival_s[-1] - self.arrival_s[0]) if len(self) else 0.0
        return f"Traffic({len(self):,} requests over {span:,.0f} s, from {self.source})"

    def between(self, start_s: float, end_s: float) -> Traffic:
        """Requests that arrive in `[start_s, end_s)`, their clock set to 0 at `start_s`.

        Slices that do not overlap let thresholds be fitted on earlier traffic and reported on later traffic.
        """
        if not 0 <= start_s < end_s:
            raise LaneError(f"A slice of traffic needs 0 <= start_s < end_s, not {start_s} and {end_s}.")
        first, last = np.searchsorted(self.arrival_s, (start_s, end_s))
        return self._rows(slice(int(first), int(last)), start_s)

    def halves(self, earlier: float = 0.5) -> tuple[Traffic, Traffic]:
        """An earlier and a later slice; `earlier` is the share of requests in the first."""
        if not 0 < earlier < 1:
            raise LaneError(f"The earlier slice's share lies strictly between 0 and 1, not {earlier}.")
        cut = round(earlier * len(self))
        if not 0 < cut < len(self):
            raise LaneError(f"{len(self)} requests cannot be cut into two slices, {earlier:.0%} in the first.")
        return self._rows(slice(0, cut), 0.0), self._rows(slice(cut, None), float(self.arrival_s[cut]))

    def head(self, n: int) -> Traffic:
        """The first n requests."""
        return self._rows(slice(0, n), 0.0)

    def _rows(self, rows: slice, start_s: float) -> Traffic:
        return Traffic(
            self.arrival_s[rows] - start_s, self.context_tokens[rows], self.generated_tokens[rows], self.source
        )


def load_azure_trace(path: str | Path) -> Traffic:
    """Read a trace with the columns TIMESTAMP, ContextTokens, GeneratedTokens.

    Times are kept to the microsecond; the trace's seventh digit is dropped.

    Raises
    ------
    LaneError
        A missing or corrupt file; the message names the file, the line and what was expected there.
    """
    path = Path(path)
    if not path.is_file():
        raise LaneError(f"No trace at {path}. Run `lean-agentic data fetch`, or use `generate_traffic`.")
    rows = list(_trace_rows(path))
    if not rows:
        raise LaneError(f"{path}: no request after the header; expected rows such as '2023-11-16 18:15:46.68,374,44'.")
    seconds, context, generated = zip(*rows, strict=True)
    return Traffic(
        np.array(seconds, dtype=np.float64),
        np.array(context, dtype=np.int64),
        np.array(generated, dtype=np.int64),
        path.stem,
    )


def _trace_rows(path: Path) -> Iterator[tuple[float, int, int]]:
    """(seconds since the first request, context tokens, generated tokens) of each row."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = csv.reader(file)
        header = next(lines, [])
        if tuple(header) != COLUMNS:
            raise LaneError(f"{path}, line 1: the columns are {header}; expected {list(COLUMNS)}.")
        start: datetime | None = None
        before = 0.0
        for row in lines:
            place = f"{path}, line {lines.line_num}"
            time, context, generated = _parse(row, place)
            start = start or time
            seconds = (time - start).total_seconds()
            if seconds < before:
                raise LaneError(
                    f"{place}: time goes back by {before - seconds:.6f} s; expected rows sorted by arrival."
                )
            before = seconds
            yield seconds, context, generated


def _parse(row: Sequence[str], place: str) -> tuple[datetime, int, int]:
    if len(row) != len(COLUMNS):
        raise LaneError(f"{place}: {len(row)} fields, {row}; expected {len(COLUMNS)}: {', '.join(COLUMNS)}.")
    try:
        time, context, generated = datetime.fromisoformat(row[0]), int(row[1]), int(row[2])
    except ValueError as error:
        raise LaneError(f"{place}: {error}; expected a time and two whole numbers, not {list(row)}.") from None
    if time.tzinfo is not None:
        raise LaneError(f"{place}: {row[0]} carries a time zone; expected plain times, all in one zone.")
    if context < 1 or generated < 1:
        raise LaneError(f"{place}: {context} context and {generated} generated tokens; expected at least 1 of each.")
    return time, context, generated


def generate_traffic(n: int, seed: int) -> Traffic:
    """Make n requests that look like the trace, for machines without it.

    Arrivals: a Poisson process of 5.5 requests a second whose rate is drawn anew each minute from a gamma
    distribution of shape 16, so counts per minute vary about twenty times as much as a plain Poisson process's.
    Lengths: two regimes, log-normal, given as median (spread of the logarithm) and cut to 1-14,000 and 1-1,000.

    =========================  =====  ============  ===========
    regime                     share  context       generated
    =========================  =====  ============  ===========
    mixed questions            2/3    410 (1.15)    94 (.55)
    long answers to one form   1/3    1,070 (.14)   408 (.13)
    =========================  =====  ============  ===========
    """
    if n < 1:
        raise LaneError(f"Generated traffic holds at least 1 request, not {n}.")
    rng = np.random.default_rng(seed)
    long_answer = rng.random(n) < 1 / 3
    context = np.where(long_answer, rng.lognormal(np.log(1070), 0.14, n), rng.lognormal(np.log(410), 1.15, n))
    generated = np.where(long_answer, rng.lognormal(np.log(408), 0.13, n), rng.lognormal(np.log(94), 0.55, n))
    return Traffic(
        _bursty_arrivals(n, rng),
        np.clip(np.rint(context), 1, 14_000).astype(np.int64),
        np.clip(np.rint(generated), 1, 1_000).astype(np.int64),
        "generated",
    )


def _bursty_arrivals(n: int, rng: np.random.Generator) -> Floats:
    # Time rescaling: arrivals at unit rate, mapped through the inverse of the cumulative rate.
    unit = np.cumsum(rng.exponential(size=n))
    cumulative = [0.0]
    while cumulative[-1] < unit[-1]:
        cumulative.append(cumulative[-1] + 60 * 5.5 * rng.gamma(16) / 16)
    arrival = np.interp(unit, cumulative, 60.0 * np.arange(len(cumulative)))
    return np.asarray(arrival - arrival[0], dtype=np.float64)


def build_workload(
    traffic: Traffic,
    lanes: Sequence[Lane],
    latencies: Mapping[str, LatencyProfile],
    quality: LaneQuality | None,
    *,
    local_tokens_per_s: float,
    seed: int,
) -> Workload:
    """Join traffic with prompts, latencies and the draws of the replay.

    Each group of columns has its own random stream, so moving `local_tokens_per_s` changes the local lane's
    times and nothing else, and the first m requests do not depend on how many follow.

    Parameters
    ----------
    latencies
        A profile by lane name, for every lane. A lane with servers of its own (`Lane.servers > 0`) takes only
        the shape of its profile: the whole profile is scaled to a median of `local_tokens_per_s`.
    quality
        Prompts with the lanes' right and wrong answers, sampled with replacement; None: each lane is right with
        probability `Lane.quality`, which is also what is predicted.

    Raises
    ------
    LaneError
        A lane without profile or outcomes, or a throughput that is not positive.
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4 + len(lanes))]
    n = len(traffic)
    priority = np.searchsorted(np.cumsum(PRIORITY_SHARES)[:-1], streams[0].random(n), side="right")
    prompt, right, predicted = _answers(quality, lanes, n, streams[1])
    ttft, inter_token = _times(lanes, latencies, local_tokens_per_s, n, streams[4:])
    return Workload(
        arrival_s=traffic.arrival_s,
        context_tokens=traffic.context_tokens,
        generated_tokens=traffic.generated_tokens,
        priority=priority.astype(np.int64),
        prompt=prompt,
        quality=right,
        predicted_quality=predicted,
        ttft_s=ttft,
        inter_token_s=inter_token,
        draws=streams[2].random((n, DRAWS_PER_REQUEST)),
        source=_source(traffic, quality, latencies, lanes),
    )


def _answers(
    quality: LaneQuality | None, lanes: Sequence[Lane], n: int, rng: np.random.Generator
) -> tuple[Ints, Floats, Floats]:
    """Prompt (n,), quality (n, k) and predicted quality (n, k)."""
    if quality is None:
        mean = np.array([lane.quality for lane in lanes])
        right = (rng.random((n, len(lanes))) < mean).astype(np.float64)
        return np.full(n, -1, dtype=np.int64), right, np.tile(mean, (n, 1))
    columns = [quality.column(lane.name) for lane in lanes]
    prompt = rng.integers(0, len(quality), n)
    return prompt, quality.right[prompt][:, columns], quality.predicted[prompt][:, columns]


def _times(
    lanes: Sequence[Lane],
    latencies: Mapping[str, LatencyProfile],
    local_tokens_per_s: float,
    n: int,
    streams: Sequence[np.random.Generator],
) -> tuple[Floats, Floats]:
    """Time to first token and time per further token, (n, k) seconds each."""
    missing = [lane.name for lane in lanes if lane.name not in latencies]
    if missing:
        raise LaneError(f"No latency profile for {', '.join(missing)}; there are {sorted(latencies)}.")
    ttft, inter_token = np.empty((n, len(lanes))), np.empty((n, len(lanes)))
    for column, (lane, rng) in enumerate(zip(lanes, streams, strict=True)):
        profile = latencies[lane.name]
        if lane.servers:
            profile = profile.scaled_to(local_tokens_per_s)
        ttft[:, column], inter_token[:, column] = profile.sample(n, rng)
    return ttft, inter_token


def _source(
    traffic: Traffic, quality: LaneQuality | None, latencies: Mapping[str, LatencyProfile], lanes: Sequence[Lane]
) -> str:
    answers = "lane mean quality" if quality is None else quality.source
    times = "+".join(sorted({latencies[lane.name].source for lane in lanes}))
    return f"traffic: {traffic.source}; answers: {answers}; latencies: {times}"
