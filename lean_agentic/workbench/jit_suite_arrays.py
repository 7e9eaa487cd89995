"""The JIT suite's programs on NumPy arrays, with explicit loops, as an ordinary user writes them for a compiler.

In: nothing. Out: `PROGRAMS`, name -> (function, makers of its arguments by size), in the form of
`jit_suite_programs.py`. CPython indexes arrays more slowly than lists, so the sizes differ from those.
"""

# mypy: ignore-errors
# ruff: noqa: D103
# Users' programs carry neither annotations nor docstrings.
from __future__ import annotations

import math

import numpy as np


def matmul(a, b):
    c = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = 0.0
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            c[i, j] = total
    return c


def sieve(n):
    is_prime = np.ones(n + 1, dtype=np.bool_)
    is_prime[0] = is_prime[1] = False
    for i in range(2, int(math.sqrt(n)) + 1):
        if is_prime[i]:
            for j in range(i * i, n + 1, i):
                is_prime[j] = False
    count = 0
    for i in range(n + 1):
        if is_prime[i]:
            count += 1
    return count


def dot(xs, ys):
    total = 0.0
    for i in range(len(xs)):
        total += xs[i] * ys[i]
    return total


def nbody(positions, velocities, masses, dt, steps):
    n = len(masses)
    for _ in range(steps):
        for i in range(n):
            for j in range(i + 1, n):
                dx = positions[i, 0] - positions[j, 0]
                dy = positions[i, 1] - positions[j, 1]
                dz = positions[i, 2] - positions[j, 2]
                distance = math.sqrt(dx * dx + dy * dy + dz * dz)
                pull = dt / distance**3
                velocities[i, 0] -= dx * masses[j] * pull
                velocities[i, 1] -= dy * masses[j] * pull
                velocities[i, 2] -= dz * masses[j] * pull
                velocities[j, 0] += dx * masses[i] * pull
                velocities[j, 1] += dy * masses[i] * pull
                velocities[j, 2] += dz * masses[i] * pull
        for i in range(n):
            for axis in range(3):
                positions[i, axis] += dt * velocities[i, axis]
    energy = 0.0
    for i in range(n):
        for axis in range(3):
            energy += 0.5 * masses[i] * velocities[i, axis] ** 2
    return energy


