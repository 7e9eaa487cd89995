from __future__ import annotations

import os
from pathlib import Path

import pytest

from lean_agentic.workbench.datasets import ChecksumError
from lean_agentic.workbench.recorder import Recorder
from lean_agentic.workbench.routing_sources import TRACE, load_sources


def test_without_data_everything_is_generated_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if any(path.is_file() for path in (Path(__file__).parents[2] / "data" / "downloads").rglob("*")):
        pytest.skip("data/downloads holds public data, so nothing would be generated")
    monkeypatch.setenv("LEAN_AGENTIC_DATA", str(tmp_path))
    recorder = Recorder()

    sources = load_sources(recorder, requests=500, seed=1)

    assert {entry["origin"] for entry in recorder.data} == {"generated"}
    assert all("lean-agentic data fetch" in entry["note"] for entry in recorder.data)
    assert len(sources.traffic) == 500
    assert repr(sources) == "Sources(traffic: generated; latencies: generated; answers: generated)"


@pytest.mark.skipif("LEAN_AGENTIC_DATA" not in os.environ, reason="LEAN_AGENTIC_DATA names no folder with public data")
def test_with_data_every_source_is_a_file_with_its_checksum() -> None:
    recorder = Recorder()
    sources = load_sources(recorder, requests=500, seed=1)
    assert len(sources.traffic) == 19_366
    assert {entry["origin"] for entry in recorder.data} == {"file"}
    assert all(len(entry["sha256"]) == 64 for entry in recorder.data)


def test_a_damaged_file_is_refused_and_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{TRACE}.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n", encoding="utf-8")
    monkeypatch.setenv("LEAN_AGENTIC_DATA", str(tmp_path))
    with pytest.raises(ChecksumError, match=TRACE):
        load_sources(Recorder(), requests=500, seed=1)
