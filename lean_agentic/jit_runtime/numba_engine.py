"""Numba as a second engine of tier 3.

In: a function with its argument types that is outside the kernel language (`numba_arrays` says which), or a kernel with
facts that leave nothing to go wrong (`numba_loops`). Out: `NumbaCode`, which gives exactly what CPython gives, or the
reasons why it might not.

What Numba gives differs from CPython in these ways, all accepted: arrays that it makes have a base object; an exception
has no line of the user's (a note says where it comes from); Ctrl-C waits until the call is over. Warnings and
`np.errstate` are not part of an outcome, as everywhere. Numba is imported by the first compile, which takes half a
second: compile in the background.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from lean_agentic.jit_runtime._native import MISSING
from lean_agentic.jit_runtime.errors import NotCompiledError
from lean_agentic.jit_runtime.facts import Facts
from lean_agentic.jit_runtime.guards import NativeGuard, native_guards
from lean_agentic.jit_runtime.numba_arrays import reasons_against_arrays
from lean_agentic.jit_runtime.numba_loops import reasons_against_kernel
from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.source import syntax_tree
from lean_agentic.kernel.types import BOOL, FLOAT, INT, NUMPY_SCALARS, ArrayType, NumpyScalar, TupleType, Type

Test = Callable[[Any], bool]
_INT64 = (-(2**63), 2**63 - 1)
_CLASSES: dict[Type, type] = {a_type: kind for kind, a_type in NUMPY_SCALARS.items()} | {FLOAT: float, BOOL: bool}


def reasons_against(function: FunctionType, argument_types: Sequence[Type]) -> list[str]:
    """Why Numba's version of a function of whole arrays may differ from CPython; empty if it cannot.

    Parameters
    ----------
    function : function
        With the user's own code.
    argument_types : sequence of Type
        One for each parameter.
    """
    return _examined(function, argument_types)[0]


def _examined(function: FunctionType, types: Sequence[Type]) -> tuple[list[str], list[tuple[str, Any]]]:
    code = function.__code__
    if code.co_argcount != len(types):
        return [f"line {code.co_firstlineno}: {len(types)} types for {code.co_argcount} parameters"], []
    try:
        tree = syntax_tree(function)
    except UnsupportedError as error:
        return [str(error)], []
    return reasons_against_arrays(function, tree, types)


def numba_version(
    function: FunctionType, argument_types: Sequence[Type], otherwise: Callable[..., Any] | None = None
) -> NumbaCode:
    """Compile a function of whole arrays, which the kernel language does not have.

    Parameters
    ----------
    function : function
        With the user's own code.
    argument_types : sequence of Type
        One for each parameter.
    otherwise : callable, optional
        Takes calls with other types, other layouts of arrays, or after an outside name has changed. By default the
        function.

    Raises
    ------
    NotCompiledError
        With the reasons against it, or Numba's.
    """
    reasons, outside = _examined(function, argument_types)
    if reasons:
        raise NotCompiledError("; ".join(reasons))
    guards: list[NativeGuard] = [("dict", function.__globals__, name, value) for name, value in outside]
    return compile_with_numba(function, argument_types, guards=guards, otherwise=otherwise)


def numba_rival(kernel: Kernel, facts: Facts, otherwise: Callable[..., Any] | None = None) -> NumbaCode:
    """Compile a kernel of which the facts prove that nothing can go wrong.

    Parameters
    ----------
    kernel : Kernel
        From `lower`.
    facts : Facts
        Of this kernel, as its tier 3 code was compiled with. A call beyond what they assume goes to `otherwise`.
    otherwise : callable, optional
        That code; by default the function.

    Raises
    ------
    NotCompiledError
        With the reasons against it, or Numba's.
    """
    reasons, error_model = reasons_against_kernel(kernel, facts)
    if reasons:
        raise NotCompiledError("; ".join(reasons))
    parameters = kernel.entry.parameters
    made = compile_with_numba(
        kernel.function, [each.type for each in parameters], guards=native_guards(kernel), otherwise=otherwise,
        error_model=error_model, bounds=[facts.assumed.get(each.name, _INT64) for each in parameters],
        checked=False, result=kernel.entry.result,
    )  # fmt: skip
    return made


def compile_with_numba(
    function: FunctionType,
    types: Sequence[Type],
    *,
    guards: Sequence[NativeGuard] = (),
    otherwise: Callable[..., Any] | None = None,
    error_model: str = "python",
    bounds: Sequence[tuple[int, int]] = (),
    checked: bool = True,
    result: Type | None = None,
) -> NumbaCode:
    """Compile without asking whether that is exact.

    Parameters
    ----------
    function, types, otherwise
        As for `numba_version`.
    guards : sequence
        As `guards.native_guards` gives them.
    error_model : str
        Numba's, for divisions of scalars by zero: "python" raises, "numpy" gives inf.
    bounds : sequence of (int, int), optional
        Within which each int argument has to be.
    checked : bool
        Whether indexes are checked.
    result : Type, optional
        What the result is to be converted to.

    Raises
    ------
    NotCompiledError
        If Numba does not take it.
    """
    import numba

    begun = time.perf_counter()
    signature = tuple(_numba_type(numba, each) for each in types)
    options: dict[str, Any] = {"boundscheck": checked, "error_model": error_model, "fastmath": False, "nogil": True}
    try:
        dispatcher = numba.njit(signature, **options)(function)
    except numba.core.errors.NumbaError as error:
        raise NotCompiledError(f"Numba: {_first_line(str(error))}") from error
    tests = [_test(a_type, *(bounds[place : place + 1] or [_INT64])) for place, a_type in enumerate(types)]
    return NumbaCode(
        function, dispatcher, tests, list(guards), otherwise or function, _conversion(result),
        1e3 * (time.perf_counter() - begun),
    )  # fmt: skip


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")


def _numba_type(numba: Any, a_type: Type) -> Any:
    if isinstance(a_type, ArrayType):
        dtype = numba.from_dtype(np.dtype(a_type.dtype))
        return numba.types.Array(dtype, a_type.rank, "C")
    if isinstance(a_type, NumpyScalar):
        return numba.from_dtype(np.dtype(a_type.dtype))
    known = {INT: numba.int64, FLOAT: numba.float64, BOOL: numba.boolean}
    if a_type not in known:
        raise NotCompiledError(f"Numba is given no {a_type}")
    return known[a_type]


def _test(a_type: Type, bounds: tuple[int, int]) -> Test:
    """Whether an argument is as it was compiled for."""
    if isinstance(a_type, ArrayType):
        dtype, rank = np.dtype(a_type.dtype), a_type.rank
        return lambda value: (
            type(value) is np.ndarray and value.dtype == dtype and value.ndim == rank and value.flags.carray
        )
    if a_type == INT:
        low, high = bounds
        return lambda value: type(value) is int and low <= value <= high
    kind = _CLASSES[a_type]
    return lambda value: type(value) is kind


def _conversion(result: Type | None) -> Callable[[Any], Any]:
    """From Numba's result to CPython's: Numba gives NumPy's scalars as Python numbers."""
    if isinstance(result, TupleType):
        parts = [_conversion(each) for each in result.elements]
        return lambda value: tuple(part(each) for part, each in zip(parts, value, strict=True))
    if isinstance(result, NumpyScalar):
        return np.dtype(result.dtype).type
    return lambda value: value


