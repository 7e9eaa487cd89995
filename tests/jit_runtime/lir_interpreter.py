"""Runs LIR functions in Python, for tests: checks the form's rules while it goes.

In: a `lir.Function` and its arguments. Out: the results, or `ExitTaken` with the exit by which it left. Runtime
functions are Python's own operations and the C library's `libm`. Calls, asks and polls are not for this interpreter.
"""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lean_agentic.jit_runtime.lir import Exit, Function, Operand, Temporary, Variable
from lean_agentic.jit_runtime.runtime_functions import ONE_ARGUMENT, RUNTIME_FUNCTIONS, TWO_ARGUMENTS

LIBM = ctypes.CDLL("libm.so.6")
FORMATS = {
    "i8": "<b", "i16": "<h", "i32": "<i", "i64": "<q", "n64": "<q", "u8": "<B", "u16": "<H",
    "u32": "<I", "f32": "<f", "f64": "<d",
}  # fmt: skip
MASK = 2**64 - 1


class Pointer(NamedTuple):
    """An address: a place in a writable buffer."""

    buffer: Any
    offset: int


class ExitTaken(Exception):
    """The function left by an exit."""

    def __init__(self, exit: Exit) -> None:
        super().__init__(exit.number)
        self.exit = exit


def signed(value: int) -> int:
    """Wrapped to 64 bits."""
    return ((value + 2**63) & MASK) - 2**63


def run(function: Function, arguments: Sequence[Any], most: int = 100_000) -> tuple[Any, ...]:
    """Results of a call."""
    return _Run(function, arguments).results(most)


