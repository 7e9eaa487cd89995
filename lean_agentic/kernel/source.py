"""From a function object to its syntax tree, and from source text to a function object.

In: a plain Python function whose source can be read. Out: the `def` node with the line numbers of the user's file.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
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
        text = textwrap.dedent(inspect.getsource(function))
        (tree,) = ast.parse(text).body
    except (OSError, SyntaxError, TypeError, ValueError) as error:
        raise UnsupportedError(f"the source of {function.__qualname__} cannot be read: {error}", line) from error
    if not isinstance(tree, ast.FunctionDef) or tree.name != function.__name__:
        raise UnsupportedError("only functions written with `def` are taken", line, text.splitlines()[0].strip())
    if function.__code__.co_flags & (inspect.CO_GENERATOR | inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
        raise UnsupportedError(
            "generators and functions with *args or **kwargs are not taken", line, f"def {tree.name}"
        )
    ast.increment_lineno(tree, line - 1)
    return tree
