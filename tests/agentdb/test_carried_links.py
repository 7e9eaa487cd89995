from __future__ import annotations

from pathlib import Path

from lean_agentic.agentdb.carried_links import carry_links
from lean_agentic.agentdb.records import CausalLink, Fact, LinkKind
from lean_agentic.agentdb.store import Store
from tests.agentdb.consolidation_data import EMBEDDING, memory, say


def fact_of(store: Store, *sources: int, time: float) -> int:
    fact = Fact("made from them", sources=sources, time=time)
    return store.add([fact], EMBEDDING.embed([fact.text]))[0]


def test_the_strongest_of_each_kind_is_copied_once(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, _):
        say(store, "red", "green", "blue", "pump")
        store.add_links(
            [
                CausalLink(1, 2, LinkKind.ENTITY, 0.4, 0.1, 0.6, {"shared": ["x"]}),
                CausalLink(1, 3, LinkKind.ENTITY, 0.7, 0.2, 0.9, {"shared": ["y"]}),
                CausalLink(3, 4, LinkKind.GIVEN, 1.0, 1.0, 1.0),
            ]
        )
        fact = fact_of(store, 2, 3, time=2.0)
        assert carry_links(store, [2, 3], fact) == 2
        (cause,) = store.links(effect=fact)
        assert (cause.cause, cause.strength, cause.low) == (1, 0.7, 0.2)
        assert cause.evidence == {"shared": ["y"], "carried": "consolidation"}
        assert [link.effect for link in store.links(cause=fact)] == [4]
        before = store.links()
        carry_links(store, [2, 3], fact)
        assert store.links() == before


def test_what_would_run_backwards_inside_or_of_actions_is_left(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, _):
        say(store, "red", "green", "blue")
        store.add_links(
            [
                CausalLink(1, 2, LinkKind.SIMILAR, 0.5, 0.1, 0.9),
                CausalLink(1, 3, LinkKind.SIMILAR, 0.5, 0.1, 0.9),
                CausalLink(3, 2, LinkKind.EFFECT, 0.5, 0.1, 0.9),
            ]
        )
        fact = fact_of(store, 1, 3, time=2.0)
        assert carry_links(store, [1, 3], fact) == 0
        assert len(store.links()) == 3
