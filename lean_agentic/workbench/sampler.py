"""The process that takes one side's samples: `python -P sampler.py TREE BENCHMARK CORE`.

Goes in: commands on standard input, one a line (`prepare`, `sample`). Comes out: one JSON line for each, on what
was standard output when the process started. It runs the package of another revision, so it imports nothing
but the standard library and, by path, the benchmark; the package comes from `TREE` through `PYTHONPATH`.

The benchmark's contract is in `docs/compare.md`.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

PACKAGE = "lean_agentic"

Answer = dict[str, Any]


class BenchmarkError(Exception):
    """A benchmark that breaks its contract, or a package that is not the revision's own."""


def main() -> None:
    """Answer commands until standard input ends."""
    tree, benchmark = (Path(argument).resolve() for argument in sys.argv[1:3])
    core = int(sys.argv[3])
    commands_in, answers = _private_streams()
    state: dict[str, ModuleType] = {}

    def prepare() -> Answer:
        # Before any import: libraries size their thread pools by the cores they find.
        pinned = pin(core) if not is_parallel(benchmark) else None
        state["benchmark"] = load_benchmark(benchmark, tree)
        unit = getattr(state["benchmark"], "UNIT", None)
        return {"unit": unit, "core": pinned}

    def sample() -> Answer:
        return {"value": take_sample(state["benchmark"], tree)}

    commands: dict[str, Callable[[], Answer]] = {"prepare": prepare, "sample": sample}
    for line in commands_in:
        print(json.dumps(answer_to(commands[line.strip()])), file=answers, flush=True)


def answer_to(command: Callable[[], Answer]) -> Answer:
    """Run a command; what it raises becomes an answer, because the session must know which side raised."""
    try:
        return command()
    except (Exception, SystemExit) as error:
        return {"error": "".join(traceback.format_exception_only(error)).strip(), "traceback": traceback.format_exc()}


def is_parallel(path: Path) -> bool:
    """Whether the benchmark says `PARALLEL = True`, read without running it."""
    for node in ast.parse(path.read_text(encoding="utf-8"), path.name).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["PARALLEL"]:
            return bool(ast.literal_eval(node.value))
    return False


def pin(core: int) -> int | None:
    """Stay on one core; None where the system cannot do that, as macOS cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    os.sched_setaffinity(0, {core})
    return core


def load_benchmark(path: Path, tree: Path) -> ModuleType:
    """Import the revision's package and the benchmark, and run its `prepare()` where it has one."""
    importlib.import_module(PACKAGE)
    check_origin(tree)
    spec = importlib.util.spec_from_file_location("benchmark", path)
    if spec is None or spec.loader is None:
        raise BenchmarkError(f"{path.name} is not a Python file; a benchmark is one that defines sample().")
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark"] = module
    spec.loader.exec_module(module)
    if not callable(getattr(module, "sample", None)):
        raise BenchmarkError(f"{path.name} defines no sample(); define it: a function that does the work once.")
    if hasattr(module, "prepare"):
        module.prepare()
    check_origin(tree)
    return module


def take_sample(benchmark: ModuleType, tree: Path) -> float:
    """Do the work once: its wall time in seconds, or the figure it returned where the benchmark names a UNIT."""
    start = time.perf_counter()
    returned = benchmark.sample()
    elapsed = time.perf_counter() - start
    check_origin(tree)
    unit = getattr(benchmark, "UNIT", None)
    if unit is None and returned is None:
        return elapsed
    # Without this check a benchmark that happens to return its result would silently be judged by that.
    if unit is None:
        raise BenchmarkError(
            f"sample() returned {returned!r:.80} and the benchmark names no UNIT. Return nothing to have the "
            f'wall time taken, or define UNIT = "CPU s" (or the like) to have the returned figure taken.'
        )
    if isinstance(returned, bool) or not isinstance(returned, Real):
        raise BenchmarkError(f"sample() returned {returned!r:.80}; with UNIT = {unit!r} it must return a number.")
    return float(returned)


def check_origin(tree: Path) -> None:
    """Raise when a module of the package came from elsewhere than the revision's tree.

    An editable install answers for modules that a revision does not have, with those of the working tree.
    """
    for name, module in list(sys.modules.items()):
        if name != PACKAGE and not name.startswith(f"{PACKAGE}."):
            continue
        origin = getattr(module, "__file__", None)
        if origin is not None and not Path(origin).resolve().is_relative_to(tree):
            raise BenchmarkError(f"This revision has no module {name}, which the benchmark needs.")


def _private_streams() -> tuple[TextIO, TextIO]:
    """Keep standard input and output for the session; the benchmark reads nothing and prints to standard error."""
    commands = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return commands, answers


if __name__ == "__main__":
    main()
