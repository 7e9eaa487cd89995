"""Who takes part in the JIT suite, and the process that each of them runs in.

In: a `Contender` (an engine with its options and environment). Out: a `Process` that builds, calls and times programs
on command, in an interpreter of its own, so that what is read once at import (`NUMBA_OPT`) can differ between them,
PyPy is treated like the others, and a crash is a result and not the end of the measurement.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn

import psutil

from lean_agentic.workbench.errors import WorkbenchError

WORKER = Path(__file__).with_name("jit_worker.py")
PATIENCE_S = 60.0
LONGEST_REASON = 200


class ContenderError(WorkbenchError):
    """A contender that cannot take part, or a program that it does not run; the text is the reason."""


@dataclass(frozen=True, eq=False)
class Contender:
    """One way of running Python."""

    name: str
    engine: str = "python"
    """Class in `jit_worker.ENGINES`: python, numba, tier, tiered."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the engine is told: `jit` for Numba's decorator, `tier` and `options`, or `config` for ours."""
    environment: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable
    numpy: bool = True
    """Whether its interpreter has NumPy."""
    cores: int = 1
    """With more than one it is not kept on the core that all others share, and its wall time counts."""
    settles: bool = False
    """Whether it compiles as it goes, so that only later calls show its steady speed."""
    ours: bool = False
    arrays_for_lists: bool = False
    """Given the array form of list programs, on the same numbers; it takes part in those only."""

    def __repr__(self) -> str:
        return f"Contender({self.name!r})"


def pypy_path() -> str | None:
    """Where PyPy is, or None."""
    return shutil.which("pypy3")


def numba(name: str, environment: Mapping[str, str] | None = None, cores: int = 1, **jit: Any) -> Contender:
    """Make a contender of Numba with arguments of `numba.jit`."""
    return Contender(name, "numba", {"jit": {"nopython": True} | jit}, environment or {}, cores=cores)


def tier(level: int, **options: Any) -> Contender:
    """Make a contender of one tier of ours; `options` are those of `jit_runtime.machine_code.Options`."""
    name = f"tier {level}" + "".join(f", {key}={value}" for key, value in options.items())
    return Contender(name, "tier", {"tier": level, "options": options}, ours=True)


CPYTHON = Contender("CPython")
NUMBA = numba("Numba")
PYPY = Contender("PyPy", python="pypy3", numpy=False, settles=True)
TIERED = Contender("ours, all tiers", "tiered", settles=True, ours=True)
OURS_CACHED = Contender("ours, cached", "tiered", {"cache": True}, settles=True, ours=True)
NUMBA_ON_ARRAYS = Contender("Numba, arrays for lists", "numba", {"jit": {"nopython": True}}, arrays_for_lists=True)
TIERS = (tier(1), tier(2), tier(3))


def numba_levels() -> tuple[Contender, ...]:
    """Numba's own settings, to stand beside our tiers. `fastmath` may change results; the check will say so."""
    return (
        Contender("Numba, object mode", "numba", {"jit": {"forceobj": True}}),
        *(numba(f"Numba, OPT={level}", {"NUMBA_OPT": str(level)}) for level in range(4)),
        numba("Numba, fastmath", fastmath=True),
        numba("Numba, parallel", parallel=True, cores=os.cpu_count() or 1),
        numba("Numba, cached on disk", cache=True),
    )


def absent(contender: Contender) -> str | None:
    """Why a contender cannot take part on this machine, or None."""
    if shutil.which(contender.python) is None:
        return f"{contender.python} is not installed (Debian: apt-get install {contender.python})"
    return None


class Process:
    """A contender at work.

    Parameters
    ----------
    cpu : int, optional
        The core that it stays on, unless it wants several.
    cache : Path, optional
        Where compilers keep what they cache on disk; default: an empty folder of the process's own.

    Raises
    ------
    ContenderError
        It cannot be started.
    """

    def __init__(self, contender: Contender, cpu: int | None = None, cache: Path | None = None) -> None:
        self.contender = contender
        self._cpu = cpu if contender.cores == 1 else None
        self._own_cache = tempfile.TemporaryDirectory(prefix="jit_suite_")
        self._cache = str(cache or self._own_cache.name)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.ready = self._start()
            """What the process said when it started: `import_ms`, `python`."""
        except ContenderError:
            self.close()
            raise

    def _start(self) -> dict[str, Any]:
        if reason := absent(self.contender):
            raise ContenderError(reason)
        settings = dict(self.contender.options) | {"engine": self.contender.engine, "wall": self.contender.cores > 1}
        # A cache that an earlier measurement filled would turn compiling into loading.
        caches = {"NUMBA_CACHE_DIR": self._cache, "LEAN_AGENTIC_JIT_CACHE": self._cache}
        self._buffer = b""
        self._process = subprocess.Popen(
            [self.contender.python, str(WORKER), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | {"PYTHONHASHSEED": "0"} | caches | dict(self.contender.environment),
        )
        if self._cpu is not None:
            psutil.Process(self._process.pid).cpu_affinity([self._cpu])
        return self._reply(self._process, PATIENCE_S)

    def ask(self, do: str, patience_s: float = PATIENCE_S, /, **arguments: Any) -> dict[str, Any]:
        """Give one command of `jit_worker.Worker` and return the reply.

        Raises
        ------
        ContenderError
            The command failed, or the process died or does not answer; the next command then gets a new process.
        """
        if self._process is None:
            self._start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps({"do": do} | arguments).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            self._give_up(process)
        return self._reply(process, patience_s)

    def _reply(self, process: subprocess.Popen[bytes], patience_s: float) -> dict[str, Any]:
        assert process.stdout is not None
        while b"\n" not in self._buffer:
            if not select.select([process.stdout], [], [], patience_s)[0]:
                process.kill()
                self._give_up(process, f"no answer within {patience_s:.0f} s")
            part = os.read(process.stdout.fileno(), 1 << 16)
            if not part:
                self._give_up(process)
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        if "failed" in reply:
            raise ContenderError(short(reply["failed"]))
        return reply

    def _give_up(self, process: subprocess.Popen[bytes], reason: str = "") -> NoReturn:
        code = process.wait()
        self._process = None
        _close_pipes(process)
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
        self._errors.seek(0)
        self._errors.truncate()
        how = reason or (f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}")
        raise ContenderError(short(": ".join([how, *last])))

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            _close_pipes(self._process)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._errors.close()
        self._own_cache.cleanup()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def short(reason: str) -> str:
    """The first lines of a compiler's complaint, on one line."""
    words = " ".join(reason.split())
    return words if len(words) <= LONGEST_REASON else words[: LONGEST_REASON - 1] + "…"


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        with suppress(BrokenPipeError):  # what was still to be written has no reader any more
            stream.close()
