"""Leaves the sampler as each test found it; some tests take it over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lean_agentic.jit_runtime import _sampling
from lean_agentic.jit_runtime.instrument import Site
from lean_agentic.jit_runtime.sampler import sampler


@pytest.fixture(autouse=True)
def _sampler_as_before() -> Iterator[None]:
    yield
    _sampling.configure(sampler._look, Site, int(1e6 * (sampler.period_ms or 1.0)))
    _sampling.activate(bool(sampler._open))


@pytest.fixture(autouse=True)
def _untraced_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that a test starts are not traced for coverage: traced code is left to CPython."""
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)
