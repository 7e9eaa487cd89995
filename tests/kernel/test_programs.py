"""Everyday numeric programs: the interpreter gives CPython's value, bits and changes to the arguments."""

from __future__ import annotations

import copy
import math
import random
import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from lean_agentic.kernel import Ending, UnsupportedError, fingerprint, function_from_source, interpret, lower, type_of

Array = np.ndarray[Any, Any]


def sum_xor(n: int) -> int:
    total = 0
    for i in range(n):
        total += i ^ (i >> 3)
    return total


def mandelbrot(width: int, height: int, limit: int) -> int:
    inside = 0
    for row in range(height):
        for column in range(width):
            c_real, c_imag = -2.0 + 3.0 * column / width, -1.0 + 2.0 * row / height
            x, y, count = 0.0, 0.0, 0
            while x * x + y * y <= 4.0 and count < limit:
                x, y = x * x - y * y + c_real, 2.0 * x * y + c_imag
                count += 1
            inside += count == limit
    return inside


def mandelbrot_complex(width: int, limit: int) -> list[int]:
    counts = [0] * width
    for column in range(width):
        c, z = complex(-2.0 + 3.0 * column / width, 0.25), 0j
        while abs(z) <= 2.0 and counts[column] < limit:
            z = z * z + c
            counts[column] += 1
    return counts


def matmul_lists(a: list[list[float]], b: list[list[float]]) -> list[list[float]]:
    return [[sum([a[i][k] * b[k][j] for k in range(len(b))]) for j in range(len(b[0]))] for i in range(len(a))]


def matmul_arrays(a: Array, b: Array, out: Array) -> None:
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = 0.0
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            out[i, j] = total


def sieve_list(n: int) -> int:
    prime = [True] * (n + 1)
    prime[0] = prime[1] = False
    for i in range(2, int(n**0.5) + 1):
        if prime[i]:
            for j in range(i * i, n + 1, i):
                prime[j] = False
    return sum(prime)


def sieve_array(n: int) -> Array:
    prime = np.ones(n + 1, dtype=np.bool_)
    prime[0] = prime[1] = False
    i = 2
    while i * i <= n:
        if prime[i]:
            for j in range(i * i, n + 1, i):
                prime[j] = False
        i += 1
    return prime


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def fib_loop(n: int) -> int:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def dot(xs: Any, ys: Any) -> Any:
    total = 0.0
    for x, y in zip(xs, ys):  # noqa: B905 (`strict` is not taken)
        total += x * y
    return total


def collatz(limit: int) -> tuple[int, int]:
    best, longest = 0, 0
    for start in range(1, limit):
        n, length = start, 0
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            length += 1
        if length > longest:
            best, longest = start, length
    return best, longest


def nbody_step(position: list[list[float]], velocity: list[list[float]], mass: list[float], dt: float) -> None:
    for i in range(len(mass)):
        for j in range(i + 1, len(mass)):
            squared = 0.0
            for axis in range(3):
                squared += (position[i][axis] - position[j][axis]) ** 2
            pull = dt / float(squared**1.5)
            for axis in range(3):
                d = position[i][axis] - position[j][axis]
                velocity[i][axis] -= d * mass[j] * pull
                velocity[j][axis] += d * mass[i] * pull
    for p, v in zip(position, velocity):  # noqa: B905
        for axis in range(3):
            p[axis] += dt * v[axis]


