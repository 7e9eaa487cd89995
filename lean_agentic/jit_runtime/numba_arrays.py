"""Functions of whole arrays that Numba computes exactly as NumPy does.

In: a function's syntax tree and its argument types. Out: why Numba's version might differ; nothing when it cannot. This
is a list of what is known to be the same, by tests against NumPy; all else is refused, above all:

- arithmetic of Python ints (Numba's wrap), but for indexes a constant away from a loop's counter or a length;
- whatever rounds otherwise: `**`, sums, `@`, transcendental functions, float32 with Python's numbers (Numba goes to
  float64);
- variables of several types, or perhaps without a value (Numba merges the types, and reads what is there);
- arrays with two names, and stores of arrays that may overlap with where they go;
- scalars read from arrays as results (Numba gives a Python float).

Division of Python floats is Python's (ZeroDivisionError, by Numba's error model "python"), that of arrays NumPy's in
both.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from types import FunctionType
from typing import Any

from lean_agentic.jit_runtime.numba_array_kinds import (
    ARITHMETIC,
    COUNT,
    ELEMENT,
    INDEX,
    NUMBER,
    TRUTH,
    Array,
    Expressions,
    Kind,
    RefusedError,
    Rule,
    kind_of,
    new,
)
from lean_agentic.kernel.types import Type


def reasons_against_arrays(
    function: FunctionType, tree: ast.FunctionDef, types: Sequence[Type]
) -> tuple[list[str], list[tuple[str, Any]]]:
    """Why Numba's version may differ, and the outside names that the answer depends on, with their values."""
    return _Check(function, types).run(tree)


