"""Makes tracebacks show the user's frames only.

In: an exception on its way out of a frame that forwards to compiled code. Out: the same exception without the entries
of this package and of the forwarding frame, where the user's own line stands further down.
"""

from __future__ import annotations

import os
from itertools import zip_longest
from types import TracebackType

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


def _users(entry: TracebackType | None) -> TracebackType | None:
    """The chain without the package's own entries."""
    kept = []
    while entry is not None:
        if not entry.tb_frame.f_code.co_filename.startswith(_OWN):
            kept.append(entry)
        entry = entry.tb_next
    for this, following in zip_longest(kept, kept[1:]):
        this.tb_next = following
    return kept[0] if kept else None
