"""The parameters of a function, read from its code: `inspect.signature` takes as long as lowering a small one.

In: a plain function. Out: names, defaults and kinds, in the order of the signature, `*args` and `**kwargs` left out.
"""

from __future__ import annotations

from inspect import CO_VARARGS, CO_VARKEYWORDS, signature
from types import FunctionType
from typing import Any, NamedTuple

NO_DEFAULT: Any = object()


class Accepted(NamedTuple):
    """One parameter."""

    name: str
    default: Any
    """`NO_DEFAULT` where the call has to give it."""
    keyword_only: bool


def parameters_of(function: FunctionType) -> tuple[Accepted, ...]:
    """The named parameters of a function."""
    code, defaults, named = function.__code__, function.__defaults__ or (), function.__kwdefaults__ or {}
    positional = code.co_varnames[: code.co_argcount]
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    values = (NO_DEFAULT,) * (len(positional) - len(defaults)) + defaults
    return (
        *(Accepted(name, value, False) for name, value in zip(positional, values, strict=True)),
        *(Accepted(name, named.get(name, NO_DEFAULT), True) for name in keywords),
    )


def takes_any(function: FunctionType) -> bool:
    """Whether it takes `*args` or `**kwargs`."""
    return bool(function.__code__.co_flags & (CO_VARARGS | CO_VARKEYWORDS))


def bound_arguments(function: FunctionType, positional: list[Any], keywords: dict[str, Any]) -> dict[str, Any]:
    """The argument for each parameter that a call gives.

    Raises
    ------
    TypeError
        As the call would, also where a parameter without a default is not given.
    """
    parameters = parameters_of(function)
    names = [each.name for each in parameters if not each.keyword_only]
    given = dict(zip(names, positional, strict=False))
    missing = any(each.default is NO_DEFAULT and each.name not in given for each in parameters)
    if keywords or missing or len(positional) > len(names):
        return dict(signature(function).bind(*positional, **keywords).arguments)
    return given
