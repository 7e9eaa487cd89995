"""The exits of one function as a tree, so that values which several exits store first are stored by one block.

In: exits and the labels of their blocks. Out: those blocks. The states of a function's exits mostly begin alike (the
locals around a loop, then those in it, then an operand or two), and their stores are the larger part of a function
itself, so a block stores what its exits have in common, and what differs stands in the blocks that go there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from lean_agentic.jit_runtime.lir import Exit, Operand, Variable

NUMBER = "%number"
"""Where the number of the exit is kept until all exits meet."""


class Function(Protocol):
    """What exits need of the function that they are in."""

    lines: list[str]

    def name(self, prefix: str) -> str:
        """A fresh name."""

    def store_state(self, value: Operand | Variable, slot: int) -> None:
        """Store one value of a state."""


@dataclass(eq=False)
class _Node:
    """A value; the values from the root to here are those of `exits`, and the first ones of all exits below."""

    values: tuple[Operand | Variable, ...] = ()
    children: dict[tuple[type, object], _Node] = field(default_factory=dict)
    exits: list[tuple[int, str]] = field(default_factory=list)


class ExitTree:
    """Collects the exits of a function."""

    def __init__(self) -> None:
        self._root = _Node()
        self.slots = 0

    def add(self, leave: Exit, label: str) -> None:
        """Have an exit's block under a label."""
        node = self._root
        for value in leave.values:
            # The type tells 0 from 0.0, the text -0.0 from 0.0.
            key = (value.__class__, str(value) if value.__class__ is float else value)
            found = node.children.get(key)
            if found is None:
                found = node.children[key] = _Node((value,))
            node = found
        node.exits.append((leave.number, label))
        self.slots = max(self.slots, len(leave.values))

    def write(self, f: Function, target: str) -> None:
        """The blocks; all end by going to the target, with the number stored."""
        self._write(f, self._root, 0, target)

    def _write(self, f: Function, node: _Node, slot: int, target: str) -> None:
        values = node.values
        while len(node.children) == 1 and not node.exits:
            (node,) = node.children.values()
            values += node.values
        if values:
            label = f.name("s")
            f.lines.append(f"{label}:")
            for k, value in enumerate(values):
                f.store_state(value, slot + k)
            f.lines.append(f" br label %{target}")
            target = label
        for number, label in node.exits:
            f.lines += [f"{label}:", f" store i64 {number}, ptr {NUMBER}", f" br label %{target}"]
        for child in node.children.values():
            self._write(f, child, slot + len(values), target)