def spectral_entry(i: int, j: int) -> float:
    return 1.0 / ((i + j) * (i + j + 1) // 2 + i + 1)


def spectral_multiply(v: list[float]) -> list[float]:
    out = [0.0] * len(v)
    for i in range(len(v)):
        for j in range(len(v)):
            out[i] += spectral_entry(i, j) * v[j]
    return out


def floyd_warshall(distance: list[list[float]]) -> None:
    for k in range(len(distance)):
        for i in range(len(distance)):
            for j in range(len(distance)):
                distance[i][j] = min(distance[i][j], distance[i][k] + distance[k][j])


def life_step(old: Array, new: Array) -> int:
    rows, columns = old.shape
    alive = 0
    for i in range(rows):
        for j in range(columns):
            around = 0
            for di in (-1, 0, 1):
                for dj in (-1, 0, 1):
                    if di != 0 or dj != 0:
                        around += int(old[(i + di) % rows, (j + dj) % columns])
            new[i, j] = 1 if around == 3 or (around == 2 and old[i, j] == 1) else 0
            alive += int(new[i, j])
    return alive


def levenshtein(a: list[int], b: list[int]) -> int:
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a):
        current = [i + 1] + [0] * len(b)
        for j, y in enumerate(b):
            current[j + 1] = min(previous[j + 1] + 1, current[j] + 1, previous[j] + (x != y))
        previous = current
    return previous[-1]


def kmeans_step(points: Array, centers: Array, labels: Array) -> float:
    sums, counts, cost = np.zeros(centers.shape), np.zeros(len(centers), dtype=np.int64), 0.0
    for i in range(len(points)):
        best, nearest = 0, math.inf
        for k in range(len(centers)):
            distance = 0.0
            for d in range(points.shape[1]):
                distance += (points[i, d] - centers[k, d]) ** 2
            if distance < nearest:
                best, nearest = k, distance
        labels[i] = best
        counts[best] += 1
        cost += nearest
        for d in range(points.shape[1]):
            sums[best, d] += points[i, d]
    for k in range(len(centers)):
        for d in range(points.shape[1]):
            if counts[k] > 0:
                centers[k, d] = sums[k, d] / counts[k]
    return cost


def normal_cdf(x: float) -> float:
    return 0.5 * (1.0 + math.erf(x / math.sqrt(2.0)))


def black_scholes(spot: float, strike: float, rate: float, sigma: float, years: float) -> tuple[float, float]:
    root = sigma * math.sqrt(years)
    d1 = (math.log(spot / strike) + (rate + sigma**2 / 2) * years) / root
    discount = strike * math.exp(-rate * years)
    call = spot * normal_cdf(d1) - discount * normal_cdf(d1 - root)
    return call, call - spot + discount


def jacobi(grid: Array, steps: int, tolerance: float) -> int:
    for step in range(steps):
        change = 0.0
        new = np.zeros(grid.shape)
        for i in range(1, grid.shape[0] - 1):
            for j in range(1, grid.shape[1] - 1):
                new[i, j] = 0.25 * (grid[i - 1, j] + grid[i + 1, j] + grid[i, j - 1] + grid[i, j + 1])
                change = max(change, abs(new[i, j] - grid[i, j]))
        for i in range(1, grid.shape[0] - 1):
            for j in range(1, grid.shape[1] - 1):
                grid[i, j] = new[i, j]
        if change < tolerance:
            return step
    return -1


def primes(n: int) -> list[int]:
    composite = [False] * n
    found = [2]
    for i in range(3, n, 2):
        if not composite[i]:
            found.append(i)
            for j in range(i * i, n, i):
                composite[j] = True
    return found


def gravity(x: float, y: float) -> tuple[float, float]:
    nearest, pull = float("inf"), 0.0
    for step in range(3):
        squared = x * x + y * y + step
        nearest = min(nearest, squared**0.5)
        if squared**1.5 > 1e-9:
            pull += 1.0 / squared**1.5
    return nearest, pull


def softplus(xs: Array) -> float:
    total = 0.0
    for x in xs:
        total += np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0.0)
    return total


def bodies() -> tuple[list[list[float]], list[list[float]], list[float], float]:
    source = random.Random(3)
    rows = [[source.uniform(-1, 1) for _ in range(3)] for _ in range(8)]
    return rows[:4], rows[4:], [1.0, 0.5, 0.25, 2.0], 0.01


