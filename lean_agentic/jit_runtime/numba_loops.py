"""Kernels that Numba computes exactly as the kernel's semantics says, so that its code may compete with ours.

In: a kernel and the facts proved about it. Out: why Numba's version might differ; nothing when it cannot, and then
whether its error model has to be "numpy".

Nothing that can raise may be left: Numba's code has no line to raise at. So every int operation has to be proved exact,
every index within, and divisions are of floats: by constants other than 0, or by NumPy's rules (inf). Each local has
one type in Numba, so it has to have one here; float and np.float64 count as one, as they differ only in division and as
results.
"""

from __future__ import annotations

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
    walk,
)
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.types import BOOL, FLOAT, INT, NONE, ArrayType, NumpyScalar, TupleType, Type

FLOAT64, INT64, TRUTH = NumpyScalar("float64"), NumpyScalar("int64"), NumpyScalar("bool")
CLASSES: tuple[frozenset[Type], ...] = (
    frozenset({FLOAT, FLOAT64}), frozenset({INT}), frozenset({INT64}), frozenset({BOOL, TRUTH}), frozenset({NONE}),
)  # fmt: skip
"""Scalar types that are one type in Numba."""
FLOATS, INTS, INT64S, BOOLS, NONES = CLASSES
EXACT_IN_DOUBLE = 2**53


def reasons_against_kernel(kernel: Kernel, facts: Facts) -> tuple[list[str], str]:
    """Why Numba's version may differ, and the error model that it needs ("python" or "numpy")."""
    return _Check(kernel, facts).run()


