"""The boundary's calls, layouts and lists, against Python's own values. Exits: `test_native_exits`."""

from __future__ import annotations

import gc
import math
import struct
import sys
import tracemalloc
import weakref
from types import CellType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.jit_runtime import _native
from lean_agentic.jit_runtime.layout import Descriptors, Tags, places, slots
from lean_agentic.kernel.outcome import fingerprint
from lean_agentic.kernel.types import DTYPES, ListType, UnionType, join, type_of
from tests.jit_runtime.native_machine import (
    BOOL,
    COMPLEX,
    FLOAT,
    INT,
    NONE,
    Recorder,
    call,
    code,
    data_of,
    identity,
    list_of,
    machine,
    put,
    slot,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_subnormal=True)
PYTHON_SCALARS = st.one_of(st.none(), st.booleans(), INT64, FLOATS, st.complex_numbers())


@st.composite
def numpy_scalars(draw: Any) -> Any:
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    return np.frombuffer(draw(st.binary(min_size=8, max_size=8)), np.uint8)[: dtype.itemsize].copy().view(dtype)[0]


@st.composite
def arrays(draw: Any) -> Any:
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    if shape and draw(st.booleans()):
        array = array[::-1]
    if draw(st.booleans()):
        array.flags.writeable = False
    return array.T if draw(st.booleans()) else array


SCALARS = st.one_of(PYTHON_SCALARS, numpy_scalars())


def containers(children: Any) -> Any:
    some = st.lists(children, max_size=4)
    return st.one_of(some, some.map(tuple), st.lists(FLOATS), st.lists(INT64), st.lists(st.booleans()))


VALUES = st.recursive(st.one_of(SCALARS, arrays()), containers, max_leaves=8)


def through(value: Any, a_type: Any = None, written: bool = True) -> Any:
    """The value, unboxed by its own type and boxed again."""
    a_type = a_type or type_of(value)
    lists = _list_types(a_type) if written else ()
    descriptor = Descriptors(Tags(), lists).of(a_type)
    return code(identity(len(slots(a_type))), [descriptor], descriptor)(value)


def _list_types(a_type: Any) -> list[Any]:
    if isinstance(a_type, ListType):
        return [a_type, *_list_types(a_type.element)]
    children = getattr(a_type, "elements", ()) or getattr(a_type, "alternatives", ())
    return [each for child in children for each in _list_types(child)]


@given(VALUES, st.booleans())
def test_every_layout_gives_back_the_value(value: Any, written: bool) -> None:
    before = fingerprint(value)
    result = through(value, written=written)
    assert fingerprint(result) == before == fingerprint(value)
    if isinstance(value, list | np.ndarray):
        assert result is value


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_scalars_keep_their_class(dtype: str) -> None:
    value = np.ones(1, dtype)[0]
    assert type(through(value)) is type(value)


WRONG = [
    (INT, [True, 1.0, 2**63, -(2**63) - 1, np.int64(1), None, "1"]),
    (BOOL, [1, 0, np.True_, None]),
    (FLOAT, [1, np.float64(1), np.float32(1), True]),
    (COMPLEX, [1.0, np.complex128(1)]),
    (NONE, [0, False]),
    (("np", "int64"), [1, np.int32(1), np.longlong(1), np.uint64(1), True]),
    (("np", "float64"), [1.0, np.float32(1)]),
    (("np", "bool"), [True, np.int8(1)]),
    (("tuple", [INT, FLOAT]), [(1,), (1, 2), (1.0, 1.0), [1, 1.0], (1, 1.0, 1)]),
    (list_of(INT), [[1, 2**63], [1, True], [1, 1.0], (1,), [None]]),
    (list_of(FLOAT), [[1.0, 1], [np.float64(1)]]),
    (list_of(BOOL), [[True, 1]]),
    (("array", "float64", 1), [np.zeros((1, 1)), np.zeros(1, np.float32), np.zeros(1, ">f8"), [0.0], np.ma.zeros(1)]),
    (("array", "int64", 1), [np.zeros(1, np.longlong), np.zeros(1, np.uint64)]),
    (("union", [(2, INT), (0, NONE)]), [1.0, True, 2**64]),
    (("never",), [None, 1]),
]


