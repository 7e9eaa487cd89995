"""Memory for agents: what happened, what it means, what caused it, and what to do next time.

Truth is one SQLite file; a vector index beside it is a cache. See `docs/agentdb.md`.
"""
