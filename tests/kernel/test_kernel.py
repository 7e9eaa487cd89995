"""Lowering: what is taken, what is refused and how it says so, and the guards on outside names."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from lean_agentic.kernel import UnsupportedError, function_from_source, interpret, lower, type_of
from lean_agentic.kernel.ir import Assign, Call, ForRange, walk

ARRAY, NUMBERS = np.zeros(2), [1, 2]
REFUSED: list[tuple[str, Any, str]] = [
    ("return {x: 1}", 1, "Dict expressions"),
    ("return lambda: x", 1, "Lambda expressions"),
    ("with x: pass", 1, "With statements"),
    ("global g; g = x", 1, "Global statements"),
    ("del x", 1, "Delete statements"),
    ("return (y := x)", 1, "NamedExpr expressions"),
    ("return x in {1: 2}", 1, "Dict expressions"),
    ("return x is x", 1, "only against None"),
    ("return 'a'", 1, "type str from outside"),
    ("return print(x)", 1, "print is not among the functions"),
    ("return TABLE[0]", 1, "type list from outside"),
    ("return absent", 1, "has no value now"),
    ("return None + x", 1, "raises TypeError"),
    ("return (i for i in range(x))", 1, "GeneratorExp"),
    ("raise KeyError('a') from None", 1, "without a cause"),
    ("for i in range(1.5): pass", 1, "range and enumerate take ints|range takes ints"),
    ("while x: x = (x, 1)", 1, "nests without bound"),
    ("return np.arange(x, x + 3)", 1, "write dtype="),
    ("return np.cumsum(x)", 1, "cumsum is not among"),
    ("return zip", 1, "type type from outside"),
    ("x.real = 1", 1, "assignment to Attribute"),
    ("return x.foo", 1, "attribute .foo of int"),
    ("return len(x)", 1, "has no length"),
    ("return f(*x)", 1, r"\* and \*\* arguments"),
    ("return math.sqrt(x=x)", 1, "with the keyword x"),
    ("return x.append(1)", NUMBERS, "method calls such as .append()"),
    ("x.append(1)", NUMBERS, "method calls such as .append()"),
    ("y = x; y.append(1)", NUMBERS, "can only be assigned a list like"),
    ("y = []; y.append(x); y = x", 1, "can only be assigned a list like"),
    ("y = []; z = y; y.append(x)", 1, "is given away before"),
    ("return float('one')", 1, "raises ValueError"),
    ("return x < 1.0", 1j, "raises TypeError"),
    ("return np.sqrt(x)", 1j, "complex128"),
    ("x[0] = 1.5", NUMBERS, r"a list\[int\] would hold float"),
    ("x[0:1] = [1]", NUMBERS, "assignment to a slice"),
    ("x += [1]", NUMBERS, r"\+= of list"),
    ("a, b = x", NUMBERS, "cannot be unpacked"),
    ("*a, b = x", NUMBERS, "starred targets"),
    ("return min(x, key=abs)", NUMBERS, "keyword key"),
    ("return x + 1", ARRAY, r"\+ of array"),
    ("return x[0.5]", ARRAY, "index of type float"),
    ("return x[x > 0]", ARRAY, "comparison > of array"),
    ("return x[True]", ARRAY, "index of type bool"),
    ("return x[0, 0]", ARRAY, "2 indexes for"),
    ("return x @ x", ARRAY, "matrix multiplication"),
    ("if x: pass", ARRAY, "truth value of an array"),
]


@pytest.mark.parametrize(("body", "argument", "reason"), REFUSED, ids=[body for body, _, _ in REFUSED])
def test_what_is_refused_says_where_and_why(body: str, argument: Any, reason: str) -> None:
    function = function_from_source(f"import math\nimport numpy as np\nTABLE = [1]\ndef f(x):\n    {body}\n")
    with pytest.raises(UnsupportedError, match=reason) as caught:
        lower(function, [type_of(argument)])
    assert caught.value.line == 5
    assert caught.value.source


@pytest.mark.parametrize("head", ["def f(*x):\n    return 1", "def f(x=1):\n    yield x"])
def test_unusual_functions_are_refused(head: str) -> None:
    with pytest.raises(UnsupportedError, match="not taken"):
        lower(function_from_source(head + "\n"), [])


def test_a_function_without_source_is_refused() -> None:
    namespace: dict[str, Any] = {}
    exec("def f(x):\n    return x\n", namespace)
    with pytest.raises(UnsupportedError, match="cannot be read"):
        lower(namespace["f"], [type_of(1)])


def test_a_refusal_in_a_callee_names_its_line() -> None:
    function = function_from_source("def g(y):\n    return y.foo\ndef f(x):\n    return g(x)\n", "f")
    with pytest.raises(UnsupportedError) as caught:
        lower(function, [type_of(1)])
    assert (caught.value.line, caught.value.source) == (2, "return y.foo")


def value(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """What the kernel of a function gives, after checking that CPython gives the same."""
    assert isinstance(function, FunctionType)
    expected = function(*arguments, **keywords)
    kernel = lower(function, [type_of(each) for each in arguments])
    found = interpret(kernel, kernel.bind(*arguments, **keywords), check_types=True).value
    assert (found, type(found)) == (expected, type(expected))
    return found


def shifted(x: float, *, by: float = 2.0) -> float:
    """Adds a keyword argument."""
    return x + by


def uses_none(x: int, limit: int | None = None) -> int:
    """None decides which branch exists."""
    if limit is None or limit > 10:
        limit = 10
    return min(x, limit)


def calls_with_keywords(x: float) -> float:
    """Defaults and keywords of a callee."""
    return shifted(x) * shifted(x, by=math.pi) + uses_none(3)


def nested_lists(n: int) -> int:
    """Lists of lists, made and read."""
    grid = [[i * j for j in range(n)] for i in range(n) if i != 1]
    pairs = [(i, 2 * i) for i in list(range(n))]
    total = 0
    for k, (row, (left, right)) in enumerate(zip(grid, pairs), 2):  # noqa: B905 (`strict` is not taken)
        total += sum(row) + left * right - k
    return total


def test_lists_of_lists() -> None:
    value(nested_lists, 4)


def test_defaults_keywords_and_none() -> None:
    assert value(shifted, 1.0) == 3.0
    assert value(uses_none, 30) == 10
    value(calls_with_keywords, 0.5)


def test_new_arrays() -> None:
    source = (
        "import numpy as np\ndef f(n):\n    a = np.zeros((n, 2), dtype=np.float32)\n    b = np.full(n, 7)\n"
        "    c = np.arange(n)\n    d = np.ones(n)\n"
        "    e = np.empty(n, dtype='bool')\n    a[1, 0] = b[0] + c[1] + d[0]\n"
        "    e[0] = True\n    return a[1, 0], b.shape, a.T.ndim, c.size, e[0], a[1:, 0][0]\n"
    )
    value(function_from_source(source), 3)


def test_guards_follow_globals_and_closures() -> None:
    namespace: dict[str, Any] = {}
    function = function_from_source("import math\nK = 2\ndef f(x):\n    return math.floor(x) + K\n", None, namespace)
    kernel = lower(function, [type_of(1.5)])
    assert {".".join(guard.path) for guard in kernel.guards} == {"math.floor", "K"}
    assert kernel.is_current()
    namespace["K"] = 2.0
    assert not kernel.is_current()
    namespace["K"] = 2
    assert kernel.is_current()
    namespace["math"] = np
    assert not kernel.is_current()


def test_guards_follow_closures() -> None:
    source = (
        "def make(k):\n    def f(x):\n        return x + k\n"
        "    def change(v):\n        nonlocal k\n        k = v\n    return f, change\n"
    )
    function, change = function_from_source(source)(5)
    kernel = lower(function, [type_of(1)])
    assert interpret(kernel, (1,)).value == 6
    change(6)
    assert not kernel.is_current()


def test_every_statement_has_its_own_id_and_line() -> None:
    source = (
        "def g(x):\n    return x + 1\ndef f(n):\n    s = 0\n    for i in range(n):\n        s += g(i)\n    return s\n"
    )
    kernel = lower(function_from_source(source, "f"), [type_of(3)])
    statements = [each for procedure in kernel.procedures.values() for each in walk(procedure.body)]
    assert len({each.id for each in statements}) == len(statements) == len(kernel.statements)
    assert {each.line for each in statements} == {2, 4, 5, 6, 7}
    loop = next(each for each in statements if isinstance(each, ForRange))
    call = next(each for each in walk(loop.body) if isinstance(each, Assign) and isinstance(each.operation, Call))
    assert call.operation.procedure == "g(int)"  # type: ignore[attr-defined]
    assert call.line == 6


def test_the_text_of_a_kernel() -> None:
    kernel = lower(function_from_source("def f(x, y):\n    return x // y if y else -0.0\n"), [type_of(7), type_of(2)])
    assert str(kernel) == (
        "procedure f(int, int)(x: int, y: int) -> float | int\n"
        "   1    2|     if y:\n"
        "   2    2|         %2: int = x // y\n"
        "   3    2|         %1: int = %2\n"
        "         |     else:\n"
        "   4    2|         %1: float = -0.0\n"
        "   5    2|     return %1"
    )
    assert repr(kernel) == "<Kernel f(int, int) -> float | int, 5 statements>"


def test_wrong_argument_types_are_refused() -> None:
    function = function_from_source("def f(x, y):\n    return x\n")
    with pytest.raises(TypeError, match="no argument type for the parameter y"):
        lower(function, [type_of(1)])
    with pytest.raises(TypeError, match="3 argument types"):
        lower(function, [type_of(1)] * 3)
