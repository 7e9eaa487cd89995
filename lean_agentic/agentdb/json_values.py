"""JSON values in and out of the store, refused where they would come back as something else."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from lean_agentic.agentdb.errors import InvalidRecordError

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_ATOMS = frozenset({str, int, bool, type(None)})

LONGEST_VALUE = 200
"""Characters of a scalar that are compared as they are; longer ones are compared by their SHA-256."""


def json_text(value: Any, what: str) -> str:
    """The value as compact JSON; tuples become lists.

    Raises InvalidRecordError, which names the place, for NaN and infinity, keys that are no strings, and types that
    JSON has not.
    """
    if value == {}:
        return "{}"
    try:
        text = _ENCODER.encode(_plain(value, what))
    except RecursionError:
        raise InvalidRecordError(f"{what} is nested too deeply, or contains itself: give plain JSON values") from None
    return require_text(text, what)


def require_text(text: str, what: str) -> str:
    """The text itself. Raises InvalidRecordError unless it is a string that UTF-8 can hold."""
    if not isinstance(text, str):
        raise InvalidRecordError(f"{what} must be a string, got {type(text).__name__} {text!r:.80}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRecordError(
            f"{what} holds half a surrogate pair at character {error.start}: decode it with errors='replace' first"
        ) from None
    return text


def require_number(number: Any, what: str) -> float:
    """The number as a float. Raises InvalidRecordError unless it is one, and finite."""
    try:
        value = math.nan if isinstance(number, str | bytes) else float(number)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise InvalidRecordError(f"{what} must be a finite number, got {number!r:.80}")
    return value


def scalar_key(value: Any) -> str | None:
    """A string that two JSON scalars share exactly where they are equal (true is not 1); None for lists and objects."""
    if value is not None and not isinstance(value, str | int | float):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _plain(value: Any, what: str) -> Any:
    if type(value) in _ATOMS or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return require_number(value, what)
    if isinstance(value, Mapping):
        return {
            _key(key, what): item if type(item) in _ATOMS else _plain(item, f"{what}[{key!r}]")
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [
            item if type(item) in _ATOMS else _plain(item, f"{what}[{position}]") for position, item in enumerate(value)
        ]
    raise InvalidRecordError(
        f"{what} is a {type(value).__module__}.{type(value).__name__}, which JSON has not: "
        "give strings, numbers, booleans, None, lists and mappings"
    )


def _key(key: Any, what: str) -> str:
    if not isinstance(key, str):
        raise InvalidRecordError(f"{what} has the key {key!r}: keys must be strings, it would come back as one")
    return key