class _Run:
    def __init__(self, function: Function, arguments: Sequence[Any]) -> None:
        assert len(arguments) == len(function.parameters)
        self.blocks = {block.label: block for block in function.blocks}
        self.order = [block.label for block in function.blocks]
        self.variables: dict[Variable, Any] = dict(zip(function.parameters, arguments, strict=True))
        self.temporaries: dict[Temporary, Any] = {}
        self.scratch = bytearray(256)
        self.result_types = function.results

    def results(self, most: int) -> tuple[Any, ...]:
        label = self.order[0]
        for _ in range(most):
            instructions = self.blocks[label].instructions
            assert instructions, f"block {label} is empty"
            for instruction in instructions[:-1]:
                self.execute(instruction)
            operation, *operands = instructions[-1]
            if operation == "ret":
                return tuple(self.read(each, kind) for each, kind in zip(operands[0], self.result_types, strict=True))
            if operation == "leave":
                raise ExitTaken(operands[0])
            assert operation in ("br", "cbr"), f"{operation} at the end of a block"
            taken = operation == "br" or self.read(operands[0], "b")
            label = operands[0] if operation == "br" else operands[1 if taken else 2]
        raise AssertionError("too many blocks")

    def read(self, operand: Operand, machine: str) -> Any:
        """The value of an operand that has to be of a machine type."""
        if isinstance(operand, Temporary):
            assert operand.machine == machine, f"{operand} where {machine} is wanted"
            return self.temporaries[operand]
        if machine == "f":
            assert type(operand) is float, f"{operand!r} is no f immediate"
        elif machine == "p":
            assert operand is None
        else:
            assert type(operand) is int, f"{operand!r} is no {machine} immediate"
            low, high = (0, 1) if machine == "b" else (-(2**63), 2**63 - 1)
            assert low <= operand <= high, f"immediate {operand} is out of range"
        return operand

    def write(self, target: Temporary, value: Any) -> None:
        assert target not in self.temporaries or self.looping(target), "assigned twice"
        if target.machine == "i":
            value = signed(value)
        assert type(value) is {"i": int, "f": float, "b": bool, "p": Pointer}[target.machine], (target, value)
        self.temporaries[target] = value

    def looping(self, target: Temporary) -> bool:
        return sum(i[1] == target for block in self.blocks.values() for i in block.instructions) == 1

    def execute(self, instruction: tuple[Any, ...]) -> None:
        operation, *rest = instruction
        if operation in OPERATIONS:
            OPERATIONS[operation](self, *rest)
            return
        target, *operands = rest
        kinds, result, compute = PURE[operation]
        assert target.machine == result or result == "*"
        extra = operands[len(kinds) :]
        kinds = kinds.replace("*", target.machine)
        values = [self.read(each, kind) for each, kind in zip(operands, kinds, strict=False)]
        self.write(target, compute(*values, *extra))

    def get(self, target: Temporary, variable: Variable) -> None:
        assert target.machine == variable.machine
        self.write(target, self.variables[variable])

    def set(self, variable: Variable, operand: Operand) -> None:
        assert variable.machine != "b"
        self.variables[variable] = self.read(operand, variable.machine)

    def checked(self, compute: Callable[[int, int], int]) -> Callable[..., None]:
        def do(target: Temporary, a: Operand, b: Operand, leave: Exit) -> None:
            value = compute(self.read(a, "i"), self.read(b, "i"))
            if signed(value) != value:
                raise ExitTaken(leave)
            self.write(target, value)

        return do

    def guard(self, condition: Operand, leave: Exit) -> None:
        if not self.read(condition, "b"):
            raise ExitTaken(leave)

    def load(self, target: Temporary, address: Operand, offset: int, width: str) -> None:
        place = self.read(address, "p")
        assert target.machine == width[0].replace("u", "i")
        self.write(target, struct.unpack_from(FORMATS[width], place.buffer, place.offset + offset)[0])

    def store(self, address: Operand, offset: int, value: Operand, width: str) -> None:
        place, number = self.read(address, "p"), self.read(value, width[0])
        if width[0] == "i":
            data = (number & MASK).to_bytes(8, "little")[: int(width[1:]) // 8]
        else:
            data = struct.pack("<d", number) if width == "f64" else struct.pack("<f", _round32(number))
        place.buffer[place.offset + offset : place.offset + offset + len(data)] = data

    def scratch_area(self, target: Temporary, slots: int) -> None:
        assert slots <= 32
        self.write(target, Pointer(self.scratch, 0))

    def advance(self, target: Temporary, address: Operand, index: Operand, size: int) -> None:
        place = self.read(address, "p")
        self.write(target, Pointer(place.buffer, place.offset + self.read(index, "i") * size))

    def runtime(self, target: Temporary, name: str, arguments: tuple[Operand, ...]) -> None:
        signature = RUNTIME_FUNCTIONS[name]
        assert target.machine == signature.result
        values = [self.read(each, kind) for each, kind in zip(arguments, signature.arguments, strict=True)]
        self.write(target, RUNTIME[name](*values))


OPERATIONS: dict[str, Callable[..., None]] = {
    "get": _Run.get, "set": _Run.set, "guard": _Run.guard, "load": _Run.load, "store": _Run.store,
    "scratch": _Run.scratch_area, "advance": _Run.advance, "runtime": _Run.runtime,
    "addo": lambda run, *rest: run.checked(lambda a, b: a + b)(*rest),
    "subo": lambda run, *rest: run.checked(lambda a, b: a - b)(*rest),
    "mulo": lambda run, *rest: run.checked(lambda a, b: a * b)(*rest),
}  # fmt: skip


def _shift(compute: Callable[[int, int], int]) -> Callable[[int, int], int]:
    def shift(a: int, count: int) -> int:
        assert 0 <= count <= 63, f"shift by {count}"
        return compute(a, count)

    return shift


def _truncated(a: int, b: int) -> int:
    assert b not in (0, -1), f"division by {b}"
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _unsigned(compute: Callable[[int, int], int]) -> Callable[[int, int], int]:
    return lambda a, b: compute(a & MASK, b & MASK)


def _extended(bits: int, is_signed: bool) -> Callable[[int], int]:
    def extend(a: int) -> int:
        low = a & (2**bits - 1)
        return low - 2**bits if is_signed and low >> (bits - 1) else low

    return extend


def _float_to_int(a: float) -> int:
    assert abs(a) < 2.0**63 or a == -(2.0**63), f"ftoi of {a}"
    return int(a)


def _ieee_divide(a: float, b: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float64(a) / np.float64(b))


def _round32(a: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float32(a))


def _icmp(a: Any, b: Any, code: str) -> bool:
    if code[0] == "u":
        a, b = a & MASK, b & MASK
    return bool(COMPARISONS[code.lstrip("su") if code != "ne" else code](a, b))


def _fcmp(a: float, b: float, code: str) -> bool:
    unordered = a != a or b != b
    if code in ("uno", "une"):
        return unordered or (code == "une" and a != b)
    return not unordered and bool(COMPARISONS[code[1:]](a, b))


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
}  # fmt: skip


def _rounding(function: Callable[[float], int]) -> Callable[[float], float]:
    return lambda a: math.copysign(float(function(a)), a) if math.isfinite(a) else a


