"""What competes with tier 3: the same code with loops on threads, and Numba; Numba also where the kernel language ends.

In: a tiered function, in a background thread. Out: a contest on the calls as they come, whose winner stays. Each is
asked only when the configuration wants it, Numba only for what is proved to give CPython's results (`numba_engine`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lean_agentic.jit_runtime.contest import Contest
from lean_agentic.jit_runtime.errors import NotCompiledError
from lean_agentic.jit_runtime.guards import native_guards
from lean_agentic.jit_runtime.instrument import Site
from lean_agentic.kernel.types import Type

if TYPE_CHECKING:
    from lean_agentic.jit_runtime.tiered import TieredFunction
    from lean_agentic.jit_runtime.versions import Version


def beside_cpython(function: TieredFunction, types: tuple[Type, ...]) -> None:
    """Let Numba compete for a function that stays in CPython."""
    from lean_agentic.jit_runtime.numba_engine import numba_version  # importing Numba takes long

    interpreted = function.switch.interpreted
    try:
        made = numba_version(function.switch.original, types, otherwise=interpreted)
    except NotCompiledError as error:
        function.rival = f"not asked: {error.reason}"
        return

    def decided(contest: Contest) -> None:
        function.rival = str(contest.verdict)
        if contest.winner is not interpreted:
            return
        function.contest = None
        if function.blocked is not None:
            function.switch.to_original()
        else:
            function.start_again()

    contest = Contest(interpreted, made, ("CPython", "Numba"), decided=decided)
    with function.lock:
        if not any(version.tiers for version in function.versions):
            function.rival, function.contest = "being compared with CPython", contest
            function.switch.to(contest, function.site)


def challenge_tier_3(function: TieredFunction, version: Version) -> None:
    """Begin the contests that the configuration asks for, one after the other."""
    if not (function.config.parallel and threads_beside_tier_3(function, version)) and function.config.numba:
        beside_tier_3(function, version)


def threads_beside_tier_3(function: TieredFunction, version: Version) -> bool:
    """Let loops on threads compete with a version's code of tier 3; whether there are such loops."""
    code = version.code
    made = function.runtime.backend.on_threads(version.kernel, version, version.observed, version.speculate)
    if made is None:
        function.threads = "no loop whose iterations are proved independent"
        return False
    made.code.set_guards(native_guards(version.kernel))

    def decided(contest: Contest) -> None:
        function.threads = str(contest.verdict)
        with function.lock:
            if version.code is not code:
                return
            if contest.winner is not code:
                version.tiers[3] = made
        function.install(version)
        if function.config.numba:
            function.runtime.submit(lambda: beside_tier_3(function, version))

    contest = Contest(code, made.code, ("one thread", "threads"), decided=decided)
    with function.lock:
        if function.blocked is None and version in function.versions and version.code is code:
            function.threads = "being compared with one thread"
            function.switch.to(contest, Site(version, 3))
    return True


def beside_tier_3(function: TieredFunction, version: Version) -> None:
    """Let Numba compete with a version's code of tier 3."""
    from lean_agentic.jit_runtime.numba_engine import numba_rival

    compiled: Any = version.tiers[3]
    code = version.code
    try:
        made = numba_rival(version.kernel, compiled.facts, otherwise=code)
    except NotCompiledError as error:
        function.rival = f"not asked: {error.reason}"
        return

    def decided(contest: Contest) -> None:
        function.rival = str(contest.verdict)
        if contest.winner is code:
            function.install(version)

    contest = Contest(code, made, ("ours", "Numba"), decided=decided)
    with function.lock:
        if function.blocked is None and version in function.versions and version.code is code:
            function.rival = "being compared with tier 3"
            function.switch.to(contest, Site(version, 3))
