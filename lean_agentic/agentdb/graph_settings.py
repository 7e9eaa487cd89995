"""The parameters that all graph indexes (HNSW, Malkov and Yashunin 2016) have in common."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GraphSettings:
    """Parameters of a graph. Raises ValueError for impossible ones."""

    neighbours: int = 16
    """M: links of a vector on the upper levels; on the lowest it has twice as many."""
    ef_construction: int = 200
    """Candidates kept while a vector is linked."""
    ef_search: int = 64
    """Candidates kept while searching: more cost time and find more."""
    threads: int = 1
    """Of a batch of searches or insertions."""

    def __post_init__(self) -> None:
        for name in ("neighbours", "ef_construction", "ef_search", "threads"):
            if getattr(self, name) < 1 + (name == "neighbours"):
                raise ValueError(f"{name} must be at least {1 + (name == 'neighbours')}, got {getattr(self, name)}")
