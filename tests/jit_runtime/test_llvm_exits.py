"""The tree of exits: each exit must still store its own values at its own places, however blocks are shared."""

from __future__ import annotations

import random

from lean_agentic.jit_runtime.lir import Exit, Mode, Operand, Temporary, Variable
from lean_agentic.jit_runtime.llvm_exits import ExitTree


class Recorder:
    """Stands for a function's text: what each block stores, and where it goes."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names = 0
        self.stored: list[tuple[int, Operand | Variable]] = []

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}.{self.names}"

    def store_state(self, value: Operand | Variable, slot: int) -> None:
        self.lines.append(f" store {len(self.stored)}")
        self.stored.append((slot, value))

    def followed(self, label: str) -> tuple[int | None, list[tuple[int, str]]]:
        """The number and the stores on the way from a block to the end."""
        number, found = None, []
        while label != "end":
            at = self.lines.index(f"{label}:") + 1
            while not self.lines[at].startswith(" br"):
                words = self.lines[at].replace(",", "").split()
                if words[1] == "i64":
                    number = int(words[2])
                else:
                    slot, value = self.stored[int(words[1])]
                    found.append((slot, repr(value)))
                at += 1
            label = self.lines[at].split("%")[1]
        return number, sorted(found)


def written(exits: list[Exit]) -> Recorder:
    tree, recorder = ExitTree(), Recorder()
    for each in exits:
        tree.add(each, f"x{each.number}")
    assert tree.slots == max(len(each.values) for each in exits)
    tree.write(recorder, "end")
    for each in exits:
        expected = sorted((slot, repr(value)) for slot, value in enumerate(each.values))
        assert recorder.followed(f"x{each.number}") == (each.number, expected)
    return recorder


def test_common_beginnings_are_stored_once() -> None:
    a, b, c = (Variable(k, "i", "") for k in range(3))
    t = Temporary(1, "i")
    recorder = written([Exit(k, Mode.LEAVE, values) for k, values in enumerate([(a, b, c), (a, b, t), (a, b), (c,)])])
    assert len(recorder.stored) == 5


def test_exits_without_values() -> None:
    assert written([Exit(3, Mode.LEAVE, ()), Exit(4, Mode.LEAVE, ())]).stored == []


def test_values_that_compare_equal_but_are_not_the_same() -> None:
    values: list[Operand] = [0, 0.0, -0.0, None, 1, 1.0]
    recorder = written([Exit(k, Mode.LEAVE, (value,)) for k, value in enumerate(values)])
    assert len(recorder.stored) == len(values)


def test_random_exits() -> None:
    random.seed(5)
    pool = [Variable(0, "i", ""), Variable(1, "f", ""), Temporary(0, "i"), Temporary(1, "f"), 0, 0.0, None]
    for _ in range(200):
        exits = [Exit(k, Mode.LEAVE, tuple(random.choices(pool[:3], k=random.randrange(5)))) for k in range(12)]
        exits += [Exit(20 + k, Mode.LEAVE, tuple(random.choices(pool, k=3))) for k in range(4)]
        written(exits)
