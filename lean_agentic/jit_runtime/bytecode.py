"""Pieces of CPython bytecode put around a user's code: instructions, line table and exception table of Python 3.11.

In: instruction names with arguments. Out: bytes for `code.replace`. All jumps of 3.11 are relative, so code can be put
in front of and behind a body without touching it.
"""

from __future__ import annotations

import dis
import opcode
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from types import CodeType
from typing import NamedTuple

SUPPORTED = sys.version_info[:2] == (3, 11) and sys.implementation.name == "cpython"
"""Whether this Python has the bytecode that the module writes."""
UNIT = 2
_CACHES: Sequence[int] = getattr(opcode, "_inline_cache_entries", ())
_NO_LOCATION, _NO_COLUMN = 15, 13


class Handler(NamedTuple):
    """One line of an exception table, in bytes from the start of the code."""

    start: int
    end: int
    target: int
    depth: int
    """How much of the stack stays below the exception."""


@cache
def instructions(*parts: str | tuple[str, int]) -> bytes:
    """Encode instructions; a name alone has the argument 0."""
    encoded = bytearray()
    for part in parts:
        name, argument = (part, 0) if isinstance(part, str) else part
        if argument > 255:
            encoded += bytes([dis.opmap["EXTENDED_ARG"], argument >> 8])
        number = dis.opmap[name]
        encoded += bytes([number, argument & 255]) + bytes(UNIT * _CACHES[number])
    return bytes(encoded)


def body_start(raw: bytes) -> int:
    """The place behind RESUME in `co_code`, where the user's first statement begins."""
    resume = dis.opmap["RESUME"]
    return next(at for at in range(0, len(raw), UNIT) if raw[at] == resume) + UNIT


def no_lines(size: int) -> bytes:
    """Line table for bytes of code that belong to no line."""
    return b"".join(_entry(_NO_LOCATION, units) for units in _runs(size))


@cache
def one_line(size: int, delta: int) -> bytes:
    """Line table for bytes of code in one line, `delta` lines behind the line before it in the table."""
    entries = [_entry(_NO_COLUMN, units) for units in _runs(size)]
    return b"".join(entry + _signed(0 if number else delta) for number, entry in enumerate(entries))


def last_line(code: CodeType) -> int:
    """The line that a further entry of the code's line table counts from."""
    lines = [line for _, _, line in code.co_lines() if line is not None]
    return lines[-1] if lines else code.co_firstlineno


def split_lines(table: bytes, at: int) -> int:
    """Where in a line table the entries begin for the code from byte `at` on."""
    place = covered = 0
    while covered < at:
        covered += UNIT * ((table[place] & 7) + 1)
        place += 1
        while place < len(table) and not table[place] & 0x80:
            place += 1
    return place


def exception_table(handlers: Iterable[Handler]) -> bytes:
    """Encode an exception table; handlers get the place of the failing instruction below the exception."""
    encoded = bytearray()
    for handler in handlers:
        start, end, target = (each // UNIT for each in handler[:3])
        entry = b"".join(map(_unsigned, (start, end - start, target, handler.depth << 1 | 1)))
        encoded += bytes([entry[0] | 0x80]) + entry[1:]
    return bytes(encoded)


def _runs(size: int) -> list[int]:
    whole, rest = divmod(size // UNIT, 8)
    return [8] * whole + [rest] * (rest > 0)


def _entry(kind: int, units: int) -> bytes:
    return bytes([0x80 | kind << 3 | units - 1])


def _signed(value: int) -> bytes:
    """Little-endian groups of six bits, the sign in the lowest one."""
    rest = (-value << 1 | 1) if value < 0 else value << 1
    encoded = bytearray()
    while rest >= 64:
        encoded.append(rest & 63 | 64)
        rest >>= 6
    return bytes([*encoded, rest])


def _unsigned(value: int) -> bytes:
    """Big-endian groups of six bits, all but the last marked."""
    groups = [value & 63]
    while value := value >> 6:
        groups.append(value & 63 | 64)
    return bytes(reversed(groups))