@pytest.mark.parametrize(("descriptor", "values"), WRONG)
def test_other_types_are_mismatches(descriptor: Any, values: list[Any]) -> None:
    handler = Recorder()
    compiled = code(identity(0), [descriptor], NONE, handler=handler)
    for value in values:
        assert compiled(value) == "mismatch"
        assert handler.mismatches[-1][0] is value
    assert compiled.calls == 0


class Float(float):
    """A subclass."""


def test_subclasses_are_mismatches() -> None:
    compiled = code(identity(0), [FLOAT], NONE)
    assert compiled(Float(1.0)) == "mismatch"
    assert compiled(1.0) is None


def test_misaligned_arrays_are_taken() -> None:
    array = np.frombuffer(b"x" + struct.pack("<2d", 1.5, 2.5), np.uint8)[1:].view(np.float64)
    assert not array.flags.aligned
    assert through(array) is array


MEMBERS = [None, True, 1, 2.5, 1j, np.uint8(3), np.float32(0.5), (1, 2.5), (2.5, 1.5, 1)]


@given(st.sets(st.integers(0, len(MEMBERS) - 1), min_size=2, max_size=8), st.data())
def test_slots_of_unions_are_where_layout_says(chosen: set[int], data: Any) -> None:
    value = MEMBERS[data.draw(st.sampled_from(sorted(chosen)))]
    union = join(type_of(MEMBERS[k]) for k in chosen)
    assert isinstance(union, UnionType)
    tags = Tags()
    raw = ("tuple", [{"i": INT, "f": FLOAT}[letter] for letter in slots(union)])
    found = code(identity(len(slots(union))), [Descriptors(tags).of(union)], raw)(value)
    assert found[0] == tags.of(type_of(value))
    flat = [] if value is None else list(value) if isinstance(value, tuple) else [value]
    parts = [x for each in flat for x in ((each.real, each.imag) if isinstance(each, complex) else (each,))]
    assert [found[k] for k in places(union, type_of(value))] == parts


def view_code(change: str, rank: int = 1) -> _native.Code:
    """Takes an array and returns it with some slots changed."""
    descriptor = ("array", "float64", rank)
    copy = f"call void @llvm.memcpy.p0.p0.i64(ptr %out, ptr %in, i64 {8 * (3 + 2 * rank)}, i1 false)"
    return code(machine(copy + change + "ret i32 0"), [descriptor], descriptor)


def test_other_shapes_are_views_of_the_owner() -> None:
    array = np.arange(5.0)
    view = view_code(put("3", 3, "i"))(array)
    assert view.base is array
    assert view.tolist() == [0.0, 1.0, 2.0]
    view[0] = 7.0
    assert array[0] == 7.0
    frozen = view_code(put("0", 2, "i"))(array)
    assert frozen is not array
    assert not frozen.flags.writeable


# ---- Lists ----

STORE_FIRST = slot("xs", 0, "p") + data_of("d", "%xs") + slot("x", 1, "f") + "store double %x, ptr %d\n"


def store_first(written: bool = True) -> _native.Code:
    """xs[0] = x; return xs."""
    body = STORE_FIRST + put("%xs", 0, "p") + "ret i32 0"
    return code(machine(body), [list_of(FLOAT, written), FLOAT], list_of(FLOAT, written))


def test_stores_are_seen_and_other_elements_stay() -> None:
    values = [1.5, 2.5, 3.5]
    kept = values[1:]
    assert store_first()(values, 9.5) is values
    assert values == [9.5, 2.5, 3.5]
    assert values[1] is kept[0]
    assert values[2] is kept[1]


def test_layouts_that_are_not_written_stay() -> None:
    values = [1.5]
    store_first(written=False)(values, 9.5)
    assert values == [1.5]


def test_a_float_that_others_see_is_not_changed() -> None:
    shared = float("1.5")
    values = [shared, 2.5]
    store_first()(values, 9.5)
    assert (shared, values[0]) == (1.5, 9.5)


