from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lean_agentic.agentdb.cluster_work import ChangingError
from lean_agentic.agentdb.consolidation import Consolidation, ConsolidationProgress, Stage
from lean_agentic.agentdb.consolidation_policy import ConsolidationPolicy, Removal, Scope
from lean_agentic.agentdb.decay import DAY
from lean_agentic.agentdb.distilled_facts import StatementError
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.hnsw_index import HnswIndex
from lean_agentic.agentdb.index_sync import IndexFactory, IndexSync
from lean_agentic.agentdb.records import CausalLink, Episode, Fact, Kind, LinkKind, Provenance
from lean_agentic.agentdb.store import Store
from tests.agentdb.consolidation_data import (
    EMBEDDING,
    LATER,
    WORDS,
    counts,
    everything,
    memory,
    say,
    scenario,
    state,
    texts_of,
)
from tests.agentdb.exact_index import ExactIndex

POLICY = ConsolidationPolicy(similarity=0.9)
DELETE = replace(POLICY, removal=Removal.DELETE)
FACTS, ARCHIVED = Filter(kinds=[Kind.FACT]), Filter(archived=True)


def consolidate(store: Store, index: ExactIndex, policy: ConsolidationPolicy = POLICY, **options: Any) -> Any:
    write = options.pop("write", None)
    return Consolidation(store, index, EMBEDDING, policy, write=write).run(**{"now": LATER, **options})


def facts(store: Store) -> list[Fact]:
    return [fact for fact in store.find(FACTS, order="id") if isinstance(fact, Fact)]


