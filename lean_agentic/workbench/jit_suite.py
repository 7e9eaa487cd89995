"""The programs of the JIT suite: which there are, in which forms, and in which file each stands.

In: names and forms to choose by. Out: `Program`s that `jit_measurements.measure` and `jit_timing_curve` take. The forms
are "scalars" (numbers in, numbers out), "lists" and "arrays".
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

from lean_agentic.workbench import jit_suite_arrays, jit_suite_programs
from lean_agentic.workbench.errors import WorkbenchError

FORMS = ("scalars", "lists", "arrays")
SIZES = ("small", "large")
SCALARS = ("sum-xor", "mandelbrot", "fib", "collatz")
FILES = {
    form: str(Path(str(module.__file__)))
    for form, module in (
        ("scalars", jit_suite_programs),
        ("lists", jit_suite_programs),
        ("arrays", jit_suite_arrays),
    )
}
WARM_UP_FILE = FILES["lists"]


class SuiteError(WorkbenchError):
    """A program or form that the suite does not have."""


@dataclass(frozen=True)
class Program:
    """One program in one form."""

    name: str
    form: str
    table: str = "PROGRAMS"
    """The name that its file keeps it under: PROGRAMS, PROBES, DEMOS or LONG_CALL."""

    @property
    def title(self) -> str:
        """Name and form, as tables show it."""
        return self.name if self.form == "scalars" else f"{self.name} ({self.form})"

    def where(self, as_arrays: bool = False) -> dict[str, str]:
        """What a worker has to be told to find it; `as_arrays`: the array form on the numbers of the lists."""
        found = {"file": FILES["arrays" if as_arrays else self.form], "table": self.table, "name": self.name}
        return found | ({"arguments_file": FILES[self.form]} if as_arrays else {})

    @property
    def function(self) -> Any:
        """The plain Python function."""
        return self._entry[0]

    def arguments(self, size: str) -> tuple[Any, ...]:
        """Fresh arguments, always the same ones; `size` is "small" or "large"."""
        made: tuple[Any, ...] = self.makers[size]()
        return made

    @property
    def makers(self) -> dict[str, Callable[[], tuple[Any, ...]]]:
        """What makes its arguments, by size."""
        made: dict[str, Callable[[], tuple[Any, ...]]] = self._entry[1]
        return made

    def fresh_function(self) -> FunctionType:
        """The function from a new execution of its file, so that no compiler has seen it, nor those it calls."""
        name = f"{Path(FILES[self.form]).stem}_anew"
        specification = importlib.util.spec_from_file_location(name, FILES[self.form])
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        function = getattr(module, self.table)[self.name][0]
        assert isinstance(function, FunctionType)
        return function

    @property
    def _entry(self) -> Any:
        module = jit_suite_arrays if self.form == "arrays" else jit_suite_programs
        return getattr(module, self.table)[self.name]


SUITE: tuple[Program, ...] = (
    *(Program(name, "scalars" if name in SCALARS else "lists") for name in jit_suite_programs.PROGRAMS),
    *(Program(name, "arrays") for name in jit_suite_arrays.PROGRAMS),
)
PROBES = (
    *(Program(name, "scalars", "PROBES") for name in jit_suite_programs.PROBES),
    *(Program(name, "arrays", "PROBES") for name in jit_suite_arrays.PROBES),
)
DEMOS = tuple(Program(name, "scalars", "DEMOS") for name in jit_suite_programs.DEMOS)
LONG_CALLS = tuple(Program(name, "scalars", "LONG_CALL") for name in jit_suite_programs.LONG_CALL)


def programs(names: Sequence[str] = (), forms: Sequence[str] = FORMS) -> tuple[Program, ...]:
    """Choose from the suite by name (default: all) and form.

    Raises
    ------
    SuiteError
        A name or form is unknown.
    """
    known = {each.name for each in SUITE}
    for given, valid in ((names, known), (forms, FORMS)):
        if unknown := [each for each in given if each not in valid]:
            raise SuiteError(f"The suite has no {', '.join(unknown)}; it has {', '.join(sorted(valid))}.")
    return tuple(each for each in SUITE if (not names or each.name in names) and each.form in forms)