def test_zero_and_its_negative_are_different() -> None:
    values = [0.0]
    store_first()(values, -0.0)
    assert math.copysign(1, values[0]) == -1


def test_aliases_are_one_native_list() -> None:
    body = slot("a", 0, "p") + slot("b", 1, "p") + "%same = icmp eq ptr %a, %b\n%w = zext i1 %same to i64\n"
    compiled = code(machine(body + put("%w", 0, "i") + "ret i32 0"), [list_of(INT), list_of(INT)], BOOL)
    first, second = [1], [1]
    assert compiled(first, first) is True
    assert compiled(first, second) is False


def test_inner_lists_are_found_by_identity() -> None:
    row = [1.0]
    rows = [row, [2.0], row]
    body = slot("rows", 0, "p") + data_of("d", "%rows") + "%r = load ptr, ptr %d\n" + data_of("e", "%r")
    store = "store double 5.0, ptr %e\n%first = load ptr, ptr %d\n"
    swap = "%q = getelementptr ptr, ptr %d, i64 1\nstore ptr %first, ptr %q\n"
    matrix = list_of(list_of(FLOAT))
    compiled = code(machine(body + store + swap + put("%rows", 0, "p") + "ret i32 0"), [matrix], matrix)
    assert compiled(rows) is rows
    assert rows == [[5.0]] * 3
    assert all(each is row for each in rows)


def test_many_lists_are_found() -> None:
    rows = [[float(k)] for k in range(1000)]
    rows += rows[::-1]
    expected = fingerprint(rows)
    assert fingerprint(through(rows)) == expected


def test_one_list_under_two_layouts_is_a_mismatch() -> None:
    either = ("union", [(2, INT), (3, FLOAT)])
    compiled = code(identity(0), [list_of(INT), list_of(either)], NONE)
    values = [1]
    assert compiled(values, values) == "mismatch"
    assert compiled(values, [1]) is None
    empty: list[Any] = []
    assert compiled(empty, empty) is None


def test_a_failed_alternative_leaves_no_list_behind() -> None:
    ints, floats = list_of(list_of(INT)), list_of(list_of(FLOAT))
    either = ("union", [(16, ints), (17, floats)])
    rows: list[Any] = [[], [1.0]] + [[2.0] for _ in range(20)]
    compiled = code(identity(2), [either], either)
    assert compiled(rows) is rows


@pytest.mark.parametrize(
    "value", [[True, False], [(1, 2.0)], [None, None], [1, 2.0, None], [1j], [np.int8(1)], [(), ()]]
)
def test_elements_of_all_kinds_come_back_unchanged(value: list[Any]) -> None:
    kept = list(value)
    assert through(value) is value
    assert all(a is b for a, b in zip(value, kept, strict=True))


def test_bools_are_bytes() -> None:
    body = slot("xs", 0, "p") + data_of("d", "%xs")
    body += "%e = getelementptr i8, ptr %d, i64 1\nstore i8 1, ptr %e\nret i32 0"
    values = [False, False, False]
    code(machine(body), [list_of(BOOL)], NONE)(values)
    assert values == [False, True, False]
    assert all(type(each) is bool for each in values)


def made(body: str, parameters: list[Any], child: Any = INT) -> _native.Code:
    """Makes a list `%made` and returns it twice."""
    both = ("tuple", [list_of(child), list_of(child)])
    text = body + put("%made", 0, "p") + put("%made", 1, "p") + "ret i32 0"
    return code(machine(text), parameters, both, lists=[list_of(child)])


def test_new_lists_become_one_python_list() -> None:
    store = data_of("d", "%made") + "store i64 7, ptr %d\n"
    first, second = made(call("made", "list_new", "0", "3") + store, [])()
    assert first is second
    assert first == [7, 0, 0]


ENDS = st.one_of(st.none(), st.integers(-12, 12))


