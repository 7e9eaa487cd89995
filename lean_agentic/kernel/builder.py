"""State while one function is lowered: the block being filled, fresh names, and which locals surely have a value.

The rules for each kind of syntax live in `expressions`, `calls`, `sequences` and `statements`; they register here with
`@lowers(ast.BinOp)` and call each other through `Builder.value` and `Builder.statement`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any, TypeVar

from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.ir import Assign, Atom, CheckBound, Constant, Copy, If, Local, MakeTuple, Operation, Statement
from lean_agentic.kernel.loops import Loop
from lean_agentic.kernel.scope import Guard, Scope, Static
from lean_agentic.kernel.types import PYTHON_SCALARS

Value = Atom | Static
Rule = Callable[["Builder", Any], Any]
RULES: dict[type[ast.AST], Rule] = {}
SomeRule = TypeVar("SomeRule", bound=Rule)


def lowers(*kinds: type[ast.AST]) -> Callable[[SomeRule], SomeRule]:
    """Register a function as the rule for kinds of syntax."""

    def register(rule: SomeRule) -> SomeRule:
        RULES.update(dict.fromkeys(kinds, rule))
        return rule

    return register


def constant(value: Any, guard: Guard | None = None) -> Constant:
    """A number, None or text as an operand."""
    return Constant(value, PYTHON_SCALARS[type(value)], guard)


def is_constant(value: object) -> bool:
    """Whether a Python value can be written as an operand."""
    return type(value) in PYTHON_SCALARS


class Builder:
    """Lowers one function. `ids` numbers statements across the whole kernel."""

    def __init__(self, function: FunctionType, ids: Iterator[int]) -> None:
        self.scope = Scope(function)
        self.callees: dict[str, FunctionType] = {}
        self.line = function.__code__.co_firstlineno
        self.statements: list[Statement] = []
        self.loops: list[Loop] = []
        # None: this point cannot be reached. Then every name counts as bound.
        self.bound: frozenset[str] | None = frozenset()
        self.break_bounds: list[list[frozenset[str] | None]] = []
        self.renamed: dict[str, str] = {}
        # Inside a comprehension that is a scope of its own, where a name without a value is another error.
        self.enclosed = False
        # Lists that grow by `append`: assigned only where they are made.
        self.growing: frozenset[str] = frozenset()
        self._ids = ids
        self._temporaries = 0

    def unsupported(self, node: ast.AST, reason: str) -> UnsupportedError:
        """The error for a piece of syntax."""
        lines = ast.unparse(node).splitlines()
        return UnsupportedError(reason, getattr(node, "lineno", self.line), lines[0] if lines else "")

    def value(self, node: ast.expr) -> Value:
        """Emit the evaluation of an expression; its value as an operand, or as a thing known while lowering."""
        rule = RULES.get(type(node))
        if rule is None:
            raise self.unsupported(node, f"{type(node).__name__} expressions are outside the kernel language")
        outer, self.line = self.line, node.lineno
        result: Value = rule(self, node)
        self.line = outer
        return result

    def atom(self, node: ast.expr) -> Atom:
        """Emit the evaluation of an expression that must give a run-time value."""
        value = self.value(node)
        if isinstance(value, Static) and type(value.value) is tuple:
            return self._outside_tuple(node, value.value)
        if isinstance(value, Static):
            kind = type(value.value).__name__
            raise self.unsupported(node, f"a value of type {kind} from outside the arguments is not taken, numbers are")
        return value

    def _outside_tuple(self, node: ast.expr, value: tuple[Any, ...]) -> Atom:
        """A tuple of numbers, and of such tuples, made anew where it is read."""
        items: list[Atom] = []
        for item in value:
            if type(item) is not tuple and not is_constant(item):
                raise self.unsupported(node, "only numbers and tuples of them are taken from outside the arguments")
            items.append(self._outside_tuple(node, item) if type(item) is tuple else constant(item))
        return self.assign(MakeTuple(tuple(items)))

    def statement(self, node: ast.stmt) -> None:
        """Emit one statement of the user's."""
        rule = RULES.get(type(node))
        if rule is None:
            raise self.unsupported(node, f"{type(node).__name__} statements are outside the kernel language")
        self.line = node.lineno
        rule(self, node)

    def body(self, nodes: Sequence[ast.stmt]) -> None:
        """Emit statements until one that control does not pass."""
        for node in nodes:
            if self.bound is None:
                break
            self.statement(node)

    def fresh(self, hint: str = "") -> str:
        """A hidden local's name."""
        self._temporaries += 1
        return f"%{hint}{self._temporaries}"

    def next_id(self) -> int:
        """A statement number."""
        return next(self._ids)

    def emit(self, kind: type[Statement], **parts: Any) -> None:
        """Append a statement that was numbered now; one with blocks should take its number before filling them."""
        place = {} if "id" in parts else {"id": self.next_id(), "line": self.line}
        self.statements.append(kind(**place, **parts))

    def assign(self, operation: Operation, target: str | None = None) -> Local:
        """Emit `target = operation`; a fresh target by default."""
        name = target or self.fresh()
        self.emit(Assign, target=name, operation=operation)
        return Local(name)

    def bind(self, name: str, value: Atom) -> None:
        """Emit the assignment of a value to one of the user's variables."""
        if name in self.growing and name not in self.renamed:
            raise UnsupportedError(
                f"`{name}` grows by append, so it can only be assigned a list like [] or [a, b]", self.line
            )
        self.assign(Copy(value), self.renamed.get(name, name))
        self.bound_now(name)

    def bound_now(self, name: str) -> None:
        """Note that a variable has a value from here on."""
        if self.bound is not None:
            self.bound |= {name}

    def read(self, name: str) -> Local:
        """A user's variable as an operand, checked where a path may have left it without a value."""
        if name in self.renamed:
            return Local(self.renamed[name])
        if self.bound is not None and name not in self.bound:
            if self.enclosed:
                raise UnsupportedError(f"`{name}` may have no value here; assign it before", self.line)
            self.emit(CheckBound, name=name)
        return Local(name)

    def freeze(self, value: Atom) -> Atom:
        """The value as it is now, whatever is assigned later."""
        if isinstance(value, Constant) or value.name.startswith("%"):
            return value
        return self.assign(Copy(value))

    @contextmanager
    def block(self) -> Iterator[list[Statement]]:
        """Collect what is emitted inside into a list of its own."""
        outer, self.statements = self.statements, []
        try:
            yield self.statements
        finally:
            self.statements = outer

    def choose(self, condition: Atom, then: Callable[[], None], orelse: Callable[[], None]) -> None:
        """Emit an `if`; each callable fills one branch."""
        number, line, before = self.next_id(), self.line, self.bound
        with self.block() as taken:
            then()
        after_taken, self.bound = self.bound, before
        with self.block() as other:
            orelse()
        self.bound = reached_by_all(after_taken, self.bound)
        self.emit(If, id=number, line=line, condition=condition, body=tuple(taken), orelse=tuple(other))


def reached_by_all(*paths: frozenset[str] | None) -> frozenset[str] | None:
    """Names bound on every one of several paths; a path that is never taken (None) says nothing."""
    reached = [names for names in paths if names is not None]
    return frozenset.intersection(*reached) if reached else None
