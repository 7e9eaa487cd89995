from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.agentdb.false_discovery import Procedure, adjusted_p_values, discoveries

PUBLISHED = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
]  # fmt: skip
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def largest_step(p_values: list[float], rate: float, factor: float) -> set[int]:
    """The procedure as its authors state it: the largest k with p_(k) <= k rate / (m factor), then all up to it."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    k = max(
        (k for k in range(1, len(order) + 1) if p_values[order[k - 1]] * len(order) * factor <= k * rate), default=0
    )
    limit = p_values[order[k - 1]] if k else -1.0
    return {index for index, p in enumerate(p_values) if p <= limit}


def test_the_example_of_benjamini_and_hochberg_gives_their_four_discoveries() -> None:
    shuffled = np.random.default_rng(0).permutation(PUBLISHED)
    assert sorted(shuffled[discoveries(shuffled, 0.05)]) == PUBLISHED[:4]


@given(P_VALUES, st.floats(0.01, 0.5))
def test_discoveries_are_those_of_the_step_up_procedure(p_values: list[float], rate: float) -> None:
    found = {int(index) for index in np.flatnonzero(discoveries(p_values, rate))}
    # A p-value on the very edge may round to either side.
    assert largest_step(p_values, rate * (1 - 1e-9), 1) <= found <= largest_step(p_values, rate * (1 + 1e-9), 1)


@given(P_VALUES)
def test_yekutieli_multiplies_by_the_harmonic_number(p_values: list[float]) -> None:
    harmonic = sum(1 / k for k in range(1, len(p_values) + 1))
    plain = adjusted_p_values(p_values, Procedure.BENJAMINI_HOCHBERG)
    careful = adjusted_p_values(p_values, Procedure.BENJAMINI_YEKUTIELI)
    assert np.all(careful >= plain - 1e-12)
    small = careful < 1
    assert careful[small] == pytest.approx(plain[small] * harmonic)


@given(P_VALUES, st.integers(0, 5))
def test_tests_that_are_not_listed_count_as_certain_nulls(p_values: list[float], more: int) -> None:
    listed = adjusted_p_values(p_values + [1.0] * more)
    assert adjusted_p_values(p_values, tests=len(p_values) + more) == pytest.approx(listed[: len(p_values)])


def test_false_discoveries_stay_below_the_rate() -> None:
    rng = np.random.default_rng(7)
    false_share = []
    for _ in range(2000):
        null = rng.random(15)
        real = rng.beta(0.1, 8, 5)
        found = discoveries(np.concatenate([null, real]), 0.1)
        false_share.append(found[:15].sum() / max(found.sum(), 1))
    # Independent tests: the rate is exactly 15 / 20 of the nominal one.
    assert np.mean(false_share) == pytest.approx(0.075, abs=0.01)


def test_what_is_no_list_of_p_values_is_refused() -> None:
    with pytest.raises(ValueError, match="each in"):
        adjusted_p_values([0.1, np.nan])
    with pytest.raises(ValueError, match="cannot come from 1 tests"):
        adjusted_p_values([0.1, 0.2], tests=1)
    assert len(adjusted_p_values([])) == 0
