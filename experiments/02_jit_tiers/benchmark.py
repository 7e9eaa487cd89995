"""Compiles five programs of the suite in tiers 1 and 2, front end included: what `lean-agentic compare` times."""

from __future__ import annotations

from lean_agentic.jit_runtime.compiled import compile_kernel
from lean_agentic.kernel import lower, type_of
from lean_agentic.workbench.jit_suite import programs

NAMES = ("sum-xor", "mandelbrot", "matmul", "fib")


def prepare() -> None:
    """Make the arguments, which only lend their types."""
    global work
    work = [(program.function, [type_of(each) for each in program.arguments("small")]) for program in programs(NAMES)]


def sample() -> None:
    """Compile each once in each tier."""
    for function, types in work:
        for tier in (1, 2):
            compile_kernel(lower(function, types), tier)
