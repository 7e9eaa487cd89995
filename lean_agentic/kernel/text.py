"""The readable form of the IR: one statement a line, `id line| text`."""

from __future__ import annotations

from collections.abc import Iterator

from lean_agentic.kernel.ir import (
    Append,
    Assign,
    Atom,
    Attribute,
    Binary,
    Block,
    Call,
    CheckBound,
    Compare,
    Constant,
    Copy,
    ForRange,
    If,
    Index,
    Intrinsic,
    MakeList,
    MakeTuple,
    Message,
    NewArray,
    Operation,
    Pop,
    Procedure,
    Raise,
    Return,
    Slice,
    Statement,
    Store,
    StoreSlice,
    Unary,
    Unpack,
    While,
)


def procedure_text(procedure: Procedure) -> str:
    """A procedure with its types, statement ids and lines."""
    parameters = ", ".join(f"{each.name}: {each.type}" for each in procedure.parameters)
    head = f"procedure {procedure.name}({parameters}) -> {procedure.result}"
    return "\n".join([head, *_block_lines(procedure.body, 1)])


def atom_text(atom: Atom) -> str:
    """A local's name or a constant's value."""
    return atom.spelling if isinstance(atom, Constant) else atom.name


def _list(atoms: tuple[Atom | Slice | Message, ...]) -> str:
    return ", ".join(_item(atom) for atom in atoms)


def _item(item: Atom | Slice | Message) -> str:
    if isinstance(item, Message):
        return item.text
    if not isinstance(item, Slice):
        return atom_text(item)
    parts = [atom_text(part) for part in (item.start, item.stop, item.step)]
    return ":".join("" if part == "None" else part for part in parts)


def operation_text(operation: Operation) -> str:
    """An operation, close to how Python writes it."""
    match operation:
        case Copy(source):
            return atom_text(source)
        case Unary(operator, operand):
            return f"{operator} {atom_text(operand)}"
        case Binary(operator, left, right) | Compare(operator, left, right):
            return f"{atom_text(left)} {operator} {atom_text(right)}"
        case Intrinsic(name, arguments):
            return f"{name}({_list(arguments)})"
        case Call(procedure, arguments):
            return f"call {procedure} ({_list(arguments)})"
        case Index(container, items):
            return f"{atom_text(container)}[{_list(items)}]"
        case Unpack(source, count, position):
            return f"unpack {atom_text(source)} {position} of {count}"
        case MakeTuple(items):
            return f"tuple({_list(items)})"
        case MakeList(items):
            return f"list({_list(items)})"
        case StoreSlice(container, items, value):
            return f"store {atom_text(value)} in {atom_text(container)}[{_list(items)}]"
        case Attribute(source, name):
            return f"{atom_text(source)}.{name}"
        case NewArray("copy", (source,)):
            return f"{atom_text(source)}.copy()"
        case NewArray(kind, arguments, dtype):
            return f"np.{kind}({_list(arguments)}{f', dtype={dtype}' if dtype else ''})"
    raise TypeError(f"no text for {type(operation).__name__}")


def statement_text(statement: Statement) -> str:
    """The first line of a statement."""
    match statement:
        case Assign():
            return f"{statement.target}: {statement.type} = {operation_text(statement.operation)}"
        case Store():
            return f"{atom_text(statement.container)}[{_list(statement.items)}] = {atom_text(statement.value)}"
        case Append():
            return f"append {atom_text(statement.value)} to {atom_text(statement.container)}"
        case Pop():
            return f"pop from {atom_text(statement.container)}"
        case CheckBound():
            return f"check that {statement.name} is bound"
        case If():
            return f"if {atom_text(statement.condition)}:"
        case While():
            return "loop:"
        case ForRange():
            bounds = _list((statement.start, statement.stop, statement.step))
            return f"for {statement.counter} in range({bounds}):"
        case Return():
            return f"return {atom_text(statement.value)}"
        case Raise():
            return f"raise {statement.exception}({_list(statement.arguments)})"
    return type(statement).__name__.lower()


def _block_lines(block: Block, depth: int) -> Iterator[str]:
    for statement in block:
        yield f"{statement.id:4d} {statement.line:4d}| {'    ' * depth}{statement_text(statement)}"
        yield from _inner_lines(statement, depth)


def _inner_lines(statement: Statement, depth: int) -> Iterator[str]:
    margin = " " * 9 + "| " + "    " * depth
    if isinstance(statement, While):
        yield from _block_lines(statement.test, depth + 1)
        yield f"{margin}while {atom_text(statement.condition)}:"
    if isinstance(statement, If | While | ForRange):
        yield from _block_lines(statement.body, depth + 1)
        if statement.orelse:
            yield f"{margin}else:"
            yield from _block_lines(statement.orelse, depth + 1)