class _Check(Expressions):
    """One function. Kinds of variables do not change, so there is one pass."""

    def __init__(self, function: FunctionType, types: Sequence[Type]) -> None:
        super().__init__(function)
        self._types = types
        self._reasons: list[str] = []
        self._results: set[str] = set()

    def run(self, tree: ast.FunctionDef) -> tuple[list[str], list[tuple[str, Any]]]:
        names = [each.arg for each in tree.args.args]
        if tree.args.posonlyargs or tree.args.kwonlyargs or tree.args.vararg or tree.args.kwarg:
            self._reasons.append(f"line {tree.lineno}: only plain parameters are taken")
        known: dict[str, Kind] = {}
        for name, a_type in zip(names, self._types, strict=False):
            kind = kind_of(a_type)
            if kind is None:
                self._reasons.append(f"line {tree.lineno}: {name} is {a_type}")
            else:
                known[name] = self.kinds[name] = kind
        if not self._reasons:
            self._block(tree.body, known)
        if len(self._results) > 1 or ("value" in self._results and not _returns(tree.body)):
            self._reasons.append(f"line {tree.lineno}: it returns now None, now an array")
        return self._reasons, list(self.outside.items())

    # Statements

    def _block(self, block: Sequence[ast.stmt], known: dict[str, Kind]) -> None:
        for statement in block:
            rule = STATEMENTS.get(type(statement))
            try:
                if rule is None:
                    raise RefusedError(statement, f"{type(statement).__name__} is not known to be the same")
                rule(self, statement, known)
            except RefusedError as refused:
                self._reasons.append(refused.reason)

    def expression(self, statement: ast.Expr, known: dict[str, Kind]) -> None:
        """A docstring."""
        if not isinstance(statement.value, ast.Constant):
            self.refuse(statement, "an expression as a statement")

    def assign(self, statement: ast.Assign | ast.AnnAssign, known: dict[str, Kind]) -> None:
        """`name = value`, `array[...] = value`."""
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        if statement.value is None or (isinstance(statement, ast.Assign) and len(statement.targets) > 1):
            self.refuse(statement, "only assignments of one value to one target are known to be the same")
        value = self.kind(statement.value, known)
        if isinstance(value, Array) and isinstance(statement.value, ast.Name) and isinstance(target, ast.Name):
            self.refuse(statement, "a second name for an array")
        if isinstance(target, ast.Name):
            self._bind(statement, target.id, value, known)
        elif isinstance(target, ast.Subscript):
            self._stores(statement, self.kind(target, known), value)
        else:
            self.refuse(statement, "only assignments of one value to one target are known to be the same")

    def augmented(self, statement: ast.AugAssign, known: dict[str, Kind]) -> None:
        """`target += value` and the like, in place for arrays."""
        if not isinstance(statement.op, ARITHMETIC):
            self.refuse(statement, f"{type(statement.op).__name__} in place")
        target = self.kind(statement.target, known)
        value = self.kind(statement.value, known)
        combined = self.arithmetic(statement, statement.op, (target, statement.target), (value, statement.value))
        if isinstance(target, Array):
            if isinstance(value, Array):
                if ast.unparse(statement.target) != ast.unparse(statement.value):
                    # Numba does not notice that the value has more elements than the target.
                    self.refuse(statement, "an array in place; write `a[:] = a + ...`")
                value = new(value)
            self._stores(statement, target, value)
        elif combined != target:
            self.refuse(statement, f"a {target} becomes a {combined}")

    def _stores(self, statement: ast.stmt, target: Kind, value: Kind) -> None:
        if target == ELEMENT and value in (NUMBER, ELEMENT):
            return
        if not isinstance(target, Array) or target.dtype == "b1":
            self.refuse(statement, "a store into something else than an array of floats")
        if isinstance(value, Array):
            if value.dtype != target.dtype or value.rank > target.rank:
                self.refuse(statement, "a store of an array of another dtype or more axes")
            if not value.fresh:
                self.refuse(statement, "a store of an array that may overlap; write `+ 0.0` behind it")
        elif value not in (NUMBER, ELEMENT, INDEX) or target.dtype != "f8":
            self.refuse(statement, f"a store of a {value} into an array of {target.dtype}")

    def loop(self, statement: ast.For, known: dict[str, Kind]) -> None:
        """`for name in range(...)`."""
        over = statement.iter
        if not isinstance(statement.target, ast.Name) or statement.orelse:
            self.refuse(statement, "only `for name in range(...)` without `else`")
        if not isinstance(over, ast.Call) or not self.is_builtin(over.func, "range") or not 1 <= len(over.args) <= 2:
            self.refuse(statement, "only loops over range(stop) and range(start, stop)")
        *start, stop = [self.kind(each, known) for each in over.args]
        if stop not in (INDEX, COUNT) or start not in ([], [INDEX]) or over.keywords:
            self.refuse(statement, "a range whose bounds are not known to be small enough")
        inside = dict(known)
        self._bind(statement, statement.target.id, INDEX, inside)
        self._block(statement.body, inside)

    def choice(self, statement: ast.If, known: dict[str, Kind]) -> None:
        """`if`; afterwards only what both branches, or neither, assign has a value."""
        if self.kind(statement.test, known) != TRUTH:
            self.refuse(statement, "only comparisons of numbers as conditions")
        yes, no = dict(known), dict(known)
        self._block(statement.body, yes)
        self._block(statement.orelse, no)
        known.update({name: yes[name] for name in yes if name in no})

    def give(self, statement: ast.Return, known: dict[str, Kind]) -> None:
        """`return`, of arrays or nothing."""
        value = statement.value
        if value is None or (isinstance(value, ast.Constant) and value.value is None):
            self._results.add("nothing")
            return
        self._results.add("value")
        for each in value.elts if isinstance(value, ast.Tuple) else [value]:
            kind = self.kind(each, known)
            if not isinstance(kind, Array):
                self.refuse(statement, f"a {kind} as result, where Numba gives a Python number")
            if kind.view:
                self.refuse(statement, "a view as result: Numba's has another base")
        if isinstance(value, ast.Tuple) and len({ast.dump(each) for each in value.elts}) < len(value.elts):
            self.refuse(statement, "the same array twice in a result")

    def nothing(self, statement: ast.stmt, known: dict[str, Kind]) -> None:
        """`pass`, `break`, `continue`."""

    def _bind(self, node: ast.AST, name: str, kind: Kind, known: dict[str, Kind]) -> None:
        before = self.kinds.setdefault(name, kind)
        if before != kind:
            self.refuse(node, f"{name} is now {before}, now {kind}")
        known[name] = kind


def _returns(block: Sequence[ast.stmt]) -> bool:
    """Whether a block surely returns."""
    last = block[-1] if block else None
    return isinstance(last, ast.Return) or (isinstance(last, ast.If) and _returns(last.body) and _returns(last.orelse))


STATEMENTS: dict[type[ast.stmt], Rule] = {
    ast.Expr: _Check.expression, ast.Assign: _Check.assign, ast.AnnAssign: _Check.assign,
    ast.AugAssign: _Check.augmented, ast.For: _Check.loop, ast.If: _Check.choice, ast.Return: _Check.give,
    ast.Pass: _Check.nothing, ast.Break: _Check.nothing, ast.Continue: _Check.nothing,
}  # fmt: skip
