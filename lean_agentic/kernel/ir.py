"""The kernel IR: structured, typed statements that do one thing each.

A statement holds at most one operation that can fail or be seen from outside, its operands are locals and constants,
and all hidden state (loop counters, evaluated bounds, half-built values) is in named locals that start with `%`. So
execution can leave or enter at any statement: its `id` and the live locals are the whole state (the administrative
normal form of Flanagan et al., PLDI 1993, with CPython's order of evaluation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from lean_agentic.kernel.scope import Guard
from lean_agentic.kernel.types import INT, NEVER, Type


@dataclass(frozen=True)
class Local:
    """A variable or, when the name starts with `%`, a value the front end named; `type` is its type at this use."""

    name: str
    type: Type = NEVER


@dataclass(frozen=True)
class Constant:
    """A number, None, or the text of an exception's message."""

    value: Any = field(compare=False)
    type: Type
    guard: Guard | None = field(default=None, compare=False, repr=False)
    """Where the value was read from, if from outside the function: it may change while the function runs."""
    spelling: str = field(init=False)
    """`repr(value)`: makes 0.0 and -0.0 different constants, and NaN equal to itself."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "spelling", repr(self.value))


Atom = Local | Constant


@dataclass(frozen=True)
class Slice:
    """One axis of an index, `start:stop:step`; a part left out is the constant None."""

    start: Atom
    stop: Atom
    step: Atom


@dataclass(frozen=True)
class Message:
    """Text of an exception: a Python expression of the variables `names`, evaluated when the exception is raised."""

    text: str
    names: tuple[str, ...]
    operands: tuple[Atom, ...]


@dataclass(frozen=True)
class Operation:
    """Right-hand side of an assignment."""


@dataclass(frozen=True)
class Copy(Operation):
    """The same object under another name."""

    source: Atom


@dataclass(frozen=True)
class Unary(Operation):
    """`- + ~ not`."""

    operator: str
    operand: Atom


@dataclass(frozen=True)
class Binary(Operation):
    """`+ - * / // % ** << >> & | ^`; `augmented` when written `x += y` (only immutable values pass inference)."""

    operator: str
    left: Atom
    right: Atom
    augmented: bool = False


@dataclass(frozen=True)
class Compare(Operation):
    """`== != < <= > >= is isnot`; `is` only against None.

    Before its types are known also "in" (`left in (right,)`) and "inset" (`left in {right}`).
    """

    operator: str
    left: Atom
    right: Atom


@dataclass(frozen=True)
class Intrinsic(Operation):
    """A built-in function: `abs`, `math.sqrt`, `range_length`, ... (`intrinsics.INTRINSICS` has them all)."""

    name: str
    arguments: tuple[Atom, ...]


@dataclass(frozen=True)
class Call(Operation):
    """A call to `kernel.procedures[procedure]`, all parameters given in order."""

    procedure: str
    arguments: tuple[Atom, ...]


@dataclass(frozen=True)
class Index(Operation):
    """`container[items]`: an element, or (slice present or axes left over) a view of an array, a copy of a list."""

    container: Atom
    items: tuple[Atom | Slice, ...]


@dataclass(frozen=True)
class Unpack(Operation):
    """Element `position` of a tuple that has exactly `count`."""

    source: Atom
    count: int
    position: int


@dataclass(frozen=True)
class MakeTuple(Operation):
    """A new tuple."""

    items: tuple[Atom, ...]


@dataclass(frozen=True)
class MakeList(Operation):
    """A new list; `growing` when a comprehension is about to append to it."""

    items: tuple[Atom, ...]
    growing: bool = False


@dataclass(frozen=True)
class Attribute(Operation):
    """`shape`, `ndim`, `size`, `T` of an array; `real`, `imag` of a number."""

    source: Atom
    name: str


@dataclass(frozen=True)
class NewArray(Operation):
    """`np.zeros/ones/empty(shape)`, `np.full(shape, value)`, `np.arange(...)`; a shape may be a tuple.

    Also `np.zeros_like(array)` and its like, and `copy`: `x.copy()` of an array or a list.
    """

    kind: str
    arguments: tuple[Atom, ...]
    dtype: str | None
    """As asked for; None where NumPy chooses (the result's type says what it chooses)."""


@dataclass(frozen=True)
class StoreSlice(Operation):
    """`container[items] = value` of more than one element of an array, as NumPy does it; the result is None."""

    container: Atom
    items: tuple[Atom | Slice, ...]
    value: Atom


@dataclass(frozen=True)
class Statement:
    """Base of all statements. `id` is unique in a kernel, `line` is the user's."""

    id: int
    line: int


@dataclass(frozen=True)
class Assign(Statement):
    """`target = operation`; `type` is the type of the result."""

    target: str
    operation: Operation
    type: Type = NEVER


@dataclass(frozen=True)
class Store(Statement):
    """`container[items] = value`, one element of a list or an array.

    Before its types are known it may have slices as items, or be of part of an array; inference makes that an `Assign`
    of a `StoreSlice`.
    """

    container: Atom
    items: tuple[Atom, ...]
    value: Atom


@dataclass(frozen=True)
class Append(Statement):
    """Adds to a list that nobody else has: a comprehension's, or one that grows by `x.append(e)`."""

    container: Atom
    value: Atom


@dataclass(frozen=True)
class Pop(Statement):
    """Removes the last element of a list that nobody else has; IndexError if there is none."""

    container: Atom


@dataclass(frozen=True)
class CheckBound(Statement):
    """Raises UnboundLocalError unless the variable has a value; stands where a path may have skipped it."""

    name: str


Block = tuple[Statement, ...]


@dataclass(frozen=True)
class If(Statement):
    """Two blocks, by the truth of an atom."""

    condition: Atom
    body: Block
    orelse: Block


@dataclass(frozen=True)
class While(Statement):
    """Runs `test`, then `body` while the condition is true, else `orelse` once; `break` skips `orelse`."""

    test: Block
    condition: Atom
    body: Block
    orelse: Block


@dataclass(frozen=True)
class ForRange(Statement):
    """`for counter in range(start, stop, step)`.

    The counter is a hidden int that no statement assigns, and the bounds are constants or hidden locals, so the first
    statement of the body with a value for the counter is the point where an iteration begins.
    """

    counter: str
    start: Atom
    stop: Atom
    step: Atom
    body: Block
    orelse: Block


@dataclass(frozen=True)
class Break(Statement):
    """Leaves the innermost loop."""


@dataclass(frozen=True)
class Continue(Statement):
    """Starts the next iteration of the innermost loop."""


@dataclass(frozen=True)
class Return(Statement):
    """Leaves the procedure."""

    value: Atom


@dataclass(frozen=True)
class Raise(Statement):
    """Raises a built-in exception."""

    exception: str
    arguments: tuple[Atom | Message, ...]


@dataclass(frozen=True)
class Parameter:
    """A parameter with its type; `default` is a Constant where the call may leave it out."""

    name: str
    type: Type
    default: Constant | None = None
    keyword_only: bool = False


@dataclass(frozen=True)
class Procedure:
    """One function for one tuple of argument types."""

    name: str
    parameters: tuple[Parameter, ...]
    body: Block
    result: Type


def blocks(statement: Statement) -> tuple[Block, ...]:
    """The blocks directly inside a statement, in the order of their text."""
    if isinstance(statement, While):
        return (statement.test, statement.body, statement.orelse)
    if isinstance(statement, If | ForRange):
        return (statement.body, statement.orelse)
    return ()


def walk(block: Block) -> Iterator[Statement]:
    """Every statement of a block, outer before inner."""
    for statement in block:
        yield statement
        for inner in blocks(statement):
            yield from walk(inner)


def atoms(node: Statement | Operation | Slice | Message) -> Sequence[Atom]:
    """The operands of a statement or operation, left to right, without those of inner blocks."""
    found: list[Atom] = []
    for name in OPERANDS[type(node)]:
        value = getattr(node, name)
        kind = type(value)
        if kind is Local or kind is Constant:
            found.append(value)
        elif kind is tuple:
            for item in value:
                found += atoms(item) if type(item) in (Slice, Message) else (item,)
        else:
            found += atoms(value)
    return found


Node = TypeVar("Node", Operation, Slice, Message, Statement)


def map_atoms(node: Node, change: Callable[[Atom], Atom]) -> Node:
    """The same node with every operand changed; inner blocks stay as they are."""
    parts: dict[str, Any] = {}
    for name in OPERANDS[type(node)]:
        value = getattr(node, name)
        kind = type(value)
        if kind is Local or kind is Constant:
            parts[name] = change(value)
        elif kind is tuple:
            parts[name] = tuple(
                [map_atoms(item, change) if type(item) in (Slice, Message) else change(item) for item in value]
            )
        else:
            parts[name] = map_atoms(value, change)
    return changed(node, **parts)


Anything = TypeVar("Anything")


def changed(node: Anything, **parts: Any) -> Anything:
    """`dataclasses.replace` for the classes of the IR, without its checks."""
    made = object.__new__(type(node))
    made.__dict__.update(node.__dict__)
    made.__dict__.update(parts)
    return made


def definitions(statement: Statement) -> Mapping[str, Type]:
    """The locals that the statement itself assigns, with the types it gives them."""
    if isinstance(statement, Assign):
        return {statement.target: statement.type}
    return {statement.counter: INT} if isinstance(statement, ForRange) else {}


def renumbered(block: Block, ids: Iterator[int]) -> tuple[Block, dict[int, int]]:
    """A copy of a block whose statements have new ids, and the old id of each new one."""
    origin: dict[int, int] = {}

    def copied(statement: Statement) -> Statement:
        number = next(ids)
        origin[number] = statement.id
        inner = {
            each: tuple(map(copied, getattr(statement, each)))
            for each in ("test", "body", "orelse")
            if hasattr(statement, each)
        }
        return changed(statement, id=number, **inner)

    return tuple(map(copied, block)), origin


_KINDS: list[type[Any]] = [Slice, Message, *Operation.__subclasses__(), *Statement.__subclasses__()]
OPERANDS: dict[type[Any], tuple[str, ...]] = {
    kind: tuple(each.name for each in fields(kind) if "Atom" in str(each.type) or each.type == "Operation")
    for kind in _KINDS
}
"""For each class of statements and operations the fields that hold operands, in order."""
