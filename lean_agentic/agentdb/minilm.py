"""The default embedding: MiniLM (all-MiniLM-L6-v2, 384 numbers) run by onnxruntime and tokenizers alone.

Texts are cut at 256 word pieces, the mean of their last layer is taken and scaled to unit length, as the model's
authors do. Batches hold texts of similar length, so that little is padded, and a bounded number of word pieces, so
that memory is bounded too. `minilm_export` makes the ONNX file on first use.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lean_agentic.agentdb.embedding import checked_texts
from lean_agentic.agentdb.minilm_export import Precision, exported_model, weights_folder
from lean_agentic.agentdb.vector_index import Vectors, unit_rows

DIMENSIONS = 384
LONGEST = 256
"""Word pieces of a text that are read; what follows is cut off."""
PIECES_A_BATCH = 4096
"""Bounds the memory of a run; padding counts."""


class MiniLM:
    """MiniLM by onnxruntime.

    Parameters
    ----------
    precision : Precision
        `int8` takes a quarter of the memory and about half the time; each text is then run by itself, because its
        rounding would depend on the texts run beside it.
    threads : int, optional
        Of one run; onnxruntime decides where not given.
    folder : Path, optional
        Where the exported model is kept; the user's cache folder by default.

    Raises
    ------
    MissingExtraError
        The weights are not installed: nothing takes their place.
    """

    dimensions = DIMENSIONS

    def __init__(
        self,
        precision: Precision | str = Precision.FLOAT32,
        *,
        threads: int | None = None,
        folder: Path | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        self.precision = Precision(precision)
        self._weights = weights_folder()
        self._threads = threads
        self._folder = folder
        self._lock = threading.Lock()
        self._loaded: tuple[int, Any, Any] | None = None

    @property
    def name(self) -> str:
        """`minilm-l6-v2`, with the precision where it is not float32."""
        return "minilm-l6-v2" + ("" if self.precision is Precision.FLOAT32 else f"-{self.precision}")

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedding.embed`; the first call exports the model if that was never done, and loads it."""
        texts = checked_texts(texts)
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        if not texts:
            return vectors
        tokenizer, session = self._load()
        pieces = [encoded.ids for encoded in tokenizer.encode_batch(texts)]
        for rows in self._batches([len(each) for each in pieces]):
            vectors[rows] = self._run(session, [pieces[row] for row in rows])
        return unit_rows(vectors, DIMENSIONS)

    def _batches(self, lengths: list[int]) -> Iterator[list[int]]:
        """Rows of texts to run together: of similar length, shortest first."""
        batch: list[int] = []
        for row in sorted(range(len(lengths)), key=lengths.__getitem__):
            # The longest of a batch is its last, and all are padded to it.
            full = (len(batch) + 1) * lengths[row] > PIECES_A_BATCH or self.precision is Precision.INT8
            if batch and full:
                yield batch
                batch = []
            batch.append(row)
        yield batch

    @staticmethod
    def _run(session: Any, pieces: list[list[int]]) -> Vectors:
        ids = np.zeros((len(pieces), max(map(len, pieces))), np.int64)
        mask = np.zeros_like(ids)
        for row, each in enumerate(pieces):
            ids[row, : len(each)] = each
            mask[row, : len(each)] = 1
        vectors: Vectors = session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})[0]
        return vectors

    def _load(self) -> tuple[Any, Any]:
        """Tokenizer and session of this process: after a fork the parent's threads are gone."""
        with self._lock:
            if self._loaded is None or self._loaded[0] != os.getpid():
                self._loaded = (os.getpid(), self._tokenizer(), self._session())
            return self._loaded[1:]

    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._weights / "tokenizer.json"))
        tokenizer.no_padding()  # the file asks for 128 pieces, always
        tokenizer.enable_truncation(LONGEST)
        return tokenizer

    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if self._threads is not None:
            options.intra_op_num_threads = self._threads
        path = exported_model(self.precision, self._folder)
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __repr__(self) -> str:
        return f"MiniLM({str(self.precision)!r})"
