"""Fingerprints tell apart what Python tells apart."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from lean_agentic.kernel import Ending, Outcome, fingerprint


def test_values_that_compare_equal_and_are_not_the_same() -> None:
    values = [
        1,
        True,
        1.0,
        np.int64(1),
        np.float64(1),
        np.bool_(1),
        (1,),
        [1],
        np.array([1]),
        np.array(1),
        None,
        1 + 0j,
    ]
    for left, right in combinations(values, 2):
        assert fingerprint(left) != fingerprint(right)
    assert fingerprint(0.0) != fingerprint(-0.0)


def test_all_nans_are_one() -> None:
    assert fingerprint(float("nan")) == fingerprint(-float("nan"))


def test_which_lists_are_the_same_object() -> None:
    shared = [1]
    assert fingerprint((shared, shared)) != fingerprint(([1], [1]))


def test_exceptions_compare_by_type() -> None:
    index, value = (Outcome(Ending.RAISED, exception=kind("text")) for kind in (IndexError, ValueError))
    assert index.fingerprint != value.fingerprint
    assert index.fingerprint == Outcome(Ending.RAISED, exception=IndexError("other text"), steps=5).fingerprint
