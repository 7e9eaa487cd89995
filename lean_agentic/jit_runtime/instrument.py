"""Code objects that take the place of a user's: one that counts and can be left in mid-loop, one that only forwards.

In: the user's code and what is to be called. Out: code with the same name, signature and lines. Profiled code is the
user's bytecode with a prefix that takes an item from an iterator at each call, about 6 ns, and a handler behind the end
that costs nothing: an exception of the class `Transfer`, which only the sampler raises, makes the call go on with what
`resume` returns. The body is not touched, so its loops run at full speed.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType
from typing import Any

from lean_agentic.jit_runtime import bytecode
from lean_agentic.jit_runtime.bytecode import Handler, instructions

_UNSUITED = (
    inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
    | inspect.CO_ITERABLE_COROUTINE
    | inspect.CO_VARARGS
    | inspect.CO_VARKEYWORDS
)
_STACK = 8


class Transfer(BaseException):
    """Raised in a frame of profiled code to make it go on elsewhere. It never leaves that frame."""


class Site:
    """The last constant of code that the sampler is to see. `owner` is the tiered function's state.

    The garbage collector does not look into code objects, so nothing that leads back to the code may hang on one.
    """

    __slots__ = ("_owner", "tier")

    def __init__(self, owner: Any, tier: int) -> None:
        self._owner = weakref.ref(owner)
        self.tier = tier

    @property
    def owner(self) -> Any:
        """None when the function is gone and only this call of it is left."""
        return self._owner()


def why_unsuited(code: CodeType) -> str:
    """Why code can be neither profiled nor forwarded, or ""."""
    if not bytecode.SUPPORTED:
        return "profiling needs CPython 3.11"
    if code.co_flags & _UNSUITED:
        return "generators, coroutines and functions with *args or **kwargs are not taken"
    if code.co_exceptiontable:
        return "try and with are outside the kernel language"
    return ""


def profiled(
    code: CodeType,
    counter: Iterator[None],
    resume: Callable[[], Any],
    clean: Callable[[BaseException], None],
    site: Site,
) -> CodeType:
    """The user's code, counting its calls.

    Parameters
    ----------
    code : code
        For which `why_unsuited` has no reason.
    counter : iterator
        Asked for an item at the beginning of each call.
    resume : callable
        Gives the result of a call that a `Transfer` was raised in.
    clean : callable
        Told the exceptions of `resume` before they leave the frame.
    site : Site
        For the sampler.
    """
    first = len(code.co_consts)
    prefix = instructions(("LOAD_CONST", first), ("FOR_ITER", 2), "POP_TOP", "POP_TOP")
    suffix, handlers = _transfer_handler(first + 1)
    raw = code.co_code
    at = bytecode.body_start(raw)
    cut = bytecode.split_lines(code.co_linetable, at)
    raw = raw[:at] + prefix + raw[at:]
    lines = code.co_linetable[:cut] + bytecode.no_lines(len(prefix)) + code.co_linetable[cut:]
    delta = code.co_firstlineno - bytecode.last_line(code)
    end = len(raw)
    moved = [Handler(0, end, end, 0)]
    moved += [Handler(end + start, end + stop, end + target, depth) for start, stop, target, depth in handlers]
    return code.replace(
        co_code=raw + suffix,
        co_linetable=lines + bytecode.one_line(len(suffix), delta),
        co_exceptiontable=bytecode.exception_table(moved),
        co_consts=(*code.co_consts, counter, Transfer, resume, clean, site),
        co_stacksize=max(code.co_stacksize, _STACK),
    )


def prefix_size(code: CodeType) -> int:
    """Bytes that `profiled` puts before the user's body."""
    return len(instructions(("LOAD_CONST", len(code.co_consts)), ("FOR_ITER", 2), "POP_TOP", "POP_TOP"))


def trampoline(code: CodeType, target: Any, clean: Callable[[BaseException], None], site: Site) -> CodeType:
    """Code with the user's signature that returns `target(*parameters)`; `clean` is told of exceptions."""
    count = code.co_argcount + code.co_kwonlyargcount
    call = instructions(
        "RESUME", "PUSH_NULL", ("LOAD_CONST", 1), *(("LOAD_FAST", k) for k in range(count)),
        ("PRECALL", count), ("CALL", count), "RETURN_VALUE",
    )  # fmt: skip
    cleaning, inner = _cleaning(2)
    end = len(call)
    handlers = [Handler(0, end, end, 0), Handler(end + inner.start, end + inner.end, end + inner.target, inner.depth)]
    return code.replace(
        co_code=call + cleaning,
        co_linetable=bytecode.one_line(len(call) + len(cleaning), 0),
        co_exceptiontable=bytecode.exception_table(handlers),
        co_consts=(None, target, clean, site),
        co_names=(),
        co_varnames=code.co_varnames[:count],
        co_cellvars=(),
        co_nlocals=count,
        co_stacksize=count + _STACK,
    )


@cache
def _transfer_handler(first: int) -> tuple[bytes, tuple[Handler, ...]]:
    """For an exception of the body: if it is a Transfer (constant `first`) return what the constant behind it gives."""
    again = instructions(("SWAP", 2), "POP_EXCEPT", ("RERAISE", 1))
    resumed = instructions(
        "POP_TOP", "POP_EXCEPT", "POP_TOP",
        "PUSH_NULL", ("LOAD_CONST", first + 1), ("PRECALL", 0), ("CALL", 0), "RETURN_VALUE",
    )  # fmt: skip
    test = instructions("PUSH_EXC_INFO", ("LOAD_CONST", first), "CHECK_EXC_MATCH")
    test += instructions(("POP_JUMP_FORWARD_IF_FALSE", len(resumed) // bytecode.UNIT))
    begin = len(test)
    cleaning, inner = _cleaning(first + 2)
    cleaner = begin + len(resumed) + len(again)
    handlers = (
        Handler(begin, begin + len(resumed), cleaner, 0),
        Handler(cleaner + inner.start, cleaner + inner.end, cleaner + inner.target, inner.depth),
    )
    return test + resumed + again + cleaning, handlers


@cache
def _cleaning(constant: int) -> tuple[bytes, Handler]:
    """For an exception: tell the function that is the constant, and raise it again."""
    tell = instructions(
        "PUSH_NULL", ("LOAD_CONST", constant), ("COPY", 3), ("PRECALL", 1), ("CALL", 1), "POP_TOP",
    )  # fmt: skip
    begin = instructions("PUSH_EXC_INFO")
    again = instructions(("SWAP", 2), "POP_EXCEPT", ("RERAISE", 1))
    failed = instructions(("COPY", 3), "POP_EXCEPT", ("RERAISE", 1))
    whole = begin + tell + again + failed
    return whole, Handler(len(begin), len(begin) + len(tell), len(begin + tell + again), 2)
