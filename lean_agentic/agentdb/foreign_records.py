"""Trajectories of other parts, which know nothing of this memory: taken by the names of their fields.

Anything with `task_type`, `steps` and `verdict` will do, its steps having `state`, `action` and `outcome`. What else it
carries is kept as metadata where JSON can hold it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from lean_agentic.agentdb.errors import AgentDBError
from lean_agentic.agentdb.records import Provenance, Step, Trajectory, Verdict


class ForeignRecordError(AgentDBError, TypeError):
    """A record cannot be read as a trajectory."""


_OWN = frozenset(field.name for field in fields(Trajectory))
_PASSED = ("task", "confidence", "improvement", "group", "time", "session")
"""Fields taken over as they are, where the record has them."""


def as_trajectory(record: Any, tenant: str | None = None) -> Trajectory:
    """The record as a trajectory to be stored.

    Parameters
    ----------
    tenant
        Replaces that of the record.

    Raises
    ------
    ForeignRecordError
        It has no task type, steps and verdict, or they are something else; the message says which.
    """
    if isinstance(record, Trajectory):
        return record if tenant is None else replace(record, tenant=tenant)
    given = _given(record)
    if lacking := [name for name in ("task_type", "steps", "verdict") if name not in given]:
        raise ForeignRecordError(
            f"{type(record).__name__} {record!r:.80} is no trajectory, it has no {', '.join(lacking)}: "
            "give task_type, steps and verdict"
        )
    extra = {name: value for name, value in given.items() if name not in _OWN and _is_plain(value)}
    passed = {name: given[name] for name in _PASSED if given.get(name) is not None}
    passed.setdefault("task", " ".join([given["task_type"], *(v for v in extra.values() if isinstance(v, str))]))
    return Trajectory(
        task_type=given["task_type"],
        steps=tuple(_step(step) for step in given["steps"]),
        verdict=_verdict(given["verdict"]),
        tenant=tenant or "default",
        metadata={**given.get("metadata", {}), **extra},
        provenance=Provenance(type(record).__module__, "imported"),
        **passed,
    )


def _given(record: Any) -> dict[str, Any]:
    if isinstance(record, Mapping):
        return dict(record)
    if is_dataclass(record) and not isinstance(record, type):
        return {field.name: getattr(record, field.name) for field in fields(record)}
    return dict(vars(record)) if hasattr(record, "__dict__") else {}


def _step(step: Any) -> Step:
    given = _given(step)
    try:
        return Step(
            dict(given["state"]),
            given["action"],
            str(given.get("outcome", "")),
            float(given.get("cost", 0.0)),
            float(given.get("latency", 0.0)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ForeignRecordError(
            f"{step!r:.80} is no step, which has a mapping as state, an action, and numbers as cost and latency: "
            f"{error!r}"
        ) from error


def _verdict(verdict: Any) -> Verdict:
    try:
        return Verdict(verdict)
    except ValueError:
        raise ForeignRecordError(f"{verdict!r} is no verdict: give {', '.join(Verdict)}") from None


def _is_plain(value: Any) -> bool:
    """Whether JSON holds it, and gives it back as it was."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int)
