"""Each contender holds the same vectors and answers with their row numbers."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.memory_contenders import CONTENDERS
from lean_agentic.workbench.memory_vectors import clustered_data


@pytest.mark.parametrize("name", CONTENDERS)
def test_the_nearest_of_a_row_is_itself(name: str) -> None:
    vectors = clustered_data(1200, 48, 1, seed=0).vectors
    built = CONTENDERS[name](vectors)
    built.set_ef(80)
    for row in (0, 7, 1199):
        ids = np.asarray(built.search(vectors[row : row + 1], 5))
        assert ids.shape == (5,)
        assert int(ids[0]) == row
    built.close()


@pytest.mark.parametrize(("name", "module"), [("faiss HNSW", "faiss"), ("qdrant-edge", "qdrant_edge")])
def test_a_missing_library_is_said(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(WorkbenchError, match="pip install"):
        CONTENDERS[name](np.eye(4, dtype=np.float32))
