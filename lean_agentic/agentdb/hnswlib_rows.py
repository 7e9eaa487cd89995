"""The vectors inside an hnswlib index, as a NumPy array that shares its memory.

hnswlib 0.8 keeps vectors in one block of equal rows (links, vector, label) and hands them out by `get_items` alone,
which makes a Python float of every number: 78 us a vector of 1536 numbers. Exact search over a filtered subset would
take a hundred times as long as it need, and a second copy of the vectors would double the memory. So this reads the
address of the block out of the C++ object.

It takes nothing on trust: every field on the way is compared with what the index says of itself by its public
properties before the next pointer is followed. Where anything differs (another version, another platform) there is no
view, and the caller has to use `get_items`.
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

VALUE_POINTER = 16
"""Bytes before the pointer to the C++ object in a Python object made by pybind11."""

INDEX = struct.Struct("=32x i4x 8x Q ??? x i 8x Q")
"""class Index: std::string space; int dim; size_t seed, default_ef; bool index_inited, ep_added, normalize; int
num_threads; size_t cur_l; HierarchicalNSW* graph."""

GRAPH = struct.Struct("=8x QQQ 16x QQQQQ 16x 8x 8x 24x 40x 24x 8x QQQQ Q")
"""class HierarchicalNSW: vtable; max_elements, count, bytes of a row; bytes of upper links, deleted; M, maxM, maxM0,
ef_construction, ef; two doubles; top level; pool; locks; entry point; bytes of links, offset of the vector, offset of
level 0, offset of the label; address of the rows."""


@dataclass(frozen=True)
class Rows:
    """Views of the rows of one index, valid until it is resized or freed; rows beyond its count hold rubbish."""

    vectors: npt.NDArray[np.float32]
    """(capacity, d), read-only."""
    labels: npt.NDArray[np.uint64]
    """(capacity,), read-only, unaligned."""
    address: int
    row_bytes: int


def rows_in_place(index: Any) -> Rows | None:
    """Views of the rows of an `hnswlib.Index`, or None where its memory is not laid out as expected."""
    if type(index).__basicsize__ < VALUE_POINTER + 8:
        return None
    value = _pointer_at(id(index) + VALUE_POINTER)
    expected = (index.dim, index.ef, True, True, index.space == "cosine", index.num_threads)
    if not _looks_valid(value):
        return None
    *found, graph = INDEX.unpack(ctypes.string_at(value, INDEX.size))
    # ep_added is False while the index is empty
    found[3] = True
    if tuple(found) != expected or not _looks_valid(graph):
        return None
    return _rows_of_graph(index, graph)


def _rows_of_graph(index: Any, graph: int) -> Rows | None:
    capacity, dimensions, links = index.max_elements, index.dim, 4 + 8 * index.M
    label_offset = links + 4 * dimensions
    row_bytes = label_offset + 8
    expected = (
        capacity,
        index.element_count,
        row_bytes,
        index.M,
        index.M,
        2 * index.M,
        index.ef_construction,
        index.ef,
    )
    *found, address = GRAPH.unpack(ctypes.string_at(graph, GRAPH.size))
    if tuple(found) != (*expected, links, links, 0, label_offset) or not _looks_valid(address):
        return None
    block = (ctypes.c_char * (capacity * row_bytes)).from_address(address)
    vectors = np.ndarray((capacity, dimensions), np.float32, block, links, (row_bytes, 4))
    labels = np.ndarray((capacity,), np.uint64, block, label_offset, (row_bytes,))
    vectors.flags.writeable = labels.flags.writeable = False
    return Rows(vectors, labels, address, row_bytes)


def _pointer_at(address: int) -> int:
    return int(ctypes.c_size_t.from_address(address).value)


def _looks_valid(pointer: int) -> bool:
    return pointer > 4096 and pointer % 8 == 0
