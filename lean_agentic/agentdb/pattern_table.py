"""Patterns read for a look-up: without the ids of the trajectories behind them, of which there may be thousands."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

from lean_agentic.agentdb.records import Kind, Pattern
from lean_agentic.agentdb.rows import READ_COLUMNS, Role, to_record


def pattern_heads(connection: sqlite3.Connection, tenant: str, task_type: str) -> list[Pattern]:
    """The patterns in use of a task type, by id; `trajectories` is left empty."""
    rows = connection.execute(
        f"SELECT {', '.join(READ_COLUMNS)} FROM records "
        "WHERE kind = ? AND tenant = ? AND task_type = ? AND archived = 0 ORDER BY id",
        (Kind.PATTERN.value, tenant, task_type),
    ).fetchall()
    records = [to_record(row, {}) for row in rows]
    return [record for record in records if isinstance(record, Pattern) and not record.retired]


def newest_behind(connection: sqlite3.Connection, patterns: Collection[int], most: int) -> dict[int, list[int]]:
    """Ids of at most `most` trajectories behind each pattern, those stored last."""
    rows = connection.execute(
        "SELECT record_id, target FROM ("
        "SELECT record_id, target, row_number() OVER (PARTITION BY record_id ORDER BY target DESC) AS place "
        "FROM mentions WHERE role = ? AND record_id IN (SELECT value FROM json_each(?))) "
        "WHERE place <= ? ORDER BY record_id, target",
        (Role.TRAJECTORIES.value, json.dumps(sorted(patterns)), most),
    ).fetchall()
    found: dict[int, list[int]] = {pattern: [] for pattern in patterns}
    for pattern, trajectory in rows:
        found[pattern].append(trajectory)
    return found
