"""CPython code from the IR: a procedure, or the rest of one, as a Python function of the live locals.

In: a kernel and where to begin. Out: a function that takes a dict of locals and goes on from there, in place on the
caller's lists and arrays, with the user's file name, function name and line numbers, so that tracebacks are the user's.
Compiled code that leaves goes on here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection
from itertools import count
from types import CellType, CodeType, FunctionType
from typing import Any
from weakref import WeakKeyDictionary

from lean_agentic.kernel.continuation import procedure_of
from lean_agentic.kernel.ir import Block, CheckBound, Procedure, walk
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.liveness import liveness
from lean_agentic.kernel.python_expressions import LOAD, STORE, Outside
from lean_agentic.kernel.python_statements import python_statements
from lean_agentic.kernel.resume import rest_of
from lean_agentic.kernel.types import NEVER

PythonFunction = Callable[[dict[str, Any]], Any]
STATE = ".state"
"""The parameter of generated functions."""
_made: WeakKeyDictionary[Kernel, dict[tuple[str, int | None, bool], PythonFunction]] = WeakKeyDictionary()


def python_function(
    kernel: Kernel, procedure_name: str | None = None, statement_id: int | None = None, behind: bool = False
) -> PythonFunction:
    """A procedure, or the rest of it from a statement, as Python code.

    Parameters
    ----------
    kernel : Kernel
        A lowered function or a continuation.
    procedure_name : str, optional
        By default the one that holds the statement, or the entry.
    statement_id : int, optional
        Where to begin; by default at the beginning of the procedure.
    behind : bool
        Whether the statement itself has been done.

    Returns
    -------
    function
        Takes a dict with a value for each live local that has one; what else is in it is ignored. Made once for each
        place. Calls go to the user's function objects. From a statement, the values have to be of the kernel's types;
        from the beginning they may be of any types of the kernel language (not dicts or generators: loops go over
        positions, as does `in`, which is not NumPy's for arrays).

    Raises
    ------
    KeyError
        If there is no such procedure or statement.
    """
    if procedure_name is None:
        procedure_name = kernel.entry.name if statement_id is None else procedure_of(kernel, statement_id)
    made = _made.setdefault(kernel, {})
    place = (procedure_name, statement_id, behind)
    if place not in made:
        made[place] = _make(kernel, *place)
    return made[place]


def _make(kernel: Kernel, procedure_name: str, statement_id: int | None, behind: bool) -> PythonFunction:
    source = kernel.sources[procedure_name]
    body, callees, outside = source.body, source.callees, Outside()
    if statement_id in kernel.statements:
        # The typed body reads exactly what its liveness says.
        body, callees = kernel.procedures[procedure_name].body, kernel.functions
    if statement_id is not None:
        # The numbers of new statements are not seen: this code has no exits.
        body, _ = rest_of(body, statement_id, behind, count(10**9))
        given = None
    else:
        given = {each.name for each in source.parameters}
    lines = [*_loads(body, given), *python_statements(body, outside, callees)]
    return _compiled(lines, outside, source.function)


def _loads(body: Block, given: Collection[str] | None) -> list[ast.stmt]:
    """`if "x" in state: x = state["x"]` for what is live at the beginning.

    A body without types also reads, where it cannot come, names that are not given. They are None, because code for an
    expression may read them before something else in it fails.
    """
    if not body:
        return []
    names = sorted(liveness(Procedure("", (), body, NEVER)).before[body[0].id])
    checked = {each.name for each in walk(body) if isinstance(each, CheckBound)}
    loads: list[ast.stmt] = []
    for name in names:
        value = ast.Subscript(ast.Name(STATE, LOAD), ast.Constant(name), LOAD)
        dead = given is not None and name not in given and name not in checked
        otherwise: list[ast.stmt] = [ast.Assign([ast.Name(name, STORE)], ast.Constant(None))] if dead else []
        test = ast.Compare(ast.Constant(name), [ast.In()], [ast.Name(STATE, LOAD)])
        loads.append(ast.If(test, [ast.Assign([ast.Name(name, STORE)], value)], otherwise))
    return loads


def _compiled(lines: list[ast.stmt], outside: Outside, like: FunctionType) -> PythonFunction:
    """The function of the statements, with outside values in its closure and the user's globals, file and name."""
    code = like.__code__
    inner = _function(like.__name__, [STATE], lines)
    outer = _function("outside", list(outside.values), [inner])
    module = ast.Module([outer], [])
    _place(module, code.co_firstlineno)
    made = _inner(_inner(compile(module, code.co_filename, "exec", dont_inherit=True)))
    made = made.replace(co_name=code.co_name, co_qualname=code.co_qualname)
    cells = tuple(CellType(outside.values[name]) for name in made.co_freevars)
    return FunctionType(made, like.__globals__, like.__name__, None, cells)


def _function(name: str, parameters: list[str], lines: list[ast.stmt]) -> ast.FunctionDef:
    (made,) = ast.parse("def name(): pass").body  # has whatever fields this Python wants
    assert isinstance(made, ast.FunctionDef)
    made.name, made.args.args, made.body = name, [ast.arg(each) for each in parameters], lines or made.body
    return made


def _inner(code: CodeType) -> CodeType:
    return next(each for each in code.co_consts if isinstance(each, CodeType))


def _place(node: ast.AST, line: int) -> None:
    """Give every node a line, its parent's by default, and no columns: tracebacks then underline nothing."""
    line = getattr(node, "lineno", line)
    if "lineno" in node._attributes:
        node.lineno = node.end_lineno = line  # type: ignore[attr-defined]
        node.col_offset = node.end_col_offset = -1  # type: ignore[attr-defined]
    for child in ast.iter_child_nodes(node):
        _place(child, line)
