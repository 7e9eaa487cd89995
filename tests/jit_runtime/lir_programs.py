"""Random LIR programs, and what they do: for tests of the back ends.

In: a source of random choices. Out: a unit, and by `Expected` the results, the exits taken with their states, and the
memory afterwards. Programs have loops, branches, temporaries used in other blocks, more variables than registers,
calls, asks, polls, and checks that fail.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable
from typing import Any

from lean_agentic.jit_runtime.emitter import Emitter
from lean_agentic.jit_runtime.lir import Exit, Function, Mode, Temporary, Unit, Variable
from tests.jit_runtime.lir_interpreter import FORMATS, PURE, Pointer, signed

INTS = [0, 1, -1, 2, 3, 7, 8, 100, -128, 2**31 - 1, -(2**31), 2**31, 2**40, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.0, 0.5, -1.0, 2.0, 3.75, 1e10, -1e300, math.inf]
BUFFER_SLOTS = 16
INT_OPERATIONS = ["add", "sub", "mul", "and", "or", "xor"]
FLOAT_OPERATIONS = ["fadd", "fsub", "fmul", "fdiv"]
INT_UNARY = ["ineg", "inot", "sext8", "sext16", "sext32", "zext8", "zext16", "zext32"]
FLOAT_UNARY = ["fneg", "fabs", "ffloor", "fceil", "ftrunc", "frint", "round32", "fsqrt"]
INT_CODES = ["eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge"]
FLOAT_CODES = ["oeq", "une", "olt", "ole", "ogt", "oge", "uno"]
RETURNED, RAISED, PENDING, GO_ON = range(4)


class Program:
    """A random unit."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.exits: list[Exit] = []
        self.mix = source.choice(["iif", "iff", "fffffi", "iiiii"])
        """Machine types, as often as they are wanted."""
        self.length = source.choice([10, 10, 10, 40])
        """How long blocks, argument lists and lists of results may be."""
        self.recent = source.random()
        """How much operands are values that were just computed."""
        self.callees = [_Builder(self, f"callee{k}", False) for k in range(source.randint(0, 2))]
        self.entry = _Builder(self, "entry", True)
        self.unit = Unit([each.function for each in (self.entry, *self.callees)], len(self.exits))

    def arguments(self) -> list[Any]:
        """Arguments for a call; for each `p` a buffer's place."""
        choices = {"i": INTS, "f": FLOATS, "p": [Pointer(None, 0)]}
        return [self.source.choice(choices[each.machine]) for each in self.entry.function.parameters]

    def leave(self, mode: Mode, values: list[Any], behind: Exit | None = None) -> Exit:
        made = Exit(len(self.exits), mode, tuple(values), behind)
        self.exits.append(made)
        return made


