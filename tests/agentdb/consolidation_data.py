"""Small memories for the tests of consolidation: texts as bags of letters, clusters that can be seen by eye."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lean_agentic.agentdb.decay import DAY
from lean_agentic.agentdb.embedding import FunctionEmbedding
from lean_agentic.agentdb.records import Episode
from lean_agentic.agentdb.store import Store
from tests.agentdb.exact_index import ExactIndex

LATER = 1000 * DAY
"""When everything of time 0 is weak."""
WORDS = "red green blue pump valve leak broken mended line four tuesday engine oil bolt crew shift".split()  # noqa: SIM905
DIMENSIONS = 64


def counts(texts: list[str]) -> np.ndarray:
    """Hashed counts of the words of each text, (n, DIMENSIONS)."""
    rows = np.full((len(texts), DIMENSIONS), 1e-3, np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.lower().replace(".", " ").split():
            row[sum(map(ord, word)) * 31 % DIMENSIONS] += 1
    return rows


EMBEDDING = FunctionEmbedding("counts", DIMENSIONS, counts)


@contextmanager
def memory(folder: Path, name: str = "memory") -> Iterator[tuple[Store, ExactIndex]]:
    """An empty store and an index that is brought abreast by whoever uses it."""
    with Store(folder / f"{name}.db", dimensions=DIMENSIONS, embedding=EMBEDDING.name) as store:
        yield store, ExactIndex(DIMENSIONS)


def say(store: Store, *texts: str, **fields: Any) -> list[int]:
    """Store an episode a text, a second apart from time 0 on."""
    start = fields.pop("time", 0.0)
    episodes = [Episode(text, time=start + at, **fields) for at, text in enumerate(texts)]
    return store.add(episodes, EMBEDDING.embed(list(texts)))


def state(store: Store) -> list[Any]:
    """All that consolidation may change, ids of facts left out: they depend on the order of work."""
    with store.read() as connection:
        records = connection.execute(
            "SELECT kind, tenant, session, text, archived, confidence, time, provenance FROM records "
            "ORDER BY kind, tenant, text, time"
        ).fetchall()
        sources = connection.execute(
            "SELECT facts.text, role, position, target FROM mentions JOIN records AS facts ON facts.id = record_id "
            "WHERE facts.kind = 'fact' ORDER BY 1, 2, 3"
        ).fetchall()
        plan = connection.execute("SELECT count(*) FROM consolidation_plan").fetchall()
    return [records, sources, plan]


def everything(store: Store) -> list[Any]:
    """The rows of all tables."""
    with store.read() as connection:
        names = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
            if not name.startswith(("texts", "sqlite_"))
        ]
        return [(name, sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)) for name in names]


def scenario(store: Store) -> None:
    """Duplicates, an absorbing session, loners, two tenants."""
    broken = "the red pump of the blue engine is broken"
    say(store, broken, broken, "broken is the red pump of the blue engine", tenant="north")
    say(store, "ok", "the valve of line four leaks oil since tuesday", "thanks", session="s", tenant="north")
    say(store, "bolt crew shift engine", tenant="north")
    say(store, "green engine mended by the crew", "green engine mended by the crew", tenant="south")


def texts_of(store: Store, ids: Sequence[int]) -> list[str]:
    """The texts of records."""
    return [record.text for record in store.get(ids)]
