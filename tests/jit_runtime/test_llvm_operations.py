"""Every operation of the LIR, run through LLVM at each level and with both loaders, against Python and NumPy."""

from __future__ import annotations

import ctypes
import math
import mmap
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from lean_agentic.jit_runtime import elf, object_code
from lean_agentic.jit_runtime.emitter import Emitter
from lean_agentic.jit_runtime.lir import Exit, Function, Mode, Temporary, Unit, Variable
from lean_agentic.jit_runtime.llvm_engine import EngineOptions, compile_unit
from lean_agentic.jit_runtime.runtime_functions import RUNTIME_FUNCTIONS

RETURNED, RAISED, PENDING, GO_ON = 0, 1, 2, 3
INTS = [0, 1, -1, 2, -2, 3, 7, 10, 63, 64, 127, 128, 255, 256, -129, 2**15, 2**16 - 1, 2**31 - 1, -(2**31), 2**32 - 1]
INTS += [2**32 + 5, 3037000499, 3037000500, 2**53 + 1, 2**62, -(2**62), 2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 1]
FLOATS = [0.0, -0.0, 0.1, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0000001, 1e16 + 2, 4503599627370497.5, 1e308, -1e308, 5e-324]
FLOATS += [1e-40, 3.4028236e38, math.inf, -math.inf, math.nan]
EXIT = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
ENTRY = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
CTYPES = {"i": ctypes.c_int64, "f": ctypes.c_double, "p": ctypes.c_void_p, "c": ctypes.c_void_p}


class Mapped:
    """Executable memory without the package's own extension."""

    def __init__(self, code: bytes) -> None:
        self.memory = mmap.mmap(-1, max(len(code), 1))
        self.memory.write(code)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        protect = ctypes.CDLL(None).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        assert protect(self.address, len(code), mmap.PROT_READ | mmap.PROT_EXEC) == 0


def to_slot(value: Any) -> bytes:
    return struct.pack("<d", value) if isinstance(value, float) else struct.pack("<q", value or 0)


def from_slots(data: bytes, letters: str) -> list[Any]:
    return [struct.unpack_from("<d" if letter == "f" else "<q", data, 8 * k)[0] for k, letter in enumerate(letters)]


class Runtime:
    """Stands for the native boundary. `on_exit(number, state address)` gives a status and the answer's slots."""

    def __init__(
        self, on_exit: Callable[[int, int], tuple[int, Sequence[Any]]] | None = None, **functions: Any
    ) -> None:
        self.on_exit = on_exit
        self.poll_word = ctypes.c_int32(0)
        made: dict[str, Any] = {"exit": EXIT(self._exit)}
        for name, function in functions.items():
            signature = RUNTIME_FUNCTIONS[name]
            kind = ctypes.CFUNCTYPE(CTYPES[signature.result], *(CTYPES[each] for each in signature.arguments))
            made[name] = kind(function)
        self.made = made
        addresses = [
            ctypes.cast(made[name], ctypes.c_void_p).value if name in made else 0 for name in RUNTIME_FUNCTIONS
        ]
        self.table = (ctypes.c_void_p * len(addresses))(*addresses)
        self.context = (ctypes.c_void_p * 3)(ctypes.addressof(self.poll_word), 0, ctypes.addressof(self.table))

    def _exit(self, context: int, number: int, state: int, out: int) -> int:
        assert context == ctypes.addressof(self.context)
        assert self.on_exit is not None, f"exit {number}"
        status, answer = self.on_exit(number, state)
        data = b"".join(map(to_slot, answer))
        ctypes.memmove(out, data, len(data))
        return status

    def call(self, address: int, arguments: Sequence[Any], results: str) -> tuple[int, list[Any]]:
        given = ctypes.create_string_buffer(b"".join(map(to_slot, arguments)), 8 * len(arguments) + 8)
        out = ctypes.create_string_buffer(8 * len(results) + 8)
        status = ENTRY(address)(ctypes.addressof(self.context), ctypes.addressof(given), ctypes.addressof(out))
        return status, from_slots(out.raw, results)


