"""Machine code as bytes that can be kept on disk, and loaded in microseconds without LLVM.

In: an `Image` (x86-64), or an object file of another platform. Out: a blob; `load` makes callable code of it.

A blob is a magic number, a version, the SHA-256 of all that follows, the kind of its content, and the content. Whatever
is cut off or changed raises `ObjectCodeError`. The hash finds damage, not forgery: load only blobs that one's own user
wrote. A blob also holds instructions of the processor it was made for, so the processor belongs into a cache's key.
"""

from __future__ import annotations

import ctypes
import hashlib
import platform
import struct
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from lean_agentic.jit_runtime.elf import Image, ObjectCodeError

__all__ = ["Image", "ObjectCodeError", "load", "loads_images", "pack_image", "pack_object", "unpack"]

_MAGIC = b"leancode"
_VERSION = 1
_HEADER = struct.Struct("<8sI32s")
_IMAGE, _OBJECT = 1, 2
_CONTENT = struct.Struct("<III")
_IMPORT = struct.Struct("<II")
_ADDRESS = struct.Struct("<Q")
C_FUNCTIONS = frozenset(
    [
        *("memset", "memcpy", "memmove", "memcmp", "bcmp", "strlen", "wcslen"),
        *("floor", "ceil", "trunc", "rint", "roundeven", "sqrt", "fmod", "copysign", "fabs"),
    ]
)
"""What LLVM may call by itself: loops that it recognises, and rounding on processors without an instruction for it."""


def loads_images() -> bool:
    """Whether code of this platform can be loaded without LLVM."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def pack_image(image: Image) -> bytes:
    """The blob of an image.

    Raises
    ------
    ObjectCodeError
        If the image imports what is not in `C_FUNCTIONS`.
    """
    _check(image)
    imports = b"".join(_IMPORT.pack(at, len(name)) + name.encode() for name, at in image.imports)
    return _blob(_IMAGE, _CONTENT.pack(image.entry, len(image.imports), len(image.code)) + imports + image.code)


def pack_object(object_code: bytes, entry: str) -> bytes:
    """The blob of an object file that LLVM has to load."""
    name = entry.encode()
    return _blob(_OBJECT, _CONTENT.pack(len(name), 0, len(object_code)) + name + object_code)


def _blob(kind: int, content: bytes) -> bytes:
    body = kind.to_bytes(4, "little") + content
    return _HEADER.pack(_MAGIC, _VERSION, hashlib.sha256(body).digest()) + body


def unpack(blob: bytes) -> Image | tuple[bytes, str]:
    """The image, or the object file and the name of its entry, that a blob was made of.

    Raises
    ------
    ObjectCodeError
        If the blob is cut off, damaged, or of another version.
    """
    if len(blob) < _HEADER.size + 4 + _CONTENT.size:
        raise ObjectCodeError(f"a blob of {len(blob)} bytes is cut off; delete it and compile again")
    magic, version, digest = _HEADER.unpack_from(blob)
    if magic != _MAGIC or version != _VERSION:
        raise ObjectCodeError(f"expected a blob of version {_VERSION}, found {magic!r} version {version}; delete it")
    body = memoryview(blob)[_HEADER.size :]
    if hashlib.sha256(body).digest() != digest:
        raise ObjectCodeError("a blob differs from its SHA-256, so it is damaged; delete it and compile again")
    first, imports, size = _CONTENT.unpack_from(body, 4)
    content = bytes(body[4 + _CONTENT.size :])
    if int.from_bytes(body[:4], "little") == _OBJECT:
        return content[first:], content[:first].decode()
    return _image(first, imports, size, content)


def _image(entry: int, count: int, size: int, content: bytes) -> Image:
    imports, at = [], 0
    try:
        for _ in range(count):
            place, length = _IMPORT.unpack_from(content, at)
            at += _IMPORT.size + length
            imports.append((content[at - length : at].decode(), place))
    except (struct.error, UnicodeDecodeError) as error:
        raise ObjectCodeError(f"a blob has no valid list of imports: {error}") from error
    image = Image(content[at:], entry, tuple(imports))
    _check(image, size)
    return image


def _check(image: Image, size: int | None = None) -> None:
    """Refuse what would write or jump outside of the image."""
    length = len(image.code)
    if size not in (None, length) or not 0 <= image.entry < length:
        raise ObjectCodeError(f"an image of {length} bytes with entry {image.entry} does not fit its description")
    for name, place in image.imports:
        if name not in C_FUNCTIONS:
            raise ObjectCodeError(f"machine code refers to {name!r}; expected one of {', '.join(sorted(C_FUNCTIONS))}")
        if not 0 <= place <= length - _ADDRESS.size:
            raise ObjectCodeError(f"the address of {name!r} would lie outside of the image")


def load(blob: bytes, map_code: Callable[[bytes], Any] | None = None) -> tuple[int, Any]:
    """Put a blob's code into memory.

    Parameters
    ----------
    blob : bytes
        From `pack_image` or `pack_object`.
    map_code : callable, optional
        Copies bytes to executable memory at a multiple of 4096, as `_native.map_code`, the default, does.

    Returns
    -------
    tuple[int, Any]
        Address of the entry, and the object that keeps the memory.

    Raises
    ------
    ObjectCodeError
        If the blob is damaged.
    """
    found = unpack(blob)
    if not isinstance(found, Image):
        from lean_agentic.jit_runtime import llvm_engine  # LLVM is loaded only for blobs that need it

        return llvm_engine.load_object(*found)
    if map_code is None:
        from lean_agentic.jit_runtime import _native

        map_code = _native.map_code
    memory = map_code(_with_addresses(found))
    return memory.address + found.entry, memory


def _with_addresses(image: Image) -> bytes:
    if not image.imports:
        return image.code
    code = bytearray(image.code)
    for name, place in image.imports:
        _ADDRESS.pack_into(code, place, _address(name))
    return bytes(code)


@cache
def _address(name: str) -> int:
    for library in (None, "libm.so.6"):
        try:
            return ctypes.cast(getattr(ctypes.CDLL(library), name), ctypes.c_void_p).value or 0
        except AttributeError:
            continue
    raise ObjectCodeError(f"this platform's C library has no {name!r}; compile through LLVM's own loader")
