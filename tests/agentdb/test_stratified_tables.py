"""Stratified tables against scipy, against all permutations, and against published formulas."""

from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact
from scipy.stats.contingency import odds_ratio

from lean_agentic.agentdb.stratified_tables import could_reach, tables
from tests.agentdb.made_trajectories import FEW

ROWS = st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), min_size=1, max_size=14)


def counted(rows):
    strata, follows, succeeded = (np.array(column) for column in zip(*rows, strict=True))
    return tables(strata, follows, succeeded)


def all_deals(rows):
    """Chance of each number of succeeding followers when the move is dealt out anew within strata."""
    ways = []
    for stratum in sorted({row[0] for row in rows}):
        outcomes = [row[2] for row in rows if row[0] == stratum]
        followers = sum(row[1] for row in rows if row[0] == stratum)
        ways.append([sum(outcomes[at] for at in chosen) for chosen in combinations(range(len(outcomes)), followers)])
    sums = [sum(deal) for deal in product(*ways)]
    return {value: sums.count(value) / len(sums) for value in set(sums)}


@FEW
@given(ROWS.filter(lambda rows: len({row[0] for row in rows}) == 1))
def test_one_stratum_is_fishers_exact_test(rows):
    found = counted(rows)
    table = [[sum(row[1] is a and row[2] is b for row in rows) for b in (True, False)] for a in (True, False)]
    assert found.p_value() == pytest.approx(fisher_exact(table).pvalue)


@FEW
@given(ROWS)
def test_strata_are_dealt_anew_each_by_itself(rows):
    chances = all_deals(rows)
    seen = sum(row[1] and row[2] for row in rows)
    reaching = {
        value: sum(c for c in chances.values() if c <= chance * (1 + 1e-9)) for value, chance in chances.items()
    }
    found = counted(rows)
    assert found.p_value() == pytest.approx(reaching[seen])
    assert found.least_p_value() == pytest.approx(min(reaching.values()))


@FEW
@given(ROWS)
def test_the_difference_is_the_weighted_mean_of_those_within_strata(rows):
    parts = []
    for stratum in {row[0] for row in rows}:
        with_it = [row[2] for row in rows if row[0] == stratum and row[1]]
        without = [row[2] for row in rows if row[0] == stratum and not row[1]]
        if with_it and without:
            weight = len(with_it) * len(without) / (len(with_it) + len(without))
            parts.append((weight, np.mean(with_it) - np.mean(without)))
    found = counted(rows).difference()
    if parts:
        weights, gaps = zip(*parts, strict=True)
        assert found == pytest.approx(np.average(gaps, weights=weights))
    else:
        assert np.isnan(found)


def test_log_odds_approach_the_sample_odds_ratio_and_shrink_to_none():
    rows = [(0, True, True)] * 300 + [(0, True, False)] * 100 + [(0, False, True)] * 200 + [(0, False, False)] * 400
    sample = odds_ratio([[300, 100], [200, 400]], kind="sample").statistic
    assert counted(rows).log_odds() == pytest.approx(np.log(sample), abs=0.03)
    assert counted([(0, True, True)]).log_odds() == 0
    assert 0 < counted([(0, True, True), (0, False, False)]).log_odds() < np.log(10)


def test_informative_strata_have_both_of_both():
    rows = [(0, True, True), (0, False, False), (1, True, True), (1, True, False), (2, True, True), (2, False, True)]
    assert counted(rows).informative == 1


def test_many_strata_are_added_up_exactly():
    # 200 pairs in which exactly one follows and exactly one succeeds: a binomial of 200 fair coins.
    rows = [(at, True, at < 120) for at in range(200)] + [(at, False, at >= 120) for at in range(200)]
    expected = sum(comb(200, k) for k in range(201) if abs(k - 100) >= 20) / 2**200
    assert counted(rows).p_value() == pytest.approx(expected, rel=1e-9)


def test_what_could_never_be_significant_is_no_test():
    # Tarone's rule by hand: at .05 the first correction that leaves no more tests than its factor is 2.
    least = [0.001, 0.02, 0.04, 0.2, 1.0]
    assert could_reach(least, 0.05).tolist() == [True, True, False, False, False]
    assert could_reach([0.5, 1.0], 0.05).tolist() == [False, False]
    assert could_reach([], 0.05).tolist() == []
