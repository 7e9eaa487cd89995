"""The boundary between compiled code and Python (C, `native/`).

In: addresses of machine code with descriptors of what goes in and out (`layout`). Out: callables. Each `Code` calls the
methods of its handler where its machine code has no answer.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from lean_agentic.jit_runtime.layout import Descriptor

class Handler(Protocol):
    """Answers for what compiled code cannot do."""

    def mismatch(self, arguments: tuple[Any, ...], /) -> Any:
        """The result of a call whose arguments are not of the compiled types."""
    def stale(self, arguments: tuple[Any, ...], /) -> Any:
        """The result of a call for which a guard did not hold."""
    def passed(self, number: int, error: BaseException, /) -> Any:
        """Told when an exception passes through a compiled caller."""
    def on_exit(self, number: int, state: tuple[Any, ...], /) -> Any:
        """The result of an exit: of the procedure (LEAVE, POLL), of the operation (ASK), or `GO_ON` (POLL)."""

class Sentinel:
    """A value that stands for itself."""

UNBOUND: Sentinel
"""In the state of an exit: a local that has no value."""
MISSING: Sentinel
"""In a guard: the name was not there."""
GO_ON: Sentinel
"""From a handler at a poll: the compiled code goes on. It also withdraws the request for an upgrade."""

RUNTIME_NAMES: tuple[str, ...]
"""Names of the runtime functions, in the order of the table that compiled code calls through."""

FAST_SQUARES: int
"""1 where squares can be found without `pow` and be its bits all the same (`native/runtime.c` has the condition)."""

ExitDescriptor = (
    tuple[int, Sequence[Descriptor], Descriptor]
    | tuple[int, Sequence[Descriptor], Descriptor, bool]
    | tuple[int, Sequence[Descriptor], Descriptor, bool, bool]
)
"""Mode (`lir.Mode`), layouts of the state, layout of the result; True when the exit's procedure is only called from
Python, so that no compiled code goes on after a LEAVE: the handler's result is then returned as it is; True when it is
behind a call: an exception that passes through there goes to `passed`."""

class Code:
    """Compiled code as a callable; takes its arguments by position.

    Parameters
    ----------
    address : int
        Of `int32_t entry(Context *, const Slot *in, Slot *out)`.
    parameters, result
        Layouts of what goes in and out.
    exits
        By number.
    handler
        Asked on a type mismatch, a stale guard and at exits.
    guards
        ("dict", dict, key, expected), ("cell", cell, expected), ("default", function, attribute name, expected),
        ("code", function, code object); compared by identity, `MISSING` for what is not there.
    name
        For messages.
    owner
        Kept alive as long as the code, usually the memory at `address`.
    lists
        Layouts by the number that `list_new` is given.
    """

    def __init__(
        self,
        address: int,
        parameters: Sequence[Descriptor],
        result: Descriptor,
        exits: Sequence[ExitDescriptor],
        handler: Handler,
        guards: Sequence[tuple[Any, ...]],
        name: str,
        owner: object,
        lists: Sequence[Descriptor] = ...,
    ) -> None: ...
    def __call__(self, *arguments: Any) -> Any: ...
    def request_upgrade(self) -> None:
        """Have the handler called at polls of running calls, until one answers `GO_ON`."""
    def set_next(self, code: Code | None, /) -> None:
        """Set the code that is tried when the argument types are not this one's; None asks the handler.

        Raises ValueError if the codes would follow each other in a ring.
        """
    def recent(self) -> list[tuple[int, int]]:
        """Conversion and native nanoseconds of the latest calls with lists."""
    def set_guards(self, guards: Sequence[tuple[Any, ...]], /) -> None:
        """Replace the guards."""
    release_gil: bool
    """Whether calls let the GIL go at once (False at first: calls let it go when they turn out to be long). It costs
    about 0.1 us. Code that takes or gives lists keeps the GIL until then all the same."""
    @property
    def name(self) -> str:
        """Name of the function."""
    @property
    def handler(self) -> Handler:
        """Who answers."""
    @property
    def owner(self) -> object:
        """What keeps the machine code in memory."""
    @property
    def calls(self) -> int:
        """Calls that reached the machine code."""
    @property
    def exits_taken(self) -> int:
        """How often the handler was asked at an exit."""
    @property
    def conversion_ns(self) -> int:
        """Nanoseconds spent on lists that came in and went out."""
    @property
    def native_ns(self) -> int:
        """Nanoseconds in machine code and its exits, measured in calls with lists and counted in long ones."""

class CodeMemory:
    """Executable memory, unmapped when freed; `len` is its size in bytes."""

    @property
    def address(self) -> int:
        """Where it lies, at the start of a page."""
    def __len__(self) -> int: ...

def map_code(code: bytes | bytearray | memoryview, /) -> CodeMemory:
    """Copy machine code into memory that is executable and no longer writable."""

def runtime_addresses() -> dict[str, int]:
    """Address of each runtime function."""