@given(st.lists(INT64, max_size=9), ENDS, ENDS, st.integers(-4, 4).filter(bool))
def test_slices(values: list[int], start: int | None, stop: int | None, step: int) -> None:
    body = slot("xs", 0, "p") + slot("a", 1, "i") + slot("b", 2, "i") + slot("c", 3, "i")
    compiled = made(body + call("made", "list_slice", "%xs", "%a", "%b", "%c"), [list_of(INT), INT, INT, INT])
    assert compiled(values, *slice(start, stop, step).indices(len(values)))[0] == values[start:stop:step]


@given(st.lists(st.booleans(), max_size=5), st.integers(-2, 9))
def test_repeating(values: list[bool], times: int) -> None:
    body = slot("xs", 0, "p") + slot("n", 1, "i") + call("made", "list_repeat", "%xs", "%n")
    assert made(body, [list_of(BOOL), INT], BOOL)(values, times)[0] == values * times


@given(st.lists(INT64, max_size=5), st.lists(INT64, max_size=5))
def test_concatenating(left: list[int], right: list[int]) -> None:
    body = slot("a", 0, "p") + slot("b", 1, "p") + call("made", "list_concat", "%a", "%b")
    assert made(body, [list_of(INT), list_of(INT)])(left, right)[0] == left + right


@pytest.mark.parametrize("call_text", [call("made", "list_new", "0", str(2**60)), call("made", "list_new", "0", "-1")])
def test_a_list_that_is_too_long_is_a_memory_error(call_text: str) -> None:
    text = call_text + "%bad = icmp eq ptr %made, null\n%status = zext i1 %bad to i32\nret i32 %status"
    with pytest.raises(MemoryError):
        code(machine(text), [], NONE, lists=[list_of(INT)])()


APPEND_LOOP = (
    slot("n", 0, "i")
    + call("made", "list_new", "0", "0")
    + """br label %loop
    loop:
    %k = phi i64 [0, %begin], [%k1, %more]
    %done = icmp eq i64 %k, %n
    br i1 %done, label %end, label %more
    more:"""
    + call("full", "list_reserve", "%made")
    + data_of("d", "%made")
    + """%e = getelementptr i64, ptr %d, i64 %k
    store i64 %k, ptr %e
    %k1 = add i64 %k, 1
    store i64 %k1, ptr %made
    br label %loop
    end:
    """
)


@pytest.mark.parametrize("count", [0, 1, 8, 9, 1000])
def test_growing_lists(count: int) -> None:
    assert made(APPEND_LOOP, [INT])(count)[0] == list(range(count))


# ---- Guards, arguments, memory ----


def test_guards() -> None:
    def function(a: int = 1, *, b: int = 2) -> int:
        return a + b

    namespace: dict[str, Any] = {"x": 1, "y": []}
    cell = CellType(7)
    handler = Recorder()
    compiled = code(identity(1), [INT], INT, handler=handler)
    cases: list[tuple[Any, Any, Any]] = [
        (("dict", namespace, "x", 1), lambda: namespace.update(x=1.5), lambda: namespace.update(x=1)),
        (("dict", namespace, "z", _native.MISSING), lambda: namespace.update(z=1), lambda: namespace.pop("z")),
        (("cell", cell, 7), lambda: setattr(cell, "cell_contents", 0), lambda: setattr(cell, "cell_contents", 7)),
        (
            ("default", function, "__defaults__", function.__defaults__),
            lambda: setattr(function, "__defaults__", (3,)),
            None,
        ),
        (("code", function, function.__code__), lambda: setattr(function, "__code__", (lambda: 0).__code__), None),
    ]
    for guard, change, restore in cases:
        compiled.set_guards([guard, ("dict", namespace, "y", namespace["y"])])
        assert compiled(5) == 5
        namespace["unrelated"] = object()
        assert compiled(5) == 5
        change()
        assert compiled(5) == "stale"
        assert compiled(6) == "stale"
        assert handler.stales[-1] == (6,)
        if restore:
            restore()
            assert compiled(5) == 5


