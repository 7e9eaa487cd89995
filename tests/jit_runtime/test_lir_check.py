"""The check of the LIR finds each kind of fault; that it passes what is right is seen wherever it is used."""

from __future__ import annotations

from typing import Any

import pytest

from lean_agentic.jit_runtime.emitter import Emitter
from lean_agentic.jit_runtime.exit_points import ExitPoint
from lean_agentic.jit_runtime.lir import Exit, Function, Mode, Temporary, Unit, Variable
from lean_agentic.jit_runtime.lir_check import MalformedError, check_unit, letters
from lean_agentic.kernel.types import INT

POINT = ExitPoint(Mode.LEAVE, "f", 1, False, ("x",), (("int",),), INT, ("int",))


def check(*instructions: tuple[Any, ...], results: str = "i") -> None:
    """Check a function of one int parameter `v0`, with a float variable `v1` and one exit, of one block."""
    function = Function("f", [], results)
    e = Emitter(function)
    function.parameters.append(e.variable("i"))
    e.variable("f")
    e.block.instructions += instructions
    check_unit(Unit([function], 1), [POINT])


X, Y, F, P, B = (Temporary(k, machine) for k, machine in enumerate("iifpb"))
V = Variable(0, "i", "")
LEAVE = Exit(0, Mode.LEAVE, (V,))
RETURN = ("ret", (X,))
GET = ("get", X, V)


def test_a_sound_function() -> None:
    check(GET, ("addo", Y, X, 1, LEAVE), ("ret", (Y,)))
    check(GET, ("itob", B, X), ("guard", B, LEAVE), ("leave", LEAVE))


@pytest.mark.parametrize(
    ("instructions", "reason"),
    [
        ([], "is empty"),
        ([GET], "ends at"),
        ([RETURN, RETURN], "ends at"),
        ([RETURN], "never assigned"),
        ([("add", Y, X, 1), GET, RETURN], "used before"),
        ([GET, GET, RETURN], "assigned twice"),
        ([("get", F, V), ("ret", (1,))], "is no i"),
        ([("set", Variable(7, "i", ""), 1), ("ret", (1,))], "variable"),
        ([GET, ("fadd", F, X, 1.0), RETURN], "is no f"),
        ([GET, ("add", Y, X, 2**63), RETURN], "is no i"),
        ([GET, ("add", Y, X), RETURN], "number of operands"),
        ([GET, ("plus", Y, X, 1), RETURN], "unknown operation"),
        ([GET, ("guard", X, LEAVE), RETURN], "is no b"),
        ([GET, ("guard", 1, Exit(0, Mode.LEAVE, ())), RETURN], "state of exit"),
        ([GET, ("guard", 1, Exit(0, Mode.POLL, (V,))), RETURN], "POLL"),
        ([GET, ("guard", 1, Exit(0, Mode.LEAVE, (Y,))), RETURN], "never assigned"),
        ([GET, ("load", F, None, 0, "i64"), RETURN], "is no i"),
        ([GET, ("load", F, X, 0, "f64"), RETURN], "is no p"),
        ([GET, ("store", None, 0, X, "f64"), RETURN], "is no f"),
        ([GET, ("icmp", B, X, None, "eq"), RETURN], "is no p"),
        ([GET, ("icmp", B, X, 1, "olt"), RETURN], "condition"),
        ([GET, ("runtime", F, "math_sin", (X,)), RETURN], "is no f"),
        ([GET, ("runtime", F, "math_sin", ()), RETURN], "number of arguments"),
        ([GET, ("call", (), "f", (X,), LEAVE), RETURN], "results"),
        ([GET, ("call", (Y,), "f", (X,), LEAVE), RETURN], "stands behind"),
        ([GET, ("ask", (Y,), LEAVE), RETURN], "LEAVE"),
        ([("br", 7)], "no such block"),
        ([("ret", ())], "number of results"),
        ([("ret", (1.0,))], "is no i"),
    ],
)
def test_faults(instructions: list[tuple[Any, ...]], reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        check(*instructions)


def test_a_temporary_of_one_branch_is_not_used_behind_it() -> None:
    function = Function("f", [], "i")
    e = Emitter(function)
    variable = e.variable("i")
    function.parameters.append(variable)
    yes, meet = e.new_block(), e.new_block()
    e.choose(e.op("itob", "b", e.get(variable)), yes, meet)
    e.begin(yes)
    inner = e.op("add", "i", 1, 2)
    e.branch(meet)
    e.begin(meet)
    e.do("ret", (inner,))
    with pytest.raises(MalformedError, match="used before"):
        check_unit(Unit([function], 0), [])


def test_exits_are_counted() -> None:
    with pytest.raises(MalformedError, match="1 exits, 0 exit points"):
        check_unit(Unit([], 1), [])


def test_letters_of_descriptors() -> None:
    assert letters(("maybe", ("complex",))) == "iff"
    assert letters(("tuple", [("array", "int8", 2), ("list", ("int",), True)])) == "ppiiiii" + "p"
    assert (
        letters(("union", [(0, ("none",)), (4, ("complex",)), (6, ("np", "int8")), (15, ("np", "float64"))])) == "iiff"
    )
    assert letters(("pending",)) == ""