def matrix(rows: int, columns: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def distances() -> list[list[float]]:
    far = matrix(6, 6, 2)
    far[far > 0.5] = math.inf
    np.fill_diagonal(far, -5.0)
    return (far + 5.0).tolist()  # type: ignore[no-any-return]


def hot_edge() -> Array:
    grid = np.zeros((6, 7))
    grid[0, :] = 100.0
    return grid


PROGRAMS: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (sum_xor, (200,)),
    (mandelbrot, (12, 8, 30)),
    (mandelbrot_complex, (12, 20)),
    (matmul_lists, (matrix(3, 4).tolist(), matrix(4, 2).tolist())),
    (matmul_lists, ([[1, 2], [3, 4]], [[2**40, 0], [0, 2**40]])),
    (matmul_arrays, (matrix(3, 4), matrix(4, 2).T.copy().T, np.zeros((3, 2)))),
    (matmul_arrays, (matrix(3, 3).astype(np.float32), matrix(3, 3)[::-1], np.zeros((3, 3), dtype=np.float32))),
    (sieve_list, (120,)),
    (sieve_array, (120,)),
    (fib, (12,)),
    (fib_loop, (200,)),
    (dot, ([0.5, 1.5, -2.0], [1.0, 2.0, 3.0])),
    (dot, (matrix(1, 5)[0], matrix(1, 5, 2)[0])),
    (dot, ([1, 2], np.array([3, 4]))),
    (collatz, (60,)),
    (nbody_step, bodies()),
    (spectral_multiply, ([1.0] * 8,)),
    (floyd_warshall, (distances(),)),
    (life_step, ((matrix(6, 5) > 0).astype(np.uint8), np.zeros((6, 5), dtype=np.uint8))),
    (levenshtein, ([1, 2, 3, 4, 5], [2, 3, 5, 5])),
    (kmeans_step, (matrix(12, 2), matrix(3, 2, 7), np.zeros(12, dtype=np.int64))),
    (black_scholes, (100.0, 95.0, 0.05, 0.2, 0.5)),
    (jacobi, (hot_edge(), 20, 1e-3)),
    (primes, (60,)),
    (gravity, (0.5, -1.5)),
    (softplus, (matrix(1, 6)[0],)),
]  # fmt: skip


@pytest.mark.parametrize(("function", "arguments"), PROGRAMS)
def test_program_is_cpython(function: FunctionType, arguments: tuple[Any, ...]) -> None:
    kernel = lower(function, [type_of(each) for each in arguments])
    ours, theirs = copy.deepcopy(arguments), copy.deepcopy(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = function(*theirs)
        outcome = interpret(kernel, ours, check_types=True)
    assert outcome.ending is Ending.RETURNED, outcome.exception
    assert fingerprint((outcome.value, ours)) == fingerprint((expected, theirs))


SIMILAR_BUT_REFUSED = {
    "ys = [x]; zs = [ys]; ys.append(x)": "is given away before",
    "ys = [x]; ys.pop(0)": r"method calls such as .pop\(\)",
    "seen = {x}": "Set expressions",
    "return f'{x}'": "JoinedStr expressions",
    "return sorted([x, 1.0])": "sorted is not among",
    "total = np.zeros(3); total += x": r"\+= of array",
    "return np.linalg.norm(np.ones(2))": "norm is not among",
    "xs = [0] * 3; xs[0] = x": r"a list\[int\] would hold float",
    "xs = [0.0]; xs[0] = xs[0] ** 1.5": r"a list\[float\] would hold complex",
}


@pytest.mark.parametrize(("body", "reason"), SIMILAR_BUT_REFUSED.items(), ids=SIMILAR_BUT_REFUSED)
def test_what_everyday_programs_have_to_write_otherwise(body: str, reason: str) -> None:
    function = function_from_source(f"import numpy as np\ndef f(x):\n    {body}\n")
    with pytest.raises(UnsupportedError, match=reason):
        lower(function, [type_of(1.5)])
