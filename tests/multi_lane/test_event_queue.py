from __future__ import annotations

import heapq

from hypothesis import given, settings
from hypothesis import strategies as st

from lean_agentic.multi_lane.event_queue import event_queue, pop, push

times = st.sampled_from([0.0, 0.25, 0.5, 1.0, 7.0])


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.one_of(times, st.none()), max_size=60))
def test_leaves_in_the_order_of_heapq_with_ties_in_the_order_of_arrival(steps):
    """A number pushes an event of that time, None pops one."""
    queue, oracle = event_queue(len(steps)), []
    for code, time in enumerate(steps):
        if time is not None:
            push(queue, time, code)
            heapq.heappush(oracle, (time, code))
        elif oracle:
            assert pop(queue) == heapq.heappop(oracle)
    assert queue.size[0] == len(oracle)
    while oracle:
        assert pop(queue) == heapq.heappop(oracle)
