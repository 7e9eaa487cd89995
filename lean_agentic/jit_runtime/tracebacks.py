"""Makes tracebacks show the user's frames only.

In: an exception on its way out of a frame that forwards to compiled code. Out: the same exception without the entries
of this package and of the forwarding frame, where the user's own line stands further down.
"""

from __future__ import annotations

import os
from functools import lru_cache
from itertools import zip_longest
from types import FunctionType, TracebackType

_OWN = (
    os.path.dirname(__file__) + os.sep,
    os.path.join(os.path.dirname(os.path.dirname(__file__)), "kernel") + os.sep,
)


def clean(error: BaseException) -> None:
    """Drop entries that are not the user's.

    The first entry is the forwarding frame. It is kept when there is nothing of the user's behind it, which is the case
    when compiled code raises without leaving.
    """
    first = error.__traceback__
    if first is None:
        return
    rest = _users(first.tb_next)
    error.__traceback__ = rest or TracebackType(None, first.tb_frame, first.tb_lasti, first.tb_lineno)


def show_place(error: BaseException, function: FunctionType, line: int) -> None:
    """Let an exception that came up in this package, which worked in the user's place, show the user's line."""
    error.__traceback__ = _users(error.__traceback__)
    if error.__traceback__ is None:
        add_entry(error, function, line)


def add_entry(error: BaseException, function: FunctionType, line: int) -> None:
    """Put a line of the user's function in front of an exception's traceback, as if it had passed through there."""
    code = function.__code__
    entry = _entry(code.co_filename, code.co_name, code.co_qualname, line)
    error.__traceback__ = TracebackType(error.__traceback__, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)


@lru_cache(maxsize=1024)
def _entry(filename: str, name: str, qualified: str, line: int) -> TracebackType:
    """What a traceback has when code of this name raises in this line."""
    code = compile("\n" * (line - 1) + "raise StopIteration", filename, "exec")
    try:
        eval(code.replace(co_name=name, co_qualname=qualified), {})
    except StopIteration as raised:
        entry = raised.__traceback__
        assert entry is not None
        assert entry.tb_next is not None
        return entry.tb_next
    raise AssertionError("the code above raises")


def _users(entry: TracebackType | None) -> TracebackType | None:
    """The chain without the package's own entries."""
    kept = []
    while entry is not None:
        if not entry.tb_frame.f_code.co_filename.startswith(_OWN):
            kept.append(entry)
        entry = entry.tb_next
    for this, following in zip_longest(kept, kept[1:]):
        if this.tb_next is not following:  # setting it looks through all that follows
            this.tb_next = following
    return kept[0] if kept else None
