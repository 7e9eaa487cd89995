"""IPython magics: `%%tiered` makes the functions of a cell tiered, `%tiers` shows what has become of all of them.

In: `%load_ext lean_agentic.jit_runtime.magics`. Out: a table.
"""

from __future__ import annotations

import ast
import html
from collections.abc import Iterable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from lean_agentic.jit_runtime.explain import Explanation, explain_state
from lean_agentic.jit_runtime.runtime import JitRuntime, default_runtime, tiers_of


@dataclass(frozen=True)
class TiersTable:
    """One line for each tiered function."""

    rows: tuple[Explanation, ...]

    def __repr__(self) -> str:
        return "\n".join(f"{row!r}: {row.why_not_higher}" for row in self.rows) or "no function is tiered"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("function", "tier", "calls", "versions", "why not higher"))
        body = "".join(
            f"<tr><td>{html.escape(row.name)}</td><td>{row.tier}</td><td>{row.calls}</td>"
            f"<td>{len(row.versions)}</td><td>{html.escape(row.why_not_higher)}</td></tr>"
            for row in self.rows
        )
        return f"<table><tr>{head}</tr>{body}</table>"


def tiers_table(runtimes: Iterable[JitRuntime] = (default_runtime,)) -> TiersTable:
    """The functions of runtimes, those called most first."""
    rows = [explain_state(state) for runtime in runtimes for state in runtime]
    return TiersTable(tuple(sorted(rows, key=lambda row: -row.calls)))


def make_tiered(source: str, namespace: dict[str, Any], runtime: JitRuntime = default_runtime) -> list[str]:
    """Make the functions tiered that a cell defined at its top level; their names."""
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    made = [name for name in names if isinstance(namespace.get(name), FunctionType)]
    for name in made:
        if tiers_of(namespace[name]) is None:
            runtime.tiered(namespace[name])
    return made


def load_ipython_extension(shell: Any) -> None:
    """Called by `%load_ext`."""

    def tiered_cell(line: str, cell: str) -> None:
        """Run the cell, then make the functions it defines tiered."""
        result = shell.run_cell(cell)
        result.raise_error()
        make_tiered(shell.transform_cell(cell), shell.user_ns)

    def tiers(line: str) -> TiersTable:
        """Show all tiered functions."""
        return tiers_table()

    shell.register_magic_function(tiered_cell, "cell", "tiered")
    shell.register_magic_function(tiers, "line", "tiers")