class Compiled:
    """A unit's code."""

    def __init__(self, unit: Unit, level: int, own_loader: bool, options: EngineOptions) -> None:
        self.machine = compile_unit(unit, level, options)
        self.address, self.owner = self.machine.address, self.machine.owner
        self.results = unit.functions[0].results
        if own_loader:
            content = object_code.unpack(self.machine.object_code)
            assert not isinstance(content, object_code.Image)
            self.address, self.owner = object_code.load(object_code.pack_image(elf.link(*content)), Mapped)

    def __call__(self, *arguments: Any, runtime: Runtime | None = None) -> tuple[int, list[Any]]:
        return (runtime or Runtime()).call(self.address, arguments, self.results)

    def value(self, *arguments: Any, runtime: Runtime | None = None) -> list[Any]:
        status, values = self(*arguments, runtime=runtime)
        assert status == RETURNED
        return values


Compile = Callable[..., Compiled]


@pytest.fixture(params=[(level, own) for level in (1, 2, 3) for own in (False, True)], ids=str)
def compiled(request: pytest.FixtureRequest) -> Compile:
    level, own = request.param
    return lambda unit: Compiled(unit, level, own, EngineOptions(own_loader=False))


def begun(name: str, parameters: str, results: str, recursive: bool = False) -> tuple[Emitter, list[Variable]]:
    function = Function(name, [], results, recursive=recursive)
    e = Emitter(function)
    function.parameters += [e.variable(letter, f"x{k}") for k, letter in enumerate(parameters)]
    return e, function.parameters


def unit_of(*emitters: Emitter) -> Unit:
    return Unit([e.function for e in emitters], 100)


def straight(parameters: str, results: str, emit: Callable[..., Sequence[Any]]) -> Unit:
    """A unit without branches: `emit(e, *values)` gives what it returns."""
    e, variables = begun("straight", parameters, results)
    e.do("ret", tuple(emit(e, *map(e.get, variables))))
    return unit_of(e)


def signed(value: int, bits: int = 64) -> int:
    return ((value + 2 ** (bits - 1)) % 2**bits) - 2 ** (bits - 1)


def same(found: float, expected: float) -> bool:
    return (found != found and expected != expected) or to_slot(found) == to_slot(expected)


def leave(number: int, *values: Any) -> Exit:
    return Exit(number, Mode.LEAVE, values)


# -- operations without exits ------------------------------------------------------------------------------------------

INT_BINARY: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
}
SHIFTS: dict[str, Callable[[int, int], int]] = {
    "shl": lambda a, b: a << b,
    "ashr": lambda a, b: a >> b,
    "lshr": lambda a, b: (a % 2**64) >> b,
}
DIVISIONS: dict[str, Callable[[int, int], int]] = {
    "sdiv": lambda a, b: abs(a) // abs(b) * (1 if a * b >= 0 else -1),
    "srem": lambda a, b: abs(a) % abs(b) * (1 if a >= 0 else -1),
    "udiv": lambda a, b: (a % 2**64) // (b % 2**64),
    "urem": lambda a, b: (a % 2**64) % (b % 2**64),
}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


def binary(operations: Sequence[str], letter: str) -> Unit:
    return straight(
        2 * letter, len(operations) * letter, lambda e, a, b: [e.op(each, letter, a, b) for each in operations]
    )


def test_integer_arithmetic_wraps(compiled: Compile) -> None:
    run = compiled(binary(list(INT_BINARY), "i"))
    for a in INTS:
        for b in INTS:
            assert run.value(a, b) == [signed(each(a, b)) for each in INT_BINARY.values()]


def test_shifts(compiled: Compile) -> None:
    run = compiled(binary(list(SHIFTS), "i"))
    for a in INTS:
        for b in (0, 1, 31, 32, 63):
            assert run.value(a, b) == [signed(each(a, b)) for each in SHIFTS.values()]


def test_divisions(compiled: Compile) -> None:
    run = compiled(binary(list(DIVISIONS), "i"))
    for a in INTS:
        for b in set(INTS) - {0, -1}:
            assert run.value(a, b) == [signed(each(a, b)) for each in DIVISIONS.values()]


def test_immediates(compiled: Compile) -> None:
    values = [*INTS, 2**64 - 1]
    unit = straight("i", "i" * len(values), lambda e, a: [e.op("add", "i", each, a) for each in values])
    assert compiled(unit).value(0) == [signed(each) for each in values]
    unit = straight("f", "f" * len(FLOATS), lambda e, a: [e.op("fadd", "f", a, each) for each in FLOATS])
    assert all(map(same, compiled(unit).value(-0.0), FLOATS))