def test_similar_episodes_become_a_fact(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        scenario(store)
        report = consolidate(store, index)
        assert [(fact.tenant, fact.sources) for fact in facts(store)] == [
            ("north", (1, 2, 3)),
            ("north", (5, 4, 6)),
            ("south", (8, 9)),
        ]
        assert facts(store)[1].provenance.records == (5, 4, 6)
        assert store.ids(ARCHIVED).tolist() == [1, 2, 3, 4, 5, 6, 8, 9]
        assert (report.clusters, report.facts, report.archived) == (3, 3, 8)
        assert (report.live_before, report.live_after) == (9, 4)
        assert index.ids().tolist() == [7, 10, 11, 12]
        assert store.check() == []


def test_a_fact_is_found_by_what_its_episodes_said(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, _), IndexSync(
        store, IndexFactory(HnswIndex, HnswIndex.load), tmp_path / "index"
    ) as index:  # fmt: skip
        scenario(store)
        Consolidation(store, index, EMBEDDING, POLICY).run(now=LATER)
        for fact in facts(store):
            for text in texts_of(store, fact.sources):
                (found,) = index.search(EMBEDDING.embed([text]), 1, Filter(tenant=fact.tenant)).ids
                assert found.tolist() == [fact.id]


def test_sessions_can_be_kept_apart(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        for session in ("a", "b", "", ""):
            say(store, "red pump broken", session=session)
        say(store, "red pump broken", session="b")
        consolidate(store, index, replace(POLICY, scope=Scope.SESSION))
        assert [fact.sources for fact in facts(store)] == [(2, 5)]
        assert facts(store)[0].session == "b"


def test_what_is_strong_stays_until_it_has_faded(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, "red pump broken", "red pump broken")
        store.touch([2], 5 * DAY)
        assert consolidate(store, index, now=6 * DAY).archived == 0
        assert store.count(Filter(kinds=[Kind.EPISODE])) == 2
        assert consolidate(store, index, now=31 * DAY).archived == 1
        assert store.ids(ARCHIVED).tolist() == [1]
        # Used once: 1 + ln 2, which falls below a half after 1.76 half-lives.
        assert consolidate(store, index, now=57 * DAY).archived == 0
        assert consolidate(store, index, now=58 * DAY).archived == 1


def test_the_last_trace_is_never_put_away(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, "red pump", "green valve", "ok")
        report = consolidate(store, index, DELETE, now=1e12)
        assert not report.changed
        assert store.count() == 3


def test_further_episodes_join_the_fact(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, "red pump broken", "red pump broken")
        consolidate(store, index)
        (before,) = facts(store)
        (new,) = say(store, "red pump broken", time=9.0)
        report = consolidate(store, index)
        (after,) = facts(store)
        assert (after.id, after.sources) == (before.id, (1, 2, new))
        assert after.confidence > before.confidence
        assert (report.facts, report.extended, report.archived) == (0, 1, 1)
        assert not consolidate(store, index).changed


def test_a_fact_that_holds_no_longer_takes_nothing_in(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, "red pump broken", "red pump broken")
        consolidate(store, index)
        (fact,) = facts(store)
        store.update(replace(fact, valid_to=100.0))
        say(store, "red pump broken", time=200.0)
        assert not consolidate(store, index).changed


def test_news_near_an_old_loner_makes_a_cluster(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, "red pump broken")
        assert not consolidate(store, index).changed
        say(store, "red pump broken")
        assert consolidate(store, index).facts == 1


def test_a_changed_text_is_looked_at_again(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, "red pump broken", "green valve")
        consolidate(store, index)
        store.update(Episode("red pump broken", id=2), EMBEDDING.embed(["red pump broken"])[0])
        assert consolidate(store, index).facts == 1


def test_another_policy_looks_again(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, "red pump broken oil", "red pump broken valve")
        assert not consolidate(store, index).changed
        assert consolidate(store, index, replace(POLICY, similarity=0.7)).facts == 1


@pytest.mark.parametrize("gone", ["forgotten", "archived"])
def test_episodes_come_back_when_their_fact_goes(tmp_path: Path, gone: str) -> None:
    with memory(tmp_path) as (store, index):
        scenario(store)
        consolidate(store, index)
        (fact, *others) = facts(store)
        store.forget([fact.id]) if gone == "forgotten" else store.archive([fact.id])
        report = consolidate(store, index)
        assert report.revived == 3
        assert [record.id for record in store.get([1, 2, 3]) if not record.archived] == [1, 2, 3]
        assert facts(store) == others
        assert not consolidate(store, index).changed


def test_forgetting_the_sources_forgets_the_fact(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        scenario(store)
        consolidate(store, index)
        store.forget(Filter(tenant="south", archived=None, kinds=[Kind.EPISODE]))
        assert [fact.tenant for fact in facts(store)] == ["north", "north"]
        assert not consolidate(store, index).changed


def test_deletion_leaves_a_source_and_what_others_need(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        scenario(store)
        own = Fact("a conclusion", sources=(2,), tenant="north", provenance=Provenance("somebody"))
        (own_id,) = store.add([own], EMBEDDING.embed([own.text]))
        report = consolidate(store, index, DELETE)
        assert report.deleted == 4
        assert store.ids(Filter(archived=None, kinds=[Kind.EPISODE])).tolist() == [1, 2, 5, 7, 8]
        assert store.get([own_id])[0].sources == (2,)  # type: ignore[union-attr]
        assert len(facts(store)) == 4
        assert store.check() == []
        assert not consolidate(store, index, DELETE).changed


def test_deletion_waits_until_much_weaker(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, "red pump broken", "red pump broken")
        assert consolidate(store, index, DELETE, now=100 * DAY).archived == 2
        assert consolidate(store, index, DELETE, now=129 * DAY).deleted == 0
        assert consolidate(store, index, DELETE, now=130 * DAY).deleted == 1


def test_the_fact_takes_on_links(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, "bolt crew shift", "red pump broken", "red pump broken", "green engine mended")
        store.add_links(
            [
                CausalLink(1, 2, LinkKind.ENTITY, 0.4, 0.1, 0.6, {"shared": ["x"]}),
                CausalLink(1, 3, LinkKind.ENTITY, 0.7, 0.2, 0.9),
                CausalLink(2, 3, LinkKind.SEQUENCE, 0.5, 0.2, 0.9),
                CausalLink(3, 4, LinkKind.CITED, 1.0, 1.0, 1.0),
                CausalLink(2, 4, LinkKind.EFFECT, 0.5, 0.5, 0.5),
            ]
        )
        consolidate(store, index)
        (fact,) = facts(store)
        found = {(link.cause, link.effect, link.kind, link.strength) for link in store.links()}
        new = {(1, fact.id, LinkKind.ENTITY, 0.7), (fact.id, 4, LinkKind.CITED, 1.0)}
        assert {link for link in found if fact.id in link[:2]} == new
        assert len(found) == 7


EPISODE = st.tuples(
    st.lists(st.sampled_from(WORDS[:6]), min_size=1, max_size=4).map(" ".join),
    st.sampled_from(["", "s", "r"]),
    st.sampled_from(["north", "south"]),
    st.integers(0, 300),
)
MEMORIES = st.lists(EPISODE, min_size=1, max_size=14)
POLICIES = st.builds(
    ConsolidationPolicy,
    similarity=st.sampled_from([0.7, 0.9, 0.99]),
    min_points=st.integers(2, 3),
    scope=st.sampled_from(Scope),
    absorb_below=st.sampled_from([0.0, 0.7, 1.0]),
    removal=st.sampled_from(Removal),
)
SLOW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def tell(store: Store, episodes: Sequence[tuple[str, str, str, int]]) -> None:
    records = [Episode(text, session=s, tenant=t, time=day * DAY) for text, s, t, day in episodes]
    store.add(records, EMBEDDING.embed([each.text for each in records]))


@contextmanager
def fresh(tmp_path: Path) -> Iterator[tuple[Store, ExactIndex]]:
    shutil.rmtree(tmp_path / "fresh", ignore_errors=True)
    with memory(tmp_path / "fresh") as found:
        yield found


@given(MEMORIES, MEMORIES, POLICIES)
@SLOW
def test_a_second_run_changes_nothing(tmp_path: Path, first: Any, second: Any, policy: ConsolidationPolicy) -> None:
    with fresh(tmp_path) as (store, index):
        for episodes in (first, second):
            tell(store, episodes)
            consolidate(store, index, policy, now=310 * DAY)
            before = everything(store)
            report = consolidate(store, index, policy, now=310 * DAY)
            assert not report.changed
            assert report.clusters == 0
            assert everything(store) == before


@given(MEMORIES, MEMORIES, POLICIES)
@SLOW
def test_a_dry_run_foretells(tmp_path: Path, first: Any, second: Any, policy: ConsolidationPolicy) -> None:
    with fresh(tmp_path) as (store, index):
        Consolidation(store, index)
        for episodes in (first, second):
            tell(store, episodes)
            before = everything(store)
            foretold = consolidate(store, index, policy, now=310 * DAY, dry_run=True)
            assert everything(store) == before
            done = consolidate(store, index, policy, now=310 * DAY)
            assert replace(foretold, dry_run=False, seconds=0) == replace(done, seconds=0)


@given(MEMORIES, POLICIES)
@SLOW
def test_whatever_is_archived_is_covered_by_a_fact_in_use(
    tmp_path: Path, episodes: Any, policy: ConsolidationPolicy
) -> None:
    with fresh(tmp_path) as (store, index):
        tell(store, episodes)
        said = {each.id: each.text for each in store.find()}
        consolidate(store, index, policy, now=310 * DAY)
        live = facts(store)
        for record in store.find(ARCHIVED):
            covering = [fact for fact in live if record.id in fact.provenance.records]
            assert len(covering) == 1
            assert covering[0].tenant == record.tenant
        for text in said.values():
            # Also of what was deleted: the words are still there.
            left = {word for each in store.find() for word in each.text.split()}
            assert set(text.split()) <= left or policy.similarity < 0.9


class Injected(Exception):
    pass


class _Counted:
    """A connection that fails after so many statements."""

    def __init__(self, connection: sqlite3.Connection, tick: Any) -> None:
        self._connection, self._tick = connection, tick

    def execute(self, *arguments: Any) -> Any:
        found = self._connection.execute(*arguments)
        self._tick()
        return found

    def executemany(self, *arguments: Any) -> Any:
        found = self._connection.executemany(*arguments)
        self._tick()
        return found


class FailingStore(Store):
    """Raises after the n-th statement of a write transaction, or the n-th commit."""

    left: float = float("inf")
    seen = 0

    def tick(self) -> None:
        self.seen += 1
        self.left -= 1
        if self.left < 0:
            raise Injected

    @contextmanager
    def write(self) -> Iterator[Any]:
        with super().write() as connection:
            yield _Counted(connection, self.tick)
        self.tick()


@pytest.mark.parametrize("policy", [POLICY, DELETE], ids=["archive", "delete"])
def test_interrupted_anywhere_it_resumes(tmp_path: Path, policy: ConsolidationPolicy) -> None:
    with memory(tmp_path, "start") as (store, index):
        scenario(store)
    shutil.copy(tmp_path / "start.db", tmp_path / "whole.db")
    with FailingStore(tmp_path / "whole.db") as counted:
        consolidate(counted, ExactIndex(index.dimensions), policy)
        total, expected = counted.seen, state(counted)
    assert total > 60
    for left in range(0, total, 3):
        path = tmp_path / f"{left}.db"
        shutil.copy(tmp_path / "start.db", path)
        with FailingStore(path) as store:
            store.left = left
            with pytest.raises(Injected):
                consolidate(store, ExactIndex(index.dimensions), policy)
        with Store(path) as store:
            consolidate(store, ExactIndex(index.dimensions), policy)
            assert state(store) == expected, left
            assert store.check() == []
            assert not consolidate(store, ExactIndex(index.dimensions), policy).changed


def test_ctrl_c_leaves_the_rest_for_the_next_run(tmp_path: Path) -> None:
    def interrupt(progress: ConsolidationProgress) -> None:
        if progress.stage is Stage.DISTILLING and progress.done == 2:
            raise KeyboardInterrupt

    with memory(tmp_path, "whole") as (store, index):
        scenario(store)
        consolidate(store, index)
        expected = state(store)
    with memory(tmp_path) as (store, index):
        scenario(store)
        with pytest.raises(KeyboardInterrupt):
            consolidate(store, index, progress=interrupt)
        assert len(facts(store)) == 2
        report = consolidate(store, index)
        assert (report.clusters, report.facts) == (1, 1)
        assert state(store) == expected


CHILD = """
import sys
from tests.agentdb.test_consolidation import POLICY
from tests.agentdb.consolidation_data import EMBEDDING, LATER, DIMENSIONS
from tests.agentdb.exact_index import ExactIndex
from lean_agentic.agentdb.consolidation import Consolidation
from lean_agentic.agentdb.store import Store
store = Store(sys.argv[1])
Consolidation(store, ExactIndex(DIMENSIONS), EMBEDDING, POLICY).run(lambda at: print(at.done, flush=True), now=LATER)
print("finished", flush=True)
"""


def many_pairs(store: Store, count: int) -> None:
    rng = random.Random(1)
    texts = [" ".join(rng.sample(WORDS, 5)) for _ in range(count)]
    say(store, *(text for text in texts for _ in range(2)))


def killed_in_the_middle(path: Path, lines: int) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True, env=environment, cwd=os.getcwd()
    )
    assert child.stdout is not None
    with child.stdout:
        for _ in range(lines):
            assert "finished" not in child.stdout.readline()
        time.sleep(0.003 * (lines % 5))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert child.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_it_resumes(tmp_path: Path) -> None:
    with memory(tmp_path, "whole") as (store, index):
        many_pairs(store, 90)
        consolidate(store, index)
        expected = state(store)
    with memory(tmp_path) as (store, _):
        many_pairs(store, 90)
    for lines in (2, 9, 20):
        killed_in_the_middle(tmp_path / "memory.db", lines)
    with memory(tmp_path) as (store, index):
        made = len(facts(store))
        assert 26 <= made < len([kind for kind, *_ in expected[0] if kind == "fact"])
        assert store.check() == []
        consolidate(store, index)
        assert state(store) == expected


def test_two_at_once_do_the_work_once(tmp_path: Path) -> None:
    with memory(tmp_path, "whole") as (store, index):
        many_pairs(store, 25)
        consolidate(store, index)
        expected = state(store)
    with memory(tmp_path) as (store, index):
        many_pairs(store, 25)
        errors: list[BaseException] = []

        def work() -> None:
            try:
                with Store(store.path) as own:
                    consolidate(own, ExactIndex(index.dimensions))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert state(store) == expected


def test_a_statement_that_fails_waits_and_the_rest_is_done(tmp_path: Path) -> None:
    calls: list[int] = []

    def write(episodes: Sequence[Episode]) -> str:
        calls.append(len(episodes))
        if len(calls) == 1:
            raise RuntimeError("no credit")
        return "written: " + " ".join(each.text for each in episodes)

    with memory(tmp_path) as (store, index):
        scenario(store)
        with pytest.raises(StatementError, match=r"1 clusters wait.*no credit"):
            consolidate(store, index, write=write)
        assert len(facts(store)) == 2
        assert consolidate(store, index, write=write).facts == 1
        assert calls == [3, 3, 2, 3]  # the failed one comes again
        assert all(fact.statement.startswith("written: ") for fact in facts(store))


def test_an_episode_that_changes_meanwhile_is_read_again(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, "red pump broken", "red pump broken")
        texts: list[str] = []

        def once(episodes: Sequence[Episode]) -> str:
            texts.append(episodes[-1].text)
            if len(texts) == 1:
                store.update(replace(episodes[-1], metadata={"corrected": True}))
            return "red pump broken"

        consolidate(store, index, write=once)
        assert len(texts) == 2
        assert len(facts(store)) == 1


def test_an_episode_that_never_stops_changing_waits(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, "red pump broken", "red pump broken")
        calls = iter(range(1000))

        def always(episodes: Sequence[Episode]) -> str:
            store.update(replace(episodes[-1], metadata={"at": next(calls)}))
            return "red pump broken"

        with pytest.raises(ChangingError, match="keep changing"):
            consolidate(store, index, write=always)
        assert facts(store) == []
        assert consolidate(store, index).facts == 1


def test_what_is_forgotten_meanwhile_makes_no_fact(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        say(store, "red pump broken", "red pump broken", "green valve", "green valve")

        def forget(episodes: Sequence[Episode]) -> str:
            store.forget([2])
            return episodes[0].text

        consolidate(store, index, write=forget)
        assert [fact.statement for fact in facts(store)] == ["green valve"]
        assert not consolidate(store, index).changed


def test_the_report_shows_itself(tmp_path: Path) -> None:
    with memory(tmp_path) as (store, index):
        scenario(store)
        seen: list[ConsolidationProgress] = []
        report = consolidate(store, index, progress=seen.append, dry_run=True)
        assert repr(report).startswith(
            "ConsolidationReport(dry run: 3 clusters, 3 facts, 8 archived, 0 deleted, 9 -> 4"
        )
        assert report.saved == pytest.approx(5 / 9)
        html = report._repr_html_()
        assert "nothing was changed" in html
        assert "9 → 4 (-55.6%)" in html
        assert seen[-1] == ConsolidationProgress(Stage.DISTILLING, 3, 3)
        assert {each.stage for each in seen} == set(Stage)


def test_an_empty_memory(tmp_path: Path) -> None:
    with Store(tmp_path / "m.db") as store, IndexSync(
        store, IndexFactory(HnswIndex, HnswIndex.load), tmp_path / "index"
    ) as index:  # fmt: skip
        assert not Consolidation(store, index).run().changed
        store.add([Episode("red pump leaks oil", session="s"), Episode("ok", session="s")])
        report = Consolidation(store, index).run(now=1e12)
        assert (report.facts, report.archived, report.live_after) == (1, 2, 0)


def test_counts_are_as_the_embedding_says() -> None:
    assert counts(["red red pump"]).argmax() == np.argmax(counts(["red"]))
