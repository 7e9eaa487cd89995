"""Rules for control flow: branches, `while`, jumps, returning and raising.

In: statements with blocks. Out: blocks of the LIR. Loops over ranges are in `select_ranges`.
"""

from __future__ import annotations

from lean_agentic.jit_runtime.lir import Block
from lean_agentic.jit_runtime.select_scalars import truth
from lean_agentic.jit_runtime.selector import Loop, Selector, selects
from lean_agentic.kernel.ir import Block as KernelBlock
from lean_agentic.kernel.ir import Break, Constant, Continue, If, Raise, Return, While

EACH_ITERATION = 1


@selects(If)
def select_if(s: Selector, statement: If) -> bool:
    """Two blocks that meet."""
    if isinstance(statement.condition, Constant):
        return s.block(statement.body if statement.condition.value else statement.orelse)
    if not statement.body and not statement.orelse:
        return True
    meet = s.e.new_block()
    yes = _new_block(s, statement.body) if statement.body else meet
    no = _new_block(s, statement.orelse) if statement.orelse else meet
    s.choose(truth(s, s.read(statement.condition)), yes, no)
    for first, block in ((yes, statement.body), (no, statement.orelse)):
        if first is not meet:
            s.begin(first)
            if s.block(block):
                s.branch(meet)
    return goes_on_at(s, meet)


def _new_block(s: Selector, block: KernelBlock) -> Block:
    return s.e.new_block(cold=isinstance(block[0], Raise))


def goes_on_at(s: Selector, meet: Block) -> bool:
    """Begin a block if anything leads to it."""
    if meet.label not in s.used:
        return False
    s.begin(meet)
    return True


@selects(While)
def select_while(s: Selector, statement: While) -> bool:
    """`while`, with `else`."""
    e = s.e
    loop = Loop(e.new_block(), e.new_block())
    done = e.new_block() if statement.orelse else loop.end
    s.branch(loop.again)
    e.depth += 1
    s.begin(loop.again)
    s.poll(statement, EACH_ITERATION)
    if s.block(statement.test):
        body = _enter_body(s, statement, done)
        s.loops.append(loop)
        if body and s.block(statement.body):
            s.branch(loop.again)
        s.loops.pop()
    e.depth -= 1
    if done is not loop.end and goes_on_at(s, done) and s.block(statement.orelse):
        s.branch(loop.end)
    return goes_on_at(s, loop.end)


def _enter_body(s: Selector, statement: While, done: Block) -> bool:
    """Go into the body or, when the condition is false, behind the loop; whether there is a way into the body."""
    if isinstance(statement.condition, Constant):
        value = statement.condition.value
        if not value:
            s.branch(done)
        return bool(value)
    body = s.e.new_block()
    s.choose(truth(s, s.read(statement.condition)), body, done)
    s.begin(body)
    return True


@selects(Break)
def select_break(s: Selector, statement: Break) -> bool:
    """Go behind the loop."""
    s.branch(s.loops[-1].end)
    return False


@selects(Continue)
def select_continue(s: Selector, statement: Continue) -> bool:
    """Go to the next iteration."""
    s.branch(s.loops[-1].again)
    return False


@selects(Return)
def select_return(s: Selector, statement: Return) -> bool:
    """Give the result."""
    s.e.do("ret", s.widened(s.read(statement.value), s.procedure.result))
    return False


@selects(Raise)
def select_raise(s: Selector, statement: Raise) -> bool:
    """Python raises."""
    return s.give_up()
