"""A binary heap of timed events in one flat table, for compiled code.

In: events (time, code). Out: the earliest one; events of the same time leave in the order in which they came, so
that a replay has exactly one outcome.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lean_agentic.multi_lane.compiled import compiled
from lean_agentic.multi_lane.workload import Ints

EVENT = np.dtype([("time", np.float64), ("order", np.int64), ("code", np.int64)])


class EventQueue(NamedTuple):
    """Heap storage for a fixed number of pending events."""

    heap: NDArray[Any]
    """(capacity,) EVENT; `order` is the event's running number and breaks ties of time."""
    size: Ints
    """(2,) events pending, events ever pushed."""


def event_queue(capacity: int) -> EventQueue:
    """An empty queue for up to `capacity` pending events."""
    return EventQueue(np.zeros(capacity, dtype=EVENT), np.zeros(2, dtype=np.int64))


@compiled
def earlier(heap: NDArray[Any], slot: int, time: float, order: int) -> bool:
    """Whether the event in a slot comes before one of this time and running number."""
    if heap[slot].time != time:
        return bool(heap[slot].time < time)
    return bool(heap[slot].order < order)


@compiled
def put(heap: NDArray[Any], slot: int, time: float, order: int, code: int) -> None:
    """Write an event into a slot."""
    heap[slot].time = time
    heap[slot].order = order
    heap[slot].code = code


@compiled
def push(queue: EventQueue, time: float, code: int) -> None:
    """Add an event. The caller keeps within the capacity: compiled code does not check."""
    heap, slot, order = queue.heap, queue.size[0], queue.size[1]
    queue.size[0] += 1
    queue.size[1] += 1
    while slot > 0:
        parent = (slot - 1) // 2
        if earlier(heap, parent, time, order):
            break
        put(heap, slot, heap[parent].time, heap[parent].order, heap[parent].code)
        slot = parent
    put(heap, slot, time, order, code)


@compiled
def pop(queue: EventQueue) -> tuple[float, int]:
    """Take the earliest event off a queue that is not empty."""
    heap = queue.heap
    first_time, first_code = heap[0].time, heap[0].code
    queue.size[0] -= 1
    last = queue.size[0]
    time, order, code = heap[last].time, heap[last].order, heap[last].code
    slot = 0
    while 2 * slot + 1 < last:
        child = 2 * slot + 1
        if child + 1 < last and earlier(heap, child + 1, heap[child].time, heap[child].order):
            child += 1
        if not earlier(heap, child, time, order):
            break
        put(heap, slot, heap[child].time, heap[child].order, heap[child].code)
        slot = child
    put(heap, slot, time, order, code)
    return first_time, first_code
