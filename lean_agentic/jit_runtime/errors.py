"""Errors of the compiler itself; what user code raises passes through unchanged."""

from __future__ import annotations


class NotCompiledError(Exception):
    """A kernel has no machine form; it runs in CPython instead.

    Parameters
    ----------
    reason : str
        What has no form.
    line : int, optional
        Line of the user's source.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        self.reason = reason
        self.line = line
        super().__init__(reason if line is None else f"line {line}: {reason}")
