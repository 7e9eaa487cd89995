"""The pass backwards over one block: last uses, wishes for registers, and what is not used at all.

In: a block. Out: its `x86_facts.BlockFacts`, and exits and weights of the function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lean_agentic.jit_runtime.lir import Exit, Instruction, Temporary
from lean_agentic.jit_runtime.runtime_functions import RUNTIME_FUNCTIONS
from lean_agentic.jit_runtime.x86_facts import NOTHING, BlockFacts, ExitFacts, FunctionFacts

PURE = (
    "add", "sub", "mul", "and", "or", "xor", "shl", "ashr", "lshr", "sdiv", "srem", "udiv", "urem", "fadd", "fsub",
    "fmul", "fdiv", "ineg", "inot", "fneg", "fabs", "fsqrt", "ffloor", "fceil", "ftrunc", "frint", "round32", "sext8",
    "sext16", "sext32", "zext8", "zext16", "zext32", "itof", "uitof", "ftoi", "bits", "float_of", "btoi", "fcopysign",
    "select", "load",
)  # fmt: skip
"""Operations that are left out when their result is not used."""
DEFERRED = ("icmp", "fcmp", "band", "bor", "bnot", "itob", "ptoi", "itop", "advance")
"""Operations that are only noted, and computed by whoever uses their result: operands live until then."""
CHECKED = ("addo", "subo", "mulo")
Crossing = dict[int, tuple[BlockFacts, Temporary] | None]
"""Temporaries that are used in other blocks than the one that defines them, with the definition once it is met."""


class BlockScan:
    """The pass backwards over one block."""

    def __init__(
        self, facts: FunctionFacts, block: BlockFacts, defined: dict[int, BlockFacts], crossing: Crossing
    ) -> None:
        self.facts = facts
        self.block = block
        self.defined = defined
        self.crossing = crossing
        self.last = block.last
        self.hints = block.hints
        self.reads: dict[int, int] = {}
        """Where each variable is read last, of those read behind the present position and not set before that."""
        self.carried: dict[int, int] = {}
        """The same for exits that carry it."""
        self.carried_bits = 0
        self.seen = 0
        """The keys of `reads` and `carried`, as bits."""
        self.awaited: dict[int, int] = {}
        """Variables whose last `set` was passed, but not yet the definition of the temporary that is set."""
        self.awaited_bits = 0
        self.position = 0

    def run(self) -> None:
        """Fill the block's facts."""
        rules = RULES
        instructions = self.block.instructions
        for position in range(len(instructions) - 1, -1, -1):
            self.position = position
            instruction = instructions[position]
            rules[instruction[0]](self, instruction)
        last, reads = self.last, self.reads
        last.update(reads)
        for key, position in self.carried.items():
            if reads.get(key, -1) < position:
                last[key] = position
        self.block.reads = reads
        self.block.used = self.seen

    def drop(self) -> None:
        """Leave the present instruction out: nobody uses its result."""
        block = self.block
        if block.instructions is block.block.instructions:
            block.instructions = list(block.instructions)
        block.instructions[self.position] = NOTHING

    def define(self, temporary: Temporary) -> bool:
        """Note a temporary's definition; whether it is used."""
        key = temporary[0]
        if key in self.crossing:
            self.crossing[key] = (self.block, temporary)
        elif key not in self.last:
            return False
        self.defined[key] = self.block
        if key in self.hints:
            variable = self.hints[key]
            if self.awaited.get(variable) == key:
                del self.awaited[variable]
                self.awaited_bits &= ~self.facts.bits[variable]
        return True

    def keep(self, temporary: Temporary) -> None:
        """Note the definition of a temporary that is computed even if it is not used."""
        if not self.define(temporary):
            self.last[temporary[0]] = self.position
            self.defined[temporary[0]] = self.block

    def use(self, operands: Iterable[object]) -> None:
        """Note uses by the present instruction."""
        last, position = self.last, self.position
        for operand in operands:
            if operand.__class__ is Temporary:
                last.setdefault(operand[0], position)

    def leave(self, leave: Exit | None, position: int) -> None:
        """Note the uses by an exit."""
        if leave is None:
            return
        values = leave.values
        found = self.facts.exits.get(id(values))
        if found is None:
            found = self.enter(values)
        for _, key in found.temporaries:
            if self.last.get(key, -1) < position:
                self.last[key] = position
        if self.awaited_bits & found.mask:
            self.spoil(found.mask)
        if found.mask & ~self.carried_bits:
            self.carried_bits |= found.mask
            self.seen |= found.mask
            for key in found.keys:
                self.carried.setdefault(key, position)

    def enter(self, values: tuple[object, ...]) -> ExitFacts:
        """Note the values of an exit at their first use."""
        facts = self.facts
        found = facts.exits[id(values)] = ExitFacts(values)
        facts.eager.update([key for _, key in found.temporaries])
        return found

    def spoil(self, mask: int) -> None:
        """Some variables are read between the definition of their next value and its `set`."""
        bits = self.facts.bits
        for key in [key for key in self.awaited if bits[key] & mask]:
            del self.hints[self.awaited.pop(key)]
            self.awaited_bits &= ~bits[key]


