"""The list programs compute what they are named after, by NumPy, SciPy or published figures."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.csgraph import floyd_warshall as scipy_floyd_warshall
from scipy.stats import norm

from lean_agentic.workbench import jit_suite_programs
from lean_agentic.workbench.jit_suite_programs import (
    black_scholes,
    bodies,
    cells,
    collatz,
    congruential,
    dot,
    fannkuch,
    fib,
    floyd_warshall,
    hot_edge,
    jacobi,
    kmeans_step,
    levenshtein,
    life,
    mandelbrot,
    matmul,
    nbody,
    nested_loops,
    numbers,
    options,
    roads,
    rows_of,
    sieve,
    spectral_norm,
    sum_xor,
)


def test_pypy_3_9_can_read_it() -> None:
    source = Path(str(jit_suite_programs.__file__)).read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 9))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"math", "random"}


def test_published_figures() -> None:
    assert fib(13) == 233
    assert sieve(900) == 154
    assert fannkuch(7) == (228, 16)  # the Computer Language Benchmarks Game
    assert spectral_norm(100, 10) == pytest.approx(1.274219991, abs=1e-9)  # likewise
    assert collatz(1500) == (1161, 182)  # OEIS A006877, A006878
    assert levenshtein([1, 2, 3, 3, 4, 5], [6, 2, 3, 3, 2, 5, 7]) == 3  # kitten, sitting


def test_sums_are_numpys() -> None:
    n = np.arange(600)
    assert sum_xor(600) == int((n ^ (n >> 3)).sum())
    assert nested_loops(20) == int((np.multiply.outer(n[:20], n[:20]) & 7).sum())
    xs, ys = numbers(50, 1), numbers(50, 2)
    assert dot(xs, ys) == pytest.approx(float(np.dot(xs, ys)))


def test_the_generator_is_that_of_the_c_standard() -> None:
    state = 1
    for _ in range(400):
        state = (1103515245 * state + 12345) & (2**31 - 1)
    assert congruential(400, 1103515245, 2**31) == state


def test_mandelbrot_is_the_complex_iteration() -> None:
    total = 0
    for row in range(6):
        for column in range(8):
            c, z, count = complex(3 * column / 8 - 2, 2 * row / 6 - 1), 0j, 0
            while abs(z) <= 2 and count < 20:
                z, count = z * z + c, count + 1
            total += count
    assert mandelbrot(8, 6, 20) == total


def test_matrices_are_numpys_and_scipys() -> None:
    a, b = rows_of(4, 5, 1), rows_of(5, 3, 2)
    np.testing.assert_allclose(matmul(a, b), np.array(a) @ np.array(b))
    distance = roads(8)
    expected = scipy_floyd_warshall(np.array(distance))
    np.testing.assert_allclose(floyd_warshall(distance), expected)


def test_grids_are_numpys() -> None:
    grid = np.array(cells(7, 9))
    around = sum(np.roll(grid, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))
    expected = ((around == 3) | ((around == 2) & (grid == 1))).astype(int)
    assert life(grid.tolist()) == expected.tolist()
    heat = np.array(hot_edge(6, 7))
    for _ in range(3):
        heat[1:-1, 1:-1] = (heat[:-2, 1:-1] + heat[2:, 1:-1] + heat[1:-1, :-2] + heat[1:-1, 2:]) / 4
    np.testing.assert_allclose(jacobi(hot_edge(6, 7), 3), heat)


def test_k_means_step_is_numpys() -> None:
    points, centers = rows_of(40, 3, 7), rows_of(3, 3, 8)
    where = np.linalg.norm(np.array(points)[:, None] - np.array(centers), axis=2).argmin(axis=1)
    expected = [np.array(points)[where == k].mean(axis=0) for k in range(3)]
    assert kmeans_step(points, centers) == where.tolist()
    np.testing.assert_allclose(centers, expected)


def test_black_scholes_is_the_formula() -> None:
    spots, strikes, years, rate, sigma = options(20)
    s, k, t = map(np.array, (spots, strikes, years))
    d1 = (np.log(s / k) + (rate + sigma**2 / 2) * t) / (sigma * np.sqrt(t))
    expected = s * norm.cdf(d1) - k * np.exp(-rate * t) * norm.cdf(d1 - sigma * np.sqrt(t))
    np.testing.assert_allclose(black_scholes(spots, strikes, years, rate, sigma), expected)


def test_the_bodies_keep_their_momentum() -> None:
    positions, velocities, masses = bodies(5)
    before = np.array(masses) @ np.array(velocities)
    energy = nbody(positions, velocities, masses, 0.001, 10)
    np.testing.assert_allclose(np.array(masses) @ np.array(velocities), before, atol=1e-12)
    speeds = np.linalg.norm(velocities, axis=1)
    assert math.isclose(energy, float(np.array(masses) @ speeds**2) / 2)
