"""Turns Ctrl-C and SIGTERM into a request that the runner looks at between its steps.

A handler that raises would do so anywhere, also between the writing of a result and the renaming of its
folder. Here the handler only remembers the signal; the runner asks at points where stopping is safe.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

from lean_agentic.workbench.errors import WorkbenchError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedError(WorkbenchError):
    """The user asked to stop; the exit code is the shell's for the signal: 130 for Ctrl-C, 143 for SIGTERM."""

    def __init__(self, text: str, signum: int) -> None:
        super().__init__(text)
        self.signum = signum
        self.exit_code = 128 + signum


class StopRequest:
    """Remembers the first SIGINT or SIGTERM that arrives inside a `with` block of the main thread."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        self._before = {signum: signal.signal(signum, self._remember) for signum in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def check(self) -> None:
        """Raise when a stop was asked for.

        Raises
        ------
        StoppedError
            A signal came since the block was entered.
        """
        if self.signum is not None:
            raise StoppedError(f"Stopped by {signal.Signals(self.signum).name}.", self.signum)

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        self.signum = self.signum or signum
