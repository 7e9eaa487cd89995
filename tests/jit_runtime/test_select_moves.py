"""Copies and calls against CPython, and results without a machine form."""

from __future__ import annotations

import itertools

import numpy as np

from tests.jit_runtime.against_cpython import again, compiled, same


def test_swaps_and_names_of_the_same_thing() -> None:
    source = """
def f(xs, n):
    a, b, c = 1, 2, 3
    ys = xs
    for i in range(n):
        a, b, c = b, c, a + b
        old = ys
        ys = [a, b] if i % 2 else xs
        xs = old
        xs[0] = c
    return a, b, c, xs, ys
"""
    run = compiled(source, [5, 6], 1)
    for n in range(7):
        again(run, [5, 6], n)


def test_a_name_keeps_the_value_of_the_last_iteration() -> None:
    source = """
def f(n, xs):
    last, total = 0, 0
    for i in range(n):
        now = xs[i]
        for k in range(2):
            total += last * now + k
        last = now
    return total, last
"""
    same(source, 4, [3, 1, 4, 1])


def test_calls_convert_to_the_types_of_the_parameters_and_results() -> None:
    source = """
def halves(x, t=(1, None)[1], k=2):
    if k < 1:
        return None
    if t is None:
        return x / 2, k
    return x

def f(n, x, a):
    y = n if n > 2 else x
    return halves(y), halves(n, k=n), halves(a[0], n), halves(a), halves([y, x], 1)
"""
    source = source.replace("t=(1, None)[1]", "t=None").replace("halves(a), halves([y, x], 1)", "halves(a, 1)")
    run = compiled(source, 1, 2.5, np.ones(1))
    for n in range(5):
        again(run, n, 2.5, np.array([7.5]))


def test_recursion_and_its_results_beyond_64_bits() -> None:
    source = """
def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)

def f(n):
    big = factorial(n)
    return big // factorial(n - 1), big % 1000
"""
    run = compiled(source, 5)
    for n in (1, 5, 20, 21, 22, 30):
        again(run, n)
    assert run.left


def test_an_exception_in_a_callee_goes_on_to_the_caller() -> None:
    source = """
def inverse(xs, i):
    xs[0] += 1
    return 1 // xs[i]

def f(xs, n):
    t = 0
    for i in range(n):
        t += inverse(xs, i)
    return t
"""
    run = compiled(source, [1, 2], 1)
    for n, last in itertools.product((1, 2, 3), (1, 0)):
        again(run, [1, last], n)


def test_large_constants_as_arguments_and_results() -> None:
    source = f"""
def double(x):
    return x * 2

def f(n):
    a = {2**70} if n else 1
    if n == 3:
        return {2**65}
    if n == 4:
        return double({2**66})
    return a, [{2**64}, n], (n, {2**63})
"""
    run = compiled(source, 1)
    for n in range(5):
        again(run, n)


def test_asked_results_without_a_machine_form() -> None:
    run = compiled(
        "import math\ndef f(n, xs):\n    y = math.factorial(n)\n    xs[0] = n\n    return y % 10**6 + 1, xs", 3, [0]
    )
    for n in (3, 20, 21, 40):
        again(run, n, [0])
    again(run, -1, [0])
    assert run.outcome[1] == "ValueError"
