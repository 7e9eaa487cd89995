from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.agentdb.event_log import EventLog, make_log
from lean_agentic.agentdb.excitation import Excitation, excitations

DAY = 86_400.0


def planted(seed: int, repeats: float = 0.0, streams: int = 12, days: float = 20.0) -> EventLog:
    """`a` makes `b` happen with probability .4 and `c` with .3; `d` is idle; some streams are ten times as busy."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[float, str, int]] = []

    def add(times: np.ndarray, kind: str, stream: int) -> None:
        while len(times):
            rows.extend((time, kind, stream) for time in times)
            times = times[rng.random(len(times)) < (repeats if kind == "b" else 0.0)]
            times = times + rng.uniform(60, 1200, len(times))

    for stream in range(streams):
        busy = 10 ** rng.uniform(-0.5, 0.5)
        causes = rng.uniform(0, days * DAY, rng.poisson(20 * busy))
        add(causes, "a", stream)
        for kind, chance in (("b", 0.4), ("c", 0.3), ("d", 0.0)):
            hit = causes[rng.random(len(causes)) < chance]
            spontaneous = rng.uniform(0, days * DAY, rng.poisson(15 * busy))
            add(np.concatenate([spontaneous, hit + rng.uniform(100, 1700, len(hit))]), kind, stream)
    kept = [row for row in rows if row[0] <= days * DAY]
    times, types, which = zip(*kept, strict=True)
    return make_log(np.array(times), types, which, watched=(0.0, days * DAY))


def by_pair(log: EventLog, window: float = 1800.0) -> dict[str, Excitation]:
    others = [[cause for cause in range(4) if cause != effect] for effect in range(4)]
    found = excitations(log, window, others)
    return {log.names[each.cause] + log.names[each.effect]: each for each in found}


TRUTH = {"ab": 0.4, "ac": 0.3}


def test_intervals_cover_planted_probabilities_and_common_causes_make_no_effect() -> None:
    covered, null_covered, flagged, values = [], [], [], []
    for seed in range(40):
        for pair, each in by_pair(planted(seed)).items():
            truth = TRUTH.get(pair, 0.0)
            (covered if truth else null_covered).append(each.low <= truth <= each.high)
            if truth:
                values.append(each.value - truth)
            else:
                flagged.append(each.p_value <= 0.05)
    assert np.mean(values) == pytest.approx(0, abs=0.015)
    assert 0.88 <= np.mean(covered) <= 1
    assert 0.92 <= np.mean(null_covered) <= 0.98
    assert np.mean(flagged) <= 0.07


def test_repeats_count_as_effects_of_the_cause_and_not_of_what_follows_them() -> None:
    """`b` repeats with probability .3: a cause of .4 brings about .4 / (1 - .3); `c` follows `a` as `b` does."""
    values, flagged, repeats = [], [], []
    for seed in range(12):
        found = by_pair(planted(seed, repeats=0.3), window=5000.0)
        values.append(found["ab"].value)
        flagged.append(found["cb"].p_value <= 0.05)
        repeats.append(found["ab"].repeats)
    assert np.mean(values) == pytest.approx(0.4 / 0.7, abs=0.06)
    assert np.mean(repeats) > 0.9
    assert np.mean(flagged) <= 0.2


def test_one_lonely_cause_gives_the_excess_by_hand() -> None:
    """Causes far apart, an effect 500 s after a random half of them and nothing else."""
    causes = np.arange(1, 401) * 10_000.0
    hit = np.random.default_rng(0).random(400) < 0.5
    types = ["a"] * 400 + ["b"] * int(hit.sum())
    times = np.concatenate([causes, causes[hit] + 500.0])
    log = make_log(times, types, [0] * len(types), watched=(0.0, 4_010_000.0))
    found = excitations(log, 2000.0, [[], [0]])
    assert [(each.cause, each.effect) for each in found] == [(0, 1)]
    assert found[0].value == pytest.approx(hit.mean(), abs=0.01)
    # The binomial standard error, as far as a dozen blocks of time can tell it.
    assert found[0].standard_error == pytest.approx(np.sqrt(0.25 / 400), rel=0.4)
