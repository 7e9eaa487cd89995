"""Links a relocatable x86-64 ELF object into an image that runs at any address, without LLVM.

In: the bytes of an object file that LLVM emitted as position-independent code. Out: an `Image`: its sections one after
the other with the references between them resolved, a stub for each C function that LLVM calls by itself (`memset` for
a loop that fills, for example), and where in the image that function's address has to be written.

Formats: System V Application Binary Interface, AMD64 Architecture Processor Supplement, chapter 4.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_EXPECTED = b"\x7fELF\x02\x01\x01"
_RELOCATABLE, _X86_64 = 1, 62
_PROGBITS, _SYMBOLS, _RELOCATIONS, _NOBITS = 1, 2, 4, 8
_WRITE, _ALLOCATE = 1, 2
_PAGE = 4096
_SPECIAL_SECTIONS = 0xFF00
# jmp [rip + 2], two bytes that are never reached, and the address at the eighth byte.
_STUB = bytes.fromhex("ff2502000000cccc") + bytes(8)
_STUB_ADDRESS = 8
_PC32, _GOTPCREL, _PC64, _PLT32, _GOTPCRELX, _REX_GOTPCRELX = 2, 9, 24, 4, 41, 42
_SMALLEST = 4
_RELATIVE = {_PC32: "<i", _PLT32: "<i", _PC64: "<q"}
_THROUGH_TABLE = (_GOTPCREL, _GOTPCRELX, _REX_GOTPCRELX)


class ObjectCodeError(ValueError):
    """Object code that cannot be loaded; the message says why."""


class Image(NamedTuple):
    """Code and constants that run at any address that is a multiple of 4096."""

    code: bytes
    entry: int
    """Offset of the entry."""
    imports: tuple[tuple[str, int], ...] = ()
    """C functions, and the offset of the eight bytes that are to hold the function's address."""


class _Section(NamedTuple):
    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


class _Symbol(NamedTuple):
    name: str
    section: int
    value: int


def link(object_code: bytes, entry: str) -> Image:
    """Link an object file.

    Parameters
    ----------
    object_code : bytes
        A relocatable ELF file for x86-64 without writable data.
    entry : str
        Name of the function to call.

    Raises
    ------
    ObjectCodeError
        If the file is something else, or has what an image cannot have.
    """
    try:
        return _Linker(object_code).image(entry)
    except ObjectCodeError:
        raise
    except (struct.error, ArithmeticError, LookupError, ValueError) as error:
        raise ObjectCodeError(f"the object file is damaged: {error}; compile the kernel again") from error


class _Linker:
    def __init__(self, data: bytes) -> None:
        self._data = data
        header = _HEADER.unpack_from(data)
        if not data.startswith(_EXPECTED) or header[1:3] != (_RELOCATABLE, _X86_64):
            raise ObjectCodeError("expected a relocatable x86-64 ELF object; load other formats through LLVM")
        start, count = header[6], header[12]
        self._sections = [_Section(*_SECTION.unpack_from(data, start + _SECTION.size * k)) for k in range(count)]
        self._symbols = self._read_symbols()
        self._places: dict[int, int] = {}
        self._code = bytearray()
        self._stubs: dict[str, int] = {}

    def image(self, entry: str) -> Image:
        for index, section in enumerate(self._sections):
            if section.flags & _ALLOCATE and section.kind in (_PROGBITS, _NOBITS) and section.size:
                self._place(index, section)
        for section in self._sections:
            if section.kind == _RELOCATIONS and section.info in self._places:
                self._relocate(section)
        starts = [self._places[each.section] + each.value for each in self._symbols if each.name == entry]
        if len(starts) != 1:
            raise ObjectCodeError(f"expected one function {entry!r} in the object file, found {len(starts)}")
        imports = tuple((name, at + _STUB_ADDRESS) for name, at in self._stubs.items())
        return Image(bytes(self._code), starts[0], imports)

    def _read_symbols(self) -> list[_Symbol]:
        symbols = []
        for section in self._sections:
            if section.kind == _SYMBOLS:
                names = self._sections[section.link].offset
                for at in range(section.offset, section.offset + section.size, _SYMBOL.size):
                    name, _, _, where, value, _ = _SYMBOL.unpack_from(self._data, at)
                    symbols.append(_Symbol(self._text(names + name), where, value))
        return symbols

    def _text(self, start: int) -> str:
        return self._data[start : self._data.index(b"\0", start)].decode()

    def _place(self, index: int, section: _Section) -> None:
        if section.flags & _WRITE or section.kind == _NOBITS:
            raise ObjectCodeError("the object file has writable data, which machine code of a kernel never needs")
        self._align(section.alignment)
        self._places[index] = len(self._code)
        content = self._data[section.offset : section.offset + section.size]
        if len(content) != section.size:
            raise ObjectCodeError("the object file is cut off; compile the kernel again")
        self._code += content

    def _align(self, alignment: int) -> None:
        if alignment > _PAGE:
            raise ObjectCodeError(f"expected an alignment of at most {_PAGE} bytes, found {alignment}")
        self._code += bytes(-len(self._code) % max(1, alignment))

    def _relocate(self, section: _Section) -> None:
        base = self._places[section.info]
        for at in range(section.offset, section.offset + section.size, _RELOCATION.size):
            offset, info, addend = _RELOCATION.unpack_from(self._data, at)
            kind, symbol = info & 0xFFFFFFFF, self._symbols[info >> 32]
            if offset + _SMALLEST > self._sections[section.info].size:
                raise ObjectCodeError(f"a relocation at {offset} lies outside of its section")
            place = base + offset
            shape = "<i" if kind in _THROUGH_TABLE else _RELATIVE.get(kind)
            if shape is None:
                raise ObjectCodeError(f"relocation type {kind} depends on the load address; compile with reloc='pic'")
            target = self._target(symbol, kind in _THROUGH_TABLE)
            struct.pack_into(shape, self._code, place, target + addend - place)

    def _target(self, symbol: _Symbol, through_table: bool) -> int:
        if 0 < symbol.section < _SPECIAL_SECTIONS:
            if through_table or symbol.section not in self._places:
                raise ObjectCodeError(f"{symbol.name!r} is not in a section that is loaded")
            return self._places[symbol.section] + symbol.value
        if symbol.section:
            raise ObjectCodeError(f"{symbol.name!r} is in no section")
        if symbol.name not in self._stubs:
            self._align(len(_STUB))
            self._stubs[symbol.name] = len(self._code)
            self._code += _STUB
        return self._stubs[symbol.name] + (_STUB_ADDRESS if through_table else 0)
