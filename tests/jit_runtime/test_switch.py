from __future__ import annotations

import inspect
from itertools import repeat

from lean_agentic.jit_runtime.instrument import Site
from lean_agentic.jit_runtime.switch import Switch


def make():
    k = 10

    def function(a, b=2, *, c=3):
        """Doc."""
        return a + b + c + k

    return function


def test_the_code_goes_round_and_the_function_stays() -> None:
    function = make()
    code, signature = function.__code__, inspect.signature(function)
    switch, site = Switch(function), Site(function, 0)
    switch.profile(repeat(None), lambda: None, site)
    switch.to_profiled()
    assert function(1) == 16
    switch.to(lambda a, b, c: (a, b, c), site)
    assert function(1, c=5) == (1, 2, 5)
    assert inspect.signature(function) == signature
    assert switch.original(1) == 16
    assert switch.interpreted(1, 2, 3) == 16
    switch.to_original()
    assert function.__code__ is code
    assert function(1) == 16
    assert switch.user_function() is function
    assert switch.parameters == ("a", "b", "c")


def test_a_function_that_is_gone_is_left_alone() -> None:
    function = make()
    switch = Switch(function)
    del function
    switch.to_original()
    assert switch.user_function() is None
