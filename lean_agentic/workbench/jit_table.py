"""A quick table of the JIT suite for whoever works on the compiler.

    python -m lean_agentic.workbench.jit_table                      # all programs, small, tiers 1-3 against Numba
    python -m lean_agentic.workbench.jit_table matmul dot --tiers 2 --form lists --size large
    python -m lean_agentic.workbench.jit_table fib --peers none --why     # phases of compiling, exits, reasons

Each cell is "speed-up over CPython / compile ms". A mark behind it: `!` wrong result, `~` last bits differ, `t` other
type, `xN` machine code was left N times a call; `-` failed (reasons below the table).
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import pandas as pd

from lean_agentic.workbench.jit_measurements import Verdict, by_contender, measure
from lean_agentic.workbench.jit_peers import NUMBA, NUMBA_ON_ARRAYS, PYPY, TIERED, Contender, numba_levels, tier
from lean_agentic.workbench.jit_suite import FORMS, SIZES, programs

DESCRIPTION = "A quick table of the JIT suite."
MARKS = {Verdict.EXACT: "", Verdict.OTHER_TYPE: "t", Verdict.LAST_BITS: "~", Verdict.WRONG: "!", Verdict.FAILED: "-"}
PEERS = {"numba": (NUMBA,), "arrays": (NUMBA_ON_ARRAYS,), "pypy": (PYPY,), "levels": numba_levels(), "none": ()}


def table_text(frame: pd.DataFrame, why: bool = False) -> str:
    """The table, then a summary by contender, then reasons of failures (and phases, when asked why)."""
    names = list(dict.fromkeys(frame.contender))
    lines = [f"{'':28}{'CPython':>10}" + "".join(f"{name[:17]:>19}" for name in names[1:])]
    titles = frame.program + " " + frame.form
    for title in dict.fromkeys(titles):
        by_name = {row["contender"]: row for row in _records(frame[titles == title])}
        base = by_name[names[0]]["call_us"]
        base_text = f"{base:.1f} us" if base < 1e3 else f"{base / 1e3:.2f} ms"
        lines.append(f"{title:28}{base_text:>10}" + "".join(f"{_cell(by_name.get(name)):>19}" for name in names[1:]))
    lines += ["", by_contender(frame).round(2).to_string(), ""]
    for (contender, reason), rows in frame[frame.reason != ""].groupby(["contender", "reason"], sort=False):
        lines.append(f"{contender!s}: {', '.join(titles[rows.index])}: {reason!s}")
    for row in _records(frame) if why else ():
        if row["details"]:
            lines.append("{contender}: {program} {form}: {details}, exits/call {exits_per_call:g}".format(**row))
    return "\n".join(lines)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    verdict = Verdict(row["verdict"])
    if verdict is Verdict.FAILED:
        return "-"
    exits = row["exits_per_call"]
    mark = MARKS[verdict] + (f"x{exits:.3g}" if exits > 0 else "")
    compile_time = f" / {row['compile_ms']:.1f}" if row["compile_ms"] >= 0 else ""
    return f"{row['speedup']:.1f}x{compile_time}{mark}"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="jit_table", description=DESCRIPTION)
    parser.add_argument("names", nargs="*", help="programs; default all")
    parser.add_argument("--form", choices=FORMS, action="append", help="default all")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--tiers", default="123", help="digits of the tiers; t adds the whole runtime; '' for none")
    parser.add_argument("--peers", choices=PEERS, action="append", help="default numba")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--builds", type=int, default=1)
    parser.add_argument("--settle", type=float, default=0.5, help="seconds of calls before timing PyPy and ours")
    parser.add_argument("--why", action="store_true", help="phases of compiling and exits")
    given = parser.parse_args(arguments)
    ours = [TIERED if digit == "t" else tier(int(digit)) for digit in given.tiers]
    peers: list[Contender] = [each for name in given.peers or ["numba"] for each in PEERS[name]]
    chosen = programs(given.names, given.form or FORMS)
    frame = measure(
        chosen, [*ours, *peers], size=given.size, rounds=given.rounds, builds=given.builds, settle_s=given.settle,
        told=lambda title: print(title, end=" ", flush=True, file=sys.stderr),
    )  # fmt: skip
    print("\n" + table_text(frame, given.why))
    return 0


if __name__ == "__main__":
    sys.exit(main())