def matrix_entry(i, j):
    return 1.0 / ((i + j) * (i + j + 1) // 2 + i + 1)


def times(v):
    result = np.zeros(len(v))
    for i in range(len(v)):
        for j in range(len(v)):
            result[i] += matrix_entry(i, j) * v[j]
    return result


def times_transposed(v):
    result = np.zeros(len(v))
    for i in range(len(v)):
        for j in range(len(v)):
            result[i] += matrix_entry(j, i) * v[j]
    return result


def spectral_norm(n, iterations):
    u = np.ones(n)
    v = u
    for _ in range(iterations):
        v = times_transposed(times(u))
        u = times_transposed(times(v))
    uv = vv = 0.0
    for i in range(n):
        uv += u[i] * v[i]
        vv += v[i] * v[i]
    return math.sqrt(uv / vv)


def fannkuch(n):
    p = np.arange(n)
    q = np.arange(n)
    s = np.arange(n)
    sign, most, checksum = 1, 0, 0
    while True:
        first = p[0]
        if first != 0:
            for i in range(n):
                q[i] = p[i]
            flips = 1
            while q[first] != 0:
                new_first = q[first]
                q[first] = first
                i, j = 1, first - 1
                while i < j:
                    q[i], q[j] = q[j], q[i]
                    i += 1
                    j -= 1
                first = new_first
                flips += 1
            if flips > most:
                most = flips
            checksum += sign * flips
        if sign == 1:
            p[0], p[1] = p[1], p[0]
            sign = -1
        else:
            p[1], p[2] = p[2], p[1]
            sign = 1
            for i in range(2, n):
                if s[i] != 0:
                    s[i] -= 1
                    break
                if i == n - 1:
                    return checksum, most
                s[i] = i
                head = p[0]
                for j in range(i + 1):
                    p[j] = p[j + 1]
                p[i + 1] = head


def floyd_warshall(distance):
    n = distance.shape[0]
    for k in range(n):
        for i in range(n):
            for j in range(n):
                through = distance[i, k] + distance[k, j]
                if through < distance[i, j]:
                    distance[i, j] = through
    return distance


def life(grid):
    rows, columns = grid.shape
    new = np.zeros((rows, columns), dtype=np.int64)
    for i in range(rows):
        for j in range(columns):
            neighbours = 0
            for di in range(-1, 2):
                for dj in range(-1, 2):
                    if di != 0 or dj != 0:
                        neighbours += grid[(i + di) % rows, (j + dj) % columns]
            if neighbours == 3 or (neighbours == 2 and grid[i, j] == 1):
                new[i, j] = 1
    return new


def levenshtein(a, b):
    previous = np.arange(len(b) + 1)
    current = np.zeros(len(b) + 1, dtype=np.int64)
    for i in range(len(a)):
        current[0] = i + 1
        for j in range(len(b)):
            cost = 0 if a[i] == b[j] else 1
            current[j + 1] = min(previous[j + 1] + 1, current[j] + 1, previous[j] + cost)
        previous, current = current, previous
    return int(previous[len(b)])


def kmeans_step(points, centers):
    dimensions = centers.shape[1]
    labels = np.zeros(len(points), dtype=np.int64)
    sums = np.zeros(centers.shape)
    counts = np.zeros(len(centers), dtype=np.int64)
    for i in range(len(points)):
        best, nearest = 0, math.inf
        for k in range(len(centers)):
            squared = 0.0
            for d in range(dimensions):
                squared += (points[i, d] - centers[k, d]) ** 2
            if squared < nearest:
                best, nearest = k, squared
        labels[i] = best
        counts[best] += 1
        for d in range(dimensions):
            sums[best, d] += points[i, d]
    for k in range(len(centers)):
        if counts[k] > 0:
            for d in range(dimensions):
                centers[k, d] = sums[k, d] / counts[k]
    return labels


def normal_cdf(x):
    return 0.5 * (1.0 + math.erf(x / math.sqrt(2.0)))


def black_scholes(spots, strikes, years, rate, volatility):
    prices = np.empty(len(spots))
    for i in range(len(spots)):
        root = volatility * math.sqrt(years[i])
        d1 = (math.log(spots[i] / strikes[i]) + (rate + volatility**2 / 2) * years[i]) / root
        discount = math.exp(-rate * years[i])
        prices[i] = spots[i] * normal_cdf(d1) - strikes[i] * discount * normal_cdf(d1 - root)
    return prices


def jacobi(grid, steps):
    rows, columns = grid.shape
    new = grid.copy()
    for _ in range(steps):
        for i in range(1, rows - 1):
            for j in range(1, columns - 1):
                new[i, j] = 0.25 * (grid[i - 1, j] + grid[i + 1, j] + grid[i, j - 1] + grid[i, j + 1])
        grid, new = new, grid
    return grid


def past_the_end(xs, n):
    total = 0.0
    for i in range(n):
        total += xs[i]
    return total


def uniform(seed, *shape, low=-1.0, high=1.0):
    return np.random.default_rng(seed).uniform(low, high, shape)


def roads(n):
    distance = uniform(15, n, n, low=1.0, high=100.0)
    np.fill_diagonal(distance, 0.0)
    return distance


def letters(n, seed):
    return np.random.default_rng(seed).integers(0, 4, n)


def cells(rows, columns):
    return (uniform(14, rows, columns) < -0.3).astype(np.int64)


def bodies(n):
    return uniform(11, n, 3), uniform(12, n, 3, low=-0.1, high=0.1), uniform(13, n, low=0.01, high=0.1)


def hot_edge(rows, columns):
    grid = np.zeros((rows, columns))
    grid[0] = 100.0
    return grid


def options(n):
    spots, strikes = uniform(16, n, low=80.0, high=120.0), uniform(17, n, low=80.0, high=120.0)
    return spots, strikes, uniform(18, n, low=0.1, high=2.0), 0.03, 0.25


PROGRAMS = {
    "matmul": (
        matmul,
        {
            "small": lambda: (uniform(1, 6, 6), uniform(2, 6, 6)),
            "large": lambda: (uniform(1, 30, 30), uniform(2, 30, 30)),
        },
    ),
    "sieve": (sieve, {"small": lambda: (300,), "large": lambda: (30_000,)}),
    "dot": (
        dot,
        {
            "small": lambda: (uniform(3, 300), uniform(4, 300)),
            "large": lambda: (uniform(3, 50_000), uniform(4, 50_000)),
        },
    ),
    "n-body": (nbody, {"small": lambda: (*bodies(4), 0.001, 1), "large": lambda: (*bodies(5), 0.001, 100)}),
    "spectral norm": (spectral_norm, {"small": lambda: (7, 1), "large": lambda: (40, 3)}),
    "fannkuch": (fannkuch, {"small": lambda: (4,), "large": lambda: (6,)}),
    "Floyd-Warshall": (floyd_warshall, {"small": lambda: (roads(6),), "large": lambda: (roads(30),)}),
    "Game of Life": (life, {"small": lambda: (cells(5, 6),), "large": lambda: (cells(50, 50),)}),
    "Levenshtein": (
        levenshtein,
        {"small": lambda: (letters(9, 5), letters(9, 6)), "large": lambda: (letters(90, 5), letters(90, 6))},
    ),
    "k-means step": (
        kmeans_step,
        {
            "small": lambda: (uniform(7, 12, 3), uniform(8, 3, 3)),
            "large": lambda: (uniform(7, 600, 3), uniform(8, 6, 3)),
        },
    ),
    "Black-Scholes": (black_scholes, {"small": lambda: options(40), "large": lambda: options(4_000)}),
    "Jacobi 2-D": (jacobi, {"small": lambda: (hot_edge(8, 8), 3), "large": lambda: (hot_edge(50, 50), 6)}),
}

# Beside those of the list forms.
PROBES = {"an index past the end": (past_the_end, {"small": lambda: (np.array([1.0, 2.0, 3.0]), 4)})}
