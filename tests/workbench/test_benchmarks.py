"""Each experiment's benchmark keeps to the contract: it can be prepared, and a sample is a measurement."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lean_agentic.workbench.sampler import load_benchmark, take_sample

ROOT = Path(__file__).parents[2]
BENCHMARKS = sorted((ROOT / "experiments").glob("*/benchmark.py"))


@pytest.fixture(autouse=True)
def own_module() -> Iterator[None]:
    """Benchmarks are all loaded under one name, as in a process of their own."""
    yield
    sys.modules.pop("benchmark", None)


@pytest.mark.slow  # compiles the simulator where nothing did before
@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.parent.name)
def test_it_gives_a_measurement(path: Path) -> None:
    assert take_sample(load_benchmark(path, ROOT), ROOT) > 0


def test_there_are_benchmarks() -> None:
    assert BENCHMARKS
