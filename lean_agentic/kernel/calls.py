"""Lowering of calls: intrinsics, new arrays, and other functions of the kernel language."""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from lean_agentic.kernel.builder import Builder, Value, constant, is_constant, lowers
from lean_agentic.kernel.comprehensions import list_of
from lean_agentic.kernel.growth import method_call
from lean_agentic.kernel.intrinsics import ARRAY_MAKERS, INTRINSIC_NAMES
from lean_agentic.kernel.ir import Atom, Call, Constant, Index, Intrinsic, NewArray, Pop
from lean_agentic.kernel.reductions import reduction
from lean_agentic.kernel.scope import Static
from lean_agentic.kernel.signatures import bound_arguments, parameters_of, takes_any
from lean_agentic.kernel.source import lowered_function
from lean_agentic.kernel.types import DTYPES

KEYWORDS = {"round": "ndigits", "sum": "start"}
"""The one keyword that an intrinsic takes, always as its second argument."""
LARGEST_ARITY = {"bool": 1, "float": 1, "int": 1, "complex": 2, "math.log": 2}
NUMBERS: dict[str, Callable[[str], Any]] = {"float": float, "int": int, "complex": complex}
"""What makes a number of a literal text."""
DEFAULT_DTYPES: dict[Any, str] = {int: "int64", float: "float64", bool: "bool"}


@lowers(ast.Call)
def lower_call(build: Builder, node: ast.Call) -> Value:
    """A call by name; what the name means is looked up now and guarded."""
    popped = method_call(node, "pop", 0)
    if popped in build.growing and popped not in build.renamed:
        container = build.read(popped)
        last = build.assign(Index(container, (constant(-1),)))
        build.emit(Pop, container=container)
        return last
    if isinstance(node.func, ast.Attribute) and not _is_outside(build, node.func):
        if node.func.attr == "copy" and not node.args and not node.keywords:
            return build.assign(NewArray("copy", (build.atom(node.func.value),), None))
        raise build.unsupported(node, f"method calls such as .{node.func.attr}() are outside the kernel language")
    function = build.value(node.func)
    if not isinstance(function, Static):
        raise build.unsupported(node, "a number cannot be called")
    if any(isinstance(argument, ast.Starred) for argument in node.args) or any(k.arg is None for k in node.keywords):
        raise build.unsupported(node, "* and ** arguments are outside the kernel language")
    return _call_static(build, node, lowered_function(function.value))


def _is_outside(build: Builder, node: ast.Attribute) -> bool:
    root: ast.expr = node
    while isinstance(root, ast.Attribute):
        root = root.value
    return isinstance(root, ast.Name) and root.id not in build.scope.locals and root.id not in build.renamed


def _call_static(build: Builder, node: ast.Call, function: Any) -> Value:
    try:
        intrinsic, maker = INTRINSIC_NAMES.get(function), ARRAY_MAKERS.get(function)
    except TypeError:  # an unhashable outside value
        intrinsic = maker = None
    reduced = reduction(build, node, function)
    if reduced is not None:
        return reduced
    if intrinsic:
        return _call_intrinsic(build, node, intrinsic)
    if maker:
        return _new_array(build, node, maker)
    if isinstance(function, FunctionType):
        return _call_function(build, node, function)
    if function is list and len(node.args) == 1 and not node.keywords:
        return list_of(build, node.args[0])
    name = getattr(function, "__name__", repr(function))
    raise build.unsupported(node, f"{name} is not among the functions of the kernel language")


def _call_intrinsic(build: Builder, node: ast.Call, name: str) -> Value:
    text = node.args[0] if len(node.args) == 1 and not node.keywords else None
    if name in NUMBERS and isinstance(text, ast.Constant) and isinstance(text.value, str):
        return _number(build, node, NUMBERS[name], text.value)
    arguments = [build.atom(argument) for argument in node.args]
    for keyword in node.keywords:
        if keyword.arg != KEYWORDS.get(name) or len(arguments) != 1:
            raise build.unsupported(node, f"{name} with the keyword {keyword.arg} is outside the kernel language")
        arguments.append(build.atom(keyword.value))
    if not 1 <= len(arguments) <= LARGEST_ARITY.get(name, 8):
        raise build.unsupported(node, f"{name} with {len(arguments)} arguments is outside the kernel language")
    return build.assign(Intrinsic(name, tuple(arguments)))


def _number(build: Builder, node: ast.Call, kind: Callable[[str], Any], text: str) -> Value:
    """`float("inf")`."""
    try:
        return constant(kind(text))
    except ValueError as error:
        raise build.unsupported(node, f"this raises ValueError: {error}") from None


def _call_function(build: Builder, node: ast.Call, function: FunctionType) -> Value:
    positional = [build.atom(argument) for argument in node.args]
    keywords = {str(keyword.arg): build.atom(keyword.value) for keyword in node.keywords}
    if takes_any(function):
        raise build.unsupported(node, f"{function.__name__} takes *args or **kwargs")
    try:
        given = bound_arguments(function, positional, keywords)
    except TypeError as error:
        raise build.unsupported(node, f"the call to {function.__name__} raises TypeError: {error}") from None
    arguments: list[Atom] = []
    for name, default, _ in parameters_of(function):
        if name not in given and not is_constant(default):
            raise build.unsupported(node, f"the default of {name} is not a number or None")
        arguments.append(given[name] if name in given else constant(default))
    handle = f"{function.__qualname__}@{id(function)}"
    build.callees[handle] = function
    return build.assign(Call(handle, tuple(arguments)))


def _new_array(build: Builder, node: ast.Call, kind: str) -> Value:
    dtype = None
    arguments = []
    positional = {"full": 2, "arange": 3}.get(kind, 1)
    for position, argument in enumerate(node.args):
        if position < positional:
            arguments.append(build.atom(argument))
        elif position == positional:
            dtype = _dtype(build, argument)
    for keyword in node.keywords:
        if keyword.arg != "dtype" or dtype:
            raise build.unsupported(node, f"np.{kind} with the keyword {keyword.arg} is outside the kernel language")
        dtype = _dtype(build, keyword.value)
    if len(arguments) < (1 if kind == "arange" else positional) or len(node.args) > positional + 1:
        raise build.unsupported(node, f"np.{kind} with these arguments is outside the kernel language")
    return build.assign(NewArray(kind, tuple(arguments), dtype))


def _dtype(build: Builder, node: ast.expr) -> str:
    """A dtype by its class (`np.int32`, `float`) or its name."""
    value = build.value(node)
    given = value.value if isinstance(value, Static | Constant) else None
    name = DEFAULT_DTYPES.get(given) if isinstance(given, type) else given if isinstance(given, str) else None
    if isinstance(given, type) and issubclass(given, np.generic):
        name = np.dtype(given).name
    if name not in DTYPES:
        raise build.unsupported(node, f"this dtype is outside the kernel language; it has {', '.join(DTYPES)}")
    return str(name)
