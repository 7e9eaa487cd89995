"""How control leaves blocks, and what becomes of a body that is entered in its middle (the runs: test_continuation)."""

from __future__ import annotations

from itertools import count

import pytest

from lean_agentic.kernel import function_from_source, lower, type_of
from lean_agentic.kernel.ir import Block, Break, Continue, ForRange, Raise, Return, Statement, While, walk
from lean_agentic.kernel.resume import rest_of, ways


def body_of(text: str) -> Block:
    """The body of the `while n > i` loop around some text."""
    lines = "\n".join(f"        {line}" for line in text.splitlines())
    source = f"def f(n, i):\n    while n > i:\n{lines}\n    return n\n"
    entry = lower(function_from_source(source), [type_of(1), type_of(1)]).entry
    return next(each for each in entry.body if isinstance(each, While)).body


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n -= 1", {None}),
        ("if n: break\nn -= 1", {None, Break}),
        ("if n: break\nelse: continue", {Break, Continue}),
        ("return n", set()),
        ("for k in range(n):\n    if k: break\nelse: continue", {None, Continue}),
        ("for k in range(n):\n    continue", {None}),
        ("while True:\n    if n: return 1", set()),
        ("while True:\n    if n: break\n    n -= 1", {None}),
        ("while n:\n    n -= 1\nelse:\n    raise ValueError", set()),
    ],
)
def test_ways_out_of_a_block(text: str, expected: set[type[Statement] | None]) -> None:
    assert ways(body_of(text)) == expected


def test_copies_have_new_ids_and_the_loop_keeps_its_own() -> None:
    source = (
        "def f(n):\n    s = 0\n    for i in range(n):\n        s += i\n        if s == 5: continue\n        s *= 2\n"
        "    return s\n"
    )
    body = lower(function_from_source(source), [type_of(1)]).sources["f(int)"].body
    loop = next(each for each in body if isinstance(each, ForRange))
    rest, origin = rest_of(body, loop.body[2].id, False, count(1000))
    once = rest[0]
    assert isinstance(once, ForRange)
    assert isinstance(once.orelse[1], ForRange)
    assert once.orelse[1].id == loop.id
    assert once.orelse[1].body == loop.body
    assert [origin[each.id] for each in walk(once.body)] == [each.id for each in walk(loop.body[2:])]


def test_without_the_counter_the_end_of_the_iteration_is_an_error() -> None:
    body = lower(
        function_from_source("def f(n):\n    for i in range(n):\n        n += i\n    return n\n"), [type_of(1)]
    )
    loop = next(each for each in body.entry.body if isinstance(each, ForRange))
    rest, _ = rest_of(body.entry.body, loop.body[-1].id, True, count(1000), given=["n"])
    assert isinstance(rest[0], Raise)
    with_all, _ = rest_of(body.entry.body, loop.body[-1].id, True, count(1000))
    assert isinstance(with_all[-1], Return)
