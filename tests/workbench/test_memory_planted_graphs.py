from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from lean_agentic.workbench.memory_planted_graphs import DAY, PlantedSettings, plant

SETTINGS = PlantedSettings()


def test_effects_follow_their_causes_at_the_planted_rates() -> None:
    log = plant(replace(SETTINGS, rate=2.0), 0)
    caused = np.flatnonzero(log.parents >= 0)
    parents = log.parents[caused]
    assert (log.times[parents] < log.times[caused]).all()
    assert (log.entities[parents] == log.entities[caused]).all()
    pairs = Counter(zip(log.types[parents].tolist(), log.types[caused].tolist(), strict=True))
    assert set(pairs) == set(log.edges)
    for (cause, effect), chance in log.edges.items():
        assert pairs[cause, effect] / np.sum(log.types == cause) == pytest.approx(chance, abs=0.05)


def test_the_graph_has_no_cycle_and_common_causes_of_types_without_an_edge() -> None:
    for seed in range(20):
        edges = plant(SETTINGS, seed).edges
        assert len(edges) == SETTINGS.edges
        left = dict(edges)
        while left:
            ends = {effect for _, effect in left} - {cause for cause, _ in left}
            assert ends, "a cycle has no end"
            left = {pair: chance for pair, chance in left.items() if pair[1] not in ends}
        forks = {
            (first, second)
            for cause, first in edges
            for other, second in edges
            if cause == other and first != second and (first, second) not in edges and (second, first) not in edges
        }
        assert len(forks) // 2 >= SETTINGS.common_causes


def test_rates_follow_entity_hour_and_drift() -> None:
    log = plant(replace(SETTINGS, rate=3.0, drift=2.0, rhythm=1.0), 1)
    own = log.parents < 0
    early, late = (np.sum(own & (log.times // (10 * DAY) == third)) for third in (0, 2))
    # The mean rate over a third, with a rise to three times the beginning: 1 + 2/6 and 1 + 10/6.
    assert late / early == pytest.approx((1 + 10 / 6) / (1 + 2 / 6), rel=0.08)
    hours = np.bincount((log.times[own] % DAY // 3600).astype(int), minlength=24)
    assert hours.min() < 0.1 * hours.max()
    popularity = np.bincount(log.entities, minlength=SETTINGS.entities)
    assert popularity.max() > 5 * popularity.min()


def test_repeats_are_caused_by_the_same_type() -> None:
    log = plant(replace(SETTINGS, repeats=0.3), 2)
    caused = log.parents >= 0
    again = caused & (log.types == log.types[log.parents])
    assert again.sum() / len(log) == pytest.approx(0.3, abs=0.02)
    cause, effect = next(iter(log.edges))
    assert log.effect(cause, effect) == pytest.approx(log.edges[cause, effect] / 0.7)
    assert log.effect(effect, cause) == 0


def test_episodes_say_nothing_of_what_caused_them() -> None:
    log = plant(SETTINGS, 3)
    episodes = log.episodes()
    assert len(episodes) == len(log)
    assert [each.time for each in episodes] == sorted(log.times.tolist())
    assert not any(each.cites or each.metadata for each in episodes)


def test_a_seed_gives_the_same_log_and_impossible_graphs_are_refused() -> None:
    assert plant(SETTINGS, 4).times.tolist() == plant(SETTINGS, 4).times.tolist()
    assert len(plant(SETTINGS, 4)) != len(plant(SETTINGS, 5))
    with pytest.raises(ValueError, match="do not fit 4 types"):
        PlantedSettings(types=4, edges=6, common_causes=0 + 2)
