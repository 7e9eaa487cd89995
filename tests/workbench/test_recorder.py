import json

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

from lean_agentic.workbench import Recorder
from lean_agentic.workbench.results import ResultError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a run."""
    path = tmp_path / ".partial-20260101T000000Z-abc"
    path.mkdir()
    monkeypatch.setenv("LEAN_AGENTIC_RUN_DIR", str(path))
    return path


@pytest.fixture
def free(monkeypatch):
    """A recorder outside any run, as in JupyterLab."""
    monkeypatch.delenv("LEAN_AGENTIC_RUN_DIR", raising=False)
    return Recorder()


def test_everything_is_kept_in_the_folder_of_the_run(folder):
    recorder = Recorder()
    recorder.metric("saving", np.float32(1.5), unit="%", n=np.int64(3), spread=np.array([1, 2]), spread_kind="seeds")
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    recorder.table("rows", frame)
    recorder.figure("curve", matplotlib.figure.Figure())
    recorder.used_data("trace", origin="file", sha256="ab", note="first hour")
    kept = json.loads((folder / "recorded.json").read_text())
    assert kept["metrics"] == {
        "saving": {"value": 1.5, "unit": "%", "n": 3, "spread": [1.0, 2.0], "spread_kind": "seeds", "note": ""}
    }
    assert kept["tables"] == ["rows.parquet"]
    assert kept["data"] == [{"name": "trace", "origin": "file", "sha256": "ab", "note": "first hour"}]
    assert all(count >= 1 for count in kept["threads"].values())
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "rows.parquet"), frame)
    assert (folder / "curve.svg").read_text().lstrip().startswith("<?xml")
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert "kept in run 20260101T000000Z-abc" in recorder._repr_html_()


def test_what_was_recorded_is_kept_at_once(folder):
    recorder = Recorder()
    recorder.metric("a", 1, unit="%", n=1)
    assert list(json.loads((folder / "recorded.json").read_text())["metrics"]) == ["a"]


def test_a_second_recorder_would_lose_the_figures_of_the_first(folder):
    Recorder().metric("a", 1, unit="%", n=1)
    with pytest.raises(ResultError, match="Make one Recorder"):
        Recorder()


def test_outside_a_run_figures_stay_in_memory(free, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    free.metric("saving", 31, unit="%", n=1)
    free.table("rows", pd.DataFrame({"a": [1]}))
    free.figure("curve", matplotlib.figure.Figure())
    assert free.metrics["saving"].value == 31
    assert list(tmp_path.iterdir()) == []
    assert "not run by `lean-agentic run`" in repr(free)
    assert "in memory only" in free._repr_html_()


@pytest.mark.parametrize("name", ["Saving", "1st", "a b", "../x", "", "ä"])
def test_names_are_plain_identifiers(free, name):
    with pytest.raises(ResultError, match="is not a name"):
        free.metric(name, 1, unit="%", n=1)
    with pytest.raises(ResultError, match="is not a name"):
        free.table(name, pd.DataFrame())
    with pytest.raises(ResultError, match="is not a name"):
        free.figure(name, matplotlib.figure.Figure())


def test_a_name_is_given_once(free):
    free.metric("a", 1, unit="%", n=1)
    free.table("a", pd.DataFrame())
    with pytest.raises(ResultError, match="recorded before"):
        free.metric("a", 2, unit="%", n=1)
    with pytest.raises(ResultError, match="recorded before"):
        free.table("a", pd.DataFrame())


def test_a_figure_that_is_none_is_refused(free):
    with pytest.raises(ResultError, match="finite"):
        free.metric("a", float("nan"), unit="%", n=1)
    assert free.metrics == {}


def test_the_origin_of_data_is_file_or_generated(free):
    with pytest.raises(ResultError, match="'file' or 'generated'"):
        free.used_data("trace", origin="web")
