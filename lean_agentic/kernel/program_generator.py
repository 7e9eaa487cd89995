"""Random well-typed programs and boundary inputs, as a hypothesis strategy.

Every reader of the IR is tested on these against CPython. The programs end (loops are short), keep their integers
below a few hundred bits, and raise now and then: divisions by zero, indexes out of range, overflows, names unbound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

BOUNDARY_INTS = (
    0, 1, -1, 2, -2, 3, 7, -7, 10, 63, 64, 255, 2**31, -(2**31), 2**31 - 1, 2**53 + 1, 2**63 - 1, -(2**63), 2**63,
    2**64 - 1, 2**64, -(2**64), 2**1100,
)  # fmt: skip
BOUNDARY_FLOATS = (
    0.0, -0.0, 1.0, -1.0, 0.5, -1.5, 2.5, 1e-310, 5e-324, 1.7976931348623157e308, -1e300, 2.0**53, 2.0**63,
    float("inf"), float("-inf"), float("nan"), 0.1,
)  # fmt: skip
INT_DTYPES = ("int8", "int32", "int64", "uint8", "uint64")
FLOAT_DTYPES = ("float32", "float64")
MODULUS = 2**64 + 13
HELPERS = """\
import math
SCALE = 3

def helper(u, v=2):
    if u > v:
        return u - v
    return v * 0.5

def count_down(k):
    if k <= 0:
        return 0
    return 1 + count_down(k - 1)
