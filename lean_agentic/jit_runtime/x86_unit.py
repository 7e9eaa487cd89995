"""The code of a unit as it grows, and the places in it that are filled in at the end."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from lean_agentic.jit_runtime.lir import Function

_DOUBLE = struct.Struct("<d")
_BITS = struct.Struct("<q")


def bits_of(value: float | int | None) -> int:
    """A constant as a signed 64-bit integer; for a float its bits."""
    if value.__class__ is float:
        bits: int = _BITS.unpack(_DOUBLE.pack(value))[0]
        return bits
    number = int(value or 0)
    return number if -(2**63) <= number < 2**63 else (number + 2**63) % 2**64 - 2**63


def as_float(value: float | int | None) -> float:
    """A constant as a double."""
    return 0.0 if value is None else float(value)


class UnitCode:
    """The code of all functions, and the places in it that are filled in at the end."""

    def __init__(self, functions: Sequence[Function]) -> None:
        self.functions = {each.name: each for each in functions}
        self.code = bytearray()
        self.pool: dict[int, int] = {}
        """Bits of constants -> place in the pool."""
        self.pool_uses: list[tuple[int, int, int]] = []
        """Position behind the distance, bytes of the instruction behind that, place in the pool."""
        self.calls: list[tuple[int, str]] = []
        """Position of a relative address, name of what is called."""

    def constant(self, bits: int, tail: int = 0) -> None:
        """Note that the four bytes just written, `tail` before the end of the instruction, lead to a constant."""
        self.pool_uses.append((len(self.code), tail, self.pool_place(bits)))

    def pool_place(self, bits: int) -> int:
        """Place of a constant in the pool."""
        pool = self.pool
        place = pool.get(bits)
        if place is None:
            place = pool[bits] = len(pool)
        return place
