"""Linking object files: those that LLVM makes, and those that must be refused."""

from __future__ import annotations

import platform

import llvmlite.binding as llvm
import pytest

from lean_agentic.jit_runtime.elf import Image, ObjectCodeError, link

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="links x86-64 objects")


def compiled(ir: str, codemodel: str = "small", triple: str | None = None) -> bytes:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(triple) if triple else llvm.Target.from_default_triple()
    return bytes(target.create_target_machine(reloc="pic", codemodel=codemodel).emit_object(llvm.parse_assembly(ir)))


PLAIN = "define i32 @run() nounwind { ret i32 7 }"
CALLS = """
declare ptr @memset(ptr, i32, i64)
define internal fastcc i32 @inner(i32 %n) nounwind noinline { %m = mul i32 %n, %n ret i32 %m }
define i32 @run(ptr %p, i32 %n) nounwind {
 call ptr @memset(ptr %p, i32 0, i64 8)
 call ptr @memset(ptr %p, i32 1, i64 4)
 %r = call fastcc i32 @inner(i32 %n)
 ret i32 %r
}
"""
CONSTANTS = "define double @run(double %x) nounwind { %y = fadd double %x, 0x3FB999999999999A ret double %y }"
DATA = "@g = global i64 5 define i64 @run() nounwind { %v = load i64, ptr @g ret i64 %v }"
ADDRESS = "declare void @memset() define ptr @run() nounwind { ret ptr @memset }"


def test_an_image_is_the_code_of_its_sections() -> None:
    image = link(compiled(PLAIN), "run")
    assert image == Image(image.code, image.entry)
    assert image.code[image.entry :].startswith(bytes.fromhex("b807000000c3"))


def test_each_import_has_one_place_for_its_address() -> None:
    image = link(compiled(CALLS), "run")
    ((name, place),) = image.imports
    assert name == "memset"
    assert image.code[place : place + 8] == bytes(8)
    assert image.code[place - 8 : place - 2] == bytes.fromhex("ff2502000000")


def test_an_address_taken_goes_through_the_same_place() -> None:
    image = link(compiled(ADDRESS), "run")
    assert [name for name, _ in image.imports] == ["memset"]


def test_constants_lie_in_the_image() -> None:
    assert bytes.fromhex("9a9999999999b93f") in link(compiled(CONSTANTS), "run").code


def test_the_entry_has_to_be_there() -> None:
    with pytest.raises(ObjectCodeError, match="expected one function 'walk' in the object file, found 0"):
        link(compiled(PLAIN), "walk")


def test_writable_data_is_refused() -> None:
    with pytest.raises(ObjectCodeError, match="writable data"):
        link(compiled(DATA), "run")


def test_absolute_addresses_are_refused() -> None:
    with pytest.raises(ObjectCodeError, match="depends on the load address"):
        link(compiled(CALLS, codemodel="large"), "run")


@pytest.mark.parametrize("data", [b"", b"hello", b"\x7fELF\x01\x01\x01" + bytes(200), b"\xcf\xfa\xed\xfe" + bytes(200)])
def test_other_formats_are_refused(data: bytes) -> None:
    with pytest.raises(ObjectCodeError, match=r"expected a relocatable|damaged"):
        link(data, "run")


def test_truncated_objects_are_refused() -> None:
    whole = compiled(CALLS)
    for size in range(0, len(whole), 7):
        with pytest.raises(ObjectCodeError):
            link(whole[:size], "run")


def test_damaged_objects_never_end_otherwise_than_by_an_error() -> None:
    whole = compiled(CALLS)
    for at in range(0, len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        try:
            link(bytes(damaged), "run")
        except ObjectCodeError:
            continue
