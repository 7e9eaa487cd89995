"""The sixteen programs of the JIT suite on Python numbers and lists, as an ordinary user writes them.

In: nothing. Out: `PROGRAMS`, name -> (function, makers of its arguments by size). A "small" call takes CPython 20 to
100 us, a "large" one 1 to 20 ms. The array forms are in `jit_suite_arrays.py`. This file is also executed by PyPy, so
it keeps to Python 3.9 and imports nothing but `math` and `random`.
"""

# mypy: ignore-errors
# ruff: noqa: D103
# Users' programs carry neither annotations nor docstrings.
from __future__ import annotations

import math
import random


def sum_xor(n):
    total = 0
    for i in range(n):
        total += i ^ (i >> 3)
    return total


def mandelbrot(width, height, max_iterations):
    total = 0
    for row in range(height):
        for column in range(width):
            c_re = 3.0 * column / width - 2.0
            c_im = 2.0 * row / height - 1.0
            x = y = 0.0
            iterations = 0
            while x * x + y * y <= 4.0 and iterations < max_iterations:
                x, y = x * x - y * y + c_re, 2.0 * x * y + c_im
                iterations += 1
            total += iterations
    return total


def matmul(a, b):
    c = [[0.0] * len(b[0]) for _ in range(len(a))]
    for i in range(len(a)):
        for j in range(len(b[0])):
            total = 0.0
            for k in range(len(b)):
                total += a[i][k] * b[k][j]
            c[i][j] = total
    return c


def sieve(n):
    is_prime = [True] * (n + 1)
    is_prime[0] = is_prime[1] = False
    for i in range(2, int(math.sqrt(n)) + 1):
        if is_prime[i]:
            for j in range(i * i, n + 1, i):
                is_prime[j] = False
    count = 0
    for prime in is_prime:
        if prime:
            count += 1
    return count


def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


def dot(xs, ys):
    total = 0.0
    for x, y in zip(xs, ys):  # noqa: B905 (PyPy 3.9 has no `strict`)
        total += x * y
    return total


def collatz(limit):
    longest, best = 0, 1
    for start in range(1, limit):
        n, length = start, 1
        while n != 1:
            if n % 2 == 0:
                n //= 2
            else:
                n = 3 * n + 1
            length += 1
        if length > longest:
            longest, best = length, start
    return best, longest


def nbody(positions, velocities, masses, dt, steps):
    n = len(masses)
    for _ in range(steps):
        for i in range(n):
            for j in range(i + 1, n):
                dx = positions[i][0] - positions[j][0]
                dy = positions[i][1] - positions[j][1]
                dz = positions[i][2] - positions[j][2]
                distance = math.sqrt(dx * dx + dy * dy + dz * dz)
                pull = dt / distance**3
                velocities[i][0] -= dx * masses[j] * pull
                velocities[i][1] -= dy * masses[j] * pull
                velocities[i][2] -= dz * masses[j] * pull
                velocities[j][0] += dx * masses[i] * pull
                velocities[j][1] += dy * masses[i] * pull
                velocities[j][2] += dz * masses[i] * pull
        for i in range(n):
            for axis in range(3):
                positions[i][axis] += dt * velocities[i][axis]
    energy = 0.0
    for i in range(n):
        v = velocities[i]
        energy += 0.5 * masses[i] * (v[0] ** 2 + v[1] ** 2 + v[2] ** 2)
    return energy


