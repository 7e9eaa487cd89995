"""Python statements for a block of the IR.

Values that the front end named and that are used once go back into the expression they came from, as far as the order
of evaluation stays exactly what it was: `pending` has such values in the order of their evaluation, and a statement may
take them from its end only, in the order in which Python evaluates the statement's operands.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

from lean_agentic.kernel.ir import (
    Append,
    Assign,
    Atom,
    Block,
    Break,
    CheckBound,
    Constant,
    Continue,
    Copy,
    ForRange,
    If,
    Local,
    Pop,
    Raise,
    Return,
    Slice,
    Statement,
    Store,
    StoreSlice,
    While,
    atoms,
    definitions,
    walk,
)
from lean_agentic.kernel.python_expressions import LOAD, STORE, Expressions, InPlace, Outside, Read, call, key, subject
from lean_agentic.kernel.resume import ways

Lines = list[ast.stmt]


def python_statements(body: Block, outside: Outside, callees: Mapping[str, FunctionType]) -> Lines:
    """The statements of a body; `outside` gets the values of the outside names they read."""
    return _Block(_Counts(body), Expressions(outside, callees), []).run(body)


def is_hidden(name: str) -> bool:
    """Whether the front end made the name up."""
    return name.startswith("%")


class _Counts:
    """How often each local is read and assigned in a body."""

    def __init__(self, block: Block) -> None:
        self.reads: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()
        for statement in walk(block):
            self.reads.update(atom.name for atom in atoms(statement) if isinstance(atom, Local))
            self.reads.update([statement.name] if isinstance(statement, CheckBound) else [])
            self.writes.update(definitions(statement).keys())


class _Block:
    """Translates one block. `repeat`: what a `continue` of the innermost loop has to do first."""

    def __init__(self, counts: _Counts, expressions: Expressions, repeat: Lines, wanted: str = "") -> None:
        self.lines: Lines = []
        self.pending: list[tuple[str, ast.expr]] = []
        self._counts = counts
        self._expressions = expressions
        self._repeat = repeat
        self._wanted = wanted
        self._line = 0

    def run(self, block: Block) -> Lines:
        """All lines of the block."""
        self.fill(block)
        self._flush()
        return self.lines

    def fill(self, block: Block) -> None:
        """Translate the block, leaving values that the next operation may take pending."""
        position = 0
        while position < len(block):
            self._line = block[position].line
            position += self._copies(block, position) or self._choice(block, position) or self._one(block, position)

    def _one(self, block: Block, position: int) -> int:
        statement = block[position]
        if isinstance(statement, Assign) and isinstance(statement.operation, StoreSlice):
            self.store(statement.operation)
        elif isinstance(statement, Assign):
            self._define(statement.target, self._computed(statement), 1, 0, position + 1 == len(block))
        else:
            STATEMENTS[type(statement)](self, statement)
        return 1

    def _computed(self, statement: Assign) -> ast.expr:
        return self._expressions.expression(statement.operation, self._operands(list(atoms(statement.operation))))

    # Operands

    def _operands(self, operands: Sequence[Atom]) -> Read:
        """Readers for operands given in Python's order of evaluation; pending ones are used up, or written out."""
        names = [each.name for each in operands if isinstance(each, Local) and self._is_pending(each.name)]
        start = len(self.pending) - len(names)
        taken = dict(self.pending[start:])
        if [name for name, _ in self.pending[start:]] == names:
            del self.pending[start:]
        else:
            self._flush()
            taken = {}
        return lambda atom: self._read(atom, taken)

    def _is_pending(self, name: str) -> bool:
        return any(name == each for each, _ in self.pending)

    def _read(self, atom: Atom, taken: dict[str, ast.expr]) -> ast.expr:
        if isinstance(atom, Constant):
            found = ast.Constant(atom.value) if atom.guard is None else self._expressions.outside.present(atom.guard)
            return self._at(found)
        return taken.pop(atom.name, None) or self._at(ast.Name(atom.name, LOAD))

    def _at(self, node: ast.expr) -> ast.expr:
        node.lineno = self._line
        return node

    def _emit(self, *lines: ast.stmt) -> None:
        for line in lines:
            line.lineno = getattr(line, "lineno", self._line)
        self._flush()
        self.lines += lines

    def _flush(self) -> None:
        """Write pending values out, each into its name."""
        for name, value in self.pending:
            self.lines.append(ast.Assign([ast.Name(name, STORE)], value, lineno=value.lineno))
        self.pending = []

    def _define(self, name: str, value: ast.expr, writes: int, inner_reads: int, last: bool) -> None:
        """Make a value pending if its name is read once, otherwise assign it."""
        self._at(value)
        once = self._counts.writes[name] == writes and self._counts.reads[name] - inner_reads == 1
        if is_hidden(name) and (once or (last and name == self._wanted)):
            self.pending.append((name, value))
        elif is_hidden(name) and self._counts.reads[name] == 0:
            self._emit(ast.Expr(value))
        else:
            self._emit(_assignment(ast.Name(name, LOAD), value))

    # Several statements that are one in Python

    def _copies(self, block: Block, position: int) -> int:
        """`a, b = x, y`: the pending values from some one on, copied in order; how many."""
        names = [name for name, _ in self.pending]
        source = _copied(block[position])
        if source not in names[:-1]:
            return 0
        start = names.index(source)
        copies = [each for each in block[position : position + len(names) - start] if isinstance(each, Assign)]
        targets = {each.target for each in copies}
        if (
            [_copied(each) for each in copies] != names[start:]
            or len(targets) < len(copies)
            or any(map(is_hidden, targets))
        ):
            return 0
        values = [value for _, value in self.pending[start:]]
        del self.pending[start:]
        left = ast.Tuple([ast.Name(each.target, STORE) for each in copies], STORE)
        self._emit(ast.Assign([left], self._at(ast.Tuple(values, LOAD))))
        return len(copies)

    def _choice(self, block: Block, position: int) -> int:
        """`a and b`, `a or b`, `a if c else b`: a hidden name assigned on all ways; how many statements."""
        statement = block[position]
        if isinstance(statement, If):
            return self._conditional(block, position, statement)
        following = block[position + 1] if position + 1 < len(block) else None
        if not (isinstance(statement, Assign) and isinstance(following, If) and is_hidden(statement.target)):
            return 0
        name, empty = statement.target, not following.orelse
        if not _is_local(following.condition, name) or bool(following.body) == bool(following.orelse):
            return 0
        other = self._value(following.body or following.orelse, name)
        if other is None:
            return 0
        joined = ast.BoolOp(ast.And() if empty else ast.Or(), [self._at(self._computed(statement)), other])
        self._define_by(name, joined, block[position : position + 2], position + 2 == len(block))
        return 2

    def _conditional(self, block: Block, position: int, statement: If) -> int:
        ends = [each[-1] for each in (statement.body, statement.orelse) if each]
        targets = {each.target for each in ends if isinstance(each, Assign)}
        name = next(iter(targets), "")
        if len(ends) < 2 or len(targets) != 1 or not is_hidden(name):
            return 0
        values = self._value(statement.body, name), self._value(statement.orelse, name)
        if values[0] is None or values[1] is None:
            return 0
        test = self._operands([statement.condition])(statement.condition)
        chosen = ast.IfExp(test, values[0], values[1])
        self._define_by(name, chosen, (statement,), position + 1 == len(block))
        return 1

    def _define_by(self, name: str, value: ast.expr, written: Block, last: bool) -> None:
        inside = _Counts(written)
        self._define(name, value, inside.writes[name], inside.reads[name], last)

    def _value(self, block: Block, name: str) -> ast.expr | None:
        """The expression that a block computes into a name, if it does nothing else."""
        inner = _Block(self._counts, self._expressions, self._repeat, wanted=name)
        inner.fill(block)
        if inner.lines or [each for each, _ in inner.pending] != [name]:
            return None
        return inner.pending[0][1]

    def _inside(self, block: Block, repeat: Lines | None = None) -> Lines:
        inner = _Block(self._counts, self._expressions, self._repeat if repeat is None else repeat)
        return inner.run(block)

    # Statements

    def store(self, statement: Store | StoreSlice) -> None:
        """`container[items] = value`: Python evaluates the value first."""
        indexes = [atom for item in statement.items for atom in (atoms(item) if isinstance(item, Slice) else [item])]
        read = self._operands([statement.value, statement.container, *indexes])
        value, container = read(statement.value), read(statement.container)
        self._emit(_assignment(ast.Subscript(subject(container), key(statement.items, read), LOAD), value))

    def append(self, statement: Append) -> None:
        """`container.append(value)`."""
        read = self._operands([statement.container, statement.value])
        method = ast.Attribute(read(statement.container), "append", LOAD)
        self._emit(ast.Expr(call(method, [read(statement.value)])))

    def pop(self, statement: Pop) -> None:
        """`container.pop()`."""
        read = self._operands([statement.container])
        self._emit(ast.Expr(call(ast.Attribute(read(statement.container), "pop", LOAD), [])))

    def check(self, statement: CheckBound) -> None:
        """Reading the name is the check."""
        self._emit(ast.Expr(ast.Name(statement.name, LOAD)))

    def choose(self, statement: If) -> None:
        """`if`."""
        test = self._operands([statement.condition])(statement.condition)
        body, orelse = self._inside(statement.body), self._inside(statement.orelse)
        if not body and orelse:
            body, orelse, test = orelse, [], ast.UnaryOp(ast.Not(), test)
        self._emit(ast.If(test, body or [ast.Pass()], orelse))

    def repeat_while(self, statement: While) -> None:
        """`while`; where the test is no expression, its statements stand before the loop and wherever it repeats."""
        inner = _Block(self._counts, self._expressions, [])
        inner.fill(statement.test)
        inner._line = statement.line
        test = inner._operands([statement.condition])(statement.condition)
        inner._flush()
        body = self._inside(statement.body, inner.lines)
        orelse = self._inside(statement.orelse)
        if None in ways(statement.body):
            body = body + inner.lines
        self._emit(*inner.lines, ast.While(test, body or [ast.Pass()], orelse))

    def repeat_for(self, statement: ForRange) -> None:
        """`for`, over the user's variable itself where the counter is only copied to it."""
        bounds: tuple[Atom, ...] = (statement.start, statement.stop, statement.step)
        read = self._operands(bounds)
        arguments = [read(each) for each in bounds]
        if _is(statement.step, 1):
            arguments.pop()
            arguments = arguments[1:] if _is(statement.start, 0) else arguments
        positions = call(self._expressions.outside.name("range", range), arguments)
        target, inside = statement.counter, statement.body
        first = inside[0] if inside else None
        if isinstance(first, Assign) and _copied(first) == target and self._counts.reads[target] == 1:
            target, inside = first.target, inside[1:]
        body = self._inside(inside, [])
        orelse = self._inside(statement.orelse)
        self._emit(ast.For(ast.Name(target, STORE), self._at(positions), body or [ast.Pass()], orelse))

    def leave(self, statement: Break) -> None:
        """`break`."""
        self._emit(ast.Break())

    def repeat(self, statement: Continue) -> None:
        """`continue`."""
        self._emit(*self._repeat, ast.Continue())

    def give(self, statement: Return) -> None:
        """`return`."""
        self._emit(ast.Return(self._operands([statement.value])(statement.value)))

    def fail(self, statement: Raise) -> None:
        """`raise`."""
        read = self._operands(atoms(statement))
        self._emit(ast.Raise(self._expressions.exception(statement, read), None))


STATEMENTS: dict[type[Statement], Callable[[_Block, Any], None]] = {
    Store: _Block.store,
    Append: _Block.append,
    Pop: _Block.pop,
    CheckBound: _Block.check,
    If: _Block.choose,
    While: _Block.repeat_while,
    ForRange: _Block.repeat_for,
    Break: _Block.leave,
    Continue: _Block.repeat,
    Return: _Block.give,
    Raise: _Block.fail,
}


def _assignment(target: ast.Name | ast.Subscript, value: ast.expr) -> ast.stmt:
    """`target = value`, or `target += value` where that is what it means."""
    augmented = value.assigned_to(target) if isinstance(value, InPlace) else None
    target.ctx = STORE
    return augmented or ast.Assign([target], value)


def _copied(statement: Statement) -> str | None:
    """The local that a statement copies."""
    if isinstance(statement, Assign) and isinstance(statement.operation, Copy):
        source = statement.operation.source
        return source.name if isinstance(source, Local) else None
    return None


def _is_local(atom: Atom, name: str) -> bool:
    return isinstance(atom, Local) and atom.name == name


def _is(atom: Atom, value: int) -> bool:
    return isinstance(atom, Constant) and type(atom.value) is int and atom.value == value
