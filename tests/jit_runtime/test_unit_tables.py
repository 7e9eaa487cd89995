"""Tables of a compiled unit."""

from __future__ import annotations

from lean_agentic.jit_runtime.exit_points import ExitPoint
from lean_agentic.jit_runtime.facts import NOTHING
from lean_agentic.jit_runtime.lir import Mode
from lean_agentic.jit_runtime.unit_tables import UnitTables
from lean_agentic.kernel import lower
from lean_agentic.kernel.types import BOOL, FLOAT, INT, ListType, TupleType, join
from tests.jit_runtime.against_cpython import as_function


def tables() -> UnitTables:
    """Of a unit that stores into lists of ints."""
    return UnitTables(lower(as_function("def f():\n    return 1"), []), NOTHING, [ListType(INT)])


def test_lists_that_are_written_are_marked_wherever_they_lie() -> None:
    made = tables()
    assert made.descriptor(ListType(INT)) == ("list", ("int",), True)
    assert made.descriptor(ListType(ListType(INT))) == ("list", ("list", ("int",), True), False)
    assert made.descriptor(TupleType((ListType(INT), FLOAT))) == ("tuple", [("list", ("int",), True), ("float",)])


def test_layouts_of_new_lists_are_numbered_once() -> None:
    made = tables()
    numbers = [made.layout_number(ListType(each)) for each in (BOOL, INT, BOOL, FLOAT, INT)]
    assert numbers == [0, 1, 0, 2, 1]
    assert made.lists == [("list", ("bool",), False), ("list", ("int",), True), ("list", ("float",), False)]


def test_tags_of_containers_are_the_same_in_all_descriptors() -> None:
    made = tables()
    one, other = ListType(INT), ListType(FLOAT)
    first, second = made.descriptor(join([one, INT])), made.descriptor(join([other, one]))
    assert {tag for tag, child in first[1] if child[0] == "list"} == {made.tag_of(one)}
    assert {child[1][0]: tag for tag, child in second[1]} == {
        "int": made.tag_of(one),
        "float": made.tag_of(other),
    }


def test_exits_are_numbered() -> None:
    made = tables()
    point = ExitPoint(Mode.LEAVE, "f", 1, False, (), (), INT, ("int",))
    assert [made.add(point), made.add(point)] == [0, 1]
    assert made.exits == [point, point]
