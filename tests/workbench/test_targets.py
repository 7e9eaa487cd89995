"""The targets: the specification's figures, in its order, each judged on the right side of its bound."""

import re

import pytest

from lean_agentic.workbench.targets import TARGET_BY_ID, TARGETS

SPECIFICATION = {
    "vector_search_p99": (9.99, 10),
    "vector_search_qps": (1000, 999.9),
    "vector_search_recall": (95, 94.99),
    "vector_memory": (1.4, 1.41),
    "inference_latency": (99.9, 100),
    "vectorisation_speedup": (10, 9.99),
    "mutation_score": (90, 89.99),
    "tier1_compile": (5, 5.01),
    "tier1_speedup": (5, 4.99),
    "tier2_compile": (50, 50.1),
    "tier2_speedup": (20, 19.9),
    "tier3_compile": (500, 501),
    "tier3_speedup": (50, 49.9),
    "long_call_speedup": (10, 9.9),
    "time_to_result": (1.2, 1.21),
    "steady_over_numba": (1, 0.99),
    "steady_over_pypy": (3, 2.99),
    "cost_savings": (30, 29.99),
    "cost_variance": (4.99, 5),
}
"""Target -> (a value that just meets it, one that just does not), read from the specification's words."""


def test_rows_are_the_specifications_in_its_order():
    assert [target.id for target in TARGETS] == list(SPECIFICATION)


@pytest.mark.parametrize("name", SPECIFICATION)
def test_bound_is_judged_from_the_right_side(name):
    good, bad = SPECIFICATION[name]
    assert TARGET_BY_ID[name].met_by(good)
    assert not TARGET_BY_ID[name].met_by(bad)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.id)
def test_bound_is_a_figure_of_the_specifications_words(target):
    words = target.wanted.replace("1K", "1000")
    assert target.bound in [float(figure) for figure in re.findall(r"\d+(?:\.\d+)?", words)]
    assert target.strict == words.startswith("<")
