"""Where locals live."""

from __future__ import annotations

import pytest

from lean_agentic.jit_runtime.emitter import Emitter
from lean_agentic.jit_runtime.errors import NotCompiledError
from lean_agentic.jit_runtime.facts import NOTHING
from lean_agentic.jit_runtime.lir import Function
from lean_agentic.jit_runtime.live_masks import live_masks
from lean_agentic.jit_runtime.local_places import Place, places_of
from lean_agentic.jit_runtime.survey import survey
from lean_agentic.jit_runtime.unit_tables import UnitTables
from lean_agentic.jit_runtime.unsure_locals import unsure_locals
from lean_agentic.kernel import lower
from lean_agentic.kernel.types import FLOAT, INT, ListType, NumpyScalar, Type, join
from tests.jit_runtime.against_cpython import as_function


def places(source: str, *types: Type) -> tuple[dict[str, Place], Function]:
    """Places of the entry's locals, and the function as far as it is."""
    kernel = lower(as_function(source), types)
    function = Function("f", [], "")
    found = survey(kernel.entry)
    found.unsure = unsure_locals(kernel.entry, found, live_masks(kernel.entry, found))
    return places_of(Emitter(function), kernel.entry, found, UnitTables(kernel, NOTHING, ())), function


def test_a_local_lives_in_the_slots_of_all_its_types() -> None:
    found, function = places("def f(n):\n    for i in range(n):\n        n = n + 0.5\n    return n", INT)
    assert found["n"].type == join([INT, FLOAT])
    assert [each.machine for each in found["n"].variables] == ["i", "i", "f"]
    argument = function.parameters[0]
    assert argument not in found["n"].variables
    sets = [each for each in function.blocks[0].instructions if each[0] == "set"]
    assert [each[1] for each in sets] == list(found["n"].variables[:2]), "the tag and the int"


def test_arguments_come_first_and_stay_where_they_are() -> None:
    found, function = places("def f(x, xs):\n    return xs[0] + x", FLOAT, ListType(FLOAT))
    assert found["x"].variables + found["xs"].variables == tuple(function.parameters) == tuple(function.variables[:2])


def test_flags_of_locals_without_a_value() -> None:
    found, function = places("def f(n):\n    if n:\n        x = n\n    return x", INT)
    flag = found["x"].flag
    assert flag is not None
    assert found["x"].descriptor == ("maybe", ("int",))
    assert ("set", flag, 0) in function.blocks[0].instructions


def test_lists_used_in_loops_have_their_parts_in_variables() -> None:
    source = "def f(xs, n):\n    t = xs[0]\n    for i in range(n):\n        t = t + xs[i]\n    return t"
    found, function = places(source, ListType(INT), INT)
    assert found["xs"].view is not None
    assert [each[0] for each in function.blocks[0].instructions].count("load") == 2
    found, _ = places("def f(xs):\n    return xs[0]", ListType(INT))
    assert found["xs"].view is None


def test_names_of_the_same_thing_share_a_place() -> None:
    found, _ = places("def f(xs):\n    t = 0\n    for x in xs:\n        t = t + x\n    return t", ListType(INT))
    assert found["%1"] is found["xs"]


def test_too_many_types_for_one_local() -> None:
    names = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32")
    lines = "".join(f"    x = a{k}[0]\n    t = t + float(x)\n" for k in range(9))
    source = f"def f({', '.join(f'a{k}' for k in range(9))}):\n    t = 0.0\n{lines}    return t"
    with pytest.raises(NotCompiledError, match="x: a variable has more than 8 types"):
        places(source, *(ListType(NumpyScalar(name)) for name in names))
