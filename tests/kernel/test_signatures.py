"""Parameters read from code objects against `inspect.signature`."""

from __future__ import annotations

import inspect

import pytest

from lean_agentic.kernel import function_from_source
from lean_agentic.kernel.signatures import NO_DEFAULT, bound_arguments, parameters_of, takes_any

HEADS = ["", "x", "x, y=2", "x, /, y", "x, *, k, m=3", "x=1, *, k", "*a, k=1", "x, **named"]


@pytest.mark.parametrize("head", HEADS)
def test_parameters_are_those_of_the_signature(head: str) -> None:
    function = function_from_source(f"def f({head}):\n    local = 1\n    return local\n")
    expected = inspect.signature(function).parameters.values()
    many = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    assert [tuple(each) for each in parameters_of(function)] == [
        (each.name, NO_DEFAULT if each.default is each.empty else each.default, each.kind is each.KEYWORD_ONLY)
        for each in expected
        if each.kind not in many
    ]
    assert takes_any(function) == any(each.kind in many for each in expected)


@pytest.mark.parametrize("head", [head for head in HEADS if "a," not in head and "named" not in head])
@pytest.mark.parametrize("positional", [[], [1], [1, 2], [1, 2, 3]])
@pytest.mark.parametrize("keywords", [{}, {"k": 5}, {"y": 6}])
def test_arguments_are_bound_as_by_the_signature(head: str, positional: list[int], keywords: dict[str, int]) -> None:
    function = function_from_source(f"def f({head}):\n    return 1\n")
    try:
        expected = inspect.signature(function).bind(*positional, **keywords).arguments
    except TypeError:
        with pytest.raises(TypeError):
            bound_arguments(function, positional, keywords)
    else:
        assert bound_arguments(function, positional, keywords) == expected
