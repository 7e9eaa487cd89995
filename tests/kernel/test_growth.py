"""Lists that grow by `append`: what is taken does what CPython does, also from the middle; the rest is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lean_agentic.kernel import (
    Kernel,
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
]
REFUSED = [
    ("out = []\nfor i in range(n):\n    out.append(len(out))\nreturn out", 4, "is read before it grows"),
    (
        "out = []\nfor i in range(n):\n    if len(out) > 3:\n        break\n    out.append(i)\nreturn out",
        6,
        "is read before",
    ),
    ("out = [0]\nfor v in out:\n    if v < n:\n        out.append(v + 1)\nreturn out", 5, "is read before"),
    ("out = []\nout.append(out)\nreturn out", 3, "is read before"),
    ("out = [0] * n\nout.append(1)\nreturn out", 2, r"can only be assigned a list like \[\]"),
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


@pytest.mark.parametrize(("body", "line", "reason"), REFUSED)
def test_what_is_refused(body: str, line: int, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason) as caught:
        lowered(body, 3, 0.5, [1])
    assert caught.value.line == line
