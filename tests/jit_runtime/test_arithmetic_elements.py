"""Reading and storing array elements against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lean_agentic.jit_runtime.arithmetic import load_element, store_element
from lean_agentic.jit_runtime.arithmetic_operands import constant
from lean_agentic.jit_runtime.emitter import Emitter, Value
from lean_agentic.jit_runtime.layout import slots
from lean_agentic.jit_runtime.lir import Function
from lean_agentic.kernel.outcome import fingerprint
from lean_agentic.kernel.types import BOOL, COMPLEX, FLOAT, INT, NONE, Type, type_of
from tests.jit_runtime.arithmetic_trial import LEAVE, NUMPY, boxed, outcome, values
from tests.jit_runtime.lir_interpreter import ExitTaken, Pointer, run

DTYPES = list(NUMPY)


def loader(dtype: str) -> Function:
    function = Function("load", [], "f" if "float" in dtype else "i")
    e = Emitter(function)
    address = e.variable("p")
    function.parameters.append(address)
    e.do("ret", load_element(e, dtype, e.get(address), 0).operands)
    return function


@pytest.mark.parametrize("dtype", DTYPES)
def test_loads(dtype: str) -> None:
    function = loader(dtype)
    array = np.array(values(NUMPY[dtype]), dtype)
    memory = bytearray(array.tobytes())
    for place, expected in enumerate(array):
        found = run(function, (Pointer(memory, place * array.itemsize),))
        assert fingerprint(boxed(NUMPY[dtype], found)) == fingerprint(expected)


def test_any_byte_but_0_is_true() -> None:
    assert run(loader("bool"), (Pointer(bytearray([2]), 0),)) == (1,)


def storer(dtype: str, value: Any) -> Function | None:
    """Code that stores a parameter of a type, or a constant."""
    function = Function("store", [], "")
    e = Emitter(function)
    address = e.variable("p")
    function.parameters.append(address)
    if isinstance(value, Type):
        variables = [e.variable(letter) for letter in slots(value)]
        function.parameters += variables
        made = Value(value, tuple(map(e.get, variables)))
    else:
        made = constant(value, type_of(value))
    if not store_element(e, dtype, e.get(address), 0, made, lambda: LEAVE):
        return None
    e.do("ret", ())
    return function


def check(function: Function, dtype: str, value: Any, machine: tuple[Any, ...]) -> bool:
    """Compare one store with NumPy's; whether it left needlessly."""
    memory, array = bytearray(b"\x55" * 16), np.frombuffer(b"\x55" * 16, dtype).copy()
    error = outcome(lambda: array.__setitem__(0, value), [])
    try:
        run(function, (Pointer(memory, 0), *machine))
    except ExitTaken:
        assert memory == b"\x55" * 16
        return error is None
    assert error is None, f"{value!r} stored in {dtype}: NumPy raises {error!r}"
    stored = np.frombuffer(memory, dtype)
    assert fingerprint(stored) == fingerprint(array), f"{value!r} stored in {dtype}"
    return False


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [BOOL, INT, FLOAT, *NUMPY.values()], ids=str)
def test_stores(dtype: str, value: Type) -> None:
    function = storer(dtype, value)
    assert function is not None
    needless = [each for each in values(value, 20) if check(function, dtype, each, constant(each, value).operands)]
    assert all(has_an_exit_of_its_own(dtype, value, each) for each in needless)


def has_an_exit_of_its_own(dtype: str, a_type: Type, value: Any) -> bool:
    """Floats out of range, which NumPy wraps or not as it comes, and large integers that float32 rounds."""
    if "float" in str(a_type):
        return "int" in dtype and not (0 <= value < np.iinfo(dtype).max and value < 2**62)
    return dtype == "float32" and abs(int(value)) > 2**53


@pytest.mark.parametrize("dtype", DTYPES)
def test_stores_of_constants(dtype: str) -> None:
    for value in [True, *values(INT, 0), 2**63, 2**64 - 1, *values(FLOAT, 0), np.uint8(200), np.float32(2.5)]:
        function = storer(dtype, value)
        if function is None:
            assert type(value) is int
            assert outcome(lambda known=value: np.zeros(1, dtype).__setitem__(0, known), []) is not None
        else:
            check(function, dtype, value, ())


def test_what_has_no_native_form() -> None:
    for each in (NONE, COMPLEX):
        assert storer("float64", each) is None
