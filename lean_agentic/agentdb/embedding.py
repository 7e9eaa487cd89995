"""From text to unit vectors: the protocol, and the two embeddings that need no model of ours.

An embedding has a name, which the memory keeps: vectors of different embeddings cannot be compared, so a memory made
with one refuses to be opened with another. `minilm.MiniLM` is the default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from lean_agentic.agentdb.errors import AgentDBError
from lean_agentic.agentdb.vector_index import Vectors, unit_rows

PRECOMPUTED_DIMENSIONS = 1536
"""Of the widespread hosted embeddings."""


class EmbeddingError(AgentDBError, ValueError):
    """Texts cannot be turned into vectors by this embedding, or it gave something else than vectors."""


@runtime_checkable
class Embedding(Protocol):
    """What turns text into vectors. Safe to call from several threads at once."""

    @property
    def name(self) -> str:
        """Says which vectors can be compared: model, version, anything that changes them."""

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(n, dimensions) unit float32 vectors, one a text, in order; none for no texts."""


class FunctionEmbedding:
    """A user's own function as an embedding.

    Parameters
    ----------
    name : str
        Keep it different for functions whose vectors cannot be compared.
    dimensions : int
    function : list of str -> (n, dimensions) array_like
        Called with at most `batch_size` texts; vectors need not be unit length. Must be safe to call from several
        threads if the memory is used from several.
    batch_size : int

    Examples
    --------
    >>> vowels = FunctionEmbedding("vowels", 5, lambda texts: [[t.count(each) for each in "aeiou"] for t in texts])
    >>> vowels.embed(["a tale"])[0].round(3)
    array([0.894, 0.447, 0.   , 0.   , 0.   ], dtype=float32)
    """

    def __init__(
        self, name: str, dimensions: int, function: Callable[[list[str]], npt.ArrayLike], *, batch_size: int = 64
    ) -> None:
        if not name or dimensions < 1 or batch_size < 1:
            raise ValueError(
                "an embedding needs a name, and at least 1 dimension and 1 text a batch; "
                f"got {name!r}, {dimensions} and {batch_size}"
            )
        self.name = name
        self.dimensions = dimensions
        self._function = function
        self._batch_size = batch_size

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedding.embed`.

        Raises
        ------
        EmbeddingError
            The function gave another number of vectors than it got texts.
        InvalidVectorError
            A vector has the wrong size, or holds NaN, infinity or only zeros.
        """
        texts = checked_texts(texts)
        rows = [self._batch(texts[at : at + self._batch_size]) for at in range(0, len(texts), self._batch_size)]
        return np.concatenate(rows) if rows else np.empty((0, self.dimensions), np.float32)

    def _batch(self, texts: list[str]) -> Vectors:
        rows = unit_rows(self._function(texts), self.dimensions)
        if len(rows) != len(texts):
            raise EmbeddingError(
                f"the function of the embedding {self.name!r} gave {len(rows)} vectors for {len(texts)} texts: "
                "it must give one a text, in order"
            )
        return rows

    def __repr__(self) -> str:
        return f"FunctionEmbedding({self.name!r}, {self.dimensions})"


class PrecomputedEmbedding:
    """Vectors come from the caller, with each record and each query; text alone cannot be embedded."""

    def __init__(self, name: str = "precomputed", dimensions: int = PRECOMPUTED_DIMENSIONS) -> None:
        if not name or dimensions < 1:
            raise ValueError(f"an embedding needs a name and at least 1 dimension; got {name!r} and {dimensions}")
        self.name = name
        self.dimensions = dimensions

    def embed(self, texts: Sequence[str]) -> Vectors:
        """No vectors for no texts; EmbeddingError for any text."""
        if texts:
            raise EmbeddingError(
                f"the embedding {self.name!r} makes no vectors of text: give {self.dimensions} numbers with each "
                "record and each query, or open a memory with a model (MiniLM, FunctionEmbedding)"
            )
        return np.empty((0, self.dimensions), np.float32)

    def __repr__(self) -> str:
        return f"PrecomputedEmbedding({self.name!r}, {self.dimensions})"


def checked_texts(texts: Sequence[str]) -> list[str]:
    """The texts as a list; TypeError for a single string, whose letters would each be embedded, and for non-strings."""
    if isinstance(texts, str):
        raise TypeError("expected a sequence of texts, got one string: wrap it in a list")
    texts = list(texts)
    for at, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text {at} is a {type(text).__name__}, expected a string")
    return texts
