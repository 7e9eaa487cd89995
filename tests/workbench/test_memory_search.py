"""The tables of the vector index beside the libraries, on little data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lean_agentic.workbench import memory_search
from lean_agentic.workbench.memory_contenders import CONTENDERS
from lean_agentic.workbench.memory_search import PROFILES, Profile, Side, built_sides, curve_table, main, search_table
from lean_agentic.workbench.memory_vectors import SearchData, clustered_data


@pytest.fixture(scope="module")
def data() -> SearchData:
    return clustered_data(1500, 64, 60, seed=0)


@pytest.fixture(scope="module")
def sides(data: SearchData) -> Iterator[dict[str, Side]]:
    with built_sides(data) as built:
        yield built


def test_every_contender_finds_what_is_near(data: SearchData, sides: dict[str, Side]) -> None:
    frame = search_table(data, sides, memory=False)
    assert frame["index"].tolist() == list(CONTENDERS)
    assert (frame["recall@10"] >= 0.97).all()
    assert (frame.p50_ms <= frame.p99_ms).all()
    assert (frame.build_s > 0).all()
    assert frame.memory_over_raw.isna().all()
    rates = frame.set_index("index").qps
    np.testing.assert_allclose(frame.qps_over_hnswlib, rates / rates["hnswlib"])


def test_more_candidates_find_no_less(data: SearchData, sides: dict[str, Side]) -> None:
    frame = curve_table(data, sides, efs=(10, 100))
    assert len(frame) == 2 * len(CONTENDERS)
    by_ef = frame.pivot(index="index", columns="ef", values="recall@10")
    assert (by_ef[100] >= by_ef[10]).all()
    assert by_ef.loc["hnswlib", 100] > by_ef.loc["hnswlib", 10]


def test_a_side_that_fails_closes_the_others(data: SearchData, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    build = CONTENDERS["hnswlib"]

    def noting(vectors: np.ndarray) -> object:
        built = build(vectors)
        return type(built)(built.search, built.set_ef, lambda: closed.append("hnswlib"), built.index)

    def failing(vectors: np.ndarray) -> object:
        raise MemoryError("no room")

    monkeypatch.setattr(memory_search, "CONTENDERS", {"hnswlib": noting, "other": failing})
    with pytest.raises(MemoryError), built_sides(data, ["hnswlib", "other"]):
        pass
    assert closed == ["hnswlib"]


def test_the_command_prints_its_tables(
    tmp_path: Path, data: SearchData, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory_search, "PROFILES", {**PROFILES, "quick": Profile(800, 32, 30, ("lean_agentic hnsw",))})
    monkeypatch.setattr(memory_search, "footprint", lambda name, count, dimensions: 1.05)
    assert main([]) == 0
    printed = capsys.readouterr().out
    for heading in ("memory_over_raw", "selectivity", "deleted_hits"):
        assert heading in printed
    np.save(tmp_path / "rows.npy", data.vectors[:300])
    assert main(["--vectors", str(tmp_path / "rows.npy"), "--no-churn", "--only", "hnswlib"]) == 0
    assert "given 270 x 64" in capsys.readouterr().out


def test_tables_are_plain(data: SearchData, sides: dict[str, Side]) -> None:
    assert type(search_table(data, {"hnswlib": sides["hnswlib"]}, memory=False)) is pd.DataFrame
