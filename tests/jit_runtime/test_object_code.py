"""Blobs: what goes in comes out, and whatever is damaged is refused."""

from __future__ import annotations

import ctypes

import pytest

from lean_agentic.jit_runtime import object_code
from lean_agentic.jit_runtime.emitter import Emitter
from lean_agentic.jit_runtime.lir import Function, Unit
from lean_agentic.jit_runtime.llvm_engine import EngineOptions, compile_unit
from lean_agentic.jit_runtime.object_code import Image, ObjectCodeError, load, pack_image, pack_object, unpack

IMAGE = Image(bytes(range(64)), 16, (("memset", 8), ("floor", 56)))
ENTRY = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
needs_images = pytest.mark.skipif(not object_code.loads_images(), reason="images are for x86-64 Linux")


class Memory:
    """Stands for mapped memory: keeps what would be executed."""

    def __init__(self, code: bytes) -> None:
        self.code = code
        self.address = 4096


def sum_of_fill() -> Unit:
    """Store n zeros from an address on, which LLVM makes a memset of, and return 0.1 times n."""
    e = Emitter(Function("fill", [], "f"))
    p, n, i = e.variable("p"), e.variable("i"), e.variable("i")
    e.function.parameters += [p, n]
    e.set(i, 0)
    head, body, out = e.new_block(), e.new_block(), e.new_block()
    e.branch(head)
    e.begin(head)
    e.choose(e.op("icmp", "b", e.get(i), e.get(n), "slt"), body, out)
    e.begin(body)
    e.do("store", e.op("advance", "p", e.get(p), e.get(i), 8), 0, 0, "i64")
    e.set(i, e.op("add", "i", e.get(i), 1))
    e.branch(head)
    e.begin(out)
    e.do("ret", (e.op("fmul", "f", e.op("itof", "f", e.get(n)), 0.1),))
    return Unit([e.function], 0)


def check_sum_of_fill(address: int) -> None:
    data = (ctypes.c_int64 * 50)(*range(1, 51))
    given, out = (ctypes.c_int64 * 2)(ctypes.addressof(data), 40), ctypes.c_double()
    assert ENTRY(address)(0, ctypes.addressof(given), ctypes.addressof(out)) == 0
    assert out.value == 40 * 0.1
    assert list(data) == [0] * 40 + list(range(41, 51))


def test_images_and_objects_come_back() -> None:
    assert unpack(pack_image(IMAGE)) == IMAGE
    assert unpack(pack_object(b"object", "entry.f")) == (b"object", "entry.f")


def test_loading_writes_the_addresses_of_imports() -> None:
    address, memory = load(pack_image(IMAGE), Memory)
    assert address == 4096 + 16
    found = [int.from_bytes(memory.code[at : at + 8], "little") for _, at in IMAGE.imports]
    assert found[0] == ctypes.cast(ctypes.CDLL(None).memset, ctypes.c_void_p).value
    assert all(found)
    assert memory.code[:8] + memory.code[16:56] == IMAGE.code[:8] + IMAGE.code[16:56]


@pytest.mark.parametrize("blob", [pack_image(IMAGE), pack_object(b"object", "entry.f")], ids=["image", "object"])
def test_damage_is_found(blob: bytes) -> None:
    for size in range(len(blob)):
        with pytest.raises(ObjectCodeError):
            unpack(blob[:size])
    for at in range(len(blob)):
        damaged = bytearray(blob)
        damaged[at] ^= 1
        with pytest.raises(ObjectCodeError):
            unpack(bytes(damaged))
    with pytest.raises(ObjectCodeError):
        unpack(blob + b"\0")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image(b"", 0), "does not fit"),
        (Image(b"abc", 3), "does not fit"),
        (Image(b"abc", -1), "does not fit"),
        (Image(bytes(16), 0, (("system", 0),)), "refers to 'system'"),
        (Image(bytes(16), 0, (("memset", 9),)), "outside"),
        (Image(bytes(16), 0, (("memset", -1),)), "outside"),
    ],
)
def test_images_that_would_reach_outside_of_themselves_are_refused(image: Image, message: str) -> None:
    with pytest.raises(ObjectCodeError, match=message):
        pack_image(image)


@needs_images
def test_compiled_code_is_loaded_again() -> None:
    blob = compile_unit(sum_of_fill(), 3).object_code
    image = unpack(blob)
    assert isinstance(image, Image)
    assert [name for name, _ in image.imports] == ["memset"]
    address, owner = load(blob)
    other_address, other = load(blob)
    assert address != other_address
    check_sum_of_fill(address)
    del owner
    check_sum_of_fill(other_address)
    del other


def test_objects_are_loaded_through_llvm() -> None:
    blob = compile_unit(sum_of_fill(), 3, EngineOptions(own_loader=False)).object_code
    (address, owner), (other_address, other) = load(blob), load(blob)
    assert address != other_address
    del owner
    check_sum_of_fill(other_address)
    del other


def test_an_object_that_is_none_is_refused_by_llvm() -> None:
    with pytest.raises(ObjectCodeError, match="LLVM cannot load"):
        load(pack_object(b"not an object file", "entry.f"))
