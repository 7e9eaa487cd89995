"""How operations on unions are branched over; that they compute the right things is tested in `test_select_scalars`."""

from __future__ import annotations

import numpy as np

from lean_agentic.jit_runtime.lir import Mode
from tests.jit_runtime.against_cpython import Run, compiled


def operations(run: Run) -> list[str]:
    """Names of the entry's instructions."""
    return [each[0] for block in run.compiled.selected.unit.functions[0].blocks for each in block.instructions]


def union_of(count: int) -> str:
    """Source that gives `x` one of several types of numbers."""
    lines = "".join(f"    elif k == {n + 1}:\n        x = a{n}[0]\n" for n in range(count - 1))
    names = ", ".join(f"a{n}" for n in range(count - 1))
    return (
        f"def f(k, y{', ' + names if names else ''}):\n    if k == 0:\n        x = 1\n{lines}    else:\n        x = y\n"
    )


ARRAYS = [np.ones(1, dtype=dtype) for dtype in ("int8", "int16", "int32", "uint8", "float32")]


def test_up_to_twelve_combinations_are_computed_natively() -> None:
    run = compiled(union_of(2) + "    return x // x", 1, 2.5, ARRAYS[0])
    assert not run.asks
    assert operations(run).count("cbr") > 3


def test_more_combinations_are_asked() -> None:
    run = compiled(union_of(5) + "    return x // x", 1, 2.5, *ARRAYS[:4])
    assert run.asks == 1
    point = next(each for each in run.compiled.selected.exits if each.mode is Mode.ASK)
    assert point.names == ("#0", "#1")


def test_only_the_combinations_without_a_native_form_are_asked() -> None:
    source = "def f(flag, n, x):\n    y = n if flag else x\n    return pow(y, 2, 7) if flag else 0"
    source = source.replace("pow(y, 2, 7)", "round(y, 1)")
    run = compiled(source, True, 3, 2.5)
    assert run.asks <= 1


def test_a_known_tag_needs_no_branch() -> None:
    source = "def f(n):\n    x = 0.0\n    y = x + n\n    for i in range(n):\n        x = 1\n    return y"
    run = compiled(source, 3)
    entry = run.compiled.selected.unit.functions[0].blocks[0].instructions
    assert [each[0] for each in entry].count("cbr") == 1


def test_truth_of_any_integers_is_one_test() -> None:
    run = compiled(
        "def f(flag, n, a):\n    x = n if flag else a[0]\n    return 1 if x else 2", True, 3, np.ones(1, dtype="int8")
    )
    assert operations(run).count("cbr") == 2, "one for the flag, one for x"
