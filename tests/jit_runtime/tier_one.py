"""A function that a stub back end has brought to tier 1, for tests of what comes next."""

from __future__ import annotations

from typing import Any

from lean_agentic.jit_runtime import tiers_of
from lean_agentic.jit_runtime.exit_points import ExitPoint
from lean_agentic.jit_runtime.lir import Mode
from lean_agentic.kernel import function_from_source
from lean_agentic.kernel.ir import walk
from lean_agentic.kernel.types import INT
from tests.jit_runtime.stub_backend import stub_runtime

TEXT = "def f(n):\n    s = 0\n    for i in range(n):\n        s += i\n    return s"


def promoted(calls: int = 4, **options: Any) -> tuple[Any, Any, Any, list[Any]]:
    """A function in tier 1, its state, its version and what was recorded."""
    recorder: list[Any] = []
    function = stub_runtime(recorder, baseline_threshold=2, **options).tiered(function_from_source(TEXT))
    for n in range(calls):
        assert function(n) == sum(range(n))
    state = tiers_of(function)
    return function, state, state.versions[0], recorder


def leave(version: Any, tier: int, error: BaseException | None = None) -> None:
    """What compiled code does when it leaves."""
    compiled = version.tiers[tier]
    statement = next(each for each in walk(compiled.kernel.entry.body) if each.line == 4)
    point = ExitPoint(Mode.LEAVE, "f", statement.id, False, (), (), INT, ("int",), reason="overflow of +")
    version.left(compiled, point, error)
