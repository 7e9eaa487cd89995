"""Which loops have independent iterations, so that they may run in any order and at the same time.

In: a kernel. Out: for each loop over a range the proof, with what is left to be tested when it runs, or the reasons
why there is none. It is the simplest dependence test that is exact for "row" loops (strong SIV with distance 0;
Goff, Kennedy, Tseng, PLDI 1991): a stored-to array is touched only where its first index is the counter plus one
constant.

What a proof says: if at run time every stored-to array shares no memory with another array or with itself, and no first
index is negative, then no iteration reads or writes what another one writes, no local carries a value from one to
another or out of the loop (but for a sum of ints, which may be added up in any order since Python's ints are exact),
and the only other effect that an iteration can have is to raise. It does not say that nothing raises: who runs the
loop has to be able to take back what later iterations stored. That is why stores go to arrays only, whose elements
can be put back, and not to lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from lean_agentic.jit_runtime.int_sums import is_sum
from lean_agentic.kernel.ir import (
    Assign,
    Atom,
    Attribute,
    Binary,
    Block,
    Break,
    Call,
    CheckBound,
    Constant,
    Copy,
    ForRange,
    If,
    Index,
    Intrinsic,
    Local,
    NewArray,
    Operation,
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
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.liveness import LiveSets, Names
from lean_agentic.kernel.types import INT, ArrayType, ListType, TupleType, Type, UnionType

FRESH = ""
"""The root of arrays that an iteration makes for itself."""
_NO_ELEMENTS = (Attribute, Index, Intrinsic)
_NO_ELEMENTS_READ = frozenset({"len"})


@dataclass(frozen=True)
class Independence:
    """What is known of one loop of a kernel's entry. Without `reasons` its iterations are independent."""

    loop: ForRange
    reasons: tuple[str, ...] = ()
    """Why not, each with its line."""
    inputs: tuple[str, ...] = ()
    """Locals that the loop reads and does not assign, sorted."""
    written: Mapping[str, int] = field(default_factory=dict)
    """Arrays that are stored into: the first index is the counter plus this."""
    total: str = ""
    """A local that the loop only adds ints to (or subtracts them from)."""

    def __str__(self) -> str:
        if self.reasons:
            return f"the loop in line {self.loop.line} is not parallel: " + "; ".join(self.reasons)
        return f"the iterations of the loop in line {self.loop.line} are independent"


def examine(kernel: Kernel, loop: ForRange, live: LiveSets | None = None) -> Independence:
    """Whether the iterations of a loop of the entry are independent.

    Parameters
    ----------
    kernel : Kernel
        Typed, from `lower` or `continuation`.
    loop : ForRange
        A statement of `kernel.entry`, at any depth.
    live : LiveSets, optional
        Of the entry's body, if they are there already.
    """
    return _Examination(kernel, loop, live or LiveSets(kernel.entry.body)).verdict()


def independent_loops(kernel: Kernel) -> tuple[list[Independence], list[Independence]]:
    """The outermost loops of the entry with independent iterations, and the loops that were refused on the way.

    A loop inside another one, or inside an `if`, counts only if it has a loop or a call in it: it is begun often, and
    what begins often should be long.
    """
    live = LiveSets(kernel.entry.body)
    taken: list[Independence] = []
    refused: list[Independence] = []

    def visit(block: Block, depth: int) -> None:
        for statement in block:
            if isinstance(statement, ForRange) and (depth == 0 or _has_work(statement)):
                found = examine(kernel, statement, live)
                (refused if found.reasons else taken).append(found)
                if not found.reasons:
                    continue
            if isinstance(statement, ForRange | While | If):
                visit(statement.body, depth + 1)
                visit(statement.orelse, depth + 1)

    visit(kernel.entry.body, 0)
    return taken, refused


def _has_work(loop: ForRange) -> bool:
    inner = list(walk(loop.body))
    return any(
        isinstance(each, ForRange | While) or (isinstance(each, Assign) and isinstance(each.operation, Call))
        for each in inner
    )


@dataclass(frozen=True)
class _View:
    """Which part of which array a local is."""

    root: str
    """The local that held the array before the loop, or FRESH."""
    row: int | None
    """The part is within `root[counter + row]`; None: it may be anywhere."""
    whole: bool = False
    """It is the array itself, index for index."""


