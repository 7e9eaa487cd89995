"""The generator gives programs of the kernel language that reach its corners."""

from __future__ import annotations

import warnings
from collections import Counter

from hypothesis import HealthCheck, Phase, given, settings

from lean_agentic.kernel import UnsupportedError, function_from_source, interpret, lower, type_of
from lean_agentic.kernel.ir import walk
from lean_agentic.kernel.program_generator import Program, programs

RARER = (AssertionError, ZeroDivisionError, OverflowError, ValueError, UnboundLocalError)


def test_programs_are_taken_and_end_in_many_ways() -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=200, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )  # fmt: skip
    @given(programs())
    def collect(program: Program) -> None:
        function = function_from_source(program.source, "program")
        try:
            kernel = lower(function, [type_of(each) for each in program.arguments])
        except UnsupportedError:
            seen["refused"] += 1
            return
        outcome = interpret(kernel, program.arguments, budget=200_000)
        seen[type(outcome.exception).__name__ if outcome.exception else outcome.ending.value] += 1
        seen.update({type(each).__name__ for each in walk(kernel.entry.body)})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collect()

    # Hypothesis mixes in constants of whatever modules are loaded, so the counts depend on which tests ran before.
    assert seen["refused"] <= 20
    assert seen["out of steps"] == 0
    assert min(seen[name] for name in ("returned", "IndexError", "ForRange", "While", "Store")) > 10
    assert sum(seen[error.__name__] > 0 for error in RARER) >= 2
