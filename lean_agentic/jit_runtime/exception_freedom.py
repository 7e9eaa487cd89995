"""Whether a kernel can raise for given arguments, decided in some microseconds at each call.

In: a kernel, what is proved about it, and later the values of its parameters. Out: true only if no operation can raise,
whatever the arrays hold. Most operations never raise for their types. For the rest the indexes count: their intervals
are computed from the actual lengths and numbers, once for the whole kernel, and have to lie within the arrays.

An int that grows beyond 64 bits is no exception in Python; it only may not meet a float or an array afterwards.
Memory that runs out, and exceptions that signals bring, are left aside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lean_agentic.jit_runtime.facts import Facts
from lean_agentic.kernel.ir import (
    Assign,
    Atom,
    Attribute,
    Binary,
    Break,
    Compare,
    Constant,
    Continue,
    Copy,
    ForRange,
    If,
    Index,
    Intrinsic,
    Local,
    MakeTuple,
    Operation,
    Return,
    Slice,
    Statement,
    Store,
    Unary,
    Unpack,
    While,
    atoms,
    definitions,
    walk,
)
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.types import BOOL, COMPLEX, FLOAT, INT, NONE, ArrayType, NumpyScalar, TupleType, Type

Interval = tuple[int, int]
Values = dict[str, Any]
"""By local: the interval of an int, or the lengths of an array or those in a shape."""
Step = Callable[[Values], bool]
"""Computes the value of a local, or tests an index; False when an index may be outside."""
_INT64 = (-(2**63), 2**63 - 1)
_PYTHON = frozenset({INT, BOOL, FLOAT})
_NUMPY = frozenset(NumpyScalar(name) for name in ("float64", "float32", "int64", "bool"))
_QUIET = frozenset({"len", "index", "min", "max", "abs", "float", "bool", "math.fabs", "math.copysign", "math.isnan",
                    "math.isinf", "math.isfinite", "np.abs", "np.sqrt", "np.exp", "np.log", "np.sin", "np.cos",
                    "np.floor", "np.ceil", "np.isnan", "np.isinf", "np.isfinite", "np.square"})  # fmt: skip
"""Functions that raise for no int, float or float64."""


@dataclass(frozen=True)
class ExceptionFreedom:
    """The test for one kernel."""

    parameters: tuple[str, ...]
    bounds: Mapping[str, Interval]
    """Of int parameters."""
    steps: tuple[Step, ...]
    reasons: tuple[str, ...] = ()
    """What may raise whatever the arguments; empty: it depends on them."""

    def holds(self, arguments: Sequence[Any]) -> bool:
        """Whether a call with these arguments raises nothing."""
        if self.reasons:
            return False
        values: Values = {}
        for name, value in zip(self.parameters, arguments, strict=True):
            if type(value) is int:
                low, high = self.bounds[name]
                if not low <= value <= high:
                    return False
                values[name] = (value, value)
            elif hasattr(value, "shape"):
                values[name] = value.shape
        return all(step(values) for step in self.steps)


def exception_freedom(kernel: Kernel, facts: Facts) -> ExceptionFreedom:
    """What has to hold for a kernel to raise nothing. `facts` are those it is compiled with."""
    return _Plan(kernel, facts).made()


@dataclass
class _Plan:
    kernel: Kernel
    facts: Facts
    steps: list[Step] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    sized: set[str] = field(default_factory=set)
    """Arrays and shapes whose lengths are known."""
    known: set[str] = field(default_factory=set)
    """Ints whose interval is known."""

    def made(self) -> ExceptionFreedom:
        entry = self.kernel.entry
        statements = list(walk(entry.body))
        self._times = Counter(name for each in statements for name in definitions(each))
        self._times.update(each.name for each in entry.parameters if each.name in self._times)
        self._small = self._small_names(statements)
        for parameter in entry.parameters:
            if parameter.name not in self._times:
                self.sized |= {parameter.name} if isinstance(parameter.type, ArrayType) else set()
                self.known |= {parameter.name} if parameter.type == INT else set()
        for statement in statements:
            if not self._quiet(statement):
                self.reasons.append(f"line {statement.line}: {type(statement).__name__}")
        bounds = {each.name: self.facts.assumed.get(each.name, _INT64) for each in entry.parameters}
        names = tuple(each.name for each in entry.parameters)
        return ExceptionFreedom(names, bounds, tuple(self.steps), tuple(self.reasons))

    # Ints that stay within 64 bits

    def _small_names(self, statements: Sequence[Statement]) -> set[str]:
        # Only the size of an int parameter is tested.
        found = {each.name for each in self.kernel.entry.parameters if each.type == INT} | set(self._times)
        while True:
            grown = {
                each.target
                for each in statements
                if isinstance(each, Assign) and _holds_int(each.type) and not self._stays_small(each, found)
            }
            if not grown & found:
                return found
            found -= grown

    def _stays_small(self, statement: Assign, small: set[str]) -> bool:
        operation = statement.operation
        if isinstance(operation, Binary | Unary):
            return statement.id in self.facts.exact
        passes_on = isinstance(operation, Copy | Unpack | Index | MakeTuple | Attribute)
        chooses = isinstance(operation, Intrinsic) and operation.name in ("len", "index", "min", "max")
        return (passes_on or chooses) and all(_is_small(each, small) for each in atoms(operation))

    # Statements

    def _quiet(self, statement: Statement) -> bool:
        match statement:
            case Assign():
                return self._quiet_operation(statement, statement.operation)
            case Store():
                return self._quiet_store(statement)
            case ForRange():
                if not (isinstance(statement.step, Constant) and statement.step.value):
                    return False
                self._counter(statement)
                return True
        return isinstance(statement, While | If | Break | Continue | Return)

    def _counter(self, loop: ForRange) -> None:
        bounds = self._interval(loop.start), self._interval(loop.stop)
        if loop.step.value == 1 and self._times[loop.counter] == 1 and None not in bounds:  # type: ignore[union-attr]
            start, stop = bounds
            self._compute(loop.counter, lambda values: (start(values)[0], stop(values)[1] - 1))  # type: ignore[misc]

    def _quiet_store(self, statement: Store) -> bool:
        container, value = statement.container.type, statement.value
        if not isinstance(container, ArrayType) or len(statement.items) != container.rank:
            return False
        if container.dtype in ("float64", "float32"):
            fits = all(_is_number(each) for each in value.type.members)
        else:
            fits = container.dtype == "int64" and set(value.type.members) <= {INT, BOOL, NumpyScalar("int64")}
        return fits and self._smalls(value) and self._within(statement, statement.container, statement.items)

    def _smalls(self, *operands: Atom) -> bool:
        return all(_is_small(each, self._small) for each in operands)

    # Operations

    def _quiet_operation(self, statement: Assign, operation: Operation) -> bool:
        self._follow(statement, operation)
        match operation:
            case Copy() | MakeTuple() | Unpack():
                return True
            case Attribute(_, name):
                return name in ("shape", "size", "ndim", "real", "imag", "T")
            case Unary(operator, operand):
                return operator == "not" or all(each == COMPLEX or _is_number(each) for each in operand.type.members)
            case Binary():
                return self._quiet_binary(operation)
            case Compare(operator, left, right):
                return operator in ("is", "isnot") or (_all_numbers(left, right) and self._smalls(left, right))
            case Index(container, items):
                if isinstance(container.type, TupleType):
                    return _place(container.type, items[0]) is not None
                return self._within(statement, container, items)
            case Intrinsic(name, arguments):
                arrays = [each for each in arguments if isinstance(each.type, ArrayType)]
                numbers = _all_numbers(*arguments) and self._smalls(*arguments)
                return name in _QUIET and (name == "len" if arrays else numbers)
        return False

    def _quiet_binary(self, operation: Binary) -> bool:
        left, right, operator = operation.left, operation.right, operation.operator
        members = {*left.type.members, *right.type.members}
        if members <= {INT, BOOL}:
            harmless = isinstance(right, Constant) and type(right.value) is int and right.value > 0
            return operator in "+-*&|^" or (operator in ("//", "%") and harmless) or (operator == ">>" and harmless)
        if members <= {COMPLEX, FLOAT, INT, BOOL}:
            divides = operator == "/" and COMPLEX not in members and isinstance(right, Constant) and right.value != 0
            return self._smalls(left, right) and (operator in "+-*" or divides)
        if not _all_numbers(left, right) or not self._smalls(left, right):
            return False
        # With a float64 or float32 on one side at least, NumPy divides.
        numpy = any(set(each.type.members) <= _NUMPY for each in (left, right))
        return operator in "+-*" or (operator == "/" and numpy)

    # Indexes

    def _within(self, statement: Statement, container: Atom, items: Sequence[Atom | Slice]) -> bool:
        """Plan the tests of an index; False if there is nothing to go by."""
        if not isinstance(container, Local) or any(isinstance(each, Slice) for each in items):
            return False
        for axis, item in enumerate(items):
            if (statement.id, axis) in self.facts.within:
                continue
            interval = self._interval(item)  # type: ignore[arg-type]
            if interval is None or container.name not in self.sized:
                return False
            self._test(container.name, axis, interval)
        return True

    def _test(self, name: str, axis: int, interval: Callable[[Values], Interval]) -> None:
        def step(values: Values) -> bool:
            low, high = interval(values)
            length = values[name][axis]
            return low > high or bool(-length <= low and high < length)

        self.steps.append(step)

    def _compute(self, name: str, value: Callable[[Values], Any], sized: bool = False) -> None:
        (self.sized if sized else self.known).add(name)

        def step(values: Values) -> bool:
            values[name] = value(values)
            return True

        self.steps.append(step)

    def _interval(self, atom: Atom) -> Callable[[Values], Interval] | None:
        if isinstance(atom, Constant):
            fixed = (atom.value, atom.value)
            return (lambda values: fixed) if type(atom.value) is int else None
        name = atom.name
        return (lambda values: values[name]) if name in self.known else None

    def _follow(self, statement: Assign, operation: Operation) -> None:
        """Know the lengths or the interval of what is assigned in one place."""
        target = statement.target
        if self._times[target] > 1:
            return
        match operation:
            case Copy(Local(source)) | Attribute(Local(source), "shape") if source in self.sized:
                self._compute(target, lambda values: values[source], sized=True)
            case Copy(same) | Intrinsic("index", (same,)) if statement.type == INT:
                interval = self._interval(same)
                if interval is not None:
                    self._compute(target, interval)
            case Intrinsic("len", (Local(source),)) if source in self.sized:
                self._compute(target, lambda values: (values[source][0],) * 2)
            case Unary("-", operand) if statement.type == INT:
                negated = self._interval(operand)
                if negated is not None:
                    self._compute(target, lambda values: (-negated(values)[1], -negated(values)[0]))
            case Index(Local(source), items) if source in self.sized:
                self._index(statement, source, items)
            case Unpack(Local(source), _, position) if source in self.sized:
                self._compute(target, lambda values: (values[source][position],) * 2)
            case Binary("+" | "-" as operator, left, right) if statement.type == INT:
                self._sum(target, operator, self._interval(left), self._interval(right))
            case Intrinsic("min" | "max" as name, (left, right)) if statement.type == INT:
                self._extreme(target, min if name == "min" else max, self._interval(left), self._interval(right))

    def _index(self, statement: Assign, source: str, items: Sequence[Atom | Slice]) -> None:
        if isinstance(statement.type, ArrayType) and not any(isinstance(each, Slice) for each in items):
            count = len(items)
            self._compute(statement.target, lambda values: values[source][count:], sized=True)
            return
        place = _place(atoms(statement)[0].type, items[0])
        if place is not None:
            self._compute(statement.target, lambda values: (values[source][place],) * 2)

    def _sum(self, target: str, operator: str, left: Any, right: Any) -> None:
        if left and right and operator == "+":
            self._compute(target, lambda v: (left(v)[0] + right(v)[0], left(v)[1] + right(v)[1]))
        elif left and right:
            self._compute(target, lambda v: (left(v)[0] - right(v)[1], left(v)[1] - right(v)[0]))

    def _extreme(self, target: str, which: Any, left: Any, right: Any) -> None:
        if left and right:
            self._compute(target, lambda v: (which(left(v)[0], right(v)[0]), which(left(v)[1], right(v)[1])))


def _holds_int(a_type: Type) -> bool:
    inner = a_type.elements if isinstance(a_type, TupleType) else a_type.members
    return INT in inner or any(isinstance(each, TupleType) and _holds_int(each) for each in inner)


def _is_small(atom: Atom, small: set[str]) -> bool:
    if not _holds_int(atom.type):
        return True
    return abs(atom.value) < 2**63 if isinstance(atom, Constant) else atom.name in small


def _place(container: Type, item: Atom | Slice) -> int | None:
    """The place in a tuple that an index surely means."""
    if not isinstance(container, TupleType) or not isinstance(item, Constant) or type(item.value) is not int:
        return None
    return item.value if -len(container.elements) <= item.value < len(container.elements) else None


def _is_number(a_type: Type) -> bool:
    return a_type in _PYTHON or a_type in _NUMPY


def _all_numbers(*operands: Atom) -> bool:
    return all(_is_number(each) or each == NONE for atom in operands for each in atom.type.members)
