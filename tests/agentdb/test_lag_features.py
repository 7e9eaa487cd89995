from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.agentdb.event_log import make_log
from lean_agentic.agentdb.lag_features import DAY, HOURS, layout_of, stretches_of


def test_features_are_counts_of_recent_events_at_every_moment() -> None:
    rng = np.random.default_rng(0)
    log = make_log(rng.uniform(0, 100, 30), list(rng.choice(["a", "b"], 30)), [0] * 30)
    layout = layout_of(log, 12.0)
    found = stretches_of(log, 0, layout)
    assert found.seconds.sum() == pytest.approx(log.closes[0] - log.opens[0])
    assert layout.columns == found.features.shape[1]
    for row in range(0, len(found.seconds), 7):
        moment = found.middles[row]
        for kind in range(2):
            ages = moment - log.times[log.types == kind]
            counted = np.histogram(ages[ages > 0], layout.lags)[0]
            assert found.features[row, layout.of_type(kind)].tolist() == counted.tolist()


def test_an_event_sees_what_was_before_it_and_not_itself() -> None:
    log = make_log(np.array([0.0, 10.0, 10.0, 11.0]), ["a", "a", "b", "b"], [0] * 4)
    layout = layout_of(log, 5.0)
    found = stretches_of(log, 0, layout)
    assert found.events.sum(axis=0).tolist() == [1, 2]  # the very first event has no past
    row = int(np.flatnonzero(found.events[:, 0])[0])
    assert found.events[row].tolist() == [1, 1]
    assert found.features[row, : 2 * (len(layout.lags) - 1)].sum() == 0
    last = int(np.flatnonzero(found.events[:, 1])[-1])
    assert found.features[last, layout.of_type(0)].sum() == 1


def test_hours_are_told_apart_where_streams_last_for_days() -> None:
    times = np.arange(0, 4 * DAY, 3 * 3600.0)
    log = make_log(times, ["a", "b"] * (len(times) // 2), [0] * len(times))
    layout = layout_of(log, 3600.0)
    assert layout.baseline == 2 + HOURS
    found = stretches_of(log, 0, layout)
    hours = found.features[:, layout.of_baseline()[2:]]
    busy = len(times) / (log.closes[0] - log.opens[0])
    assert hours.sum(axis=1) == pytest.approx(busy)
    part = np.floor(found.middles % DAY / (DAY / HOURS)).astype(int)
    assert np.argmax(hours, axis=1).tolist() == part.tolist()
    short = make_log(np.array([0.0, 5.0]), ["a", "b"], [0, 0])
    assert layout_of(short, 1.0).baseline == 2
