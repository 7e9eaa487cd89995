"""Saved judges: what comes back, and what is refused."""

import dataclasses
import pickle

import numpy as np
import pytest

from lean_agentic.agentdb.judge_file import load_model, save_model
from lean_agentic.agentdb.judge_model import fit_model
from lean_agentic.agentdb.judges import JudgeError
from tests.agentdb.made_trajectories import planted


@pytest.fixture(scope="module")
def model():
    return fit_model(planted(10, 3, seed=0, lift=0.6))


def test_everything_comes_back(model, tmp_path):
    save_model(model, tmp_path / "judge")
    loaded = load_model(tmp_path / "judge")
    assert loaded.columns == model.columns
    assert (loaded.groups, loaded.penalty, list(loaded.stacks)) == (model.groups, model.penalty, list(model.stacks))
    for ours, theirs in [(model.first, loaded.first), *zip(model.stacks.values(), loaded.stacks.values(), strict=True)]:
        for field in dataclasses.fields(ours):
            np.testing.assert_array_equal(getattr(ours, field.name), getattr(theirs, field.name))
    np.testing.assert_array_equal(loaded.known, model.known)
    np.testing.assert_array_equal(loaded.labels, model.labels)


def test_an_older_judge_stays_until_the_new_one_is_whole(model, tmp_path):
    path = tmp_path / "judge"
    save_model(model, path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_model(dataclasses.replace(model, groups=(b"no json",)), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", ["text", "pickle", "cut", "other arrays", "other format"])
def test_anything_else_is_refused(model, tmp_path, damage):
    path = tmp_path / "judge"
    save_model(model, path)
    content = path.read_bytes()
    if damage == "text":
        path.write_text("hello")
    elif damage == "pickle":
        path.write_bytes(pickle.dumps({"names": 1}))
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "other arrays":
        with path.open("wb") as file:
            np.savez(file, x=np.arange(3))
    else:
        with np.load(path) as arrays, (tmp_path / "new").open("wb") as file:
            np.savez(file, **{**arrays, "names": np.array(str(arrays["names"]).replace("judge 1", "judge 9"))})
        path = tmp_path / "new"
    with pytest.raises(JudgeError, match="holds no judge"):
        load_model(path)


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "judge")
