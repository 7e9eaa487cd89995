from __future__ import annotations

from dataclasses import fields, replace

import pytest

from lean_agentic.agentdb.consolidation_policy import ConsolidationPolicy, Removal, Scope
from lean_agentic.agentdb.decay import DAY, seconds_until

POLICY = ConsolidationPolicy()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("similarity", 0), ("similarity", 1.1), ("min_points", 1), ("neighbours", 0), ("reach", 0),
        ("most_absorbed", 0), ("coverage", 0), ("most_characters", 0), ("half_life", 0), ("half_life", float("inf")),
        ("absorb_below", -1), ("empty_below", -1), ("delete_below", 0.6), ("removal", "burn"), ("scope", "planet"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=str(value).split(".")[0]):
        ConsolidationPolicy(**{field: value})  # type: ignore[arg-type]


def test_names_become_members() -> None:
    policy = ConsolidationPolicy(removal="delete", scope="session")  # type: ignore[arg-type]
    assert (policy.removal, policy.scope) == (Removal.DELETE, Scope.SESSION)


def test_the_key_is_of_what_decides_the_clusters() -> None:
    changed = {
        "similarity": 0.8, "min_points": 3, "neighbours": 9, "scope": Scope.SESSION, "absorb_below": 0.1, "reach": 1,
        "most_absorbed": 5, "empty_below": 0.1, "coverage": 0.5, "most_characters": 9, "half_life": 9.0,
        "weak_below": 0.4, "removal": Removal.DELETE, "delete_below": 0.01,
    }  # fmt: skip
    assert set(changed) == {field.name for field in fields(ConsolidationPolicy)}
    same = {name for name, value in changed.items() if replace(POLICY, **{name: value}).key == POLICY.key}  # type: ignore[arg-type]
    assert same == {"half_life", "weak_below", "removal", "delete_below"}


def test_the_days_in_the_documentation() -> None:
    assert seconds_until(POLICY.weak_below) == 30 * DAY
    assert round(seconds_until(POLICY.delete_below) / DAY) == 130
