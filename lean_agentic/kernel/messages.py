"""Messages of exceptions: expressions that make text, such as f-strings, kept as the user wrote them.

In: an argument of `raise E(...)` or what stands behind the comma of an `assert`. Out: a `Message`, which Python
evaluates when the exception is raised. It reads only variables, numbers and built-in functions without effects, so
nothing of it can be seen but the text, or the exception that making the text raises.
"""

from __future__ import annotations

import ast
import builtins

from lean_agentic.kernel.builder import Builder
from lean_agentic.kernel.ir import Atom, Constant, Message
from lean_agentic.kernel.scope import Static
from lean_agentic.kernel.types import STRING

FUNCTIONS = frozenset(
    {"abs", "ascii", "bool", "float", "format", "int", "len", "max", "min", "repr", "round", "str", "sum", "tuple"}
)
TAKEN = (
    ast.JoinedStr, ast.FormattedValue, ast.Constant, ast.Name, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp,
    ast.IfExp, ast.Tuple, ast.List, ast.Subscript, ast.Slice, ast.Call, ast.Attribute, ast.keyword,
    ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.expr_context,
)  # fmt: skip
ATTRIBUTES = frozenset({"shape", "ndim", "size", "real", "imag"})


def is_text(node: ast.expr) -> bool:
    """Whether an expression makes text."""
    if isinstance(node, ast.Call):
        called = node.func
        named = called.id in ("str", "repr", "format", "ascii") if isinstance(called, ast.Name) else False
        return named or (isinstance(called, ast.Attribute) and called.attr == "format" and is_text(called.value))
    if isinstance(node, ast.BinOp):
        return is_text(node.left) or is_text(node.right)
    if isinstance(node, ast.IfExp):
        return is_text(node.body) or is_text(node.orelse)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def message(build: Builder, node: ast.expr) -> Constant | Message:
    """The text that an expression makes.

    Raises
    ------
    UnsupportedError
        If it does more than read variables.
    """
    if isinstance(node, ast.Constant):
        return Constant(node.value, STRING)
    operands: dict[str, Atom] = {}
    for each in ast.walk(node):
        if not isinstance(each, TAKEN) or (isinstance(each, ast.Attribute) and not _is_taken(each)):
            raise build.unsupported(node, "a message may only read variables, numbers and built-in functions")
        if isinstance(each, ast.Name) and each.id not in operands:
            _note(build, each, operands)
    return Message(ast.unparse(node), tuple(operands), tuple(operands.values()))


def _is_taken(node: ast.Attribute) -> bool:
    return node.attr in ATTRIBUTES or (node.attr == "format" and is_text(node.value))


def _note(build: Builder, node: ast.Name, operands: dict[str, Atom]) -> None:
    name = node.id
    if name in build.scope.locals:
        if build.bound is not None and name not in build.bound:
            raise build.unsupported(node, f"`{name}` may have no value here; assign it before")
        operands[name] = build.read(name)
        return
    value = build.value(node)
    if isinstance(value, Static):
        if name not in FUNCTIONS or value.value is not getattr(builtins, name):
            raise build.unsupported(node, "a message may only read variables, numbers and built-in functions")
        return
    operands[name] = value
