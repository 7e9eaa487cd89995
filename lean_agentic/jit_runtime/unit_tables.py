"""What the procedures of a compiled unit share: tags, descriptors, exits, list layouts.

In: requests of `Selector`s. Out: the tables that go with the machine code.
"""

from __future__ import annotations

from collections.abc import Iterable

from lean_agentic.jit_runtime.exit_points import ExitPoint
from lean_agentic.jit_runtime.facts import Facts
from lean_agentic.jit_runtime.layout import Descriptor, Descriptors, Tags
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.types import Type


class UnitTables:
    """Grows while the procedures of a kernel are selected."""

    def __init__(self, kernel: Kernel, facts: Facts, written: Iterable[Type]) -> None:
        self.kernel = kernel
        self.facts = facts
        self.written = frozenset(written)
        self.exits: list[ExitPoint] = []
        self.lists: list[Descriptor] = []
        tags = Tags()
        self.tag_of = tags.of
        self._descriptors = Descriptors(tags, self.written)
        self._known: dict[Type, Descriptor] = {}
        self._layouts: dict[Type, int] = {}

    def descriptor(self, a_type: Type) -> Descriptor:
        """The type's descriptor, made once."""
        found = self._known.get(a_type)
        if found is None:
            found = self._known[a_type] = self._descriptors.of(a_type)
        return found

    def add(self, point: ExitPoint) -> int:
        """Enter an exit; its number."""
        self.exits.append(point)
        return len(self.exits) - 1

    def layout_number(self, list_type: Type) -> int:
        """Index of a list type among those that compiled code makes."""
        if list_type not in self._layouts:
            self._layouts[list_type] = len(self.lists)
            self.lists.append(self.descriptor(list_type))
        return self._layouts[list_type]
