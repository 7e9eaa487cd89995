"""The one error that the command line turns into a message instead of a traceback."""

from __future__ import annotations


class WorkbenchError(Exception):
    """Something a user can mend: says what was wrong, what was expected and what to do.

    Subclasses name the situation; the command line prints the text and exits with `exit_code`.
    """

    exit_code = 2
