"""Builds the LIR of one function: blocks, variables, temporaries, instructions.

In: calls from `selection` and `arithmetic`. Out: a `lir.Function`. `Value` is a kernel value in machine form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lean_agentic.jit_runtime.lir import Block, Exit, Function, Operand, Temporary, Variable
from lean_agentic.kernel.types import Type

Leave = Callable[[], Exit]
"""Gives the exit of the statement that is being selected; the same one each time."""


class Value(NamedTuple):
    """A value of a kernel type; `operands` are its machine values in the order of `layout.slots`."""

    type: Type
    operands: tuple[Operand, ...]


class Emitter:
    """The function under construction and the block that is being filled."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.depth = 0
        self._temporaries = 0
        self._labels = 0
        self.block = self.new_block()
        self.begin(self.block)

    def variable(self, machine: str, hint: str = "") -> Variable:
        """A new mutable variable."""
        made = Variable(len(self.function.variables), machine, hint)
        self.function.variables.append(made)
        return made

    def temporary(self, machine: str) -> Temporary:
        """A new temporary, to be assigned once."""
        self._temporaries += 1
        return Temporary(self._temporaries, machine)

    def op(self, operation: str, machine: str, *operands: object) -> Temporary:
        """Emit `(operation, t, *operands)`; the new t."""
        target = self.temporary(machine)
        self.block.instructions.append((operation, target, *operands))
        return target

    def do(self, *instruction: object) -> None:
        """Emit an instruction as it stands."""
        self.block.instructions.append(instruction)

    def get(self, variable: Variable) -> Temporary:
        """The variable's present value."""
        return self.op("get", variable.machine, variable)

    def set(self, variable: Variable, operand: Operand) -> None:
        """Assign a variable."""
        self.block.instructions.append(("set", variable, operand))

    def guard(self, condition: Operand, leave: Exit) -> None:
        """Leave unless the condition holds."""
        self.block.instructions.append(("guard", condition, leave))

    def runtime(self, name: str, machine: str, *arguments: Operand) -> Temporary:
        """Call a runtime function that returns something."""
        target = self.temporary(machine)
        self.block.instructions.append(("runtime", target, name, arguments))
        return target

    def new_block(self, cold: bool = False) -> Block:
        """A block to be begun later."""
        self._labels += 1
        return Block(self._labels, self.depth, cold=cold)

    def begin(self, block: Block) -> None:
        """Fill this block from now on; its place in the text is here."""
        block.depth = self.depth
        self.function.blocks.append(block)
        self.block = block

    def branch(self, target: Block) -> None:
        """End the block by going to another."""
        self.block.instructions.append(("br", target.label))

    def choose(self, condition: Operand, yes: Block, no: Block) -> None:
        """End the block by going to one of two."""
        self.block.instructions.append(("cbr", condition, yes.label, no.label))
