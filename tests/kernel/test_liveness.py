"""Liveness: enough to go on, and nothing that is not read again."""

from __future__ import annotations

from lean_agentic.kernel import function_from_source, liveness, lower, type_of
from lean_agentic.kernel.ir import Assign, ForRange, Return, walk


def test_a_loop_keeps_its_counter_and_bounds() -> None:
    source = "def f(n, unused):\n    s = 0\n    for i in range(n):\n        t = i * i\n        s += t\n    return s\n"
    entry = lower(function_from_source(source), [type_of(1), type_of(1)]).entry
    live = liveness(entry)
    loop = next(each for each in entry.body if isinstance(each, ForRange))
    bound = loop.stop.name  # type: ignore[union-attr]
    assert live.before[entry.body[0].id] == {"n"}
    assert live.before[loop.id] == {"s", bound}
    assert live.before[loop.body[0].id] == {"s", bound, loop.counter}
    store = next(each for each in walk(loop.body) if isinstance(each, Assign) and each.target == "t")
    assert live.after[store.id] == {"s", "t", bound, loop.counter}
    assert live.after[loop.id] == {"s"}


def test_break_and_continue_lead_to_their_targets() -> None:
    source = (
        "def f(n, a, b):\n    while n:\n        n -= 1\n        if n == a:\n            break\n"
        "        if n == b:\n            continue\n        a = 0\n    return n\n"
    )
    entry = lower(function_from_source(source), [type_of(1)] * 3).entry
    live = liveness(entry)
    names = {type(each).__name__: live.before[each.id] for each in walk(entry.body)}
    assert names["Break"] == {"n"}
    assert names["Continue"] == {"n", "a", "b"}
    final = next(each for each in entry.body if isinstance(each, Return))
    assert live.after[final.id] == frozenset()
