"""Embeddings that need no model: a user's function, and vectors that the caller brings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.embedding import (
    Embedding,
    EmbeddingError,
    FunctionEmbedding,
    PrecomputedEmbedding,
    checked_texts,
)
from lean_agentic.agentdb.errors import InvalidVectorError


def lengths(texts: list[str]) -> list[list[float]]:
    """Two numbers that tell texts of different length apart."""
    return [[1.0, float(len(text))] for text in texts]


@given(texts=st.lists(st.text(max_size=9), max_size=20), batch=st.integers(1, 7))
def test_a_function_gives_unit_rows_in_order_whatever_the_batches(texts: list[str], batch: int) -> None:
    asked: list[int] = []

    def function(part: list[str]) -> list[list[float]]:
        asked.append(len(part))
        return lengths(part)

    rows = FunctionEmbedding("lengths", 2, function, batch_size=batch).embed(texts)
    assert rows.shape == (len(texts), 2)
    assert rows.dtype == np.float32
    assert all(0 < size <= batch for size in asked)
    for row, text in zip(rows, texts, strict=True):
        np.testing.assert_allclose(row, np.array([1, len(text)]) / np.hypot(1, len(text)), rtol=1e-6)


def test_both_are_embeddings() -> None:
    assert isinstance(FunctionEmbedding("lengths", 2, lengths), Embedding)
    assert isinstance(PrecomputedEmbedding(), Embedding)


@pytest.mark.parametrize("bad", [[[1.0, 2.0, 3.0]], [[1.0, float("nan")]], [[0.0, 0.0]]])
def test_rows_that_are_no_vectors_are_refused(bad: list[list[float]]) -> None:
    with pytest.raises(InvalidVectorError):
        FunctionEmbedding("bad", 2, lambda texts: bad).embed(["a"])


def test_another_number_of_rows_is_refused() -> None:
    with pytest.raises(EmbeddingError, match="1 vectors for 2 texts"):
        FunctionEmbedding("short", 2, lambda texts: [[1.0, 0.0]]).embed(["a", "b"])


def test_precomputed_vectors_are_1536_numbers_and_text_is_refused() -> None:
    embedding = PrecomputedEmbedding()
    assert embedding.dimensions == 1536
    assert embedding.embed([]).shape == (0, 1536)
    with pytest.raises(EmbeddingError, match="give 1536 numbers with each record and each query"):
        embedding.embed(["what did I do?"])


@pytest.mark.parametrize(("name", "dimensions", "batch"), [("", 2, 1), ("a", 0, 1), ("a", 2, 0)])
def test_impossible_settings_are_refused(name: str, dimensions: int, batch: int) -> None:
    with pytest.raises(ValueError, match="needs a name"):
        FunctionEmbedding(name, dimensions, lengths, batch_size=batch)


def test_what_is_no_list_of_texts_is_refused() -> None:
    with pytest.raises(TypeError, match="got one string"):
        checked_texts("letters would be embedded one by one")
    with pytest.raises(TypeError, match="text 1 is a int"):
        checked_texts(["a", 1])  # type: ignore[list-item]
