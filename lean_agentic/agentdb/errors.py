"""What can go wrong in the memory, by what the caller can do about it."""

from __future__ import annotations


class AgentDBError(Exception):
    """Base of all errors of the memory."""


class InvalidVectorError(AgentDBError, ValueError):
    """A vector has the wrong shape or holds NaN, infinity or only zeros."""


class InvalidRecordError(AgentDBError, ValueError):
    """A record or link holds what cannot be stored: NaN, a value that is not JSON, an interval that ends too early."""


class UnknownRecordError(AgentDBError, KeyError):
    """No record has this id."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which hides line breaks and adds quotes.
        return str(self.args[0]) if self.args else ""


class FilterError(AgentDBError, ValueError):
    """A filter cannot mean what its caller wants: it is empty, or contradicts itself."""


class StoreMismatchError(AgentDBError):
    """The file is no memory, or one of a newer version, other dimensions or another embedding."""


class StoreUnavailableError(AgentDBError, OSError):
    """The file cannot be read or written now: disk full, read-only, locked for long, closed."""


class CorruptStoreError(AgentDBError):
    """The file of the truth is damaged: restore it from a backup."""


class CorruptIndexError(AgentDBError):
    """A saved vector index is damaged; it is rebuilt from the truth, never served."""


class MissingExtraError(AgentDBError, ImportError):
    """A package that an optional part needs is not installed; the message says how to install it."""


class RecalledTextError(AgentDBError, ValueError):
    """Text that came out of the memory was about to be stored as news."""


class NotIdentifiedError(AgentDBError):
    """The data cannot tell the effect that was asked for."""