def test_unary_integer_operations(compiled: Compile) -> None:
    operations = {
        "ineg": lambda a: -a,
        "inot": lambda a: ~a,
        **{f"sext{bits}": lambda a, bits=bits: signed(a, bits) for bits in (8, 16, 32)},
        **{f"zext{bits}": lambda a, bits=bits: a % 2**bits for bits in (8, 16, 32)},
    }
    unit = straight("i", "i" * len(operations), lambda e, a: [e.op(each, "i", a) for each in operations])
    run = compiled(unit)
    for a in INTS:
        assert run.value(a) == [signed(each(a)) for each in operations.values()]


def test_float_arithmetic(compiled: Compile) -> None:
    operations = {"fadd": np.add, "fsub": np.subtract, "fmul": np.multiply, "fdiv": np.divide, "fcopysign": np.copysign}
    run = compiled(binary(list(operations), "f"))
    with np.errstate(all="ignore"):
        for a in FLOATS:
            for b in FLOATS:
                expected = [float(each(np.float64(a), np.float64(b))) for each in operations.values()]
                assert all(map(same, run.value(a, b), expected)), (a, b)


def test_unary_float_operations(compiled: Compile) -> None:
    operations: dict[str, Callable[[Any], Any]] = {
        "fneg": np.negative,
        "fabs": np.abs,
        "fsqrt": np.sqrt,
        "ffloor": np.floor,
        "fceil": np.ceil,
        "ftrunc": np.trunc,
        "frint": np.rint,
        "round32": np.float32,
    }
    run = compiled(straight("f", "f" * len(operations), lambda e, a: [e.op(each, "f", a) for each in operations]))
    with np.errstate(all="ignore"):
        for a in FLOATS:
            expected = [float(each(np.float64(a))) for each in operations.values()]
            assert all(map(same, run.value(a), expected)), a


def test_conversions(compiled: Compile) -> None:
    unit = straight(
        "i", "fffii", lambda e, a: [
            e.op("itof", "f", a), e.op("uitof", "f", a), e.op("float_of", "f", a),
            e.op("btoi", "i", e.op("itob", "b", a)), e.op("ptoi", "i", e.op("itop", "p", a)),
        ],
    )  # fmt: skip
    run = compiled(unit)
    for a in INTS:
        expected = [float(a), float(a % 2**64), struct.unpack("<d", struct.pack("<q", a))[0]]
        found = run.value(a)
        assert all(map(same, found[:3], expected))
        assert found[3:] == [a != 0, a]
    run = compiled(straight("f", "i", lambda e, a: [e.op("bits", "i", a)]))
    assert [run.value(a)[0] for a in FLOATS] == [struct.unpack("<q", struct.pack("<d", a))[0] for a in FLOATS]
    run = compiled(straight("f", "i", lambda e, a: [e.op("ftoi", "i", a)]))
    for a in [0.9, -0.9, 2.5, -1e15, 2.0**62, -(2.0**63), 9223372036854774784.0]:
        assert run.value(a) == [int(a)]


def test_integer_comparisons(compiled: Compile) -> None:
    signs = {"eq": [""], "ne": [""], **{each: ["s", "u"] for each in ("lt", "le", "gt", "ge")}}
    codes = [(sign + code, code) for code, prefixes in signs.items() for sign in prefixes]
    unit = straight(
        "ii", "i" * len(codes), lambda e, a, b: [e.op("btoi", "i", e.op("icmp", "b", a, b, cc)) for cc, _ in codes]
    )
    run = compiled(unit)
    for a in INTS:
        for b in INTS:
            wide = {"u": (a % 2**64, b % 2**64)}
            assert run.value(a, b) == [COMPARISONS[code](*wide.get(cc[0], (a, b))) for cc, code in codes]


def test_float_comparisons(compiled: Compile) -> None:
    codes = ["oeq", "une", "olt", "ole", "ogt", "oge", "uno"]
    unit = straight(
        "ff", "i" * len(codes), lambda e, a, b: [e.op("btoi", "i", e.op("fcmp", "b", a, b, cc)) for cc in codes]
    )
    run = compiled(unit)
    for a in FLOATS:
        for b in FLOATS:
            assert run.value(a, b) == [a == b, a != b, a < b, a <= b, a > b, a >= b, a != a or b != b]


