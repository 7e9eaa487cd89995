"""Memory for agents: what happened, what it means, what caused it, and what to do next time.

Truth is one SQLite file; a vector index beside it is a cache. See `docs/agentdb.md`.
"""

from lean_agentic.agentdb.agent_db import AgentDB, MemoryStats
from lean_agentic.agentdb.filters import Filter
from lean_agentic.agentdb.records import (
    CausalLink,
    Episode,
    Fact,
    Kind,
    LinkKind,
    Pattern,
    Provenance,
    Step,
    Trajectory,
    Verdict,
)

__all__ = [
    "AgentDB",
    "CausalLink",
    "Episode",
    "Fact",
    "Filter",
    "Kind",
    "LinkKind",
    "MemoryStats",
    "Pattern",
    "Provenance",
    "Step",
    "Trajectory",
    "Verdict",
]