class _Examination:
    """One loop."""

    def __init__(self, kernel: Kernel, loop: ForRange, live: LiveSets) -> None:
        self._kernel = kernel
        self._loop = loop
        self._statements = list(walk(loop.body))
        self._times: Counter[str] = Counter(name for each in self._statements for name in definitions(each))
        self._head: Names = live.names(live.heads[loop.id])
        self._after: Names = live.names(live.after[loop.id])
        self._distance: dict[str, int] = {loop.counter: 0}
        self._views: dict[str, _View] = {}
        self._reads: dict[str, set[int | None]] = {}
        self._writes: dict[str, set[int | None]] = {}
        self._reasons: list[str] = []

    def verdict(self) -> Independence:
        self._form()
        self._types()
        total = self._carried()
        for statement in self._statements:
            self._follow(statement)
        written = self._rows()
        if not written and not total and not self._reasons:
            self._refuse(self._loop, "it stores into no array")
        inputs = tuple(sorted(self._inputs()))
        return Independence(self._loop, tuple(dict.fromkeys(self._reasons)), inputs, written, total)

    def _refuse(self, statement: Statement, reason: str) -> None:
        self._reasons.append(f"line {statement.line}: {reason}")

    def _read_inside(self) -> set[str]:
        return {each.name for statement in self._statements for each in atoms(statement) if isinstance(each, Local)}

    def _inputs(self) -> set[str]:
        return {name for name in self._read_inside() if name not in self._times and name != self._loop.counter}

    # The shape of the loop, and the types in it

    def _form(self) -> None:
        loop = self._loop
        if not (isinstance(loop.step, Constant) and loop.step.value == 1):
            self._refuse(loop, "its step is not 1")
        if loop.orelse:
            self._refuse(loop, "it has an else block")
        for statement in self._statements:
            if isinstance(statement, Return):
                self._refuse(statement, "it can return out of the loop")
            if isinstance(statement, CheckBound) and statement.name not in self._times:
                self._refuse(statement, f"{statement.name} may have no value")
        for jump in _own_breaks(loop.body):
            self._refuse(jump, "it can break out of the loop")

    def _types(self) -> None:
        inputs = self._inputs()
        for statement in self._statements:
            locals_read = [each for each in atoms(statement) if isinstance(each, Local)]
            for each in locals_read:
                if each.name in inputs and _has(each.type, ListType):
                    self._refuse(statement, f"{each.name} is a list, which would be copied for each thread")
            made = [statement.type] if isinstance(statement, Assign) else []
            if any(_has(a_type, ArrayType, below=True) for a_type in [*(each.type for each in locals_read), *made]):
                self._refuse(statement, "an array in a tuple, a list or beside other types is not followed")

    # Locals that carry a value

    def _carried(self) -> str:
        """The one sum, if there is one; anything else that is carried is refused."""
        carried = (self._head | self._after) & {*self._times, self._loop.counter}
        if self._loop.counter not in self._after:
            carried -= {self._loop.counter}
        totals = [name for name in sorted(carried) if is_sum(name, self._loop.body)]
        for name in sorted(carried):
            if name not in totals:
                what = "the next iteration" if name in self._head - self._after else "what follows the loop"
                self._refuse(self._loop, f"{name} is carried into {what}, and not only as a sum of ints")
        if len(totals) > 1:
            self._refuse(self._loop, f"it has several sums: {', '.join(totals)}")
        return totals[0] if len(totals) == 1 else ""

    # Arrays

    def _follow(self, statement: Statement) -> None:
        if isinstance(statement, Store):
            if isinstance(statement.container.type, ArrayType):
                self._touch(self._writes, self._part(statement, statement.container, statement.items))
            return
        if not isinstance(statement, Assign):
            return
        self._follow_counter(statement)
        operation, target = statement.operation, statement.target
        if isinstance(statement.type, ArrayType):
            view = self._made(statement, operation)
            if self._times[target] > 1:
                self._refuse(statement, f"the array {target} is assigned in several places")
            elif view is not None:
                self._views[target] = view
        elif isinstance(operation, StoreSlice):
            self._touch(self._writes, self._part(statement, operation.container, operation.items))
            if isinstance(operation.value.type, ArrayType):
                self._touch(self._reads, self._view(statement, operation.value))
        elif isinstance(operation, Call):
            self._call(statement, operation)
        elif isinstance(operation, Index) and isinstance(operation.container.type, ArrayType):
            self._touch(self._reads, self._part(statement, operation.container, operation.items))
        elif isinstance(operation, Intrinsic) and operation.name not in _NO_ELEMENTS_READ:
            for each in operation.arguments:
                if isinstance(each.type, ArrayType):
                    self._touch(self._reads, self._view(statement, each))
        elif not isinstance(operation, _NO_ELEMENTS) and any(isinstance(e.type, ArrayType) for e in atoms(operation)):
            self._refuse(statement, f"{type(operation).__name__} of an array is not followed")

    def _follow_counter(self, statement: Assign) -> None:
        """Know locals that are the counter plus a constant: assigned in one place, and (`_carried`) in each iteration
        before they are read."""
        if statement.type == INT and self._times[statement.target] == 1:
            found = self._distance_of(statement.operation)
            if found is not None:
                self._distance[statement.target] = found

    def _distance_of(self, operation: Operation) -> int | None:
        match operation:
            case Copy(Local(name)) | Intrinsic("index", (Local(name),)):
                return self._distance.get(name)
            case Binary("+", Local(name), Constant(value)) | Binary("+", Constant(value), Local(name)):
                return self._moved(name, value)
            case Binary("-", Local(name), Constant(value)) if type(value) is int:
                return self._moved(name, -value)
        return None

    def _moved(self, name: str, value: object) -> int | None:
        return self._distance[name] + value if name in self._distance and type(value) is int else None

    def _made(self, statement: Assign, operation: Operation) -> _View | None:
        """Which array an operation gives."""
        match operation:
            case NewArray():
                return _View(FRESH, None)
            case Copy(source):
                return self._view(statement, source)
            case Attribute(source, "T"):
                view = self._view(statement, source)
                return view and replace(view, whole=False)
            case Index(container, items):
                return self._part(statement, container, items)
        if isinstance(operation, Call):
            self._call(statement, operation)
        self._refuse(statement, "it is not known which array this is")
        return None

    def _view(self, statement: Statement, array: Atom) -> _View | None:
        assert isinstance(array, Local)
        if array.name not in self._times:
            return _View(array.name, None, whole=True)
        found = self._views.get(array.name)
        if found is None and self._times[array.name] == 1:
            self._refuse(statement, f"it is not known which array {array.name} is")
        return found

    def _part(self, statement: Statement, array: Atom, items: Iterable[Atom | Slice]) -> _View | None:
        """The part that an index leads to."""
        view = self._view(statement, array)
        if view is None or view.root == FRESH or view.row is not None:
            return view
        first = next(iter(items), None)
        known = view.whole and isinstance(first, Local)
        return _View(view.root, self._distance.get(first.name) if known and isinstance(first, Local) else None)

    def _touch(self, kind: dict[str, set[int | None]], view: _View | None) -> None:
        if view is not None and view.root != FRESH:
            kind.setdefault(view.root, set()).add(view.row)

    def _call(self, statement: Statement, operation: Call) -> None:
        stores = _stores(self._kernel, operation.procedure)
        for each in operation.arguments:
            if isinstance(each.type, ArrayType):
                view = self._view(statement, each)
                self._touch(self._reads, view)
                if stores:
                    self._touch(self._writes, view)

    def _rows(self) -> dict[str, int]:
        """Stored-to arrays with the distance of their first index from the counter."""
        rows: dict[str, int] = {}
        for name, places in self._writes.items():
            touched = places | self._reads.get(name, set())
            place = next(iter(touched)) if len(touched) == 1 else None
            if place is not None:
                rows[name] = place
            elif None in places:
                self._refuse(self._loop, f"it stores into {name} elsewhere than at the counter (plus a constant)")
            else:
                self._refuse(self._loop, f"one iteration touches what another one stores into {name}")
        return rows


