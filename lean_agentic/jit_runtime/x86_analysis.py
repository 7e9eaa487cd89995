"""The analysis before emission: uses and definitions by block, then liveness over the blocks.

In: a `lir.Function`. Out: `x86_facts.FunctionFacts`.
"""

from __future__ import annotations

from lean_agentic.jit_runtime.lir import Function
from lean_agentic.jit_runtime.x86_facts import ALWAYS, BlockFacts, FunctionFacts
from lean_agentic.jit_runtime.x86_scan import BlockScan, Crossing


def analyse(function: Function) -> FunctionFacts:
    """Look at a function.

    Raises
    ------
    ValueError
        If a temporary is used that no instruction assigns.
    """
    facts = FunctionFacts(function)
    crossing = _scan(facts, {})
    if None in crossing.values():  # A block uses what one behind it in the text defines; it had looked unused.
        facts = FunctionFacts(function)
        crossing = _scan(facts, crossing)
    _enter_crossing(facts, crossing)
    _solve(facts)
    return facts


def _scan(facts: FunctionFacts, crossing: Crossing) -> Crossing:
    """Look at all blocks; the temporaries that blocks other than the defining one use."""
    defined: dict[int, BlockFacts] = {}
    for block in reversed(facts.blocks):
        BlockScan(facts, block, defined, crossing).run()
        for key in block.last:
            if key >= 0 and defined.get(key) is not block:
                block.exposed.append(key)
                crossing.setdefault(key, None)
    return crossing


def _enter_crossing(facts: FunctionFacts, crossing: Crossing) -> None:
    """Treat temporaries that are used in several blocks as variables that are set once."""
    bit = 1 << len(facts.function.variables)
    for key, found in crossing.items():
        if found is None:
            raise ValueError(f"temporary {key} is used but never assigned")
        block, temporary = found
        facts.bits[key] = bit
        facts.machines[key] = temporary[1]
        facts.weights[key] = block.weight
        facts.eager.add(key)
        block.crossing.append(key)
        block.kills |= bit
        block.last[key] = ALWAYS
        block.hints[key] = key
        bit <<= 1
    for block in facts.blocks:
        for key in block.exposed:
            block.used |= facts.bits[key]
            facts.weights[key] += block.weight


def _solve(facts: FunctionFacts) -> None:
    """Live variables at the entry and the end of each block."""
    by_label = {each.block.label: each for each in facts.blocks}
    steps = []
    for block in reversed(facts.blocks):
        last = block.instructions[-1]
        labels = last[1:] if last[0] == "br" else last[2:4] if last[0] == "cbr" else ()
        steps.append((block, [by_label[label] for label in labels], block.used, ~block.kills))
    changed = True
    while changed:
        changed = False
        for block, followers, used, passes in steps:
            out = 0
            for each in followers:
                out |= each.live_in
            block.live_out = out
            entry = used | out & passes
            if entry != block.live_in:
                block.live_in = entry
                changed = True