def test_truth_values_and_select(compiled: Compile) -> None:
    def emit(e: Emitter, a: Temporary, b: Temporary, p: Temporary, x: Temporary) -> list[Any]:
        one, other = e.op("itob", "b", a), e.op("itob", "b", b)
        both = e.op("band", "b", one, other)
        chosen = e.op("select", "b", both, one, e.op("bnot", "b", other))
        null = e.op("icmp", "b", p, None, "eq")
        found = [both, e.op("bor", "b", one, other), e.op("bnot", "b", one), chosen, null]
        found += [e.op("icmp", "b", e.op("select", "p", one, p, None), p, "eq")]
        return [
            *(e.op("btoi", "i", each) for each in found),
            e.op("select", "i", one, a, b), e.op("select", "f", other, x, 0.25),
        ]  # fmt: skip

    run = compiled(straight("iipf", "iiiiiiif", emit))
    for a in (0, 5):
        for b in (0, 9):
            expected = [a and b, a or b, not a, a if a and b else not b, False, bool(a)]
            assert run.value(a, b, 8, 1.5) == [*map(bool, expected), a or b, 1.5 if b else 0.25]
    assert run.value(1, 1, None, 1.5)[4] == 1


# -- memory ------------------------------------------------------------------------------------------------------------

WIDTHS = {
    "i8": "<b", "i16": "<h", "i32": "<i", "i64": "<q", "u8": "<B", "u16": "<H", "u32": "<I", "f32": "<f", "f64": "<d",
    "ptr": "<q",
}  # fmt: skip


def letter_of(width: str) -> str:
    return {"f": "f", "p": "p"}.get(width[0], "i")


def test_loads_of_every_width(compiled: Compile) -> None:
    letters = "".join(map(letter_of, WIDTHS))
    unit = straight(
        "p", letters, lambda e, p: [e.op("load", letter_of(width), p, 3, width) for width in WIDTHS]
    )  # fmt: skip
    run = compiled(unit)
    for data in (bytes(range(120, 140)), b"\xff" * 20, bytes(20), b"\x00\x00\x00\x00\x00\xc0\x3f\x81\x80\x90\xa0" * 2):
        buffer = ctypes.create_string_buffer(data)
        expected = [struct.unpack_from(shape, data, 3)[0] for shape in WIDTHS.values()]
        assert all(map(same, map(float, run.value(ctypes.addressof(buffer))), map(float, expected)))


def test_stores_of_every_width(compiled: Compile) -> None:
    for width, shape in WIDTHS.items():
        letter = letter_of(width)
        e, (p, a) = begun("store", "p" + letter, "")
        e.do("store", e.get(p), 5, e.get(a), width)
        e.do("ret", ())
        run, buffer = compiled(unit_of(e)), ctypes.create_string_buffer(b"\x55" * 32, 32)
        size = struct.calcsize(shape)
        for value in [0.1, -2.5, math.inf] if letter == "f" else [0, -1, 2**63 - 1, 0x1234567890ABCDEF]:
            run.value(ctypes.addressof(buffer), value)
            expected = struct.pack(shape, value) if letter == "f" else to_slot(value)[:size]
            assert buffer.raw == b"\x55" * 5 + expected + b"\x55" * (27 - size)


def test_addresses_advance(compiled: Compile) -> None:
    def emit(e: Emitter, p: Temporary, k: Temporary) -> list[Any]:
        places = [e.op("advance", "p", p, k, size) for size in (1, 8, 24)]
        return [*(e.op("ptoi", "i", each) for each in places), e.op("ptoi", "i", e.op("advance", "p", p, -3, 16))]

    run = compiled(straight("pi", "iiii", emit))
    for k in (0, 5, -7):
        assert run.value(10_000, k) == [10_000 + k, 10_000 + 8 * k, 10_000 + 24 * k, 10_000 - 48]


