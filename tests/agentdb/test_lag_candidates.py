from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.agentdb.event_log import EventLog, make_log
from lean_agentic.agentdb.lag_candidates import choose_window, find_candidates, pair_counts, pairs_within, shuffled

DAY = 86_400.0


def random_log(seed: int, events: int = 60, streams: int = 4) -> EventLog:
    rng = np.random.default_rng(seed)
    # Whole seconds, so that some events happen at once.
    times = rng.integers(0, 200, events).astype(float)
    return make_log(times, list(rng.choice(["a", "b", "c"], events)), list(rng.integers(0, streams, events)))


@pytest.mark.parametrize("seed", range(5))
def test_pairs_are_those_of_looking_at_all_pairs(seed: int) -> None:
    log, window = random_log(seed), 25.0
    expected = {
        (i, j)
        for i in range(len(log))
        for j in range(len(log))
        if log.streams[i] == log.streams[j] and 0 < log.times[j] - log.times[i] <= window
    }
    first, second = pairs_within(log, window)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == expected
    counts = np.zeros((3, 3), int)
    for i, j in expected:
        counts[log.types[i], log.types[j]] += 1
    assert pair_counts(log, window).tolist() == counts.tolist()


def test_shuffling_keeps_hours_streams_and_the_rhythm_of_a_type() -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 30 * DAY, 300))
    log = make_log(times, list(rng.choice(["a", "b"], 300)), list(rng.integers(0, 3, 300)), range(300), (0.0, 30 * DAY))
    moved = shuffled(log, np.random.default_rng(1))
    before = {int(r): (s, k, t) for r, s, k, t in zip(log.records, log.streams, log.types, log.times, strict=True)}
    changes: dict[tuple[int, int], set[float]] = {}
    for record, stream, kind, time in zip(moved.records, moved.streams, moved.types, moved.times, strict=True):
        stream_before, kind_before, time_before = before[int(record)]
        assert (stream, kind) == (stream_before, kind_before)
        days = (time - time_before) / DAY
        assert days == pytest.approx(round(days), abs=1e-6)
        changes.setdefault((int(stream), int(kind)), set()).add(round(days) % 30)
    assert all(len(days) == 1 for days in changes.values())
    assert len({days.pop() for days in changes.values()}) > 1


def chain(seed: int, delay: float, streams: int = 12) -> EventLog:
    """`a` makes `b` happen after the delay, to within a factor; `c` does nothing."""
    rng = np.random.default_rng(seed)
    rows = []
    for stream in range(streams):
        causes = rng.uniform(0, 20 * DAY, 25)
        rows += [(time, "a", stream) for time in causes]
        rows += [(time + delay * rng.uniform(0.5, 1.5), "b", stream) for time in causes[rng.random(25) < 0.6]]
        rows += [(time, kind, stream) for kind in "bc" for time in rng.uniform(0, 20 * DAY, 20)]
    times, types, which = zip(*rows, strict=True)
    return make_log(np.array(times), types, which, watched=(0.0, 20 * DAY + 2 * delay))


@pytest.mark.parametrize("delay", [60.0, 1800.0, 20_000.0])
def test_the_window_reaches_the_longest_delay_and_not_much_further(delay: float) -> None:
    assert 1.4 * delay <= choose_window(chain(0, delay)) <= 6 * delay


def test_the_planted_pair_is_a_candidate_and_others_seldom_are() -> None:
    chosen = np.mean([find_candidates(chain(seed, 1800.0), 3600.0, seed).chosen for seed in range(12)], axis=0)
    assert chosen[0, 1] == 1
    assert chosen.diagonal().tolist() == [0, 0, 0]
    # One-sided at .1, and the reverse of the planted pair comes less often than by chance.
    assert chosen[[0, 1, 1, 2, 2], [2, 0, 2, 0, 1]].mean() < 0.25


def test_what_chance_gives_is_the_product_of_rates() -> None:
    rng = np.random.default_rng(5)
    log = make_log(rng.uniform(0, 20 * DAY, 1200), ["a"] * 400 + ["b"] * 800, [0] * 1200, watched=(0.0, 20 * DAY))
    found = find_candidates(log, 3600.0)
    assert found.expected[0, 1] == pytest.approx(400 * 800 * 3600 / (20 * DAY), rel=0.05)
    assert found.observed[0, 1] == pytest.approx(found.expected[0, 1], rel=0.2)


def test_a_log_in_which_nothing_follows_anything_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing follows anything"):
        choose_window(make_log(np.array([1.0, 2.0]), ["a", "b"], ["x", "y"]))