def _get(scan: BlockScan, instruction: Instruction) -> None:
    _, target, variable = instruction
    if not scan.define(target):
        scan.drop()
        return
    key = ~variable[0]
    bit = 1 << variable[0]
    until = scan.position if target[0] in scan.crossing else scan.last[target[0]]
    if scan.reads.get(key, -1) < until:
        scan.reads[key] = until
    scan.seen |= bit
    if scan.awaited_bits & bit:
        scan.spoil(bit)
    scan.facts.weights[key] += scan.block.weight


def _set(scan: BlockScan, instruction: Instruction) -> None:
    _, variable, operand = instruction
    key = ~variable[0]
    bit = 1 << variable[0]
    shown = scan.carried.pop(key, -1)
    read = max(scan.reads.pop(key, -1), shown)
    block = scan.block
    if shown >= 0:
        block.shown.add(scan.position)
    if block.kills & bit:
        if read < 0:
            scan.drop()
            return
    else:
        block.kills |= bit
        block.finals.add(scan.position)
        if operand.__class__ is Temporary and operand[0] not in scan.hints:
            scan.hints[operand[0]] = key
            scan.awaited[key] = operand[0]
            scan.awaited_bits |= bit
    block.set_last[scan.position] = read
    scan.seen &= ~bit
    scan.carried_bits &= ~bit
    scan.facts.weights[key] += block.weight
    if operand.__class__ is Temporary:
        scan.last.setdefault(operand[0], scan.position)


def _pure(scan: BlockScan, instruction: Instruction) -> None:
    if scan.define(instruction[1]):
        last, position = scan.last, scan.position
        for operand in instruction[2:]:
            if operand.__class__ is Temporary:
                last.setdefault(operand[0], position)
    else:
        scan.drop()


def _deferred(scan: BlockScan, instruction: Instruction) -> None:
    if not scan.define(instruction[1]):
        scan.drop()
        return
    last = scan.last
    target = instruction[1][0]
    until = scan.position if target in scan.crossing else last[target]
    for operand in instruction[2:]:
        if operand.__class__ is Temporary and last.get(operand[0], -1) < until:
            last[operand[0]] = until


def _scratch(scan: BlockScan, instruction: Instruction) -> None:
    scan.keep(instruction[1])
    scan.facts.scratch_slots += instruction[2]


def _checked(scan: BlockScan, instruction: Instruction) -> None:
    _, target, a, b, leave = instruction
    scan.keep(target)
    position = scan.position
    scan.leave(leave, position)
    if a.__class__ is Temporary:
        scan.last.setdefault(a[0], position)
    if b.__class__ is Temporary:
        scan.last.setdefault(b[0], position)


def _guard(scan: BlockScan, instruction: Instruction) -> None:
    _, condition, leave = instruction
    scan.leave(leave, scan.position)
    if condition.__class__ is Temporary:
        scan.last.setdefault(condition[0], scan.position)


def _store(scan: BlockScan, instruction: Instruction) -> None:
    scan.use((instruction[1], instruction[3]))


def _runtime(scan: BlockScan, instruction: Instruction) -> None:
    _, target, name, arguments = instruction
    if RUNTIME_FUNCTIONS[name].pure and not scan.define(target):
        scan.drop()
        return
    if target is not None:
        scan.keep(target)
    scan.block.calls.append((scan.seen, scan.block.kills))
    scan.use(arguments)


def _call(scan: BlockScan, instruction: Instruction) -> None:
    _, targets, name, arguments, leave = instruction
    scan.facts.called.add(name)
    for target in targets:
        scan.keep(target)
    scan.block.calls.append((scan.seen, scan.block.kills))
    scan.facts.passed_slots = max(scan.facts.passed_slots, len(arguments), len(targets))
    scan.leave(leave, scan.position + 1)
    scan.use(arguments)


def _ask(scan: BlockScan, instruction: Instruction) -> None:
    _, targets, leave = instruction
    for target in targets:
        scan.keep(target)
    scan.facts.answer_slots = max(scan.facts.answer_slots, len(targets))
    scan.leave(leave.behind, scan.position + 1)
    scan.leave(leave, scan.position)


def _exit_alone(scan: BlockScan, instruction: Instruction) -> None:
    scan.leave(instruction[1], scan.position)


def _nothing(scan: BlockScan, instruction: Instruction) -> None:
    pass


RULES: dict[str, Callable[[BlockScan, Instruction], None]] = {
    **dict.fromkeys(PURE, _pure), **dict.fromkeys(DEFERRED, _deferred), **dict.fromkeys(CHECKED, _checked),
    **dict.fromkeys(("br", "unreachable", "nothing"), _nothing),
    "get": _get, "set": _set, "guard": _guard, "store": _store, "scratch": _scratch, "runtime": _runtime,
    "call": _call, "ask": _ask, "poll": _exit_alone, "leave": _exit_alone,
    "cbr": lambda scan, instruction: scan.use(instruction[1:2]),
    "ret": lambda scan, instruction: scan.use(instruction[1]),
}  # fmt: skip
