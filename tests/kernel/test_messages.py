"""Messages of exceptions: the text is the one CPython makes, on every way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lean_agentic.kernel import UnsupportedError, function_from_source, lower, type_of
from tests.kernel.against_cpython import check

MESSAGES = [
    "f'{x}'", "f'bad {x!r} of {len(xs)}: {x / 3:.2f} {LIMIT}'", "'at %d of %s' % (x, xs)", "'{} {k:>5}'.format(x, k=x)",
    "str(x)", "repr(xs) + ' is ' + str(LIMIT)", "'few' if x < 3 else f'many: {max(xs)}'", "f'{1 / (x - x)}'",
    "f'{x:d}'", "f'{xs[7]}'", "'plain'", "f'{x:{x}}'",
]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("x", [5, 2.5, True, np.int64(7), np.float32(0.1)])
def test_messages(message: str, x: Any) -> None:
    head = "LIMIT = 12\ndef f(x, xs):\n    y = x\n    for i in range(3):\n        "
    for xs in ([1, 2], np.array([0.5, 1.5])):
        check(f"{head}if i == 1:\n            raise ValueError({message})\n    return y\n", x, xs, messages=True)
        check(f"{head}assert i < 2, {message}\n    return y\n", x, xs, messages=True)


def test_several_arguments() -> None:
    check("def f(x):\n    raise KeyError(x + 1, f'{x}', x, -2)\n", 3, messages=True)


def test_a_callee_raises() -> None:
    source = "def g(x, a):\n    if x > 3:\n        raise OverflowError(f'{x} {a}')\n    return x\n"
    check(
        source + "def f(n, a):\n    for i in range(n):\n        a[0] += g(i, a)\n    return a\n", 9, [0], messages=True
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ValueError(f'{g(x)}')", "may only read variables"),
        ("raise ValueError(f'{TABLE}')", "may only read variables"),
        ("raise ValueError(f'{[k for k in range(x)]}')", "may only read variables"),
        ("raise ValueError(f'{x.foo}')", "may only read variables"),
        ("raise ValueError(f'{(y := x)}')", "may only read variables"),
        ("raise ValueError(f'{x}', 1 // x)", "behind a message"),
        ("if x:\n        y = 1\n    raise ValueError(f'{y}')", "`y` may have no value"),
        ("y = f'{x}'", "JoinedStr"),
    ],
)
def test_what_is_refused(body: str, reason: str) -> None:
    function = function_from_source(f"TABLE = [1]\ndef g(x):\n    return x\ndef f(x):\n    {body}\n")
    with pytest.raises(UnsupportedError, match=reason):
        lower(function, [type_of(1)])
