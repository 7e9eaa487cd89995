"""LLVM IR for each operation of the LIR.

In: the function under construction and an instruction. Out: lines appended to the function. `HANDLERS` has one handler
for each operation of `lir`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lean_agentic.jit_runtime.lir import Exit, Instruction, Operand, Temporary
from lean_agentic.jit_runtime.llvm_function import (
    LIKELY,
    LLVM_TYPES,
    FunctionText,
    result_type,
    text_of,
    type_of,
)
from lean_agentic.jit_runtime.llvm_squares import is_square, square
from lean_agentic.jit_runtime.runtime_functions import RUNTIME_FUNCTIONS

_BINARY = {
    **{op: f"{op} i64" for op in ("add", "sub", "mul", "and", "or", "xor", "shl", "ashr", "lshr")},
    **{op: f"{op} i64" for op in ("sdiv", "srem", "udiv", "urem")},
    "band": "and i1",
    "bor": "or i1",
}
_OVERFLOWING = {"addo": "sadd", "subo": "ssub", "mulo": "smul"}
_UNARY = {
    "ineg": "sub i64 0, %s",
    "inot": "xor i64 %s, -1",
    "fneg": "fneg double %s",
    "itof": "sitofp i64 %s to double",
    "uitof": "uitofp i64 %s to double",
    "ftoi": "fptosi double %s to i64",
    "bits": "bitcast double %s to i64",
    "float_of": "bitcast i64 %s to double",
    "btoi": "zext i1 %s to i64",
    "itob": "icmp ne i64 %s, 0",
    "bnot": "xor i1 %s, 1",
    "ptoi": "ptrtoint ptr %s to i64",
    "itop": "inttoptr i64 %s to ptr",
    **{f"zext{bits}": f"and i64 %s, {(1 << bits) - 1}" for bits in (8, 16, 32)},
}
_INTRINSICS = {
    "fabs": "fabs",
    "fsqrt": "sqrt",
    "ffloor": "floor",
    "fceil": "ceil",
    "ftrunc": "trunc",
    "frint": "roundeven",
}
# Width: the type in memory and how it becomes a machine value, or how a machine value becomes it.
_INTEGERS = {f"{sign}{bits}": f"i{bits}" for sign in "iu" for bits in (8, 16, 32)}
# Addresses never lie where numbers do, so a store of a number leaves the loaded address of a list's data valid.
# Likewise the length of a list: nothing but the list functions and appending changes it.
_ALIASES = {"ptr": ", !tbaa !3", "n64": ", !tbaa !8"}
_NUMBERS = ", !tbaa !4"
_PLAIN = {"i64": "i64", "n64": "i64", "f64": "double", "ptr": "ptr"}


def _get(f: FunctionText, instruction: Instruction) -> None:
    _, target, variable = instruction
    f.lines.append(f" %t{target[0]} = load {LLVM_TYPES[variable[1]]}, ptr %v{variable[0]}")


def _set(f: FunctionText, instruction: Instruction) -> None:
    _, variable, value = instruction
    f.lines.append(f" store {LLVM_TYPES[variable[1]]} {text_of(value)}, ptr %v{variable[0]}")


def _binary(f: FunctionText, instruction: Instruction) -> None:
    operation, target, left, right = instruction
    f.lines.append(f" %t{target[0]} = {_BINARY[operation]} {text_of(left)}, {text_of(right)}")


def _float_arithmetic(f: FunctionText, instruction: Instruction) -> None:
    operation, target, left, right = instruction
    f.lines.append(f" %t{target[0]} = {operation} {f.module.flags}double {text_of(left)}, {text_of(right)}")


def _overflowing(f: FunctionText, instruction: Instruction) -> None:
    operation, target, left, right, leave = instruction
    intrinsic = f"{{ i64, i1 }} @llvm.{_OVERFLOWING[operation]}.with.overflow.i64"
    f.module.declarations.add(f"declare {intrinsic}(i64, i64)")
    t = f"%t{target[0]}"
    f.lines += [
        f" {t}.r = call {intrinsic}(i64 {text_of(left)}, i64 {text_of(right)})",
        f" {t} = extractvalue {{ i64, i1 }} {t}.r, 0",
        f" {t}.o = extractvalue {{ i64, i1 }} {t}.r, 1",
    ]
    onward = f.name("k")
    f.lines.append(f" br i1 {t}.o, label %{f.exit_label(leave)}, label %{onward}, !prof !2")
    f.lines.append(f"{onward}:")


def _unary(f: FunctionText, instruction: Instruction) -> None:
    operation, target, value = instruction
    f.lines.append(f" %t{target[0]} = {_UNARY[operation] % text_of(value)}")


def _intrinsic(f: FunctionText, instruction: Instruction) -> None:
    operation, target, value = instruction
    name = f"double @llvm.{_INTRINSICS[operation]}.f64"
    f.module.declarations.add(f"declare {name}(double)")
    f.lines.append(f" %t{target[0]} = call {name}(double {text_of(value)})")


def _round32(f: FunctionText, instruction: Instruction) -> None:
    _, target, value = instruction
    f.lines.append(f" %t{target[0]}.s = fptrunc double {text_of(value)} to float")
    f.lines.append(f" %t{target[0]} = fpext float %t{target[0]}.s to double")


def _sign_extend(f: FunctionText, instruction: Instruction) -> None:
    operation, target, value = instruction
    machine = f"i{operation[4:]}"
    f.lines.append(f" %t{target[0]}.n = trunc i64 {text_of(value)} to {machine}")
    f.lines.append(f" %t{target[0]} = sext {machine} %t{target[0]}.n to i64")


def _copysign(f: FunctionText, instruction: Instruction) -> None:
    _, target, magnitude, sign = instruction
    f.module.declarations.add("declare double @llvm.copysign.f64(double, double)")
    arguments = f"double {text_of(magnitude)}, double {text_of(sign)}"
    f.lines.append(f" %t{target[0]} = call double @llvm.copysign.f64({arguments})")


def _icmp(f: FunctionText, instruction: Instruction) -> None:
    _, target, left, right, condition = instruction
    machine = type_of(left if isinstance(left, Temporary) else right)
    f.lines.append(f" %t{target[0]} = icmp {condition} {machine} {text_of(left)}, {text_of(right)}")


def _fcmp(f: FunctionText, instruction: Instruction) -> None:
    _, target, left, right, condition = instruction
    f.lines.append(f" %t{target[0]} = fcmp {condition} double {text_of(left)}, {text_of(right)}")


def _select(f: FunctionText, instruction: Instruction) -> None:
    _, target, condition, yes, no = instruction
    machine = LLVM_TYPES[target[1]]
    values = f"{machine} {text_of(yes)}, {machine} {text_of(no)}"
    f.lines.append(f" %t{target[0]} = select i1 {text_of(condition)}, {values}")


def _address(f: FunctionText, base: Operand, offset: int) -> str:
    if not offset:
        return text_of(base)
    name = f.name("%p")
    f.lines.append(f" {name} = getelementptr i8, ptr {text_of(base)}, i64 {offset}")
    return name


def _load(f: FunctionText, instruction: Instruction) -> None:
    _, target, base, offset, width = instruction
    place = f"ptr {_address(f, base, offset)}, align 1{_ALIASES.get(width, _NUMBERS)}"
    t = f"%t{target[0]}"
    if width in _PLAIN:
        f.lines.append(f" {t} = load {_PLAIN[width]}, {place}")
        return
    machine = _INTEGERS.get(width, "float")
    f.lines.append(f" {t}.n = load {machine}, {place}")
    widen = {"i": "sext", "u": "zext", "f": "fpext"}[width[0]]
    f.lines.append(f" {t} = {widen} {machine} {t}.n to {'double' if width == 'f32' else 'i64'}")


def _store(f: FunctionText, instruction: Instruction) -> None:
    _, base, offset, value, width = instruction
    place = f"ptr {_address(f, base, offset)}, align 1{_ALIASES.get(width, _NUMBERS)}"
    text, machine = text_of(value), _PLAIN.get(width)
    if machine is None:
        name = f.name("%n")
        machine = _INTEGERS.get(width, "float")
        narrow = "fptrunc double" if width == "f32" else "trunc i64"
        f.lines.append(f" {name} = {narrow} {text} to {machine}")
        text = name
    f.lines.append(f" store {machine} {text}, {place}")


def _advance(f: FunctionText, instruction: Instruction) -> None:
    _, target, base, index, size = instruction
    f.lines.append(f" %t{target[0]} = getelementptr [{size} x i8], ptr {text_of(base)}, i64 {text_of(index)}")


def _scratch(f: FunctionText, instruction: Instruction) -> None:
    _, target, count = instruction
    f.scratch.append(f" %t{target[0]} = alloca [{count} x i64]")


def _guard(f: FunctionText, instruction: Instruction) -> None:
    _, condition, leave = instruction
    onward = f.name("k")
    f.lines.append(f" br i1 {text_of(condition)}, label %{onward}, label %{f.exit_label(leave)}{LIKELY}")
    f.lines.append(f"{onward}:")


def _runtime(f: FunctionText, instruction: Instruction) -> None:
    _, target, name, arguments = instruction
    if target is not None and is_square(name, tuple(arguments)):
        square(f, f"%t{target[0]}", arguments[0])
        return
    signature = RUNTIME_FUNCTIONS[name]
    letters = signature.arguments.removeprefix("c")
    texts = ["ptr %ctx"] if letters != signature.arguments else []
    texts += _arguments(letters, arguments)
    made = f.runtime(name, LLVM_TYPES[signature.result], ", ".join(texts), " #1" if signature.pure else " #0")
    if target is not None:
        # The call's own line is the last one: give its result the temporary's name.
        f.lines[-1] = f" %t{target[0]} ={f.lines[-1].removeprefix(f' {made} =')}"


def _arguments(letters: str, values: Sequence[Operand]) -> list[str]:
    return [f"{LLVM_TYPES[letter]} {text_of(value)}" for letter, value in zip(letters, values, strict=True)]


def _call(f: FunctionText, instruction: Instruction) -> None:
    _, targets, name, values, behind = instruction
    callee = f.module.functions[name]
    kind = result_type(callee.results)
    arguments = ["ptr %ctx", *_arguments("".join(each.machine for each in callee.parameters), values)]
    r = f.name("%r")
    f.lines.append(f" {r} = call fastcc {kind} @{f.module.symbols[name]}({', '.join(arguments)})")
    f.lines.append(f" {r}.s = extractvalue {kind} {r}, 0")
    _go_on_if_returned(f, f"{r}.s", behind, passes=behind is not None)
    for k, target in enumerate(targets):
        f.lines.append(f" %t{target[0]} = extractvalue {kind} {r}, {k + 1}")


def _go_on_if_returned(f: FunctionText, status: str, behind: Exit | None, passes: bool = False) -> None:
    """Go on for status 0, return raised for 1, leave by the exit behind for 2; `passes`: by it for 1 too."""
    onward, otherwise = f.name("k"), f.name("n")
    f.raises = True
    f.lines.append(f" {status}.0 = icmp eq i32 {status}, 0")
    f.lines.append(f" br i1 {status}.0, label %{onward}, label %{otherwise}{LIKELY}")
    pending = f.exit_label(behind) if behind is not None else "raised"
    before = f.step_outside()
    f.lines.append(f"{otherwise}:")
    f.lines.append(f" {status}.2 = icmp eq i32 {status}, 2")
    f.lines.append(f" br i1 {status}.2, label %{pending}, label %{pending if passes else 'raised'}")
    f.lines = before
    f.lines.append(f"{onward}:")


def _ask(f: FunctionText, instruction: Instruction) -> None:
    _, targets, question = instruction
    f.store_states(question)
    f.answer_slots = max(f.answer_slots, len(targets), 1)
    status = f.exit_call(str(question.number), "%answer", " #0")
    _go_on_if_returned(f, status, question.behind)
    for k, target in enumerate(targets):
        f.load_slot(f"%t{target[0]}", "%answer", k, target[1])


def _poll(f: FunctionText, instruction: Instruction) -> None:
    _, leave, _weight = instruction
    onward, taken, word = f.name("k"), f.name("y"), f.name("%w")
    f.polls = True
    f.lines.append(f" {word} = load volatile i32, ptr %poll, align 4")
    f.lines.append(f" {word}.0 = icmp eq i32 {word}, 0")
    f.lines.append(f" br i1 {word}.0, label %{onward}, label %{taken}{LIKELY}")
    before = f.step_outside()
    f.lines.append(f"{taken}:")
    f.store_states(leave)
    status = f.exit_call(str(leave.number), f.answer())
    f.lines.append(f" {status}.3 = icmp eq i32 {status}, 3")
    f.lines.append(f" br i1 {status}.3, label %{onward}, label %{f.done_with(status, taken)}")
    f.lines = before
    f.lines.append(f"{onward}:")


def _br(f: FunctionText, instruction: Instruction) -> None:
    label = instruction[1]
    f.lines.append(f" br label %b{label}{f.back_edge(label)}")


def _cbr(f: FunctionText, instruction: Instruction) -> None:
    _, condition, yes, no = instruction
    wishes = f.back_edge(yes) or f.back_edge(no)
    f.lines.append(f" br i1 {text_of(condition)}, label %b{yes}, label %b{no}{wishes}")


def _ret(f: FunctionText, instruction: Instruction) -> None:
    values = [text_of(each) for each in instruction[1]]
    if f.is_entry:
        for k, (letter, value) in enumerate(zip(f.function.results, values, strict=True)):
            f.store_slot("%out", k, f"{LLVM_TYPES[letter]} {value}")
    f.give("0", values)


def _leave(f: FunctionText, instruction: Instruction) -> None:
    f.lines.append(f" br label %{f.exit_label(instruction[1])}")


def _unreachable(f: FunctionText, instruction: Instruction) -> None:
    f.lines.append(" unreachable")


HANDLERS: dict[str, Callable[[FunctionText, Instruction], None]] = {
    "get": _get,
    "set": _set,
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys(("fadd", "fsub", "fmul", "fdiv"), _float_arithmetic),
    **dict.fromkeys(_OVERFLOWING, _overflowing),
    **dict.fromkeys(_UNARY, _unary),
    **dict.fromkeys(_INTRINSICS, _intrinsic),
    "round32": _round32,
    **dict.fromkeys(("sext8", "sext16", "sext32"), _sign_extend),
    "fcopysign": _copysign,
    "icmp": _icmp,
    "fcmp": _fcmp,
    "select": _select,
    "load": _load,
    "store": _store,
    "advance": _advance,
    "scratch": _scratch,
    "guard": _guard,
    "runtime": _runtime,
    "call": _call,
    "ask": _ask,
    "poll": _poll,
    "br": _br,
    "cbr": _cbr,
    "ret": _ret,
    "leave": _leave,
    "unreachable": _unreachable,
}