class _Builder:
    """Fills one function."""

    def __init__(self, program: Program, name: str, is_entry: bool) -> None:
        self.program = program
        self.source = source = program.source
        most = program.length if is_entry else 10
        letters = "p" * is_entry + "".join(source.choices(program.mix, k=source.randint(0, most)))
        results = "".join(source.choices(program.mix, k=source.randint(0, most // 2)))
        self.function = Function(name, [], results)
        self.e = Emitter(self.function)
        self.function.parameters += [self.e.variable(letter, f"a{k}") for k, letter in enumerate(letters)]
        for letter in source.choices(program.mix, k=source.choice([0, 2, 5, 20])):
            self.e.set(self.e.variable(letter, "v"), self.immediate(letter))
        self.own: list[Exit] = []
        self.counters: set[Variable] = set()
        self.active: set[Variable] = set()
        self.known: list[Temporary] = []
        self.is_entry = is_entry
        self.size = source.randint(5, 5 * program.length if is_entry else 15)
        self.block(0)
        self.e.do("ret", tuple(self.operand(each) for each in results))

    # -- operands ------------------------------------------------------------------------------------------------------

    def immediate(self, letter: str) -> Any:
        return None if letter == "p" else self.source.choice(INTS if letter == "i" else FLOATS)

    def operand(self, letter: str) -> Any:
        choices = [each for each in self.known if each.machine == letter]
        chance = self.source.random()
        if letter == "b":
            return self.source.choice(choices) if choices and chance < 0.5 else self.condition()
        if choices and chance < 0.6:
            return self.source.choice(choices[-6:] if self.source.random() < self.program.recent else choices)
        variables = [each for each in self.usable() if each.machine == letter]
        if variables and (chance < 0.9 or letter == "p"):
            return self.keep(self.e.get(self.source.choice(variables)))
        return self.immediate(letter)

    def keep(self, made: Temporary) -> Temporary:
        self.known.append(made)
        return made

    def usable(self) -> list[Variable]:
        """Variables that have a value."""
        return [each for each in self.function.variables if each not in self.counters or each in self.active]

    def state(self) -> list[Any]:
        variables = self.usable()
        values: list[Any] = list(self.source.sample(variables, len(variables) // 2))
        values += [self.operand(self.source.choice(self.program.mix)) for _ in range(self.source.randint(0, 3))]
        if self.source.random() < 0.3:
            values.append(self.immediate(self.source.choice(self.program.mix)))
        return [each for each in values if getattr(each, "machine", "i") != "p"]

    def leave(self) -> Exit:
        mine = self.own
        if mine and self.source.random() < 0.3:
            return self.source.choice(mine)
        made = self.program.leave(Mode.LEAVE, self.state())
        self.own = [made]
        return made

    def condition(self) -> Any:
        kind = self.source.randrange(6)
        if kind < 2:
            code = self.source.choice(INT_CODES)
            return self.keep(self.e.op("icmp", "b", self.operand("i"), self.operand("i"), code))
        if kind == 2:
            code = self.source.choice(FLOAT_CODES)
            return self.keep(self.e.op("fcmp", "b", self.operand("f"), self.operand("f"), code))
        if kind == 3:
            return self.keep(self.e.op(self.source.choice(["band", "bor"]), "b", self.operand("b"), self.operand("b")))
        if kind == 4:
            return self.keep(self.e.op("bnot", "b", self.operand("b")))
        return self.keep(self.e.op("itob", "b", self.operand("i")))

    # -- statements ----------------------------------------------------------------------------------------------------

    def block(self, depth: int) -> None:
        for _ in range(self.source.randint(2, self.program.length)):
            self.size -= 1
            if self.size < 0:
                return
            kinds = ["value"] * 6 + ["set"] * 5 + ["checked"] * 3 + ["guard", "memory", "select"] + ["branch", "loop"]
            if self.is_entry:
                kinds += ["ask", "call", "runtime"]
            getattr(self, self.source.choice(kinds if depth < 3 else kinds[:-5]))(depth)

    def value(self, depth: int) -> None:
        pick, e = self.source.choice, self.e
        kind = self.source.randrange(9)
        if pick(self.program.mix) == "f":
            kind = pick([3, 3, 3, 5, 7])
        if kind < 3:
            self.keep(e.op(pick(INT_OPERATIONS), "i", self.operand("i"), self.operand("i")))
        elif kind == 3:
            self.keep(e.op(pick(FLOAT_OPERATIONS), "f", self.operand("f"), self.operand("f")))
        elif kind == 4:
            self.keep(e.op(pick(INT_UNARY), "i", self.operand("i")))
        elif kind == 5:
            self.keep(e.op(pick(FLOAT_UNARY), "f", self.operand("f")))
        elif kind == 6:
            count = self.keep(e.op("and", "i", self.operand("i"), 63)) if pick([0, 1]) else self.source.randint(0, 63)
            self.keep(e.op(pick(["shl", "ashr", "lshr"]), "i", self.operand("i"), count))
        elif kind == 7:
            self.keep(e.op(pick(["itof", "uitof", "float_of"][:2]), "f", self.operand("i")))
        else:
            # An odd divisor other than -1.
            divisor = self.keep(e.op("and", "i", e.op("or", "i", self.operand("i"), 3), 2**62 - 1))
            self.keep(e.op(pick(["sdiv", "srem", "udiv", "urem"]), "i", self.operand("i"), divisor))

    def set(self, depth: int) -> None:
        choices = [each for each in self.function.variables if each.machine != "p" and each not in self.counters]
        if choices:
            variable = self.source.choice(choices)
            self.e.set(variable, self.operand(variable.machine))

    def checked(self, depth: int) -> None:
        a, b = self.operand("i"), self.operand("i")
        if self.source.random() < 0.7:  # mostly without overflow
            a = self.e.op("ashr", "i", a, 33)
            b = self.e.op("ashr", "i", b, 33)
        leave = self.leave()
        made = self.keep(self.e.op(self.source.choice(["addo", "subo", "mulo"]), "i", a, b, leave))
        targets = [each for each in self.function.variables if each.machine == "i" and each not in self.counters]
        if targets and self.source.random() < 0.6:
            self.e.set(self.source.choice(targets), made)

    def guard(self, depth: int) -> None:
        condition = self.e.op("bor", "b", self.operand("b"), self.operand("b"))
        self.e.guard(condition if self.source.random() < 0.7 else self.operand("b"), self.leave())

    def select(self, depth: int) -> None:
        letter = self.source.choice(self.program.mix)
        self.keep(self.e.op("select", letter, self.operand("b"), self.operand(letter), self.operand(letter)))

    def memory(self, depth: int) -> None:
        if not self.is_entry:
            return
        index = self.keep(self.e.op("and", "i", self.operand("i"), BUFFER_SLOTS - 1))
        place = self.e.op("advance", "p", self.e.get(self.function.parameters[0]), index, 8)
        width = self.source.choice(list(FORMATS))
        letter = "f" if width[0] == "f" else "i"
        if self.source.random() < 0.5 and width != "f32":
            value = self.operand(letter)
            if letter == "f":  # The bits of a NaN are not specified.
                value = self.e.op("select", "f", self.e.op("fcmp", "b", value, value, "oeq"), value, 0.5)
            self.e.do("store", place, 0, value, width.replace("u", "i"))
        elif letter == "i":
            self.keep(self.e.op("load", letter, place, 0, width))

    def runtime(self, depth: int) -> None:
        if self.source.random() < 0.5:
            self.keep(self.e.runtime("int_gcd", "i", self.operand("i"), self.operand("i")))
        else:
            self.keep(self.e.runtime("round_digits", "f", self.operand("f"), self.operand("i")))

    def ask(self, depth: int) -> None:
        letters = self.source.choices(self.program.mix, k=self.source.randint(0, 3))
        values = [self.operand(self.source.choice(self.program.mix)) for _ in range(self.source.randint(0, 3))]
        behind = self.leave()
        targets = tuple(map(self.e.temporary, letters))
        self.e.do("ask", targets, self.program.leave(Mode.ASK, values, behind))
        self.known += targets

    def call(self, depth: int) -> None:
        if not self.program.callees:
            return
        callee = self.source.choice(self.program.callees).function
        values = tuple(self.operand(each.machine) for each in callee.parameters)
        behind = self.leave()
        targets = tuple(map(self.e.temporary, callee.results))
        self.e.do("call", targets, callee.name, values, behind)
        self.known += targets

    def branch(self, depth: int) -> None:
        e = self.e
        yes, no, after = e.new_block(self.source.random() < 0.2), e.new_block(), e.new_block()
        e.choose(self.operand("b"), yes, no)
        outside = list(self.known)
        for block in (yes, no):
            e.begin(block)
            self.own = []
            self.known = list(outside)
            self.block(depth + 1)
            e.branch(after)
        self.own = []
        self.known = outside
        e.begin(after)

    def loop(self, depth: int) -> None:
        e = self.e
        counter = e.variable("i", "counter")
        self.counters.add(counter)
        e.set(counter, self.source.randint(0, 4))
        head, body, after = e.new_block(), e.new_block(), e.new_block()
        self.active.add(counter)
        e.branch(head)
        e.depth += 1
        e.begin(head)
        self.own = []
        e.choose(e.op("icmp", "b", e.get(counter), 0, "sgt"), body, after)
        e.begin(body)
        outside = list(self.known)
        if self.source.random() < 0.7:
            e.do("poll", self.program.leave(Mode.POLL, self.state()), 1)
        e.set(counter, e.op("sub", "i", e.get(counter), 1))
        self.block(depth + 1)
        e.branch(head)
        e.depth -= 1
        self.active.remove(counter)
        self.own = []
        self.known = outside
        e.begin(after)


class Left(Exception):
    """The procedure ends with a status that is not that of a normal return, or with an exit's results."""

    def __init__(self, status: int, results: list[Any]) -> None:
        super().__init__(status)
        self.status = status
        self.results = results


def answer(number: int, letters: str) -> list[Any]:
    """What the handler of exits answers."""
    return [number + k if letter == "i" else number + 0.5 for k, letter in enumerate(letters)]


def status_of(leave: Exit, times: int) -> int:
    """The status with which the handler answers an exit that was taken before so many times."""
    if leave.mode is Mode.POLL:
        return GO_ON if (leave.number + times) % 7 else RETURNED
    usual = (leave.number + times) % (9 if leave.mode is Mode.ASK else 5)
    return usual if usual in (RAISED, PENDING) else RETURNED


def letter_of(value: Any) -> str:
    """Machine type of an exit's value."""
    if isinstance(value, (Temporary, Variable)):
        return value.machine
    return "f" if isinstance(value, float) else "i"


class Expected:
    """Runs a program in Python."""

    def __init__(self, program: Program, buffer: bytearray) -> None:
        self.functions = {each.name: each for each in program.unit.functions}
        self.buffer = buffer
        self.taken: list[tuple[int, list[Any]]] = []
        self.counts: dict[int, int] = {}

    def run(self, name: str, arguments: list[Any]) -> tuple[int, list[Any]]:
        """Status and results of a procedure."""
        function = self.functions[name]
        run = _Frame(self, function, arguments)
        try:
            return RETURNED, run.results()
        except Left as left:
            return left.status, left.results

    def exit(self, leave: Exit, state: list[Any]) -> int:
        """Take an exit; the status."""
        self.taken.append((leave.number, state))
        times = self.counts.get(leave.number, 0)
        self.counts[leave.number] = times + 1
        return status_of(leave, times)


class _Frame:
    def __init__(self, world: Expected, function: Function, arguments: list[Any]) -> None:
        self.world = world
        self.function = function
        self.blocks = {each.label: each for each in function.blocks}
        self.values: dict[Any, Any] = dict(zip(function.parameters, arguments, strict=True))

    def read(self, operand: Any) -> Any:
        return self.values[operand] if isinstance(operand, (Temporary, Variable)) else operand

    def results(self) -> list[Any]:
        block = self.function.blocks[0]
        while True:
            for instruction in block.instructions[:-1]:
                self.execute(instruction)
            operation, *rest = block.instructions[-1]
            if operation == "ret":
                return [self.read(each) for each in rest[0]]
            taken = rest[0] if operation == "br" else rest[1 if self.read(rest[0]) else 2]
            block = self.blocks[taken]

    def leave(self, leave: Exit) -> None:
        status = self.world.exit(leave, [self.read(each) for each in leave.values])
        raise Left(status, answer(leave.number, self.function.results))

    def execute(self, instruction: tuple[Any, ...]) -> None:
        operation, *rest = instruction
        special: Callable[..., None] | None = getattr(self, f"do_{operation}", None)
        if special is not None:
            special(*rest)
            return
        target, *operands = rest
        kinds, _, compute = PURE[operation]
        values = [self.read(each) for each in operands[: len(kinds)]]
        value = compute(*values, *operands[len(kinds) :])
        self.values[target] = signed(value) if target.machine == "i" else value

    def do_get(self, target: Temporary, variable: Variable) -> None:
        self.values[target] = self.values[variable]

    def do_set(self, variable: Variable, operand: Any) -> None:
        self.values[variable] = self.read(operand)

    def checked(self, target: Temporary, value: int, leave: Exit) -> None:
        if signed(value) != value:
            self.leave(leave)
        self.values[target] = value

    def do_addo(self, target: Temporary, a: Any, b: Any, leave: Exit) -> None:
        self.checked(target, self.read(a) + self.read(b), leave)

    def do_subo(self, target: Temporary, a: Any, b: Any, leave: Exit) -> None:
        self.checked(target, self.read(a) - self.read(b), leave)

    def do_mulo(self, target: Temporary, a: Any, b: Any, leave: Exit) -> None:
        self.checked(target, self.read(a) * self.read(b), leave)

    def do_guard(self, condition: Any, leave: Exit) -> None:
        if not self.read(condition):
            self.leave(leave)

    def do_advance(self, target: Temporary, pointer: Any, index: Any, size: int) -> None:
        self.values[target] = Pointer(None, self.read(pointer).offset + self.read(index) * size)

    def do_load(self, target: Temporary, pointer: Any, offset: int, width: str) -> None:
        self.values[target] = struct.unpack_from(FORMATS[width], self.world.buffer, self.read(pointer).offset)[0]

    def do_store(self, pointer: Any, offset: int, value: Any, width: str) -> None:
        start, number = self.read(pointer).offset, self.read(value)
        data = struct.pack("<d", number) if width == "f64" else struct.pack("<q", number)[: int(width[1:]) // 8]
        self.world.buffer[start : start + len(data)] = data

    def do_runtime(self, target: Temporary, name: str, arguments: tuple[Any, ...]) -> None:
        self.values[target] = RUNTIME[name](*map(self.read, arguments))

    def do_poll(self, leave: Exit, weight: int) -> None:
        status = self.world.exit(leave, [self.read(each) for each in leave.values])
        if status != GO_ON:
            raise Left(status, answer(leave.number, self.function.results))

    def do_ask(self, targets: tuple[Temporary, ...], leave: Exit) -> None:
        status = self.world.exit(leave, [self.read(each) for each in leave.values])
        self.finish(targets, status, answer(leave.number, "".join(each.machine for each in targets)), leave.behind)

    def do_call(self, targets: tuple[Temporary, ...], name: str, arguments: tuple[Any, ...], behind: Exit) -> None:
        status, results = self.world.run(name, [self.read(each) for each in arguments])
        if status == RAISED:
            self.leave(behind)  # where the exception passes
        self.finish(targets, status, results, behind)

    def finish(self, targets: tuple[Temporary, ...], status: int, results: list[Any], behind: Exit | None) -> None:
        if status == PENDING:
            assert behind is not None
            self.leave(behind)
        if status == RAISED:
            raise Left(RAISED, [])
        self.values.update(zip(targets, results, strict=True))


RUNTIME: dict[str, Callable[..., Any]] = {
    "int_gcd": lambda a, b: signed(3 * a ^ b),
    "round_digits": lambda a, b: a + 1.0 if b >= 0 else -a,
}
"""Not what these functions do, but as good for a test and easier."""
