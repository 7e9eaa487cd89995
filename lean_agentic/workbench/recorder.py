"""What a notebook calls to hand over its figures, tables, pictures and the data it used.

Under the experiment runner, `LEAN_AGENTIC_RUN_DIR` names the folder of the run and everything is kept
there. In JupyterLab the variable is absent: figures stay in memory and the recorder's view says so.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Container
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lean_agentic.workbench.files import write_atomically
from lean_agentic.workbench.provenance import thread_counts
from lean_agentic.workbench.results import PARTIAL, Metric, ResultError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

RUN_DIR_VARIABLE = "LEAN_AGENTIC_RUN_DIR"
RECORD_FILE = "recorded.json"
NAME = re.compile(r"[a-z][a-z0-9_]*")


class Recorder:
    """Takes what a notebook measured.

    Examples
    --------
    >>> recorder = Recorder()
    >>> recorder.metric("saving", 31.0, unit="%", n=5, spread=(29.5, 32.0), spread_kind="min-max over seeds")
    >>> recorder.metrics["saving"].value
    31.0
    """

    def __init__(self) -> None:
        folder = os.environ.get(RUN_DIR_VARIABLE)
        self.folder = Path(folder) if folder else None
        if self.folder is not None and (self.folder / RECORD_FILE).exists():
            raise ResultError("This run has recorded figures already. Make one Recorder and use it throughout.")
        self.metrics: dict[str, Metric] = {}
        self.tables: dict[str, pd.DataFrame] = {}
        self.figures: list[str] = []
        self.data: list[dict[str, Any]] = []

    def metric(
        self,
        name: str,
        value: float,
        *,
        unit: str,
        n: int,
        spread: tuple[float, float] | None = None,
        spread_kind: str = "",
        note: str = "",
    ) -> None:
        """Record one figure.

        Parameters
        ----------
        name
            Lower-case identifier; `experiment.toml` refers to it.
        value, spread
            In `unit`; spread is (low, high) and `spread_kind` says of what.
        n
            How many samples the figure comes from.

        Raises
        ------
        ResultError
            The value is not finite, `n` is below 1, or the name was recorded before.
        """
        self._check_name(name, self.metrics)
        pair = None if spread is None else (float(spread[0]), float(spread[1]))
        self.metrics[name] = Metric(float(value), unit, int(n), pair, spread_kind, note)
        self._save()

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """Keep a data frame as `<name>.parquet` beside the result."""
        self._check_name(name, self.tables)
        if self.folder is not None:
            frame.to_parquet(self.folder / f"{name}.parquet")
        self.tables[name] = frame
        self._save()

    def figure(self, name: str, figure: Figure) -> None:
        """Keep a matplotlib figure as `<name>.svg` and `<name>.png` beside the result."""
        self._check_name(name, self.figures)
        self.figures.append(name)
        if self.folder is not None:
            for ending in ("svg", "png"):
                figure.savefig(self.folder / f"{name}.{ending}", bbox_inches="tight", dpi=150)

    def used_data(self, name: str, *, origin: str, sha256: str | None = None, note: str = "") -> None:
        """Say which data the figures come from; `origin` is `file` or `generated`."""
        if origin not in ("file", "generated"):
            raise ResultError(f"The origin of data is 'file' or 'generated', not {origin!r}.")
        self.data.append({"name": name, "origin": origin, "sha256": sha256, "note": note})
        self._save()

    def _check_name(self, name: str, known: Container[str]) -> None:
        if not NAME.fullmatch(name):
            raise ResultError(f"{name!r} is not a name: lower-case letters, digits and _, a letter first.")
        if name in known:
            raise ResultError(f"{name!r} was recorded before; give each figure a name of its own.")

    def _save(self) -> None:
        if self.folder is None:
            return
        content = {
            "metrics": {name: asdict(metric) for name, metric in self.metrics.items()},
            "tables": [f"{name}.parquet" for name in self.tables],
            "data": self.data,
            "threads": thread_counts(),
        }
        write_atomically(self.folder / RECORD_FILE, json.dumps(content, allow_nan=False))

    def __repr__(self) -> str:
        where = self.folder or "memory only: not run by `lean-agentic run`"
        return f"Recorder({len(self.metrics)} metrics, {len(self.tables)} tables; {where})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th scope='row'>{html.escape(name)}</th><td>{html.escape(str(metric))}</td></tr>"
            for name, metric in self.metrics.items()
        )
        kept = (
            f"kept in run {self.folder.name.removeprefix(PARTIAL)}"
            if self.folder
            else "in memory only; `lean-agentic run` keeps them"
        )
        return f"<table><caption>Recorded figures ({html.escape(kept)})</caption>{rows}</table>"
