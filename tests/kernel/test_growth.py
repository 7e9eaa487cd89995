"""Lists that grow by `append` and shrink by `pop`: what is taken does what CPython does, also from the middle."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lean_agentic.jit_runtime.compiled import compile_kernel
from lean_agentic.jit_runtime.machine_code import Options
from lean_agentic.kernel import (
    Kernel,
    Outcome,
    UnsupportedError,
    continuation,
    fingerprint,
    function_from_source,
    interpret,
    liveness,
    lower,
    python_function,
    type_of,
)
from tests.kernel.against_cpython import check, outcome, same

TAKEN = [
    "out = []\nfor i in range(n):\n    if i % 3:\n        out.append(i * x)\nreturn out",
    "out = [n, x]\nout.append(1.5)\nreturn out, len(out), sum(out)",
    "out = []\nwhile n > 0:\n    n -= 1\n    if n == 4:\n        return out\n    out.append(n)\nreturn [out]",
    "out = []\nfor i in range(n):\n    row = []\n    for j in range(i):\n        row.append(j)\n    out.append(row)\n"
    "return out",
    "total = 0\nfor i in range(n):\n    part = []\n    part.append(i)\n    total += len(part)\nreturn total",
    "out = []\nfor i in range(n):\n    if i > 5:\n        out.append(None)\n        break\n    out.append(i)\n"
    "else:\n    out.append(x)\nreturn out",
    "out: list = []\nfor i in range(n):\n    out.append((i, [k for k in range(i)]))\nreturn out",
    "if n > 2:\n    out = []\nfor i in range(3):\n    out.append(i)\nreturn out",
    "out = []\nout.append(n // (n - 7))\nreturn out",
    "out = []\nfor i in range(n):\n    out.append(len(out) + sum(out))\nreturn out",
    "out = []\nfor i in range(n):\n    if len(out) > 3 or out and out[-1] > 5:\n        break\n    out.append(i)\n"
    "return out, out[1:], not out",
    "stack = [n]\nsteps = 0\nwhile stack:\n    v = stack.pop()\n    steps += 1\n    if v > 1:\n"
    "        stack.append(v - 1)\n        stack.append(v - 2)\nreturn steps, stack",
    "stack = [(n, 0)]\nout = []\nwhile len(stack) > 0 and len(out) < 40:\n    v, d = stack.pop()\n"
    "    out.append(v + d)\n"
    "    for k in range(1, v):\n        stack.append((v - k - 1, d + 1))\nreturn out",
    "queue, head = [], 0\nqueue = [n]\nwhile head < len(queue):\n    v = queue[head]\n    head += 1\n    if v > 1:\n"
    "        queue.append(v // 2)\n        queue.append(v - 2)\nreturn queue",
    "out = [0] * n\nout.append(n)\nout[0] = 5\nout.append(out.pop() + out.pop())\nreturn out",
    "out = [k * x for k in range(n)]\nfor v in out:\n    n += v > 1\nout.append(0.5)\nwhile out.pop() > 1:\n    pass\n"
    "return out, n",
    "out = [n]\nout.pop()\nif n == 3:\n    out.pop()\nreturn out",
    "rows = []\nfor i in range(n):\n    rows.append([i])\n    last = rows.pop()\n    last[0] += 1\n"
    "    rows.append(last)\n"
    "return rows",
    "seen = list(range(3))\nfor i in range(n):\n    if i * i % 7 not in seen:\n        seen.append(i * i % 7)\n"
    "return seen",
    "out = [1.5]\nfor v in out:\n    out.append(v)\n    break\nreturn out, [out.pop() for k in range(2)], out",
]
REFUSED = [
    ("out = [0]\nfor v in out:\n    if v < n:\n        out.append(v + 1)\nreturn out", 5, "while a loop runs over it"),
    ("out = [0]\nfor i, v in enumerate(out):\n    out.pop()\nreturn out", 4, "while a loop runs over it"),
    ("out = [0]\nt = [out.pop() for v in out]\nreturn out", 3, "while a loop runs over it"),
    ("out = []\nout.append(out)\nreturn out", 3, "is given away before"),
    ("out = []\nt = (out, 1)\nout.append(1)\nreturn t", 4, "is given away before"),
    ("out = []\nfor i in range(n):\n    out.append(i)\n    t = [out]\nreturn t", 4, "is given away before"),
    ("out = []\nt = xs if n else out\nout.append(1)\nreturn t", 4, "is given away before"),
    ("out = []\nt = n and out\nout.append(1)\nreturn t", 4, "is given away before"),
    ("out = xs[:]\nout.append(1)\nreturn out", 2, r"can only be assigned a list like \[\]"),
    ("out = xs\nout.pop()\nreturn out", 2, r"can only be assigned a list like \[\]"),
    ("out = []\nout.pop(0)\nreturn out", 3, r"method calls such as .pop\(\)"),
    ("xs.pop()\nreturn xs", 2, r"method calls such as .pop\(\)"),
    ("out = other = []\nout.append(1)\nreturn out", 2, "can only be assigned"),
    ("out = []\nfor out in range(n):\n    out.append(1)\nreturn out", 3, "can only be assigned"),
    ("out = []\ny = out.append(n)\nreturn out", 3, "method calls such as .append()"),
    ("xs.append(n)\nreturn xs", 2, "method calls such as .append()"),
]


def lowered(body: str, *arguments: Any) -> Kernel:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return lower(function_from_source(f"def f(n, x, xs):\n{lines}\n"), [type_of(each) for each in arguments])


@pytest.mark.parametrize("body", TAKEN)
@pytest.mark.parametrize("n", [0, 1, 3, 7, 9])
def test_what_is_taken_is_cpython(body: str, n: int) -> None:
    kernel = lowered(body, n, 0.5, [1])
    found = interpret(kernel, (n, 0.5, [1]), check_types=True)
    if found.exception:
        with pytest.raises(type(found.exception)):
            kernel.function(n, 0.5, [1])
        return
    expected = kernel.function(n, 0.5, [1])
    assert fingerprint(found.value) == fingerprint(expected)
    assert fingerprint(python_function(kernel)({"n": n, "x": 0.5})) == fingerprint(expected)


@pytest.mark.parametrize("body", TAKEN)
def test_compiled_code(body: str) -> None:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    for n in (0, 3, 9):
        check(f"def f(n, x, xs):\n{lines}\n", n, 0.5, [1])


@pytest.mark.parametrize("body", TAKEN)
def test_half_built_lists_go_on(body: str) -> None:
    arguments = (9, 0.5, [1])
    kernel = lowered(body, *arguments)
    whole, live = interpret(kernel, arguments), liveness(kernel.entry)
    for budget in range(whole.steps):
        part = interpret(kernel, arguments, budget=budget)
        assert part.at is not None
        state = {name: part.locals[name] for name in live.before[part.at] if name in part.locals}
        rest = continuation(kernel, part.at, types={name: type_of(value) for name, value in state.items()})
        found = interpret(rest, list(copy.deepcopy(state).values()), check_types=True)
        assert fingerprint(found.value) == fingerprint(whole.value)
        assert fingerprint(python_function(kernel, statement_id=part.at)(state)) == fingerprint(whole.value)


@pytest.mark.parametrize("body", TAKEN)
def test_compiled_code_goes_on_with_half_built_lists(body: str) -> None:
    """The Python lists that come in become as long as they would."""
    arguments = (9, 0.5, [1])
    kernel = lowered(body, *arguments)
    whole, live = interpret(kernel, arguments), liveness(kernel.entry)
    for budget in range(1, whole.steps, max(1, whole.steps // 9)):
        part = interpret(kernel, arguments, budget=budget)
        assert part.at is not None
        state = {name: part.locals[name] for name in live.before[part.at] if name in part.locals}
        rest = continuation(kernel, part.at, types={name: type_of(value) for name, value in state.items()})
        found = outcome(compile_kernel(rest, 1, options=Options(engine="x86")).code, tuple(state.values()))
        same(
            Outcome(found.ending, found.value, found.exception, ()), Outcome(whole.ending, whole.value, whole.exception)
        )


@pytest.mark.parametrize(("body", "line", "reason"), REFUSED)
def test_what_is_refused(body: str, line: int, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason) as caught:
        lowered(body, 3, 0.5, [1])
    assert caught.value.line == line
