"""What the baseline back end knows of a function before it emits code.

Filled by `x86_analysis`, read by `x86_allocation` and the emitting modules. Values have int keys: temporary `t` is
`t.number`, what variable `v` holds at a block's entry is `~v.number`. Sets of variables are the bits of an int.
"""

from __future__ import annotations

from lean_agentic.jit_runtime.lir import Block, Function, Instruction, Temporary, Variable

ALWAYS = 1 << 60
"""Position of a last use in some other block."""
WEIGHTS = (1, 8, 64, 512, 4096, 32768)
"""Weight of a use by the depth of loops around it."""
NOTHING: Instruction = ("nothing",)


class ExitFacts:
    """Variables and temporaries that exits with the same values carry: index among the values, and key."""

    __slots__ = ("keys", "mask", "places", "temporaries", "variables")

    def __init__(self, values: tuple[object, ...]) -> None:
        self.temporaries = [(k, value[0]) for k, value in enumerate(values) if isinstance(value, Temporary)]
        self.variables = [(k, ~value[0]) for k, value in enumerate(values) if isinstance(value, Variable)]
        self.keys = [key for _, key in self.variables]
        mask = 0
        for key in self.keys:
            mask |= 1 << ~key
        self.mask = mask
        self.places: tuple[int, ...] = ()
        """Where the values are when all variables are in their homes; filled in by the emitter."""


class BlockFacts:
    """What is known of one block. Positions are indexes of its instructions."""

    __slots__ = (
        *("block", "calls", "crossing", "exposed", "finals", "hints", "instructions", "kills", "last", "live_in"),
        *("live_out", "reads", "set_last", "shown", "used", "weight"),
    )

    def __init__(self, block: Block) -> None:
        self.block = block
        self.instructions = block.instructions
        self.weight = 0 if block.cold else WEIGHTS[min(block.depth, 5)]
        self.last: dict[int, int] = {}
        """Position of each value's last use; none for values that are not used."""
        self.hints: dict[int, int] = {}
        """Key of the variable that a temporary becomes, if it may be computed in the variable's register."""
        self.finals: set[int] = set()
        """Positions of the last `set` of each variable."""
        self.set_last: dict[int, int] = {}
        """By position of a `set`: where in the block the variable is read last, or -1."""
        self.shown: set[int] = set()
        """Positions of each `set` whose value an exit of the block carries."""
        self.reads: dict[int, int] = {}
        """Where each variable's value at the entry is read last, exits that carry the variable left out."""
        self.crossing: list[int] = []
        """Temporaries defined here that other blocks use."""
        self.exposed: list[int] = []
        """Temporaries used here that other blocks define."""
        self.used = self.kills = self.live_in = self.live_out = 0
        self.calls: list[tuple[int, int]] = []
        """For each call: variables read behind it in the block, and those set behind it, as bits."""


class FunctionFacts:
    """What is known of a function."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.blocks = [BlockFacts(block) for block in function.blocks]
        self.exits: dict[int, ExitFacts] = {}
        """By `id` of an exit's values, which exits of one function share and which live as long as it."""
        self.machines: dict[int, str] = {~each[0]: each[1] for each in function.variables}
        self.bits: dict[int, int] = {~each[0]: 1 << each[0] for each in function.variables}
        self.weights: dict[int, int] = dict.fromkeys(self.machines, 0)
        """Uses of each variable or crossing temporary, weighted by loop depth."""
        self.eager: set[int] = set()
        """Temporaries whose value has to exist, not only what it would be computed from."""
        self.passed_slots = 0
        """Slots at the frame's bottom, for what procedures pass in memory."""
        self.answer_slots = len(function.results)
        """Slots for the results that exits give."""
        self.scratch_slots = 0
        self.called: set[str] = set()
