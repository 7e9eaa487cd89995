from __future__ import annotations

from pathlib import Path

import pytest

from lean_agentic.jit_runtime.backend import NativeBackend
from lean_agentic.jit_runtime.compiled import Alone
from lean_agentic.jit_runtime.policy import JitRuntimeConfig
from lean_agentic.kernel import function_from_source, lower, type_of


@pytest.fixture
def kernel():
    return lower(
        function_from_source("def f(n):\n    s = 0\n    for i in range(n):\n        s += i\n    return s"), [type_of(1)]
    )


@pytest.mark.parametrize("tier", [1, 2, 3])
def test_each_tier_gives_cpythons_result(tier: int, kernel) -> None:
    backend = NativeBackend(JitRuntimeConfig())
    made = backend.compile(kernel, tier, Alone(), {"n": 10}, True)
    assert made.code(100) == 4950
    assert made.tier == tier
    assert made.compile_ms > 0


def test_llvm_is_ready_once_it_is_loaded() -> None:
    backend = NativeBackend(JitRuntimeConfig(engine="llvm"))
    assert not backend.is_ready(1)
    assert not backend.is_ready(3)
    backend.load()
    assert backend.is_ready(1)
    assert backend.is_ready(3)


def test_the_cache_is_used_when_asked_for(tmp_path: Path, kernel) -> None:
    for config in (JitRuntimeConfig(cache=True, cache_folder=tmp_path), JitRuntimeConfig()):
        assert NativeBackend(config).compile(kernel, 2, Alone(), None, True).code(5) == 10
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