def test_scratch_and_results_behind_an_address(compiled: Compile) -> None:
    def power(base: int, exponent: int, out: int) -> int:
        ctypes.c_int64.from_address(out).value = signed(base**exponent)
        return int(signed(base**exponent) != base**exponent)

    def emit(e: Emitter, a: Temporary, b: Temporary) -> list[Any]:
        area = e.op("scratch", "p", 2)
        e.do("store", area, 8, 77, "i64")
        too_large = e.runtime("int_power", "i", a, b, area)
        return [too_large, e.op("load", "i", area, 0, "i64"), e.op("load", "i", area, 8, "i64")]

    run = compiled(straight("ii", "iii", emit))
    assert run.value(3, 4, runtime=Runtime(int_power=power)) == [0, 81, 77]
    assert run.value(10, 19, runtime=Runtime(int_power=power)) == [1, signed(10**19), 77]


# -- the runtime's functions -------------------------------------------------------------------------------------------


def test_runtime_functions_get_their_arguments(compiled: Compile) -> None:
    seen: list[Any] = []

    def new(context: int, layout: int, length: int) -> int:
        seen.append((layout, length))
        return 4096

    def emit(e: Emitter, a: Temporary, x: Temporary) -> list[Any]:
        e.do("runtime", None, "list_new", (1, 2))
        made = e.runtime("list_new", "p", 5, a)
        ratio = e.runtime("int_true_divide", "f", a, 4)
        return [made, ratio, e.runtime("math_pow", "f", x, 0.5), e.runtime("compare_int_float", "i", a, x)]

    runtime = Runtime(
        list_new=new,
        int_true_divide=lambda a, b: a / b,
        math_pow=math.pow,
        compare_int_float=lambda a, b: (a > b) - (a < b),
    )
    assert compiled(straight("if", "pffi", emit)).value(7, 16.0, runtime=runtime) == [4096, 1.75, 4.0, -1]
    assert seen == [(1, 2), (5, 7)]


# -- exits -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("operation", "exact"), [("addo", int.__add__), ("subo", int.__sub__), ("mulo", int.__mul__)])
def test_overflow_leaves_with_the_state(compiled: Compile, operation: str, exact: Callable[[int, int], int]) -> None:
    e, (a, b) = begun("checked", "ii", "i")
    text = e.variable("f")
    e.set(text, 2.5)
    first = e.get(a)
    e.do("ret", (e.op(operation, "i", first, e.get(b), leave(7, first, b, text, 3, -0.5, None)),))
    run = compiled(unit_of(e))
    seen: list[Any] = []

    def on_exit(number: int, state: int) -> tuple[int, list[Any]]:
        seen.append((number, from_slots(ctypes.string_at(state, 48), "iififi")))
        return RETURNED, [99]

    runtime = Runtime(on_exit)
    for x in INTS:
        for y in INTS:
            fits = signed(exact(x, y)) == exact(x, y)
            assert run.value(x, y, runtime=runtime) == [exact(x, y) if fits else 99]
            assert seen == ([] if fits else [(7, [x, y, 2.5, 3, -0.5, 0])])
            seen.clear()


@pytest.mark.parametrize("status", [RETURNED, RAISED, PENDING])
def test_guards_and_leaves_share_an_exit(compiled: Compile, status: int) -> None:
    e, (a, x) = begun("guarded", "if", "if")
    shared = leave(3, a, x)
    e.guard(e.op("icmp", "b", e.get(a), 10, "slt"), shared)
    e.set(a, e.op("add", "i", e.get(a), 1))
    e.guard(e.op("fcmp", "b", e.get(x), 0.0, "oge"), shared)
    go_on, give_up = e.new_block(), e.new_block(cold=True)
    e.choose(e.op("icmp", "b", e.get(a), 5, "ne"), go_on, give_up)
    e.begin(give_up)
    e.do("leave", leave(4))
    e.begin(go_on)
    e.do("ret", (e.get(a), e.get(x)))
    run = compiled(unit_of(e))
    seen: list[Any] = []

    def on_exit(number: int, state: int) -> tuple[int, list[Any]]:
        seen.append((number, from_slots(ctypes.string_at(state, 16), "if")) if number == 3 else number)
        return status, [-1, -2.0]

    runtime = Runtime(on_exit)
    for arguments, expected in [((12, 1.0), (3, [12, 1.0])), ((1, -1.0), (3, [2, -1.0])), ((4, 1.0), 4)]:
        assert run(*arguments, runtime=runtime) == (status, [-1, -2.0])
        assert seen.pop() == expected
    assert run(1, 1.0, runtime=runtime) == (RETURNED, [2, 1.0])


