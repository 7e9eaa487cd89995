"""`x ** 2` in LLVM IR: the bits of the C library's `pow` without calling it, for nearly all x.

In: the function under construction and an operand. Out: lines appended to the function. With glibc `x ** 2` is not
always `x * x`; it is where the exact square is so far from half way between two doubles that the error of `pow` cannot
reach across. The rest `fma(x, x, -x * x)` is that distance exactly. glibc states the error of its `pow` (e_pow.c): .511
units in the last place from the exponential and 1.5 * 2**-15 units for each unit of |2 ln x| from the logarithm, so
less than .514 units for squares within 2**-64 and 2**64.
"""

from __future__ import annotations

from lean_agentic.jit_runtime._native import FAST_SQUARES
from lean_agentic.jit_runtime.lir import Operand
from lean_agentic.jit_runtime.llvm_function import LIKELY, FunctionText, text_of

_EXPONENT = 0x7FF0000000000000
_LEAST, _MOST = (1023 - 64) << 52, (1023 + 64) << 52
_LARGEST_REST = 0.48 * 2.0**-52
"""Of a rest, in units of the square's power of two. Units in the last place are 2**-52 of that; half of one less .48 is
still more than the .014 by which `pow` may err beyond half."""


def is_square(name: str, arguments: tuple[Operand, ...]) -> bool:
    """Whether a call of a runtime function is a square that can be found this way here."""
    return bool(FAST_SQUARES) and name == "math_pow" and type(arguments[1]) is float and arguments[1] == 2.0


def square(f: FunctionText, target: str, operand: Operand) -> None:
    """Append `target = pow(operand, 2.0)`."""
    x, onward, unsure, done = text_of(operand), f.name("k"), f.name("u"), f.name("k")
    f.module.declarations.add("declare double @llvm.fma.f64(double, double, double)")
    f.module.declarations.add("declare double @llvm.fabs.f64(double)")
    f.scratch.append(f" {target}.a = alloca double")
    f.lines += [
        f" {target}.p = fmul double {x}, {x}",
        f" {target}.n = fneg double {target}.p",
        f" {target}.r = call double @llvm.fma.f64(double {x}, double {x}, double {target}.n)",
        f" {target}.s = call double @llvm.fabs.f64(double {target}.r)",
        f" {target}.b = bitcast double {target}.p to i64",
        f" {target}.e = and i64 {target}.b, {_EXPONENT}",
        f" {target}.u = bitcast i64 {target}.e to double",
        f" {target}.l = fmul double {target}.u, {text_of(_LARGEST_REST)}",
        f" {target}.c = fcmp olt double {target}.s, {target}.l",
        f" {target}.o = sub i64 {target}.e, {_LEAST}",
        f" {target}.i = icmp ult i64 {target}.o, {_MOST - _LEAST}",
        # The doubles below a power of two are half as far apart.
        f" {target}.w = icmp ne i64 {target}.b, {target}.e",
        f" {target}.x = and i1 {target}.c, {target}.i",
        f" {target}.y = and i1 {target}.x, {target}.w",
        f" br i1 {target}.y, label %{onward}, label %{unsure}{LIKELY}",
        f"{onward}:",
        f" store double {target}.p, ptr {target}.a",
        f" br label %{done}",
    ]
    before = f.step_outside()
    f.lines.append(f"{unsure}:")
    made = f.runtime("math_pow", "double", f"double {x}, double {text_of(2.0)}", " #1")
    f.lines += [f" store double {made}, ptr {target}.a", f" br label %{done}"]
    f.lines = before
    f.lines += [f"{done}:", f" {target} = load double, ptr {target}.a"]
