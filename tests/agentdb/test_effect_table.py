from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lean_agentic.agentdb.effect_table import EffectTable, codes, sample_of


def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "tool": [1, 0, 1, None, 0],
            "reward": [1.0, 0.0, np.nan, 1.0, 0.5],
            "task": ["a", "a", "b", "b", None],
            "level": [1, 2, 3, 4, 5],
        }
    )


def test_rows_with_an_unknown_action_or_outcome_are_dropped_and_counted() -> None:
    sample = sample_of(EffectTable(rows(), ("level",), group="task"), "tool", "reward")
    assert sample.treated.tolist() == [True, False, False]
    assert sample.outcome.tolist() == [1.0, 0.0, 0.5]
    assert sample.dropped == 2
    assert sample.rows["level"].tolist() == [1, 2, 5]
    assert sample.clusters.tolist() == [0, 0, 1]
    assert not sample.binary


def test_the_cluster_is_used_where_named_and_rows_where_nothing_is() -> None:
    frame = rows().assign(session=[7, 8, 7, 8, 7])
    clustered = EffectTable(frame, group="task", cluster="session")
    assert sample_of(clustered, "tool", "level").clusters.tolist() == [0, 1, 0, 0]
    assert sample_of(EffectTable(frame), "tool", "level").clusters.tolist() == [0, 1, 2, 3]


def test_what_a_table_cannot_mean_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no column \['size'\]; it has"):
        EffectTable(rows(), ("size",))
    with pytest.raises(ValueError, match="leave it out of the covariates"):
        EffectTable(rows(), ("task",), group="task")
    table = EffectTable(rows(), ("level",))
    with pytest.raises(ValueError, match="no column 'other'"):
        sample_of(table, "other", "reward")
    with pytest.raises(ValueError, match="adjusted for and asked about"):
        sample_of(table, "tool", "level")
    with pytest.raises(ValueError, match="must be 0 or 1"):
        sample_of(EffectTable(rows()), "level", "reward")
    with pytest.raises(ValueError, match="must hold numbers"):
        sample_of(EffectTable(rows()), "task", "reward")


def test_missing_values_are_a_value_of_their_own() -> None:
    frame = pd.DataFrame({"a": ["x", None, "x", None, "y"], "b": [1, 1, 1, 1, 1]})
    assert codes(frame, ["a", "b"]).tolist() == [0, 1, 0, 1, 2]


def test_the_repr_says_what_the_table_has() -> None:
    assert repr(EffectTable(rows(), ("level",), group="task")) == "EffectTable(5 rows, 1 covariates, groups by 'task')"