def test_polls(compiled: Compile) -> None:
    """Sum of i below n; the callback sets what each poll answers."""
    e, (n,) = begun("polled", "i", "i")
    i, total = e.variable("i"), e.variable("i")
    e.set(i, 0)
    e.set(total, 0)
    head, body, out = e.new_block(), e.new_block(), e.new_block()
    e.branch(head)
    e.begin(head)
    e.do("poll", Exit(5, Mode.POLL, (n, i, total)), 1)
    e.choose(e.op("icmp", "b", e.get(i), e.get(n), "slt"), body, out)
    e.begin(body)
    e.set(total, e.op("add", "i", e.get(total), e.get(i)))
    e.set(i, e.op("add", "i", e.get(i), 1))
    e.branch(head)
    e.begin(out)
    e.do("ret", (e.get(total),))
    run = compiled(unit_of(e))
    statuses: list[int] = []
    states: list[Any] = []

    def on_exit(number: int, state: int) -> tuple[int, list[Any]]:
        states.append(from_slots(ctypes.string_at(state, 24), "iii"))
        status = statuses.pop(0)
        runtime.poll_word.value = int(bool(statuses))
        return status, [-7]

    runtime = Runtime(on_exit)
    assert run.value(100, runtime=runtime) == [4950]
    assert not states
    for final, answer in ((GO_ON, (RETURNED, [4950])), (RETURNED, (RETURNED, [-7])), (RAISED, (RAISED, [-7]))):
        states.clear()
        statuses += [GO_ON, GO_ON, final]
        runtime.poll_word.value = 1
        assert run(100, runtime=runtime) == answer
        assert states == [[100, 0, 0], [100, 1, 0], [100, 2, 1]]


def test_asks(compiled: Compile) -> None:
    e, (a, x) = begun("asking", "if", "ifi")
    behind = leave(9, a)
    one, other = e.temporary("i"), e.temporary("f")
    e.do("ask", (one, other), Exit(8, Mode.ASK, (a, x), behind))
    e.do("ask", (), Exit(10, Mode.ASK, (one,), behind))
    e.do("ret", (one, other, e.get(a)))
    run = compiled(unit_of(e))
    answers = {8: (RETURNED, [41, 0.5]), 10: (RETURNED, []), 9: (RETURNED, [1, 2.0, 3])}
    seen: list[int] = []

    def on_exit(number: int, state: int) -> tuple[int, Sequence[Any]]:
        seen.append(number)
        assert from_slots(ctypes.string_at(state, 8), "i") == [41 if number == 10 else 6]
        return answers[number]

    assert run.value(6, 1.5, runtime=Runtime(on_exit)) == [41, 0.5, 6]
    answers[10] = (PENDING, [])
    assert run.value(6, 1.5, runtime=Runtime(on_exit)) == [1, 2.0, 3]
    answers[8] = (RAISED, [])
    assert run(6, 1.5, runtime=Runtime(on_exit))[0] == RAISED
    assert seen == [8, 10, 8, 10, 9, 8]


# -- calls -------------------------------------------------------------------------------------------------------------


def call(e: Emitter, name: str, letters: str, arguments: Sequence[Any], behind: Exit) -> tuple[Temporary, ...]:
    targets = tuple(map(e.temporary, letters))
    e.do("call", targets, name, tuple(arguments), behind)
    return targets


def fibonacci() -> Unit:
    e, (n,) = begun("fib", "i", "i", recursive=True)
    small, large = e.new_block(), e.new_block()
    e.choose(e.op("icmp", "b", e.get(n), 2, "slt"), small, large)
    e.begin(small)
    e.do("ret", (e.get(n),))
    e.begin(large)
    (one,) = call(e, "fib", "i", [e.op("sub", "i", e.get(n), 1)], leave(0, n))
    (two,) = call(e, "fib", "i", [e.op("sub", "i", e.get(n), 2)], leave(1, n, one))
    e.do("ret", (e.op("addo", "i", one, two, leave(2, n)),))
    return unit_of(e)


def test_recursion(compiled: Compile) -> None:
    assert compiled(fibonacci()).value(15) == [610]


