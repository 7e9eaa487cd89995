"""Checks that LIR is well formed, for tests of whatever makes or changes it.

In: a unit and the meaning of its exits. Out: nothing, or `MalformedError` with the place. Every temporary is assigned
once and before its uses on all paths, every block ends, machine types agree, exits carry what their layouts say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lean_agentic.jit_runtime.exit_points import ExitPoint
from lean_agentic.jit_runtime.layout import Descriptor
from lean_agentic.jit_runtime.lir import Block, Exit, Function, Instruction, Mode, Temporary, Unit, Variable
from lean_agentic.jit_runtime.runtime_functions import RUNTIME_FUNCTIONS

# Result and operand machine types; `?` any but the same, `-` no operand of the machine (a name, an offset, ...).
SHAPES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(["add", "sub", "mul", "and", "or", "xor", "shl", "ashr", "lshr"], ("i", "ii")),
    **dict.fromkeys(["sdiv", "srem", "udiv", "urem"], ("i", "ii")),
    **dict.fromkeys(["fadd", "fsub", "fmul", "fdiv", "fcopysign"], ("f", "ff")),
    **dict.fromkeys(["addo", "subo", "mulo"], ("i", "ii-")),
    **dict.fromkeys(["ineg", "inot", "sext8", "sext16", "sext32", "zext8", "zext16", "zext32"], ("i", "i")),
    **dict.fromkeys(["fneg", "fabs", "fsqrt", "ffloor", "fceil", "ftrunc", "frint", "round32"], ("f", "f")),
    **{"itof": ("f", "i"), "uitof": ("f", "i"), "ftoi": ("i", "f"), "bits": ("i", "f"), "float_of": ("f", "i")},
    **{"btoi": ("i", "b"), "itob": ("b", "i"), "bnot": ("b", "b"), "ptoi": ("i", "p"), "itop": ("p", "i")},
    **{"fcmp": ("b", "ff-"), "band": ("b", "bb"), "bor": ("b", "bb"), "advance": ("p", "pi-"), "scratch": ("p", "-")},
}
LOADS = {
    **{f"{sign}{bits}": "i" for sign in "iu" for bits in (8, 16, 32)},
    "i64": "i",
    "n64": "i",
    "f32": "f",
    "f64": "f",
    "ptr": "p",
}
ENDS = frozenset(("br", "cbr", "ret", "leave", "unreachable"))


class MalformedError(Exception):
    """LIR that means nothing."""


def check_unit(unit: Unit, points: Sequence[ExitPoint]) -> None:
    """Check all functions of a unit.

    Raises
    ------
    MalformedError
        At the first fault.
    """
    if unit.exits != len(points):
        raise MalformedError(f"{unit.exits} exits, {len(points)} exit points")
    functions = {each.name: each for each in unit.functions}
    if len(functions) != len(unit.functions):
        raise MalformedError("two functions of one name")
    for function in unit.functions:
        _Check(function, functions, points).run()


def letters(descriptor: Descriptor) -> str:
    """Machine letters of a value by its descriptor."""
    kind = descriptor[0]
    if kind == "maybe":
        return "i" + letters(descriptor[1])
    if kind == "tuple":
        return "".join(map(letters, descriptor[1]))
    if kind == "array":
        return "ppi" + "ii" * int(descriptor[2])
    if kind == "union":
        members = [letters(child) for _, child in descriptor[1]]
        return "i" + "".join(each * max(member.count(each) for member in members) for each in "ifp")
    if kind == "np":
        return "f" if descriptor[1].startswith("float") else "i"
    return {"bool": "i", "int": "i", "float": "f", "complex": "ff", "list": "p"}.get(kind, "")


class _Check:
    def __init__(self, function: Function, functions: Mapping[str, Function], points: Sequence[ExitPoint]) -> None:
        self._function = function
        self._functions = functions
        self._points = points
        self._blocks = {block.label: block for block in function.blocks}
        self._assigned: dict[int, tuple[int, int]] = {}
        self._now: Instruction = ()
        self._dominators: dict[int, set[int]] = {}

    def run(self) -> None:
        function = self._function
        self._require(len(self._blocks) == len(function.blocks), "two blocks of one label")
        for number, variable in enumerate(function.variables):
            self._require(variable.number == number and variable.machine in "ifp", f"variable {variable}")
        self._require(function.variables[: len(function.parameters)] == function.parameters, "parameters come first")
        for block in function.blocks:
            self._shape(block)
        self._dominators = self._dominated()
        for block in function.blocks:
            if block.label in self._dominators:
                for place, instruction in enumerate(block.instructions):
                    self._now = instruction
                    self._uses(block, place, instruction)

    def _require(self, condition: bool, what: str) -> None:
        if not condition:
            raise MalformedError(f"{self._function.name}: {what}; at {self._now}")

    def _shape(self, block: Block) -> None:
        self._require(bool(block.instructions), f"block {block.label} is empty")
        for place, instruction in enumerate(block.instructions):
            self._now = instruction
            last = place == len(block.instructions) - 1
            self._require((instruction[0] in ENDS) == last, f"block {block.label} ends at {place}")
            for target in _targets(instruction):
                self._require(target.number not in self._assigned, f"t{target.number} is assigned twice")
                self._assigned[target.number] = (block.label, place)
            self._types(instruction)

    # -- machine types -------------------------------------------------------------------------------------------------

    def _types(self, instruction: Instruction) -> None:
        operation = instruction[0]
        if operation in SHAPES:
            result, operands = SHAPES[operation]
            self._is(instruction[1], result)
            self._require(len(instruction) == 2 + len(operands), "number of operands")
            for operand, machine in zip(instruction[2:], operands, strict=True):
                if machine != "-":
                    self._is(operand, machine)
        else:
            rule = getattr(self, f"_check_{operation}", None)
            self._require(rule is not None, "unknown operation")
            assert rule is not None
            rule(*instruction[1:])

    def _is(self, operand: Any, machine: str) -> None:
        if isinstance(operand, Temporary | Variable):
            fits = operand.machine == machine
        elif operand is None:
            fits = machine == "p"
        elif type(operand) is float:
            fits = machine == "f"
        else:
            fits = type(operand) is int and (
                (machine == "i" and -(2**63) <= operand < 2**63) or (machine == "b" and operand in (0, 1))
            )
        self._require(fits, f"{operand!r} is no {machine}")

    def _variable(self, variable: Any) -> None:
        known = isinstance(variable, Variable) and variable.number < len(self._function.variables)
        self._require(known and self._function.variables[variable.number] == variable, f"variable {variable}")

    def _check_get(self, target: Temporary, variable: Variable) -> None:
        self._variable(variable)
        self._is(target, variable.machine)

    def _check_set(self, variable: Variable, operand: Any) -> None:
        self._variable(variable)
        self._is(operand, variable.machine)

    def _check_icmp(self, target: Any, left: Any, right: Any, condition: str) -> None:
        self._is(target, "b")
        machine = (
            "p"
            if None in (left, right) or "p" in (getattr(left, "machine", ""), getattr(right, "machine", ""))
            else "i"
        )
        self._is(left, machine)
        self._is(right, machine)
        known = ["eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge"]
        self._require(condition in (known[:2] if machine == "p" else known), "condition")

    def _check_select(self, target: Temporary, condition: Any, yes: Any, no: Any) -> None:
        self._is(condition, "b")
        self._is(yes, target.machine)
        self._is(no, target.machine)

    def _check_load(self, target: Any, base: Any, offset: int, width: str) -> None:
        self._is(target, LOADS[width])
        self._is(base, "p")
        self._require(type(offset) is int, "offset")

    def _check_store(self, base: Any, offset: int, operand: Any, width: str) -> None:
        self._is(base, "p")
        self._is(operand, LOADS[width])
        self._require(type(offset) is int, "offset")

    def _check_guard(self, condition: Any, leave: Exit) -> None:
        self._is(condition, "b")
        self._exit(leave, Mode.LEAVE)

    def _check_runtime(self, target: Temporary | None, name: str, arguments: Sequence[Any]) -> None:
        signature = RUNTIME_FUNCTIONS[name]
        wanted = signature.arguments.removeprefix("c")
        self._require(len(wanted) == len(arguments), "number of arguments")
        for argument, machine in zip(arguments, wanted, strict=True):
            self._is(argument, machine)
        if target is not None:
            self._is(target, signature.result)

    def _check_call(self, targets: Sequence[Any], name: str, arguments: Sequence[Any], behind: Exit) -> None:
        callee = self._functions[name]
        self._require(len(callee.parameters) == len(arguments), "number of arguments")
        for argument, parameter in zip(arguments, callee.parameters, strict=True):
            self._is(argument, parameter.machine)
        self._require("".join(each.machine for each in targets) == callee.results, "results")
        self._exit(behind, Mode.LEAVE)
        self._require(self._points[behind.number].behind, "the exit of a call stands behind it")

    def _check_ask(self, targets: Sequence[Any], leave: Exit) -> None:
        self._exit(leave, Mode.ASK)
        point = self._points[leave.number]
        self._require("".join(each.machine for each in targets) == letters(point.result_descriptor), "results")
        self._require(leave.behind is not None and self._points[leave.behind.number].behind, "no exit behind")
        assert leave.behind is not None
        self._exit(leave.behind, Mode.LEAVE)

    def _check_poll(self, leave: Exit, weight: int) -> None:
        self._exit(leave, Mode.POLL)

    def _check_leave(self, leave: Exit) -> None:
        self._exit(leave, Mode.LEAVE)

    def _check_ret(self, values: Sequence[Any]) -> None:
        self._require(len(values) == len(self._function.results), "number of results")
        for value, machine in zip(values, self._function.results, strict=True):
            self._is(value, machine)

    def _check_br(self, label: int) -> None:
        self._require(label in self._blocks, "no such block")

    def _check_cbr(self, condition: Any, yes: int, no: int) -> None:
        self._is(condition, "b")
        self._require(yes in self._blocks and no in self._blocks, "no such block")

    def _check_unreachable(self) -> None:
        pass

    def _exit(self, leave: Exit, mode: Mode) -> None:
        self._require(leave.mode is mode, f"the exit is a {leave.mode.name}")
        point = self._points[leave.number]
        self._require(point.mode is mode, f"the exit point is a {point.mode.name}")
        wanted = "".join(map(letters, point.state))
        self._require(len(point.names) == len(point.state), "names of the state")
        self._require(len(wanted) == len(leave.values), f"state of exit {leave.number}")
        for value, machine in zip(leave.values, wanted, strict=True):
            if isinstance(value, Variable):
                self._variable(value)
            self._is(value, machine)

    # -- paths ---------------------------------------------------------------------------------------------------------

    def _dominated(self) -> dict[int, set[int]]:
        """For each block that can be reached: the blocks on all paths to it, itself included."""
        first = self._function.blocks[0].label
        before: dict[int, set[int]] = {first: set()}
        order, waiting = [], [first]
        while waiting:
            label = waiting.pop()
            order.append(label)
            for following in _following(self._blocks[label]):
                if following not in before:
                    before[following] = set()
                    waiting.append(following)
                before[following].add(label)
        found = {label: set(order) for label in order}
        found[first] = {first}
        changed = True
        while changed:
            changed = False
            for label in order[1:]:
                common = set.intersection(*(found[each] for each in before[label])) | {label}
                if common != found[label]:
                    found[label], changed = common, True
        return found

    def _uses(self, block: Block, place: int, instruction: Instruction) -> None:
        for used in _used(instruction):
            self._require(used.number in self._assigned, f"t{used.number} is never assigned")
            at, where = self._assigned[used.number]
            fine = where < place if at == block.label else at in self._dominators[block.label]
            self._require(fine, f"t{used.number} is used before it is assigned")


def _following(block: Block) -> tuple[int, ...]:
    last = block.instructions[-1]
    return {"br": last[1:], "cbr": last[2:]}.get(last[0], ())


def _targets(instruction: Instruction) -> Sequence[Temporary]:
    operation = instruction[0]
    if operation in ("call", "ask"):
        targets: Sequence[Temporary] = instruction[1]
        return targets
    if operation in ("set", "store", "guard", "poll", "leave", "ret") or operation in ENDS or instruction[1] is None:
        return ()
    return (instruction[1],)


def _used(instruction: Instruction) -> Iterable[Temporary]:
    targets = _targets(instruction)
    for part in instruction[2 if targets else 1 :]:
        yield from _inside(part)


def _inside(part: Any) -> Iterable[Temporary]:
    if isinstance(part, Temporary):
        yield part
    elif isinstance(part, Exit):
        for each in (part, part.behind):
            if each is not None:
                yield from (value for value in each.values if isinstance(value, Temporary))
    elif type(part) is tuple:
        yield from (value for value in part if isinstance(value, Temporary))
