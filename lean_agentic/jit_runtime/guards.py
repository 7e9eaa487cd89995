"""Guards of a kernel in the form that compiled code checks at each call.

In: `kernel.guards` (a global, closure cell or tuple of defaults that was read, with what was read from it). Out:
tuples for `_native.Code`: ("dict", dict, key, expected), ("cell", cell, expected), ("default", function, name,
expected), ("code", function, code). All are compared by identity.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from lean_agentic.jit_runtime._native import MISSING
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.source import called_function

NativeGuard = tuple[Any, ...]


def native_guards(kernel: Kernel) -> list[NativeGuard]:
    """The guards of a kernel, each once.

    The values compared with are those that the names have now, so call it only while `kernel.is_current()`.
    """
    found: dict[tuple[Any, ...], NativeGuard] = {}
    for guard in [*_flattened(kernel), *_bodies(kernel)]:
        found.setdefault((guard[0], id(guard[1]), guard[2] if len(guard) == 4 else None), guard)
    return list(found.values())


def _flattened(kernel: Kernel) -> Iterator[NativeGuard]:
    for guard in kernel.guards:
        name, *attributes = guard.path
        if guard.kind == "default":
            yield from _default(kernel, guard.function, name)
            continue
        if guard.kind == "closure":
            cell = _cell(guard.function, name)
            value = cell.cell_contents
            yield ("cell", cell, value)
        else:
            yield from _global(guard.function, name)
            value = guard.function.__globals__.get(name, getattr(builtins, name, MISSING))
        for attribute in attributes:
            if isinstance(value, ModuleType):
                yield ("dict", value.__dict__, attribute, value.__dict__.get(attribute, MISSING))
            else:
                yield ("default", value, attribute, getattr(value, attribute))
            value = getattr(value, attribute)


def _default(kernel: Kernel, function: FunctionType, name: str) -> Iterator[NativeGuard]:
    """Defaults of callees. The entry gets all its arguments; its own defaults matter only where it calls itself."""
    if function is not kernel.function:
        yield ("default", called_function(function), name, getattr(function, name))


def _global(function: FunctionType, name: str) -> Iterator[NativeGuard]:
    namespace = function.__globals__
    yield ("dict", namespace, name, namespace.get(name, MISSING))
    if name not in namespace:
        yield ("dict", builtins.__dict__, name, builtins.__dict__[name])


def _cell(function: FunctionType, name: str) -> Any:
    return (function.__closure__ or ())[function.__code__.co_freevars.index(name)]


def _bodies(kernel: Kernel) -> Iterator[NativeGuard]:
    """The code of the functions that were compiled in, but for tiered ones, whose code changes by itself."""
    for source in kernel.sources.values():
        if called_function(source.function) is source.function:
            yield ("code", source.function, source.function.__code__)
