"""Guards hold exactly as long as the kernel's own do; the native check is compared with `Kernel.is_current`."""

from __future__ import annotations

import math
import types
from typing import Any

import numpy as np
import pytest

from lean_agentic.jit_runtime import _native
from lean_agentic.jit_runtime.compiled import compile_kernel
from lean_agentic.jit_runtime.guards import NativeGuard, native_guards
from lean_agentic.kernel import function_from_source, lower, type_of


def holds(guard: NativeGuard) -> bool:
    kind, holder, *rest = guard
    if kind == "dict":
        return holder.get(rest[0], _native.MISSING) is rest[1]
    if kind == "cell":
        return holder.cell_contents is rest[0]
    if kind == "default":
        return getattr(holder, rest[0]) is rest[1]
    return holder.__code__ is rest[0]


def lowered(text: str, **outside: Any) -> tuple[Any, dict[str, Any]]:
    space = dict(outside)
    return lower(function_from_source(text, "f", space), [type_of(1.0)]), space


def test_every_outside_value_is_guarded_once() -> None:
    kernel, space = lowered("def f(x):\n    return math.sin(x) + math.sin(k) + k + abs(x)", math=math, k=2.0)
    guards = native_guards(kernel)
    assert len(guards) == len({(each[0], id(each[1]), *each[2:3]) for each in guards})
    assert all(map(holds, guards))
    kinds = {(each[0], each[2]) for each in guards}
    assert {("dict", "math"), ("dict", "sin"), ("dict", "k"), ("dict", "abs")} <= kinds
    space["abs"] = max  # a global hides the builtin
    assert not kernel.is_current()
    assert not all(map(holds, guards))


@pytest.mark.parametrize("change", ["k", "module"])
def test_a_change_is_seen(change: str) -> None:
    module = types.ModuleType("settings")
    module.scale = 3.0
    kernel, space = lowered("def f(x):\n    return settings.scale * x + k", settings=module, k=2.0)
    guards = native_guards(kernel)
    assert all(map(holds, guards))
    if change == "k":
        space["k"] = 5.0
    else:
        module.scale = 4.0
    assert not kernel.is_current()
    assert not all(map(holds, guards))


def test_an_attribute_of_a_class_is_guarded() -> None:
    class Settings:
        scale = 3.0

    kernel, _ = lowered("def f(x):\n    return settings.scale * x", settings=Settings)
    guards = native_guards(kernel)
    assert all(map(holds, guards))
    Settings.scale = 4.0
    assert not all(map(holds, guards))


def test_closures_and_callees() -> None:
    space: dict[str, Any] = {}
    text = "def g(x, y=1.0):\n    return x + y\ndef make(k):\n    def f(x):\n        return g(x) + k\n    return f"
    make = function_from_source(text, "make", space)
    function = make(2.0)
    kernel = lower(function, [type_of(1.0)])
    guards = native_guards(kernel)
    assert {each[0] for each in guards} == {"dict", "cell", "default", "code"}
    assert all(map(holds, guards))
    space["g"].__defaults__ = (5.0,)
    assert not all(map(holds, guards))


def test_the_boundary_takes_them() -> None:
    kernel, _ = lowered("def f(x):\n    return math.sin(x) + k", math=math, k=np.pi)
    compiled = compile_kernel(kernel, 1)
    compiled.code.set_guards(native_guards(kernel))
    assert compiled.code(1.0) == math.sin(1.0) + np.pi