class NumbaCode:
    """Numba's code for one combination of argument types; takes its arguments by position."""

    tier = 3

    def __init__(
        self,
        function: FunctionType,
        dispatcher: Callable[..., Any],
        tests: Sequence[Test],
        guards: Sequence[NativeGuard],
        otherwise: Callable[..., Any],
        conversion: Callable[[Any], Any],
        compile_ms: float,
    ) -> None:
        self.function = function
        self.compile_ms = compile_ms
        self.otherwise = otherwise
        self.calls = 0
        """Calls that reached Numba's code."""
        self._dispatcher = dispatcher
        self._tests = tests
        self._guards = guards
        self._convert = conversion

    def __call__(self, *arguments: Any) -> Any:
        """The function's result."""
        if not self.fits(arguments):
            return self.otherwise(*arguments)
        self.calls += 1
        try:
            return self._convert(self._dispatcher(*arguments))
        except Exception as error:
            code = self.function.__code__
            error.add_note(f"in {code.co_qualname} ({code.co_filename}:{code.co_firstlineno}), compiled by Numba")
            raise

    def fits(self, arguments: Sequence[Any]) -> bool:
        """Whether a call is for Numba's code."""
        if len(arguments) != len(self._tests):
            return False
        return all(test(value) for test, value in zip(self._tests, arguments, strict=True)) and self.is_current()

    def is_current(self) -> bool:
        """Whether all outside values are those that were compiled in."""
        return all(map(_holds, self._guards))

    def __repr__(self) -> str:
        return f"<Numba's {self.function.__qualname__}, {self.compile_ms:.0f} ms>"


def _holds(guard: NativeGuard) -> bool:
    match guard:
        case ("dict", namespace, name, expected):
            return namespace.get(name, MISSING) is expected
        case ("cell", cell, expected):
            return cell.cell_contents is expected
        case ("default", owner, name, expected):
            return getattr(owner, name) is expected
        case ("code", function, expected):
            return function.__code__ is expected
    raise ValueError(f"{guard!r} is no guard")
