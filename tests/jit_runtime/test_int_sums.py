"""Which locals are sums of ints; the cases in which the whole loop is refused are in `test_independence`."""

from __future__ import annotations

import pytest

from lean_agentic.jit_runtime.int_sums import is_sum
from lean_agentic.kernel import function_from_source, lower, type_of
from lean_agentic.kernel.ir import ForRange


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("t += i", True),
        ("t = i + t", True),
        ("t -= i * 2", True),
        ("t += i > 2", True),
        ("t += i\n  if i > 2:\n   t += 1", True),
        ("for j in range(i):\n   t += j", True),
        ("t = i - t", False),
        ("t += t", False),
        ("t *= 2", False),
        ("t += 0.5 if i < 0 else 1", False),
        ("u = t\n  t += i", False),
        ("t = u = t + i", False),
        ("t, u = t + i, t + 1", False),
        ("t += i\n  if t > 9:\n   u = i", False),
        ("u += i", False),
    ],
)
def test_sums(body, expected):
    function = function_from_source(f"def f(n):\n t = u = 0\n for i in range(n):\n  {body}\n return t, u")
    kernel = lower(function, [type_of(3)])
    (loop,) = [each for each in kernel.entry.body if isinstance(each, ForRange)]
    assert is_sum("t", loop.body) is expected