class _Check:
    def __init__(self, kernel: Kernel, facts: Facts) -> None:
        self._kernel = kernel
        self._facts = facts
        self._reasons: list[str] = []
        self._classes: dict[str, frozenset[Type]] = {}
        self._numpy_divisions = False

    def run(self) -> tuple[list[str], str]:
        entry = self._kernel.entry
        if len(self._kernel.procedures) > 1 or self._kernel.resumes is not None:
            return ["it calls other functions, or is the rest of a call"], "python"
        for each in entry.parameters:
            self._has_class(None, each.name, each.type)
        for statement in walk(entry.body):
            self._statement(statement)
            constants = (each.value for each in atoms(statement) if isinstance(each, Constant))
            if any(type(each) is int and abs(each) >= 2**63 for each in constants):
                self._refuse(statement, "a constant beyond 64 bits")
        self._result(entry.result)
        return list(dict.fromkeys(self._reasons)), "numpy" if self._numpy_divisions else "python"

    def _refuse(self, statement: Statement | None, reason: str) -> None:
        self._reasons.append(reason if statement is None else f"line {statement.line}: {reason}")

    # Types

    def _has_class(self, statement: Statement | None, name: str, a_type: Type) -> None:
        found = class_of(a_type)
        if found is None:
            self._refuse(statement, f"{name} is {a_type}")
        elif self._classes.setdefault(name, found) != found:
            self._refuse(statement, f"{name} has several types, which Numba makes one")

    def _result(self, a_type: Type) -> None:
        parts = a_type.elements if isinstance(a_type, TupleType) else (a_type,)
        if not all(len(each.members) == 1 and class_of(each) for each in parts):
            self._refuse(None, f"the type of the result depends on the values: {a_type}")

    # Statements

    def _statement(self, statement: Statement) -> None:
        match statement:
            case Assign():
                if not isinstance(statement.type, TupleType):  # tuples are shapes, or what is returned
                    self._has_class(statement, statement.target, statement.type)
                if not self._is_same(statement, statement.operation):
                    what = getattr(statement.operation, "name", "") or getattr(statement.operation, "operator", "")
                    self._refuse(statement, f"{type(statement.operation).__name__} {what}".strip())
            case Store():
                self._store(statement)
            case ForRange() | While() | If():
                self._control(statement)
            case Break() | Continue() | Return():
                pass
            case _:
                self._refuse(statement, f"{type(statement).__name__} can raise")

    def _control(self, statement: ForRange | While | If) -> None:
        if isinstance(statement, ForRange):
            bounds = (statement.start, statement.stop, statement.step)
            if any(each.type != INT for each in bounds) or not isinstance(statement.step, Constant) or statement.orelse:
                self._refuse(statement, "a range of other things than ints, with a varying step or an `else`")
        elif class_of(statement.condition.type) not in (BOOLS, INTS):
            self._refuse(statement, f"the truth of {statement.condition.type}")

    def _store(self, statement: Store) -> None:
        container = statement.container.type
        if not isinstance(container, ArrayType) or class_of(container) is None:
            self._refuse(statement, f"a store into {container}")
            return
        taken = (INTS, INT64S, FLOATS) if container.dtype == "float64" else (INTS, INT64S)
        if class_of(statement.value.type) not in taken:
            self._refuse(statement, f"a store of {statement.value.type} into {container}")
        if len(statement.items) != container.rank or not self._within(statement, len(statement.items)):
            self._refuse(statement, "a store that is not proved to be within")

    def _within(self, statement: Statement, axes: int) -> bool:
        return all((statement.id, axis) in self._facts.within for axis in range(axes))

    # Operations

    def _is_same(self, statement: Assign, operation: Operation) -> bool:
        match operation:
            case Copy():
                return True
            case Unary(operator, operand):
                return self._unary(statement, operator, operand)
            case Binary():
                return self._binary(statement, operation)
            case Compare(operator, left, right):
                return operator not in ("is", "isnot") and self._comparable(left, right)
            case Index(container, items):
                return self._index(statement, container, items)
            case Attribute(_, name):
                return name in ("shape", "size", "ndim")
            case Unpack() | MakeTuple():
                return all(class_of(each.type) or _is_shape(each.type) for each in atoms(operation))
            case Intrinsic(name, arguments):
                return self._intrinsic(name, [class_of(each.type) for each in arguments])
        return False

    def _unary(self, statement: Assign, operator: str, operand: Atom) -> bool:
        kind = class_of(operand.type)
        if operator == "not":
            return kind == BOOLS
        if operator == "-" and kind == INTS:
            return statement.id in self._facts.exact
        return operator == "-" and kind == FLOATS

    def _binary(self, statement: Assign, operation: Binary) -> bool:
        left, right = class_of(operation.left.type), class_of(operation.right.type)
        operator = operation.operator
        if left == right == INTS:
            simple = operator in "+-*&|^" or (operator in ("//", "%") and _is_positive(operation.right))
            shift = operator in ("<<", ">>") and _is_positive(operation.right, 62)
            return (simple or shift) and statement.id in self._facts.exact
        if FLOATS in (left, right) and {left, right} <= {FLOATS, INTS}:
            return operator in "+-*" or (operator == "/" and self._division(operation))
        return INT64S in (left, right) and {left, right} <= {INT64S, INTS, FLOATS} and operator in "+-*"

    def _division(self, operation: Binary) -> bool:
        """By a constant, or by NumPy's rule: never an error."""
        if isinstance(operation.right, Constant) and operation.right.value:
            return True
        if FLOAT64 in (operation.left.type, operation.right.type):
            self._numpy_divisions = True
            return True
        return False

    def _comparable(self, left: Atom, right: Atom) -> bool:
        kinds = {class_of(left.type), class_of(right.type)}
        if kinds <= {INTS, INT64S} or kinds == {FLOATS} or kinds == {BOOLS}:
            return True
        # Python compares ints with floats exactly, Numba as doubles; beside a small constant it comes to the same.
        constants = [each.value for each in (left, right) if isinstance(each, Constant)]
        return kinds == {INTS, FLOATS} and any(abs(each) < EXACT_IN_DOUBLE for each in constants)

    def _index(self, statement: Assign, container: Atom, items: tuple[Atom | Slice, ...]) -> bool:
        if _is_shape(container.type):
            return isinstance(items[0], Constant)
        plain = not any(isinstance(each, Slice) for each in items)
        return isinstance(container.type, ArrayType) and plain and self._within(statement, len(items))

    def _intrinsic(self, name: str, kinds: list[frozenset[Type] | None]) -> bool:
        if name == "len":
            return True
        if name == "index":
            return kinds[0] in (INTS, INT64S)
        if name in ("min", "max"):
            return set(kinds) == {INTS} and len(kinds) == 2
        return name in ("abs", "np.abs", "np.sqrt", "float") and kinds == [FLOATS]


def class_of(a_type: Type) -> frozenset[Type] | None:
    """The types that Numba does not tell from this one; None: it may go wrong."""
    if isinstance(a_type, ArrayType):
        return frozenset({a_type}) if a_type.dtype in ("float64", "int64") else None
    members = set(a_type.members)
    return next((each for each in CLASSES if members and members <= each), None)


def _is_shape(a_type: Type) -> bool:
    return isinstance(a_type, TupleType) and all(each == INT for each in a_type.elements)


def _is_positive(atom: Atom, most: int = 2**62) -> bool:
    return isinstance(atom, Constant) and type(atom.value) is int and 0 < atom.value <= most
