"""From a function object to its syntax tree, and from source text to a function object.

In: a plain Python function whose source can be read. Out: the `def` node with the line numbers of the user's file.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache, partial
from itertools import count
from types import CodeType, FunctionType, ModuleType
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
    if not is_source_of(function.__code__, text, function.__qualname__, _modules(function)):
        raise UnsupportedError(
            "the text in the file is not what the function was compiled from: reload the module, or define it again",
            line, f"def {tree.name}",
        )  # fmt: skip
    if mangled := _mangled_names(function):
        raise UnsupportedError(f"the name {mangled[0]}, which its class changes, is outside the kernel language", line)
    return tree


def _modules(function: FunctionType) -> tuple[str, ...]:
    """Names in a function that outside are modules: what was imported is called by other bytecode."""
    known, code = function.__globals__, function.__code__
    names = (*code.co_names, *code.co_varnames, *code.co_freevars)
    return tuple(name for name in names if isinstance(known.get(name), ModuleType))


def _mangled_names(function: FunctionType) -> list[str]:
    """Names with two leading underscores in a class, as the class has made them."""
    *_, outer, _ = ["", *function.__qualname__.split(".")]
    code, start = function.__code__, f"_{outer.lstrip('_')}__"
    return [each for each in (*code.co_names, *code.co_varnames, *code.co_freevars) if outer and each.startswith(start)]


@lru_cache(maxsize=256)
def is_source_of(code: CodeType, text: str, qualified_name: str, modules: tuple[str, ...]) -> bool:
    """Whether compiling a text gives a function's code: the file may have changed, or its name may be used again.

    The text is compiled where it stood: with the variables of the function around it, and in a class of the same name,
    which decides what names with two leading underscores mean.
    """
    (tree,) = ast.parse(textwrap.dedent(text)).body
    assert isinstance(tree, ast.FunctionDef)
    tree.decorator_list = []
    around: list[ast.stmt] = [tree]
    *_, outer, _ = ["", *qualified_name.split(".")]
    if outer.isidentifier():
        around = [ast.ClassDef(outer, [], [], around, [])]
    if code.co_freevars:
        names: list[ast.expr] = [ast.Name(name, ast.Store()) for name in code.co_freevars]
        nothing = ast.arguments([], [], None, [], [], None, [])
        around = [ast.FunctionDef("outer", nothing, [ast.Assign(names, ast.Constant(None)), *around], [])]
    imports: list[ast.stmt] = [ast.Import([ast.alias(name)]) for name in modules]
    for body in ([*imports, *around], around):
        module = ast.fix_missing_locations(ast.Module(body, []))
        made = compile(module, code.co_filename, "exec", dont_inherit=True)
        if any(map(partial(_same, code), _codes(made))):
            return True
    return False


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)


def _same(one: CodeType, other: CodeType) -> bool:
    alike = (one.co_code, one.co_names, one.co_varnames, one.co_freevars) == (
        other.co_code, other.co_names, other.co_varnames, other.co_freevars,
    )  # fmt: skip
    return (
        alike and len(one.co_consts) == len(other.co_consts) and all(map(_same_value, one.co_consts, other.co_consts))
    )


def _same_value(one: object, other: object) -> bool:
    if isinstance(one, CodeType) and isinstance(other, CodeType):
        return _same(one, other)
    if isinstance(one, str) and isinstance(other, str):  # lines of a docstring have lost their margin
        return one.split() == other.split()
    return type(one) is type(other) and repr(one) == repr(other)


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