PURE: dict[str, tuple[str, str, Callable[..., Any]]] = {
    "add": ("ii", "i", lambda a, b: a + b), "sub": ("ii", "i", lambda a, b: a - b),
    "mul": ("ii", "i", lambda a, b: a * b), "and": ("ii", "i", lambda a, b: a & b),
    "or": ("ii", "i", lambda a, b: a | b), "xor": ("ii", "i", lambda a, b: a ^ b),
    "shl": ("ii", "i", _shift(lambda a, n: a << n)), "ashr": ("ii", "i", _shift(lambda a, n: a >> n)),
    "lshr": ("ii", "i", _shift(lambda a, n: (a & MASK) >> n)),
    "sdiv": ("ii", "i", _truncated), "srem": ("ii", "i", lambda a, b: a - b * _truncated(a, b)),
    "udiv": ("ii", "i", _unsigned(lambda a, b: a // b)), "urem": ("ii", "i", _unsigned(lambda a, b: a % b)),
    "fadd": ("ff", "f", lambda a, b: a + b), "fsub": ("ff", "f", lambda a, b: a - b),
    "fmul": ("ff", "f", lambda a, b: a * b), "fdiv": ("ff", "f", _ieee_divide),
    "ineg": ("i", "i", lambda a: -a), "inot": ("i", "i", lambda a: ~a), "fneg": ("f", "f", lambda a: -a),
    "fabs": ("f", "f", abs), "fsqrt": ("f", "f", lambda a: math.sqrt(a) if a >= 0 or a != a else math.nan),
    "ffloor": ("f", "f", _rounding(math.floor)), "fceil": ("f", "f", _rounding(math.ceil)),
    "ftrunc": ("f", "f", _rounding(math.trunc)), "frint": ("f", "f", _rounding(round)),
    "round32": ("f", "f", _round32), "itof": ("i", "f", float), "uitof": ("i", "f", lambda a: float(a & MASK)),
    "ftoi": ("f", "i", _float_to_int), "bits": ("f", "i", lambda a: struct.unpack("<q", struct.pack("<d", a))[0]),
    "float_of": ("i", "f", lambda a: struct.unpack("<d", struct.pack("<q", a))[0]),
    "btoi": ("b", "i", int), "itob": ("i", "b", lambda a: a != 0), "bnot": ("b", "b", lambda a: not a),
    "fcopysign": ("ff", "f", math.copysign), "icmp": ("ii", "b", _icmp), "fcmp": ("ff", "b", _fcmp),
    "band": ("bb", "b", lambda a, b: bool(a and b)), "bor": ("bb", "b", lambda a, b: bool(a or b)),
    "select": ("b**", "*", lambda c, a, b: a if c else b),
    **{f"sext{bits}": ("i", "i", _extended(bits, True)) for bits in (8, 16, 32)},
    **{f"zext{bits}": ("i", "i", _extended(bits, False)) for bits in (8, 16, 32)},
}  # fmt: skip
"""Machine types of operands and result (`*`: any, the same), and the function."""


def _libm(name: str, count: int) -> Callable[..., float]:
    if name in ("gamma", "lgamma", "hypot", "log1p", "remainder"):
        return _own_algorithm(getattr(math, name))
    function = getattr(LIBM, name)
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double] * count
    return function


def _own_algorithm(function: Callable[..., float]) -> Callable[..., float]:
    """A function that `math` does not take from the C library; the runtime's gives inf or NaN where it raises."""

    def compute(*arguments: float) -> float:
        try:
            return function(*arguments)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    return compute


def _int_power(base: int, exponent: int, place: Pointer) -> int:
    assert exponent >= 0
    # Powers that are too large are not computed.
    if abs(base) > 1 and exponent > 63:
        return 1
    power = base**exponent
    if signed(power) != power:
        return 1
    struct.pack_into("<q", place.buffer, place.offset, power)
    return 0


def _compare_int_float(a: int, b: float) -> int:
    return 2 if b != b else (a > b) - (a < b)


def _complex(function: Callable[[complex, complex], complex]) -> Callable[..., int]:
    def compute(a: float, b: float, c: float, d: float, place: Pointer) -> int:
        try:
            result = function(complex(a, b), complex(c, d))
        except ArithmeticError:
            return 1
        struct.pack_into("<dd", place.buffer, place.offset, result.real, result.imag)
        return 0

    return compute


def _complex_abs(a: float, b: float) -> float:
    try:
        return abs(complex(a, b))
    except OverflowError:
        return math.inf


def _round_digits(a: float, digits: int) -> float:
    try:
        return round(a, digits)
    except OverflowError:
        return math.copysign(math.inf, a)


RUNTIME: dict[str, Callable[..., Any]] = {
    "float_floordiv": lambda a, b: a // b, "float_mod": lambda a, b: a % b, "int_true_divide": lambda a, b: a / b,
    "int_power": _int_power, "compare_int_float": _compare_int_float, "round_digits": _round_digits,
    "complex_divide": _complex(lambda a, b: a / b), "complex_power": _complex(lambda a, b: a**b),
    "complex_abs": _complex_abs, "int_gcd": math.gcd, "int_isqrt": math.isqrt,
    **{f"math_{name}": _libm(name, 1) for name in ONE_ARGUMENT},
    **{f"math_{name}": _libm(name, 2) for name in TWO_ARGUMENTS},
}  # fmt: skip