def test_recursion_that_is_too_deep_raises(compiled: Compile) -> None:
    e, (n,) = begun("down", "i", "i", recursive=True)
    (rest,) = call(e, "down", "i", [e.op("add", "i", e.get(n), 1)], leave(0))
    e.do("ret", (e.op("mul", "i", rest, 3),))
    run = compiled(unit_of(e))
    errors: list[int] = []

    def recursion_error(context: int) -> int:
        errors.append(context)
        return RAISED

    # The exception passes each caller by the exit behind its call.
    runtime = Runtime(lambda number, state: (RAISED, []), recursion_error=recursion_error)
    # An exit's state lies on the stack.
    on_stack: list[int] = []
    leaving, _ = begun("leaving", "", "")
    leaving.do("leave", leave(0))
    compiled(unit_of(leaving))(runtime=Runtime(lambda number, state: (on_stack.append(state), (RETURNED, []))[1]))
    runtime.context[1] = on_stack[0] - 200_000
    assert run(0, runtime=runtime)[0] == RAISED
    assert errors == [ctypes.addressof(runtime.context)]


def test_calls_pass_every_kind_of_value(compiled: Compile) -> None:
    """The callee gives more results than registers hold."""
    letters = "ifpiiifff"
    callee, parameters = begun("callee", "ifp", letters)
    a, x, p = map(callee.get, parameters)
    callee.do("ret", (a, x, p, callee.op("add", "i", a, 1), 5, -6, callee.op("fadd", "f", x, 1.0), 0.25, x))
    e, (b, y, q) = begun("caller", "ifp", letters)
    results = call(e, "callee", letters, [e.get(b), e.get(y), e.get(q)], leave(0))
    again = call(e, "callee", letters, [3, 0.5, None], leave(0))
    e.do("ret", (*results[:-1], again[1]))
    assert compiled(unit_of(e, callee)).value(10, 2.5, 4096) == [10, 2.5, 4096, 11, 5, -6, 3.5, 0.25, 0.5]


@pytest.mark.parametrize("status", [RETURNED, RAISED, PENDING])
def test_what_a_callee_returns_by_an_exit(compiled: Compile, status: int) -> None:
    callee, (n,) = begun("inner", "i", "if")
    callee.guard(callee.op("icmp", "b", callee.get(n), 0, "sge"), leave(1, n))
    callee.do("ret", (callee.get(n), 1.0))
    e, (m,) = begun("outer", "i", "fi")
    one, other = call(e, "inner", "if", [e.get(m)], leave(2, m))
    e.do("ret", (other, one))
    run = compiled(unit_of(e, callee))
    assert run.value(5) == [1.0, 5]
    seen: list[int] = []

    def on_exit(number: int, state: int) -> tuple[int, list[Any]]:
        seen.append(number)
        if number == 1:
            return status, [12, 3.5]
        return RAISED if status == RAISED else RETURNED, [8.5, 4]

    found = run(-1, runtime=Runtime(on_exit))
    if status == RETURNED:
        assert (found, seen) == ((RETURNED, [3.5, 12]), [1])
    elif status == RAISED:
        assert (found[0], seen) == (RAISED, [1, 2]), "the exception passes by the exit behind the call"
    else:
        assert (found, seen) == ((RETURNED, [8.5, 4]), [1, 2])


def test_mutual_recursion(compiled: Compile) -> None:
    emitters = []
    for name, other, at_zero in (("even", "odd", 1), ("odd", "even", 0)):
        e, (n,) = begun(name, "i", "i", recursive=True)
        zero, more = e.new_block(), e.new_block()
        e.choose(e.op("icmp", "b", e.get(n), 0, "eq"), zero, more)
        e.begin(zero)
        e.do("ret", (at_zero,))
        e.begin(more)
        e.do("ret", call(e, other, "i", [e.op("sub", "i", e.get(n), 1)], leave(0)))
        emitters.append(e)
    run = compiled(unit_of(*emitters))
    assert [run.value(n)[0] for n in range(6)] == [1, 0, 1, 0, 1, 0]


def test_blocks_that_are_never_reached(compiled: Compile) -> None:
    e, (n,) = begun("never", "i", "i")
    yes, no = e.new_block(), e.new_block(cold=True)
    e.choose(e.op("icmp", "b", e.op("and", "i", e.get(n), 1), 2, "slt"), yes, no)
    e.begin(no)
    e.do("unreachable")
    e.begin(yes)
    e.do("ret", (e.get(n),))
    assert compiled(unit_of(e)).value(3) == [3]