def test_wrong_descriptors_and_guards_are_refused() -> None:
    for descriptor in [("integer",), ("int", 1), ("np", "float16"), ("array", "int64", -1), "int", ("list", INT), ()]:
        with pytest.raises(ValueError):
            code(identity(1), [descriptor], NONE)  # type: ignore[list-item]
    for guard in [("dict", 1, "x", 1), ("global", {}, "x", 1), ("cell", {}, 1), ("code", len, None), 5]:
        with pytest.raises(ValueError, match="not a guard"):
            code(identity(1), [], NONE, guards=[guard])
    with pytest.raises(ValueError, match="lists"):
        code(identity(1), [], NONE, lists=[INT])
    with pytest.raises(ValueError, match="mode"):
        code(identity(1), [], NONE, exits=[(3, [], NONE)])
    with pytest.raises(ValueError, match="address"):
        code(0, [], NONE)


def test_arguments_are_counted() -> None:
    compiled = code(identity(1), [INT], INT)
    for call_it in (lambda: compiled(), lambda: compiled(1, 2), lambda: compiled(x=1)):
        with pytest.raises(TypeError):
            call_it()
    assert compiled(*[3]) == 3


def test_calls_leave_no_references() -> None:
    handler = Recorder(lambda state: state[0])
    row = [1.5]
    array = np.zeros(3)
    arguments: list[Any] = [[row, [2.5]], array, (row, 1)]
    descriptors = [list_of(list_of(FLOAT)), ("array", "float64", 1), ("tuple", [list_of(FLOAT), INT])]
    compiled = code(identity(1), descriptors, descriptors[0], handler=handler)
    objects = [*arguments, row, handler, compiled, arguments[0][1]]
    before = [sys.getrefcount(each) for each in objects]
    for _ in range(1000):
        compiled(*arguments)
        compiled(arguments[0], array, 0)
        handler.mismatches.clear()
    assert [sys.getrefcount(each) for each in objects] == before


def test_calls_keep_no_memory() -> None:
    compiled = store_first()
    values = [1.5] * 50
    compiled(values, 2.5)
    tracemalloc.start()
    for k in range(100_000):
        compiled(values, float(k))
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 10_000


def test_code_is_collected_with_its_handler() -> None:
    handler = Recorder()
    handler.code = code(identity(1), [INT], INT, handler=handler)  # type: ignore[attr-defined]
    gone = weakref.ref(handler)
    del handler
    gc.collect()
    assert gone() is None


RETURN_7 = bytes.fromhex("48c7020700000031c0c3")  # mov qword [rdx], 7; xor eax, eax; ret


def test_mapped_code_runs_and_is_not_writable() -> None:
    memory = _native.map_code(RETURN_7)
    assert _native.Code(memory.address, [], INT, [], None, [], "seven", memory)() == 7  # type: ignore[arg-type]
    with open("/proc/self/maps") as maps:
        [line] = [
            each
            for each in maps
            if int(each.split("-")[0], 16) <= memory.address < int(each.split("-")[1].split()[0], 16)
        ]
    assert line.split()[1].startswith("r-x")
    with pytest.raises(ValueError):
        _native.map_code(b"")


def test_sentinels_and_names() -> None:
    assert repr(_native.UNBOUND) == "UNBOUND"
    assert set(_native.runtime_addresses()) == set(_native.RUNTIME_NAMES)


def test_codes_that_follow_each_other_take_each_others_calls() -> None:
    first, second = (code(identity(1), [each], each) for each in (INT, FLOAT))
    first.set_next(second)
    assert (first(3), first(2.5)) == (3, 2.5)
    with pytest.raises(ValueError, match="ring"):
        second.set_next(first)
    with pytest.raises(TypeError, match="Code or None"):
        first.set_next(3)  # type: ignore[arg-type]


def test_lists_that_cost_more_than_the_work_are_reviewed() -> None:
    handler = Recorder()
    compiled = code(identity(1), [list_of(FLOAT)], NONE, handler=handler)
    numbers = [0.5] * 300_000
    for _ in range(40):
        compiled(numbers)
    # Asked at each doubling of the cost, so seldom.
    assert 1 <= handler.reviews < 12