"""
Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Program:
    """Source of `HELPERS` and a function `program`, and arguments for it (copy them: programs write into them)."""

    source: str
    arguments: tuple[Any, ...]


class _Writer:
    """Writes one program; `draw` is hypothesis's."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw
        self.lines: list[str] = []
        self.depth = 1
        self.loops = 0
        self.ints = ["i0", "i1"]
        self.numbers = ["f0", "b0"]
        self._fresh = 0

    def pick(self, *choices: Choice) -> Choice:
        """One of several things, hypothesis shrinking towards the first."""
        chosen: Choice = choices[self._draw(st.integers(0, len(choices) - 1))]
        return chosen

    def line(self, text: str) -> None:
        """Write a line at the present indentation."""
        self.lines.append("    " * self.depth + text)

    def name(self, prefix: str) -> str:
        """A loop variable that nothing else uses."""
        self._fresh += 1
        return f"{prefix}{self._fresh}"

    def int_literal(self) -> str:
        """A Python int."""
        return f"({self.pick(0, 1, -1, 2, 3, -7, 10, 2**31, 2**63 - 1, -(2**63), 2**64)})"

    def int_leaf(self) -> str:
        """An int without operators."""
        options: list[Callable[[], str]] = [
            lambda: self.pick(*self.ints), self.int_literal, lambda: "len(xs)", lambda: f"xs[{self.index()}]",
            lambda: "int(b0)", lambda: "g.shape[0]", lambda: "SCALE",
        ]  # fmt: skip
        return self.pick(*options)()

    def int_expression(self, depth: int) -> str:
        """An expression of type int, whatever the inputs."""
        if depth == 0:
            return self.int_leaf()
        left, right = self.int_expression(depth - 1), self.int_expression(depth - 1)
        modulus = self.pick(MODULUS, -MODULUS, 97)
        return self.pick(
            f"({left} + {right})", f"({left} - {right})", f"({left} * {right} % {modulus})", f"({left} // {right})",
            f"({left} % {right})", f"({left} & {right})", f"({left} | {right})", f"({left} ^ {right})", f"(-{left})",
            f"(~{left})", f"abs({left})", f"min({left}, {right})", f"max({left}, {right})",
            f"({left} if {self.condition(0)} else {right})", f"(({left} << {self.pick(0, 1, 7, 65)}) % {modulus})",
            f"({left} >> ({right} % 70))", f"({left} ** {self.pick(0, 1, 2, 3)} % {modulus})",
            f"divmod({left}, {right})[{self.pick(0, 1)}]", f"({left} >> {self.pick(-1, 1, 64)})",
            f"pow({left}, 3, {modulus})", "count_down(3)", f"({left}, {right})[{self.pick(0, -1)}]", f"round({left})",
        )  # fmt: skip

    def number_leaf(self) -> str:
        """A number of any type."""
        options: list[Callable[[], str]] = [
            lambda: self.pick(*self.numbers), lambda: repr(self.pick(0.0, -0.0, 0.5, 1.5, -2.5, 1e300, 5e-324)),
            lambda: f"ys[{self.index()}]", lambda: f"a[{self.index()}]", lambda: f"g[{self.index()}, {self.index()}]",
            lambda: f"g[{self.index()}][{self.index()}]", lambda: f"a[{self.pick('::-1', '1:', ':2')}][{self.index()}]",
            self.int_leaf,
        ]  # fmt: skip
        return self.pick(*options)()

    def number(self, depth: int) -> str:
        """An expression of any number type."""
        if depth == 0:
            return self.number_leaf()
        left, right = self.number(depth - 1), self.number(depth - 1)
        return self.pick(
            f"({left} + {right})", f"({left} - {right})", f"({left} * {self.pick(0.5, -2, 3, -1.0)})",
            f"({left} / {right})", f"({left} // {right})", f"({left} % {right})", f"(-{left})", f"abs({left})",
            f"min({left}, {right})", f"max({left}, {right})", f"float({left})", f"math.sqrt({left})",
            f"({left} if {self.condition(0)} else {right})", f"helper({left}, v={right})", f"helper({left})",
            f"math.floor({left})", f"round({left}, {self.pick(0, 1, 2)})", "sum(ys)", "sum(a)", "max(ys)", "min(xs)",
            f"({left} and {right})", f"({left} or {right})", f"math.exp({left})", f"divmod({left}, {right})[1]",
            self.int_expression(depth - 1), f"int({left})", f"round({left})",
        )  # fmt: skip

    def condition(self, depth: int) -> str:
        """An expression for a truth value."""
        left, right = self.number(min(depth, 1)), self.number(0)
        compare = self.pick("<", "<=", "==", "!=", ">", ">=")
        if depth == 0:
            return self.pick(f"{left} {compare} {right}", "b0", f"{left} < {right} <= {self.number(0)}")
        inner, other = self.condition(depth - 1), self.condition(depth - 1)
        return self.pick(
            f"{left} {compare} {right}", f"({inner} and {other})", f"({inner} or {other})", f"not ({inner})"
        )

    def index(self) -> str:
        """An index, mostly within small sequences."""
        within = self.pick("0", "-1", "1", "i0 % 2", *self.ints[2:])
        return self.pick(within, within, within, within, within, "-2", "2", "i1")

    def body(self, size: int) -> None:
        """Write an indented block."""
        self.depth += 1
        for _ in range(self.pick(1, 2, 3)):
            self.statement(size)
        self.depth -= 1

    def statement(self, size: int) -> None:
        """Write one statement; `size` bounds the nesting."""
        simple = [self._assign, self._assign, self._store, self._augment, self._swap, self._leave, self._refuse]
        nested = [self._if, self._for, self._for, self._while]
        self.pick(*(simple + nested if size and self.loops < 2 else simple))(size - 1)

    def _assign(self, size: int) -> None:
        if self.pick(True, False):
            self.line(f"{self.pick('i0', 'i1')} = {self.int_expression(2)}")
            return
        target = self.pick("f0", "x", "y")
        self.line(f"{target} = {self.number(2)}")
        if target not in self.numbers and self.pick(True, True, False):
            self.numbers.append(target)

    def _store(self, size: int) -> None:
        self.line(
            self.pick(
                f"xs[{self.index()}] = {self.int_expression(1)}",
                f"ys[{self.index()}] = float({self.number(1)})",
                f"a[{self.index()}] = {self.number(1)}",
                f"g[{self.index()}, {self.index()}] = {self.number(1)}",
                f"g[{self.index()}][{self.index()}] += {self.number(1)}",
            )
        )

    def _augment(self, size: int) -> None:
        self.line(
            self.pick(
                f"i0 {self.pick('+', '-', '//', '%', '^')}= {self.int_expression(1)}",
                f"f0 {self.pick('+', '-', '/', '%')}= {self.number(1)}",
                f"xs[{self.index()}] += {self.int_expression(1)}",
                f"a[{self.index()}] {self.pick('+', '-', '*')}= {self.number(1)}",
            )
        )

    def _swap(self, size: int) -> None:
        self.line(
            self.pick(
                f"i0, i1 = i1, {self.int_expression(1)}",
                f"xs[{self.index()}], xs[{self.index()}] = xs[{self.index()}], xs[{self.index()}]",
                f"xs = [{self.int_expression(1)} for q in {self.pick('xs', 'range(4)')} if q != i0]",
                f"ys = [{self.pick('0.5', 'f0 / 2.0')}] * {self.pick(0, 2, 3)}",
            )
        )

    def _leave(self, size: int) -> None:
        self.line(f"if {self.condition(1)}:")
        jump = self.pick("break", "continue") if self.loops else f"return {self.number(1)}"
        self.line("    " + self.pick(jump, jump, f"return ({self.int_expression(1)}, {self.number(1)})"))

    def _refuse(self, size: int) -> None:
        self.line(
            self.pick(f"assert {self.condition(1)}, 'refused'", f"if {self.condition(1)}: raise ValueError('bad')")
        )

    def _if(self, size: int) -> None:
        self.line(f"if {self.condition(1)}:")
        self.body(size)
        if self.pick(True, False):
            self.line("else:")
            self.body(size)

    def _for(self, size: int) -> None:
        i, n = self.name("k"), self.name("e")
        head = self.pick(
            f"{i} in range({self.pick('3', 'len(xs)', 'i0 % 4', '2, -2, -1', 'g.shape[0]')})", f"{i} in xs",
            f"{n} in ys", f"{n} in a", f"{i}, {n} in enumerate(a)", f"{i}, {n} in zip(xs, ys)",
            f"{i} in reversed(range(3))", f"{i}, ({i}b, {n}) in enumerate(zip(xs, a), {self.pick('1', 'i1')})",
        )  # fmt: skip
        self.line(f"for {head}:")
        ints, numbers = list(self.ints), list(self.numbers)
        self.ints += [i] if f"{i} " in head or f"{i}," in head else []
        self.numbers += [n] if f"{n} " in head or f"{n}," in head else []
        self._loop_body(size)
        # Kept sometimes: after a loop that ran no iteration they have no value.
        if not self.pick(False, False, False, True):
            self.ints, self.numbers = ints, numbers

    def _while(self, size: int) -> None:
        counter = self.name("w")
        self.line(f"{counter} = 0")
        self.line(
            f"while {counter} < 3 and {self.condition(0)}:" if self.pick(True, False) else f"while {counter} < 3:"
        )
        self.line(f"    {counter} += 1")
        self._loop_body(size)

    def _loop_body(self, size: int) -> None:
        self.loops += 1
        self.body(size)
        self.loops -= 1
        if self.pick(True, False, False):
            self.line("else:")
            self.body(0)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Programs over an int, floats, a bool, two lists and two arrays, with arguments at the boundaries."""
    writer = _Writer(draw)
    for _ in range(draw(st.integers(1, 4))):
        writer.statement(2)
    writer.line(f"return {writer.pick(writer.number(1), writer.int_expression(1), '(i0, f0, xs)', 'a')}")
    source = HELPERS + "\ndef program(i0, i1, f0, b0, xs, ys, a, g):\n" + "\n".join(writer.lines) + "\n"
    return Program(source, draw(arguments()))


@st.composite
def arguments(draw: st.DrawFn) -> tuple[Any, ...]:
    """Arguments for `program`: boundary numbers, short lists, arrays of any layout, sometimes the same list twice."""
    ints = st.one_of(st.sampled_from(BOUNDARY_INTS), st.integers(-10, 10))
    floats = st.one_of(st.sampled_from(BOUNDARY_FLOATS), st.floats(-100, 100, width=32))
    xs = draw(_lists(ints))
    ys = xs if draw(st.integers(0, 9)) == 9 and xs else draw(_lists(floats))
    # Half of the scalars are small, so that programs get past their first overflow.
    small = st.integers(-3, 5)
    i0, i1 = draw(st.one_of(small, ints)), draw(st.one_of(small, ints))
    return (i0, i1, draw(floats), draw(st.booleans()), xs, ys, draw(arrays(1)), draw(arrays(2)))


def _lists(elements: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.one_of(st.lists(elements, min_size=3, max_size=4), st.lists(elements, max_size=4))


@st.composite
def arrays(draw: st.DrawFn, rank: int) -> np.ndarray[Any, Any]:
    """Arrays of a rank: any dtype of the generator, boundary elements, contiguous, reversed or strided."""
    dtype = np.dtype(draw(st.sampled_from(FLOAT_DTYPES + INT_DTYPES)))
    shape = tuple(draw(st.sampled_from((3, 3, 3, 4, 2, 1, 0))) for _ in range(rank))
    if dtype.kind == "f":
        values = st.sampled_from([value for value in BOUNDARY_FLOATS if value != value or abs(value) != 1e300])
    else:
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        values = st.sampled_from([0, 1, 2, 3, 100, low, high])
    size = int(np.prod(shape))
    with np.errstate(all="ignore"):
        flat = np.array(draw(st.lists(values, min_size=size, max_size=size)), dtype=np.float64 if size == 0 else None)
        array = flat.astype(dtype).reshape(shape)
    layout = draw(st.sampled_from(["plain", "reversed", "strided", "transposed"]))
    if layout == "reversed":
        return array[::-1]
    if layout == "strided":
        return np.repeat(array, 2, axis=0)[::2]
    return array.T if layout == "transposed" else array
