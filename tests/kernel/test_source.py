"""Finding a function's text quickly gives what `inspect` finds slowly."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from lean_agentic.kernel import UnsupportedError, function_from_source
from lean_agentic.kernel.signatures import takes_any
from lean_agentic.kernel.source import syntax_tree


def functions(module: ModuleType) -> Iterator[FunctionType]:
    """The functions and methods that a module defines."""
    for owner in [module, *(each for each in vars(module).values() if isinstance(each, type))]:
        for value in vars(owner).values():
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                yield value


@pytest.mark.parametrize("module", [ast, inspect, textwrap], ids=lambda each: each.__name__)
def test_syntax_trees_are_those_that_inspect_finds(module: ModuleType) -> None:
    compared = 0
    for function in functions(module):
        if function.__name__ == "<lambda>" or inspect.isgeneratorfunction(function) or takes_any(function):
            continue
        (expected,) = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body
        ast.increment_lineno(expected, function.__code__.co_firstlineno - 1)
        if not hasattr(function, "__wrapped__"):
            assert ast.dump(syntax_tree(function), include_attributes=True) == ast.dump(
                expected, include_attributes=True
            )
            compared += 1
    assert compared >= 8


@pytest.mark.parametrize(
    "source",
    [
        "def f(\n    x,\n):\n    return x\n\n\nf(1)\n",
        "if True:\n    def f(x):\n    # a comment\n\n        return (\n            x\n    )\n    y = 1\n",
        'def f(x):\n    """Text\nat the margin.\n"""\n    return x\nz = 1\n',
        "def f(x): return x\ndef g(x): return x\n",
        "def f(x):\n    if x:\n        pass\n    else:\n        pass\n",
        "def f(x):\n    y = x + \\\n1\n    return y\n",
    ],
)
def test_layouts(source: str) -> None:
    function = function_from_source(source, "f")
    found = syntax_tree(function)
    node = next(each for each in ast.walk(ast.parse(source)) if isinstance(each, ast.FunctionDef) and each.name == "f")
    assert ast.dump(found) == ast.dump(node)
    lines = [each.lineno for each in ast.walk(node) if isinstance(each, ast.stmt)]
    assert [each.lineno for each in ast.walk(found) if isinstance(each, ast.stmt)] == lines


@pytest.mark.parametrize("source", ["f = lambda x: x\ndef g():\n    pass\n", "async def f(x):\n    return x\n"])
def test_other_callables_are_refused(source: str) -> None:
    scope: dict[str, object] = {}
    function_from_source(source + "def last():\n    pass\n", None, scope)
    function = scope["f"]
    assert isinstance(function, FunctionType)
    with pytest.raises(UnsupportedError, match="only functions written with `def`"):
        syntax_tree(function)


def in_file(path: Path, text: str) -> FunctionType:
    """The function `f` of a file with that text."""
    path.write_text(text, encoding="utf-8")
    scope: dict[str, Any] = {}
    exec(compile(text, str(path), "exec"), scope)
    found = scope["f"]
    assert isinstance(found, FunctionType)
    return found


@pytest.mark.parametrize(
    "change",
    [("s += i", "s -= i"), ("range(n)", "range(n - 1)"), ("s = 0", "s = 1"), ("s = 0", "s = 0.0"), ("(n)", "(m)")],
)
def test_a_text_that_has_changed_is_refused(tmp_path: Path, change: tuple[str, str]) -> None:
    text = "def f(n):\n    s = 0\n    for i in range(n):\n        s += i\n    return s\n"
    function = in_file(tmp_path / "module.py", text)
    assert syntax_tree(function).name == "f"
    (tmp_path / "module.py").write_text(text.replace(*change) + "# longer now\n", encoding="utf-8")
    with pytest.raises(UnsupportedError, match="not what the function was compiled from"):
        syntax_tree(function)


def test_closures_methods_and_comprehensions_are_recognised(tmp_path: Path) -> None:
    text = (
        "def outer(k):\n    class A:\n        @staticmethod\n        def g(n, *, w=2):\n"
        "            'text'\n            return [i * k for i in range(n) if i != w]\n    return A.g\nf = outer(3)\n"
    )
    assert syntax_tree(in_file(tmp_path / "module.py", text)).name == "g"


def test_names_that_a_class_changes_are_refused(tmp_path: Path) -> None:
    text = "__h = 7\n_K__h = 100\nclass K:\n    @staticmethod\n    def g(n):\n        return n + __h\nf = K.g\n"
    with pytest.raises(UnsupportedError, match="_K__h"):
        syntax_tree(in_file(tmp_path / "module.py", text))
