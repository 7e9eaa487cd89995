"""The child process of one run: `python -m lean_agentic.workbench.execute`, started by `supervise.py`.

Goes in: a `Job` as one JSON line on standard input. Comes out: the executed notebook and its HTML in the
run's folder, and on standard output one JSON line an event: `{"done": 3, "total": 12}`, or
`{"failed": <last line of the traceback>, "details": <all of it>}`.
"""

# mypy: disable-error-code="no-untyped-call"
# jupyter_client, nbconvert and papermill are typed in part only.

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert.filters import strip_ansi
from papermill import PapermillExecutionError, execute_notebook
from papermill.translators import PythonTranslator, papermill_translators
from traitlets import default

from lean_agentic.workbench.html_export import export_html
from lean_agentic.workbench.parameters import read_parameters
from lean_agentic.workbench.processes import end_run_processes
from lean_agentic.workbench.results import EXECUTED_HTML, EXECUTED_NOTEBOOK
from lean_agentic.workbench.supervise import Job

Report = Callable[[dict[str, Any]], None]


class OwnInterpreterManager(AsyncKernelManager):
    """Starts the kernel under this process's interpreter, whatever `python3` kernel is installed for the user."""

    @default("kernel_spec_manager")
    def _native_only(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[], parent=self)


class LiteralTranslator(PythonTranslator):  # type: ignore[misc]
    """Writes tuples as tuples; papermill's own writes `"(1, 2)"`, a string."""

    @classmethod
    def translate(cls, val: Any) -> str:
        """Python source of a value."""
        if isinstance(val, tuple):
            items = ", ".join(cls.translate(item) for item in val)
            return f"({items},)" if len(val) == 1 else f"({items})"
        text: str = super().translate(val)
        return text


class Progress:
    """Reports cells, and gives each the time that is left of the whole run's."""

    def __init__(self, total: int, timeout_s: float, report: Report) -> None:
        self.total = total
        self.started = 0
        self.deadline = time.monotonic() + timeout_s
        self.report = report

    def cell_starts(self, **_: Any) -> None:
        """nbclient's `on_cell_execute`: once a code cell."""
        self.started += 1
        self.report({"done": self.started - 1, "total": self.total})

    def time_left(self, _: Any) -> float:
        """nbclient's `timeout_func`; 0 would mean no time-out at all."""
        return max(0.1, self.deadline - time.monotonic())


def main() -> int:
    """Run the job on standard input; the exit code says whether it worked."""
    events = _take_standard_output()
    job = Job(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_parent, args=(Path(job.folder),), daemon=True).start()
    failure = run_job(job, lambda event: print(json.dumps(event), file=events))
    if failure is not None:
        print(json.dumps(failure), file=events)
    return 0 if failure is None else 1


def run_job(job: Job, report: Report) -> dict[str, Any] | None:
    """Execute and export a notebook; returns the event of a failure, or None."""
    progress = Progress(_count_code_cells(job), job.timeout_s, report)
    try:
        _execute(job, progress)
        report({"done": progress.total, "total": progress.total})
        folder = Path(job.folder)
        export_html(folder / EXECUTED_NOTEBOOK, folder / EXECUTED_HTML, job.title, images=Path(job.notebook).parent)
    except PapermillExecutionError as error:
        return _failure(f"{error.ename}: {error.evalue}".rstrip(": "), "\n".join(error.traceback))
    except CellTimeoutError:
        return _failure(_where(progress, f"the time-out of {job.timeout_s:g} s passed"))
    except DeadKernelError:
        return _failure(_where(progress, "the kernel died (killed, out of memory, or a crash in native code)"))
    except Exception as error:  # whatever it is, the parent reports it as this run's failure
        return _failure("".join(traceback.format_exception_only(error)).strip(), traceback.format_exc())
    return None


def _execute(job: Job, progress: Progress) -> None:
    declared = read_parameters(Path(job.notebook))
    # JSON has no tuples: the declared type brings them back.
    parameters = {name: declared[name].accept(value) for name, value in job.parameters.items()}
    papermill_translators.register("python3", LiteralTranslator)
    execute_notebook(
        _literal(job.notebook),
        _literal(f"{job.folder}/{EXECUTED_NOTEBOOK}"),
        parameters,
        kernel_name="python3",
        language="python",
        progress_bar=False,
        cwd=Path(job.notebook).parent,
        kernel_manager_class=OwnInterpreterManager,
        on_cell_execute=progress.cell_starts,
        timeout_func=progress.time_left,
    )


def _literal(path: str) -> str:
    """A path that papermill's `str.format` leaves as it is."""
    return path.replace("{", "{{").replace("}", "}}")


def _count_code_cells(job: Job) -> int:
    cells = json.loads(Path(job.notebook).read_text(encoding="utf-8"))["cells"]
    written: int = sum(cell["cell_type"] == "code" and bool("".join(cell["source"]).strip()) for cell in cells)
    return written + bool(job.parameters)  # papermill injects a cell for them


def _where(progress: Progress, what: str) -> str:
    return f"In code cell {progress.started} of {progress.total} {what}."


def _failure(line: str, details: str = "") -> dict[str, Any]:
    return {"failed": strip_ansi(line), "details": strip_ansi(details or line)}


def _take_standard_output() -> TextIO:
    """The pipe to the parent; file descriptor 1 becomes the log, for a kernel's native code may print to it."""
    events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return events


def _end_with_parent(folder: Path) -> None:
    # Raw: a thread blocked in sys.stdin would hold its lock when the interpreter shuts down.
    while os.read(0, 1):
        pass
    end_run_processes(folder)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