def matrix_entry(i, j):
    return 1.0 / ((i + j) * (i + j + 1) // 2 + i + 1)


def times(v):
    result = [0.0] * len(v)
    for i in range(len(v)):
        for j in range(len(v)):
            result[i] += matrix_entry(i, j) * v[j]
    return result


def times_transposed(v):
    result = [0.0] * len(v)
    for i in range(len(v)):
        for j in range(len(v)):
            result[i] += matrix_entry(j, i) * v[j]
    return result


def spectral_norm(n, iterations):
    u = [1.0] * n
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
    p = list(range(n))
    s = list(range(n))
    sign, most, checksum = 1, 0, 0
    while True:
        first = p[0]
        if first != 0:
            q = p[:]
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
            most = max(most, flips)
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
    n = len(distance)
    for k in range(n):
        for i in range(n):
            for j in range(n):
                through = distance[i][k] + distance[k][j]
                if through < distance[i][j]:
                    distance[i][j] = through
    return distance


def life(grid):
    rows, columns = len(grid), len(grid[0])
    new = [[0] * columns for _ in range(rows)]
    for i in range(rows):
        for j in range(columns):
            neighbours = 0
            for di in (-1, 0, 1):
                for dj in (-1, 0, 1):
                    if di != 0 or dj != 0:
                        neighbours += grid[(i + di) % rows][(j + dj) % columns]
            if neighbours == 3 or (neighbours == 2 and grid[i][j] == 1):
                new[i][j] = 1
    return new


def levenshtein(a, b):
    previous = list(range(len(b) + 1))
    for i in range(len(a)):
        current = [i + 1] + [0] * len(b)
        for j in range(len(b)):
            cost = 0 if a[i] == b[j] else 1
            current[j + 1] = min(previous[j + 1] + 1, current[j] + 1, previous[j] + cost)
        previous = current
    return previous[-1]


def kmeans_step(points, centers):
    dimensions = len(centers[0])
    labels = []
    sums = [[0.0] * dimensions for _ in centers]
    counts = [0] * len(centers)
    for point in points:
        best, nearest = 0, math.inf
        for k, center in enumerate(centers):
            squared = 0.0
            for d in range(dimensions):
                squared += (point[d] - center[d]) ** 2
            if squared < nearest:
                best, nearest = k, squared
        labels.append(best)
        counts[best] += 1
        for d in range(dimensions):
            sums[best][d] += point[d]
    for k in range(len(centers)):
        if counts[k] > 0:
            for d in range(dimensions):
                centers[k][d] = sums[k][d] / counts[k]
    return labels


def normal_cdf(x):
    return 0.5 * (1.0 + math.erf(x / math.sqrt(2.0)))


def black_scholes(spots, strikes, years, rate, volatility):
    prices = []
    for i in range(len(spots)):
        root = volatility * math.sqrt(years[i])
        d1 = (math.log(spots[i] / strikes[i]) + (rate + volatility**2 / 2) * years[i]) / root
        discount = math.exp(-rate * years[i])
        prices.append(spots[i] * normal_cdf(d1) - strikes[i] * discount * normal_cdf(d1 - root))
    return prices


def jacobi(grid, steps):
    rows, columns = len(grid), len(grid[0])
    new = [row[:] for row in grid]
    for _ in range(steps):
        for i in range(1, rows - 1):
            for j in range(1, columns - 1):
                new[i][j] = 0.25 * (grid[i - 1][j] + grid[i + 1][j] + grid[i][j - 1] + grid[i][j + 1])
        grid, new = new, grid
    return grid


def numbers(n, seed, low=-1.0, high=1.0):
    source = random.Random(seed)
    return [source.uniform(low, high) for _ in range(n)]


def rows_of(rows, columns, seed, low=-1.0, high=1.0):
    values = numbers(rows * columns, seed, low, high)
    return [values[i * columns : (i + 1) * columns] for i in range(rows)]


def letters(n, seed):
    source = random.Random(seed)
    return [source.randrange(4) for _ in range(n)]


def bodies(n):
    return rows_of(n, 3, 11), rows_of(n, 3, 12, -0.1, 0.1), numbers(n, 13, 0.01, 0.1)


def cells(rows, columns):
    source = random.Random(14)
    return [[int(source.random() < 0.35) for _ in range(columns)] for _ in range(rows)]


def roads(n):
    rows = rows_of(n, n, 15, 1.0, 100.0)
    for i in range(n):
        rows[i][i] = 0.0
    return rows


def hot_edge(rows, columns):
    return [[100.0] * columns] + [[0.0] * columns for _ in range(rows - 1)]


def options(n):
    return numbers(n, 16, 80.0, 120.0), numbers(n, 17, 80.0, 120.0), numbers(n, 18, 0.1, 2.0), 0.03, 0.25


PROGRAMS = {
    "sum-xor": (sum_xor, {"small": lambda: (600,), "large": lambda: (60_000,)}),
    "mandelbrot": (mandelbrot, {"small": lambda: (8, 6, 20), "large": lambda: (60, 40, 40)}),
    "matmul": (
        matmul,
        {
            "small": lambda: (rows_of(8, 8, 1), rows_of(8, 8, 2)),
            "large": lambda: (rows_of(40, 40, 1), rows_of(40, 40, 2)),
        },
    ),
    "sieve": (sieve, {"small": lambda: (900,), "large": lambda: (60_000,)}),
    "fib": (fib, {"small": lambda: (13,), "large": lambda: (22,)}),
    "dot": (
        dot,
        {
            "small": lambda: (numbers(1_000, 3), numbers(1_000, 4)),
            "large": lambda: (numbers(100_000, 3), numbers(100_000, 4)),
        },
    ),
    "collatz": (collatz, {"small": lambda: (40,), "large": lambda: (1_500,)}),
    "n-body": (nbody, {"small": lambda: (*bodies(5), 0.001, 5), "large": lambda: (*bodies(5), 0.001, 300)}),
    "spectral norm": (spectral_norm, {"small": lambda: (8, 1), "large": lambda: (50, 3)}),
    "fannkuch": (fannkuch, {"small": lambda: (5,), "large": lambda: (7,)}),
    "Floyd-Warshall": (floyd_warshall, {"small": lambda: (roads(9),), "large": lambda: (roads(45),)}),
    "Game of Life": (life, {"small": lambda: (cells(7, 7),), "large": lambda: (cells(60, 60),)}),
    "Levenshtein": (
        levenshtein,
        {"small": lambda: (letters(14, 5), letters(14, 6)), "large": lambda: (letters(130, 5), letters(130, 6))},
    ),
    "k-means step": (
        kmeans_step,
        {
            "small": lambda: (rows_of(30, 3, 7), rows_of(3, 3, 8)),
            "large": lambda: (rows_of(1_500, 3, 7), rows_of(6, 3, 8)),
        },
    ),
    "Black-Scholes": (black_scholes, {"small": lambda: options(60), "large": lambda: options(6_000)}),
    "Jacobi 2-D": (
        jacobi,
        {"small": lambda: (hot_edge(10, 10), 4), "large": lambda: (hot_edge(60, 60), 10)},
    ),
}


def nested_loops(n):
    total = 0
    for i in range(n):
        for j in range(n):
            total += (i * j) & 7
    return total


def factorial(n):
    product = 1
    for i in range(2, n + 1):
        product *= i
    return product


def congruential(n, factor, modulus):
    state = 1
    for _ in range(n):
        state = (state * factor + 12345) % modulus
    return state


def int_or_float(n, half):
    total = n
    if half:
        total = n / 2
    return total


WARM_UP = (factorial, {"small": lambda: (5,)})

# Its disturbed calls leave the 64 bits of a machine's integers behind.
DEMOS = {
    "random numbers": (
        congruential,
        {"small": lambda: (400, 1103515245, 2**31), "disturbed": lambda: (400, 6364136223846793005, 2**61)},
    )
}

# One long call, and small programs on which compilers that give up Python's semantics differ from Python.
LONG_CALL = {"nested loops": (nested_loops, {"small": lambda: (20,), "large": lambda: (1_500,)})}
PROBES = {
    "an int above 64 bits": (factorial, {"small": lambda: (25,)}),
    "int on one path, float on the other": (int_or_float, {"small": lambda: (2**53 + 1, False)}),
}
