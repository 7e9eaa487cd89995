"""What a learned judge knows, as one .npz file: arrays, and the names as JSON. No pickle is written or read."""

from __future__ import annotations

import json
import os
import uuid
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from lean_agentic.agentdb.judge_columns import Columns
from lean_agentic.agentdb.judge_model import Evidence, JudgeModel
from lean_agentic.agentdb.judge_stages import LogOdds
from lean_agentic.agentdb.judges import JudgeError

FORMAT = "lean_agentic judge 1"


def save_model(model: JudgeModel, path: Path) -> None:
    """Write by atomic rename."""
    names = {
        "format": FORMAT,
        "features": model.columns.features,
        "ngrams": model.columns.ngrams,
        "numbers": model.columns.numbers,
        "values": model.columns.values,
        "groups": model.groups,
        "penalty": model.penalty,
        "stacks": [evidence.value for evidence in model.stacks],
    }
    arrays = {"known": model.known, "labels": model.labels, **_arrays("first", model.first)}
    for evidence, stack in model.stacks.items():
        arrays |= _arrays(evidence.value, stack)
    temporary = path.with_name(f"{path.name}-{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            np.savez_compressed(file, names=np.array(json.dumps(names)), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_model(path: Path) -> JudgeModel:
    """Read a model. Raises FileNotFoundError, and JudgeError where the file is no judge or is damaged."""
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        names = json.loads(str(arrays.pop("names")))
        return _model(names, arrays)
    except (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, EOFError) as error:
        raise JudgeError(f"{path} holds no judge that this version reads: fit one, and save it there") from error


def _model(names: dict[str, Any], arrays: dict[str, Any]) -> JudgeModel:
    if names["format"] != FORMAT:
        raise ValueError(names["format"])
    columns = Columns(
        tuple(names["features"]),
        tuple(map(tuple, names["ngrams"])),
        tuple(names["numbers"]),
        tuple((path, value) for path, value in names["values"]),
    )
    stacks = {Evidence(name): _log_odds(name, arrays) for name in names["stacks"]}
    first = _log_odds("first", arrays)
    if len(columns.names) + 1 != len(first.coefficients) or Evidence.ALONE not in stacks:
        raise ValueError("columns and coefficients differ")
    return JudgeModel(
        columns, first, stacks, arrays["known"], arrays["labels"], tuple(names["groups"]), names["penalty"]
    )


def _arrays(prefix: str, fitted: LogOdds) -> dict[str, Any]:
    return {f"{prefix}.{name}": getattr(fitted, name) for name in ("centre", "scale", "coefficients")}


def _log_odds(prefix: str, arrays: dict[str, Any]) -> LogOdds:
    return LogOdds(*(arrays[f"{prefix}.{name}"] for name in ("centre", "scale", "coefficients")))
