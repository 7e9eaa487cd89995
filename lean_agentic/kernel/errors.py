"""What the front end says when a construct is outside the kernel language."""

from __future__ import annotations


class UnsupportedError(Exception):
    """A function, or a type, that the kernel does not take.

    Attributes
    ----------
    reason : str
        What is not taken, and where there is a way round it, which.
    line : int or None
        Line in the user's file; None when the trouble is a type rather than a place.
    source : str
        The offending source text, or "".
    """

    def __init__(self, reason: str, line: int | None = None, source: str = "") -> None:
        self.reason = reason
        self.line = line
        self.source = source
        place = "" if line is None else f"line {line}: "
        text = f" in `{source}`" if source else ""
        super().__init__(f"{place}{reason}{text}")
