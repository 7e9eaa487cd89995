from __future__ import annotations

import re

import numpy as np
import pytest

from lean_agentic.workbench.jit_measurements import Verdict, verdict_on
from lean_agentic.workbench.jit_suite import PROBES, SIZES, SUITE, Program, SuiteError, programs
from lean_agentic.workbench.jit_worker import describe, find

ISSUE = [
    "sum-xor", "mandelbrot", "matmul", "sieve", "fib", "dot", "collatz", "n-body", "spectral norm", "fannkuch",
    "Floyd-Warshall", "Game of Life", "Levenshtein", "k-means step", "Black-Scholes", "Jacobi 2-D",
]  # fmt: skip


def test_the_sixteen_programs_are_there_with_lists_and_arrays_where_they_apply() -> None:
    assert list(dict.fromkeys(each.name for each in SUITE)) == ISSUE
    forms = {name: {each.form for each in SUITE if each.name == name} for name in ISSUE}
    scalar = {name for name in ISSUE if forms[name] == {"scalars"}}
    assert scalar == {"sum-xor", "mandelbrot", "fib", "collatz"}
    assert all(forms[name] == {"lists", "arrays"} for name in ISSUE if name not in scalar)


@pytest.mark.parametrize("program", SUITE, ids=lambda program: program.title)
def test_arguments_are_fresh_and_the_same(program: Program) -> None:
    for size in SIZES:
        first, second = program.arguments(size), program.arguments(size)
        assert describe(first) == describe(second)
        mutable = [(a, b) for a, b in zip(first, second, strict=True) if isinstance(a, list | np.ndarray)]
        assert all(a is not b for a, b in mutable)


@pytest.mark.parametrize("program", programs(forms=("lists",)), ids=lambda program: program.title)
def test_the_array_form_computes_what_the_list_form_does(program: Program) -> None:
    arguments = program.arguments("small")
    result = describe([program.function(*arguments), list(arguments)])
    module, name, make = find(**program.where(as_arrays=True), size="small")
    others = make()
    as_arrays = describe([getattr(module, name)(*others), list(others)])
    verdict = verdict_on(result, as_arrays)
    # fannkuch and the sums give exactly the same; powers of array elements may round otherwise.
    assert verdict in (Verdict.EXACT, Verdict.OTHER_TYPE, Verdict.LAST_BITS)


def test_probes_are_where_python_and_machines_differ() -> None:
    calls = {each.name: (each.function, each.arguments("small")) for each in PROBES}
    function, arguments = calls["an int above 64 bits"]
    assert function(*arguments) > 2**63
    function, arguments = calls["an index past the end"]
    with pytest.raises(IndexError):
        function(*arguments)
    function, arguments = calls["int on one path, float on the other"]
    assert function(*arguments) != float(function(*arguments))


def test_an_unknown_program_or_form_is_refused() -> None:
    with pytest.raises(SuiteError, match=re.escape("no bubble sort; it has Black-Scholes, ")):
        programs(["dot", "bubble sort"])
    with pytest.raises(SuiteError, match="no sets; it has arrays, lists, scalars"):
        programs(forms=("sets",))
