"""On-stack replacement: a call that is under way goes on in compiled code, from CPython and from a lower tier.

In: frames of profiled code seen by the sampler, polls of compiled code. Out: the rest of the call run by a compiled
continuation (Hölzle and Ungar, OOPSLA 1994, and Fink and Qian, CGO 2003, describe the technique).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from lean_agentic.jit_runtime import demotion, promotion
from lean_agentic.jit_runtime.argument_types import type_of
from lean_agentic.jit_runtime.entering import Entry, LoopHeads, NoEntryError, entry
from lean_agentic.jit_runtime.errors import NotCompiledError
from lean_agentic.jit_runtime.instrument import Transfer
from lean_agentic.jit_runtime.policy import MOVE
from lean_agentic.jit_runtime.profile import parameters
from lean_agentic.jit_runtime.sampler import sampler
from lean_agentic.jit_runtime.versions import observed
from lean_agentic.kernel.continuation import continuation
from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.types import Type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lean_agentic.jit_runtime.backend import CompiledCode
    from lean_agentic.jit_runtime.exit_points import ExitPoint
    from lean_agentic.jit_runtime.tiered import TieredFunction
    from lean_agentic.jit_runtime.versions import ContinuationKey, Version

_MOST_ATTEMPTS = 50
_FEWEST_LOOKS = 960
_LOOKS_PER_MS = 500
"""At 100 ns a look, a twentieth of the time."""
_SHARE = 0.5
"""Share of a compile's cost after which a call is moved: what has run long mostly runs as long again, and what is
lowered for the move serves later calls as well."""


@dataclass
class _Seen:
    """How long one call has been seen running."""

    frame: int
    calls: int = 0
    """Calls of the function that had begun: a later call may get the same frame."""
    milliseconds: float = 0.0
    sightings: int = 1
    attempts: int = 0
    next_chase: float = 0.0
    """Milliseconds before which no point to enter at is looked for again."""


_transfers: dict[int, tuple[Replacement, Version, CompiledCode, list[Any]]] = {}
"""By thread: what the call is to go on with that a `Transfer` has been raised in."""


def resume() -> Any:
    """The result of a call that a `Transfer` was raised in; called in its frame."""
    replacement, version, compiled, values = _transfers.pop(threading.get_ident())
    return replacement.run_code(version, compiled, values)


class Replacement:
    """The calls of one function that are moved while they run."""

    def __init__(self, function: TieredFunction) -> None:
        self._function = function
        self._seen = _Seen(0)
        self._running: dict[int, tuple[Version, CompiledCode]] = {}
        self._awaiting: set[CompiledCode] = set()
        """Code whose running call waits for a continuation that is being compiled."""
        self._heads: LoopHeads | None = None
        self._compiled = 0
        self.entries = 0
        """Calls that were moved from CPython."""
        self.upgrades = 0
        """Calls that were moved between tiers."""
        self.last_obstacle = ""

    def seen(self, frame: FrameType, milliseconds: float) -> None:
        """A call was seen running in CPython."""
        calls = self._function.profile.calls
        if self._seen.frame == id(frame) and self._seen.calls == calls:
            self._seen.milliseconds += milliseconds
            self._seen.sightings += 1
        else:  # it began somewhere between two samples
            self._seen = _Seen(id(frame), calls, milliseconds / 2)

    def is_worth_while(self, frame: FrameType) -> bool:
        """Whether the call in a frame has run for longer than compiling the rest of it will take."""
        function, seen = self._function, self._seen
        if not function.config.on_stack_replacement or seen.frame != id(frame) or seen.attempts >= _MOST_ATTEMPTS:
            return False
        if seen.milliseconds < seen.next_chase:
            return False
        if any(version.continuations for version in function.versions):  # probably nothing has to be compiled
            return True
        if seen.sightings < 2 and function.config.patience:
            return False
        cost = _SHARE * function.runtime.costs.estimate(MOVE, function.size)
        return seen.milliseconds >= function.config.patience * cost and function.runtime.is_ready(1)

    def looks(self) -> int:
        """Looks for a point to enter at. They take a small share of the call's time, and the more at once the longer it
        runs, because in a loop that calls others such points may be rare."""
        self._seen.next_chase = 2 * self._seen.milliseconds
        return max(_FEWEST_LOOKS, int(_LOOKS_PER_MS * self._seen.milliseconds))

    def enter(self, frame: FrameType) -> None:
        """Move the call in a frame that stands at a backward jump, by raising `Transfer` in it.

        Returns normally when this point cannot be entered.
        """
        self._seen.attempts += 1
        begun, known = time.perf_counter(), self._compiled
        try:
            with sampler.paused():
                version, point = self._point(frame)
                compiled = self._continuation(version, version.kernel, point.statement, point.values, 1)
        except (NoEntryError, UnsupportedError, NotCompiledError) as error:
            self.last_obstacle = str(error)
            return
        except RecursionError:
            return
        except Exception as error:
            demotion.defect(self._function, error)
            return
        values = [point.values[parameter.name] for parameter in compiled.kernel.entry.parameters]
        _transfers[threading.get_ident()] = (self, version, compiled, values)
        self.entries += 1
        if self._compiled > known:
            self._function.runtime.costs.learn(MOVE, version.size, 1e3 * (time.perf_counter() - begun))
            self._function.moved()
        self._function.profile.note_trips(point.line, point.trips)
        self._function.event(
            "osr", action=f"enter tier {compiled.tier}", outcome=f"line {point.line}", cost=compiled.compile_ms,
            types=version.types,
        )  # fmt: skip
        raise Transfer

    def _point(self, frame: FrameType) -> tuple[Version, Entry]:
        """The version for a call that is under way, and where it stands. A parameter may have changed since the call
        began, which is no matter: the version is only lowered here, and the continuation has types of its own."""
        version = self._version(tuple(map(type_of, parameters(frame).values())))
        if self._heads is None or self._heads.code is not frame.f_code:
            self._heads = LoopHeads(frame.f_code, version.kernel.sources[version.kernel.entry.name].loops)
        if not version.kernel.is_current():
            raise NoEntryError("an outside value has changed")
        return version, entry(frame, version.kernel, self._heads)

    def _version(self, types: tuple[Type, ...]) -> Version:
        function = self._function
        try:
            return promotion.lowered_version(function, types)
        except UnsupportedError as error:
            if function.keeps_parameters:  # these are the types of the call, then
                demotion.refuse(function, types, error)
            self._seen.attempts += _MOST_ATTEMPTS // 3
            raise

    def _continuation(
        self, version: Version, kernel: Any, statement: int, values: Mapping[str, Any], tier: int
    ) -> CompiledCode:
        types = {name: type_of(value) for name, value in values.items()}
        key: ContinuationKey = (statement, tuple(types.items()), tier)
        if key not in version.continuations:
            rest = continuation(kernel, statement, types=types)
            made = promotion.compile_kernel(self._function, version, rest, tier, observed(values))
            version.continuations[key] = made
            self._compiled += 1
        return version.continuations[key]

    def run(self, version: Version, arguments: Sequence[Any]) -> Any:
        """A call of a version that does not come through its own trampoline."""
        return self.run_code(version, version.tiers[version.tier], arguments)

    def run_code(self, version: Version, compiled: CompiledCode, values: Sequence[Any]) -> Any:
        """Run compiled code where the watcher can see it."""
        thread = threading.get_ident()
        outer = self._running.get(thread)
        self._running[thread] = (version, compiled)
        try:
            return compiled.code(*values)
        finally:
            if outer is None:
                del self._running[thread]
            else:
                self._running[thread] = outer

    # From one tier to the next

    def still_running(self, thread: int, milliseconds: float) -> bool:
        """Whether a thread is in compiled code that was entered in mid-loop; if so, it has been there longer."""
        running = self._running.get(thread)
        if running is not None:
            self.long_call(*running, milliseconds)
        return running is not None

    def long_call(self, version: Version, compiled: CompiledCode, milliseconds: float) -> None:
        """A call has been in compiled code for long: have it ask for better code when that is paid for."""
        version.spent_ms[compiled.tier] = version.spent_ms.get(compiled.tier, 0.0) + milliseconds
        function, tier = self._function, compiled.tier + 1
        function.consider(version)
        if tier > function.config.max_tier or tier in version.refused:
            return
        cost = function.runtime.costs.estimate(tier, version.size)
        if compiled in self._awaiting:
            return
        if version.tier >= tier or version.spent_ms[compiled.tier] >= function.config.patience * cost:
            compiled.code.request_upgrade()

    def upgrade(self, version: Version, compiled: CompiledCode, point: ExitPoint, locals: dict[str, Any]) -> Any:
        """At a poll of a running call: its result, or GO_ON while there is no better code for this point."""
        from lean_agentic.jit_runtime._native import GO_ON

        tier = compiled.tier + 1
        try:
            types = {name: type_of(value) for name, value in locals.items()}
        except UnsupportedError:
            return GO_ON
        key: ContinuationKey = (point.statement, tuple(types.items()), tier)
        better = version.continuations.get(key)
        if better is None:
            self._order(version, compiled, types, key, observed(locals))
            return GO_ON
        self.upgrades += 1
        self._function.event("osr", action=f"enter tier {tier}", outcome="from a poll", types=version.types)
        values = [locals[parameter.name] for parameter in better.kernel.entry.parameters]
        return self.run_code(version, better, values)

    def _order(
        self,
        version: Version,
        compiled: CompiledCode,
        types: Mapping[str, Type],
        key: ContinuationKey,
        values: Mapping[str, Any],
    ) -> None:
        """Have a continuation compiled in the background, and have the running call ask again when it is there."""
        function, (statement, _, tier) = self._function, key
        if key in version.ordered or tier > function.config.max_tier:
            return
        version.ordered.add(key)
        self._awaiting.add(compiled)

        def job() -> None:
            try:
                rest = continuation(compiled.kernel, statement, types=types)
                version.continuations[key] = promotion.compile_kernel(function, version, rest, tier, values)
            except (UnsupportedError, NotCompiledError) as error:
                self.last_obstacle = str(error)
                return
            except Exception as error:
                version.refused[tier] = f"a defect of the compiler, {type(error).__name__}: {error}"
                raise
            finally:
                self._awaiting.discard(compiled)
            compiled.code.request_upgrade()

        function.runtime.submit(job)
