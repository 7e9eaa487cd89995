"""The collection behind the index: settings, payloads, owner, note. The contract tests do the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from lean_agentic.agentdb.errors import CorruptIndexError
from lean_agentic.agentdb.qdrant_server_index import QdrantServerIndex, QdrantServerSettings
from lean_agentic.agentdb.snapshot import MANIFEST, Manifest, save_snapshot
from tests.agentdb.vector_data import clustered

pytestmark = [
    pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning"),
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning"),
]

DIMENSIONS = 16


@pytest.fixture
def client() -> QdrantClient:
    return QdrantClient(":memory:")


def test_the_collection_is_made_as_the_settings_say(client: QdrantClient, monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, object] = {}
    indexes: list[tuple[object, ...]] = []
    create = client.create_collection

    def note(name: str, **options: object) -> bool:
        made.update(options)
        return create(name, **options)

    monkeypatch.setattr(client, "create_collection", note)
    monkeypatch.setattr(
        client, "create_payload_index", lambda *given, **named: indexes.append((*given, *named.values()))
    )
    settings = QdrantServerSettings(
        shards=3, replicas=2, neighbours=24, ef_construction=99, int8=True, payload_indexes={"tenant": "keyword"}
    )
    QdrantServerIndex(DIMENSIONS, "a", client=client, settings=settings)
    assert (made["shard_number"], made["replication_factor"]) == (3, 2)
    assert (made["hnsw_config"].m, made["hnsw_config"].ef_construct) == (24, 99)  # type: ignore[attr-defined]
    assert made["quantization_config"].scalar.type == "int8"  # type: ignore[attr-defined]
    assert indexes == [("a", "tenant", "keyword")]


def test_payloads_are_kept_and_filtered_by_the_server(client: QdrantClient) -> None:
    def payloads(ids: np.ndarray) -> list[dict[str, object]]:
        return [{"tenant": "even" if key % 2 == 0 else "odd"} for key in ids.tolist()]

    index = QdrantServerIndex(DIMENSIONS, "a", client=client, payloads=payloads)
    vectors = clustered(50, DIMENSIONS, 1)
    index.add(np.arange(50), vectors)
    hits = index.search_where(vectors[:4], 7, {"tenant": "odd"})
    assert all(len(ids) == 7 and (ids % 2 == 1).all() for ids in hits.ids)
    assert [int(ids[0]) for ids in index.search_where(vectors[1:2], 1, {"tenant": "odd"}).ids] == [1]


def test_batches_are_as_large_as_the_settings_say(client: QdrantClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    upsert = client.upsert

    def note(name: str, points: object, **named: object) -> object:
        sizes.append(len(points.ids))  # type: ignore[attr-defined]
        return upsert(name, points, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(client, "upsert", note)
    index = QdrantServerIndex(DIMENSIONS, "a", client=client, settings=QdrantServerSettings(batch=40))
    index.add(np.arange(100), clustered(100, DIMENSIONS, 1))
    assert sizes == [40, 40, 20]


def test_two_processes_may_use_one_collection(client: QdrantClient) -> None:
    one = QdrantServerIndex(DIMENSIONS, "a", client=client)
    two = QdrantServerIndex(DIMENSIONS, "a", client=client)
    vectors = clustered(20, DIMENSIONS, 1)
    one.add(np.arange(20), vectors)
    assert len(two) == 20
    assert len(two.search(vectors[:1], 15).ids[0]) == 15


def test_a_collection_of_others_is_refused(client: QdrantClient, tmp_path: Path) -> None:
    index = QdrantServerIndex(DIMENSIONS, "a", client=client, database="mine:1")
    index.save(tmp_path)
    with pytest.raises(ValueError, match="belongs to the database mine:1"):
        QdrantServerIndex(DIMENSIONS, "a", client=client, database="yours")
    assert QdrantServerIndex(DIMENSIONS, "a", client=client, database="mine").database == "mine"
    with pytest.raises(ValueError, match="holds vectors of 16 numbers, not 8"):
        QdrantServerIndex(8, "a", client=client)


def test_a_server_that_lost_its_data_is_noticed(client: QdrantClient, tmp_path: Path) -> None:
    index = QdrantServerIndex(DIMENSIONS, "a", client=client, database="mine")
    index.add(np.arange(3), clustered(3, DIMENSIONS, 1))
    index.advance(12)
    index.save(tmp_path)
    assert QdrantServerIndex.load(tmp_path, client=client).watermark == 12
    index.drop()
    with pytest.raises(CorruptIndexError, match=r"holds \(database, watermark, vectors\) \('', 0, 0\)"):
        QdrantServerIndex.load(tmp_path, client=client)


def test_no_key_is_saved(client: QdrantClient, tmp_path: Path) -> None:
    QdrantServerIndex(DIMENSIONS, "a", client=client, api_key="secret").save(tmp_path)
    assert "secret" not in (tmp_path / MANIFEST).read_text(encoding="utf-8")


def test_what_cannot_work_is_refused(client: QdrantClient, tmp_path: Path) -> None:
    for wrong in ({}, {"url": "http://127.0.0.1:1", "client": client}):
        with pytest.raises(ValueError, match="give the url of a Qdrant server, or a client"):
            QdrantServerIndex(DIMENSIONS, "a", **wrong)
    save_snapshot(tmp_path, Manifest("hnsw", DIMENSIONS, 0, 0), {})
    with pytest.raises(CorruptIndexError, match="backend hnsw, not qdrant"):
        QdrantServerIndex.load(tmp_path, client=client)
