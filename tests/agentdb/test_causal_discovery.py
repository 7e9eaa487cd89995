from __future__ import annotations

import numpy as np
import pytest

from lean_agentic.agentdb.causal_discovery import Discovery, discover
from lean_agentic.agentdb.records import Episode
from tests.agentdb.test_excitation import planted

DAY = 86_400.0


@pytest.fixture(scope="module")
def found() -> Discovery:
    log = planted(3)
    episodes = [
        Episode("seen", log.names[kind], entities=(f"host {stream}",), time=float(time), id=index + 1)
        for index, (time, kind, stream) in enumerate(zip(log.times, log.types, log.streams, strict=True))
    ]
    rare = [Episode("", "rare", entities=("host 0",), time=float(hour)) for hour in range(5)]
    return discover([*episodes, *rare])


def test_the_planted_links_are_found_and_no_other(found: Discovery) -> None:
    assert {(link.cause, link.effect) for link in found.links} == {("a", "b"), ("a", "c")}
    strengths = {link.effect: link.strength for link in found.links}
    assert strengths == pytest.approx({"b": 0.4, "c": 0.3}, abs=0.15)
    assert found.left_out == ("rare",)
    assert found.types == ("a", "b", "c", "d")


def test_each_link_carries_its_evidence(found: Discovery) -> None:
    link = next(link for link in found.links if link.effect == "b")
    assert link.evidence["pairs within the window"] > 2 * link.evidence["pairs by chance"]
    assert link.evidence["window in seconds"] == pytest.approx(found.window)
    assert len(link.evidence["examples"]) == 5
    assert all(cause > 0 and effect > 0 for cause, effect in link.evidence["examples"])
    assert link.low < link.strength < link.high
    assert link.q_value <= 0.05


def test_it_shows_as_a_table_and_as_a_graph(found: Discovery) -> None:
    frame = found.frame()
    assert len(frame) == len(found.tested)
    assert frame["q_value"].is_monotonic_increasing
    graph = found.to_networkx()
    assert set(graph.edges) == {("a", "b"), ("a", "c")}
    assert graph.edges["a", "b"]["low"] > 0
    assert "table" in found._repr_html_()
    assert repr(found).startswith("Discovery(2 links among 4 types, window ")


def test_a_log_without_causes_gives_no_links() -> None:
    false = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        episodes = [
            Episode("", str(rng.choice(list("abcdef"))), entities=(f"e{rng.integers(5)}",), time=float(time))
            for time in rng.uniform(0, 20 * DAY, 800)
        ]
        false += len(discover(episodes, window=3600.0, seed=seed).links)
    assert false <= 2


def test_the_same_seed_gives_the_same_links() -> None:
    log = planted(5)
    assert discover(log, seed=1) == discover(log, seed=1)


def test_too_few_events_are_refused() -> None:
    with pytest.raises(ValueError, match="1 types have 10 events or more"):
        discover([Episode("", "a", time=float(i)) for i in range(20)] + [Episode("", "b", time=3.0)])
