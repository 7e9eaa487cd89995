"""From a function object to its syntax tree, and from source text to a function object.

In: a plain Python function whose source can be read. Out: the `def` node with the line numbers of the user's file.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from contextlib import suppress
from itertools import count
from types import FunctionType
from typing import Any

from lean_agentic.kernel.errors import UnsupportedError

_numbers = count(1)


def function_from_source(text: str, name: str | None = None, namespace: dict[str, Any] | None = None) -> FunctionType:
    """Run source text and return one of the functions it defines, its source readable by tracebacks and `lower`.

    Parameters
    ----------
    text : str
        Any module text. An `ast` tree goes in as `ast.unparse(tree)`.
    name : str, optional
        The function wanted; by default the last one defined.
    namespace : dict, optional
        Globals to run the text in.

    Raises
    ------
    ValueError
        If the text defines no such function.
    """
    scope: dict[str, Any] = {} if namespace is None else namespace
    filename = f"<kernel source {next(_numbers)}>"
    # linecache drops entries with a modification time when the file does not exist; None keeps this one.
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), scope)
    wanted = name or next(
        (node.name for node in reversed(ast.parse(text).body) if isinstance(node, ast.FunctionDef)), ""
    )
    found = scope.get(wanted)
    if not isinstance(found, FunctionType):
        raise ValueError(f"the source defines no function {wanted!r}; it has {sorted(set(scope) - {'__builtins__'})}")
    return found


def syntax_tree(function: FunctionType) -> ast.FunctionDef:
    """The function's `def` node, line numbers as in its file.

    Raises
    ------
    UnsupportedError
        If the source cannot be read, or the object is a lambda, a coroutine or a generator.
    """
    line = function.__code__.co_firstlineno
    try:
        text, tree = _parsed(function)
    except (OSError, SyntaxError, TypeError, ValueError) as error:
        raise UnsupportedError(f"the source of {function.__qualname__} cannot be read: {error}", line) from error
    if not isinstance(tree, ast.FunctionDef) or tree.name != function.__name__:
        raise UnsupportedError("only functions written with `def` are taken", line, text.splitlines()[0].strip())
    if function.__code__.co_flags & (inspect.CO_GENERATOR | inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
        raise UnsupportedError(
            "generators and functions with *args or **kwargs are not taken", line, f"def {tree.name}"
        )
    return tree


def _parsed(function: FunctionType) -> tuple[str, ast.stmt]:
    """The text of a function, and its only statement with the line numbers of the file."""
    blank = "\n" * (function.__code__.co_firstlineno - 1)
    text = _indented_text(function)
    if text:
        with suppress(SyntaxError):  # the text ended too early, in a bracket or a string
            (tree,) = ast.parse(blank + text).body
            return text, tree
    text = textwrap.dedent(inspect.getsource(function))
    (tree,) = ast.parse(blank + text).body
    return text, tree


def _indented_text(function: FunctionType) -> str:
    """The lines from the first decorator to the end of what is indented below `def`; "" where that is not so easy.

    Thirty times as fast as `inspect.getsource`, which takes the lines to tokens.
    """
    filename, first = function.__code__.co_filename, function.__code__.co_firstlineno - 1
    linecache.checkcache(filename)
    lines = linecache.getlines(filename, function.__globals__)[first:]
    margin = lines[0][: len(lines[0]) - len(lines[0].lstrip())] if lines else ""
    if not lines or lines[0].lstrip()[:1] not in ("@", "d", "a"):  # a lambda
        return ""
    starts = (f"{margin}def ", f"{margin}async def ")
    head = next((place for place, text in enumerate(lines) if text.startswith(starts)), len(lines))
    end = head + 1
    while end < len(lines) and _goes_on(lines[end], margin):
        end += 1
    inside = [line[len(margin) :] if line.startswith(margin) else "\n" for line in lines[:end] if _fits(line, margin)]
    return "".join(inside) if len(inside) == end else ""


def _goes_on(line: str, margin: str) -> bool:
    """Whether a line belongs to the function above: indented deeper, blank, a comment or a closing bracket."""
    text = line.lstrip()
    return not text or text[0] in "#)]}" or (len(line) - len(text) > len(margin) and line.startswith(margin))


def _fits(line: str, margin: str) -> bool:
    return line.startswith(margin) or not line.strip()


def lowered_function(value: Any) -> Any:
    """What is lowered where a value is called: the function that its `__kernel_function__` names, or itself.

    A function named so may say in `__called_as__`, a weak reference, whose it is. For others that only carry the
    attribute, as `functools.wraps` makes them, it does not count.
    """
    named = getattr(value, "__kernel_function__", value)
    called = getattr(named, "__called_as__", None)
    return named if called is None or called() is value else value


def called_function(function: FunctionType) -> FunctionType:
    """What Python code calls for a function that was lowered: the other way round."""
    called = getattr(function, "__called_as__", None)
    return (called() if called else None) or function