def _own_breaks(block: Block) -> Iterator[Break]:
    """`break`s that leave the loop whose body this is."""
    for statement in block:
        if isinstance(statement, Break):
            yield statement
        elif isinstance(statement, If):
            yield from _own_breaks(statement.body)
            yield from _own_breaks(statement.orelse)
        elif isinstance(statement, ForRange | While):
            yield from _own_breaks(statement.orelse)


def _has(a_type: Type, kind: type[Type], below: bool = False) -> bool:
    """Whether a type holds a kind of type; `below`: elsewhere than as the type itself."""
    if isinstance(a_type, kind):
        return not below
    if isinstance(a_type, TupleType):
        return any(_has(each, kind) for each in a_type.elements)
    if isinstance(a_type, ListType):
        return _has(a_type.element, kind)
    return isinstance(a_type, UnionType) and any(_has(each, kind) for each in a_type.members)


def _stores(kernel: Kernel, name: str) -> bool:
    """Whether a procedure, or one that it calls, stores into anything."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for each in walk(kernel.procedures[name].body):
            if isinstance(each, Store) or (isinstance(each, Assign) and isinstance(each.operation, StoreSlice)):
                return True
            if isinstance(each, Assign) and isinstance(each.operation, Call):
                waiting.append(each.operation.procedure)
    return False
