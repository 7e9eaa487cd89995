"""The rest of a procedure from a statement on, as a kernel: how execution enters compiled code in the middle.

In: a kernel, a statement, and the types of the locals that have a value there (on-stack replacement; the value of a
failed operation that is known after all). Out: a kernel whose parameters are those locals.
"""

from __future__ import annotations

from collections.abc import Mapping

from lean_agentic.kernel.ir import Parameter, walk
from lean_agentic.kernel.kernel import Kernel
from lean_agentic.kernel.program import Program, Source
from lean_agentic.kernel.resume import rest_of
from lean_agentic.kernel.types import NEVER, Type


def continuation(kernel: Kernel, statement_id: int, *, behind: bool = False, types: Mapping[str, Type]) -> Kernel:
    """What is left to do from a statement on, for given types of the locals.

    Parameters
    ----------
    kernel : Kernel
        It may be a continuation itself.
    statement_id : int
        A statement of any of its procedures.
    behind : bool
        Whether the statement itself has been done.
    types : mapping of str to Type
        The locals that have a value; all live ones that have one must be among them. They become the parameters, in
        this order, with these types, but for the half-built list of a comprehension, whose type is widened by what
        will be appended.

    Returns
    -------
    Kernel
        Statements keep their ids where they appear once; `origin` has the source of copies. Its guards are those of
        the kernel, and more where other callees are reached.

    Raises
    ------
    KeyError
        If no statement has the id.
    UnsupportedError
        If an operation is not taken for these types.
    """
    name = procedure_of(kernel, statement_id)
    source = kernel.sources[name]
    body, copies = rest_of(source.body, statement_id, behind, kernel.ids, types.keys())
    parameters = tuple(Parameter(each, NEVER) for each in types)
    program = Program(kernel.ids, kernel.sources, renumber=[source.function])
    entry = f"{name} {'behind' if behind else 'at'} {statement_id}"
    rest = Source(source.function, parameters, body, source.callees, whole=False)
    program.solve_source(entry, rest, tuple(types.values()))
    return Kernel(
        source.function, program.typed[entry], program.procedures, (*kernel.guards, *program.guards), program.sources,
        kernel.ids, kernel.last_lowered, _origin(kernel, {**copies, **program.origin}), statement_id,
    )  # fmt: skip


def _origin(kernel: Kernel, copies: Mapping[int, int]) -> Mapping[int, int]:
    """The lowered statement behind each copy; statements that a continuation made have none."""
    first = {new: kernel.origin.get(old, old) for new, old in copies.items()}
    return {**kernel.origin, **{new: old for new, old in first.items() if old <= kernel.last_lowered}}


def procedure_of(kernel: Kernel, statement_id: int) -> str:
    """The name of the procedure that holds a statement, one that types say is never reached included.

    Raises
    ------
    KeyError
        If there is none.
    """
    if statement_id in kernel.statements:
        return kernel.statements[statement_id][0].name
    for name, source in kernel.sources.items():
        if any(each.id == statement_id for each in walk(source.body)):
            return name
    raise KeyError(f"the kernel {kernel!r} has no statement {statement_id}")
