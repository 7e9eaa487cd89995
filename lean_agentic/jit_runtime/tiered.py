"""`tiered`: a function that starts in CPython and is compiled, better and better, as its running time pays for it.

In: a plain function. Out: the same function object, whose `__code__` is exchanged: profiled bytecode in tier 0, then a
trampoline that calls compiled code. Callers, name, signature, defaults, methods and pickling see no difference. The
state lives in `function.__tiers__`; the user's own code stays in `function.__kernel_function__`, which is what is
lowered.
"""

from __future__ import annotations

import dis
import threading
from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from types import CodeType, FrameType, FunctionType
from typing import TYPE_CHECKING, Any

from lean_agentic.jit_runtime import demotion, events, promotion, replacement
from lean_agentic.jit_runtime.argument_types import type_of
from lean_agentic.jit_runtime.demotion import Refusal
from lean_agentic.jit_runtime.instrument import Site, why_unsuited
from lean_agentic.jit_runtime.profile import Profile
from lean_agentic.jit_runtime.sampler import sampler
from lean_agentic.jit_runtime.switch import Switch
from lean_agentic.jit_runtime.timeline import Timeline
from lean_agentic.jit_runtime.versions import Version
from lean_agentic.kernel.errors import UnsupportedError
from lean_agentic.kernel.types import Type

if TYPE_CHECKING:
    from lean_agentic.jit_runtime.backend import CompiledCode
    from lean_agentic.jit_runtime.exit_points import ExitPoint
    from lean_agentic.jit_runtime.runtime import JitRuntime

Types = tuple[Type, ...]
_CALLS_BEFORE_SWITCH = 8
"""Calls of another version than the trampoline's before the trampoline is changed."""
_BYTES_PER_STATEMENT = 10


class TieredFunction:
    """The state of one tiered function. `lock` guards changes of it and is never held while compiling or running."""

    def __init__(self, function: FunctionType, runtime: JitRuntime) -> None:
        self.runtime = runtime
        self.config = runtime.config
        self.name = function.__qualname__
        self.lock = threading.RLock()  # a sample or a signal handler may come while it is held
        self.versions: list[Version] = []
        self.refused: dict[Types, Refusal] = {}
        self.blocked: Refusal | None = None
        self.contest: Callable[..., Any] | None = None
        """Takes the calls that tier 0 would take, while Numba competes for them or has won."""
        self.rival = ""
        self.threads = ""
        """What has become of Numba's version, if the configuration wants one."""
        self.foreign: dict[str, int] = {}
        """Calls with arguments outside the kernel language, by reason."""
        self.renewals = 0
        """How often all versions were dropped because an outside value had changed."""
        self.hesitation = 1.0
        """How many times the cost of tier 1 has to be spent first; it grows with each futile attempt."""
        self.due = False
        """Tier 1 has been paid for: the next call that has no version makes one."""
        self.replacement = replacement.Replacement(self)
        self.site = Site(self, 0)
        self.profile = Profile((self.config.baseline_threshold,), self._at_sample, self._renew_counter)
        self.timeline = Timeline() if self.config.record_timeline else None
        self._making = False
        self._rejections = 0
        self.switch = Switch(function)
        function.__dict__["__kernel_function__"] = self.switch.original
        function.__dict__["__tiers__"] = self
        self._begin(function.__code__)

    def _begin(self, code: CodeType) -> None:
        unsuited = why_unsuited(code) or ("max_tier is 0" if self.config.max_tier == 0 else "")
        if unsuited:
            self.blocked = Refusal(unsuited, code.co_firstlineno)
            return
        self._renew_counter()

    def _renew_counter(self) -> None:
        self.switch.profile(self.profile.counter, replacement.resume, self.site)
        if not self.due and self.blocked is None:
            self._to_tier0()

    @property
    def function(self) -> FunctionType | None:
        """The user's function object, as long as it exists."""
        return self.switch.user_function()

    @property
    def calls(self) -> int:
        """Calls so far, in all tiers."""
        return self.profile.calls + sum(version.calls for version in self.versions)

    @property
    def tier(self) -> int:
        """The highest tier that any version has reached."""
        return max((version.tier for version in self.versions if not version.given_up), default=0)

    @property
    def size(self) -> int:
        """How many kernel statements the function has; before it is lowered, about how many."""
        if self.versions:
            return self.versions[0].size
        return max(2, len(self.switch.original.__code__.co_code) // _BYTES_PER_STATEMENT)

    @cached_property
    def keeps_parameters(self) -> bool:
        """Whether no parameter is ever assigned."""
        stored = {each.argval for each in dis.get_instructions(self.switch.original.__code__) if "STORE" in each.opname}
        return stored.isdisjoint(self.switch.parameters)

    @cached_property
    def is_straight(self) -> bool:
        """Whether the function has neither loops nor calls."""
        names = {each.opname for each in dis.get_instructions(self.switch.original.__code__)}
        return not any("BACKWARD" in name or "CALL" in name for name in names)

    # What the sampler and the profile tell

    def sampled(self, frame: FrameType, tier: int, milliseconds: float) -> None:
        """The function was seen running in CPython."""
        self.profile.spent_ms += milliseconds
        self.replacement.seen(frame, milliseconds)
        promotion.consider_first(self)

    def _at_sample(self, frame: FrameType) -> None:
        promotion.consider_first(self)

    def wants_replacement(self, frame: FrameType) -> bool:
        """Whether the call in a frame has run long enough to be moved into compiled code."""
        return self.blocked is None and self.replacement.is_worth_while(frame)

    def looks(self) -> int:
        """How often to look for a point where the call can be moved."""
        return self.replacement.looks()

    def arrived(self, frame: FrameType) -> None:
        """A frame that wants replacement stands at a backward jump; raises `Transfer` if it is moved."""
        self.replacement.enter(frame)

    def running(self, thread: int, tier: int, milliseconds: float) -> None:
        """A call was seen from another thread, in CPython or in code that was entered in mid-loop."""
        if not self.replacement.still_running(thread, milliseconds):
            self.profile.spent_ms += milliseconds
            promotion.consider_first(self)

    # Calls

    def expect_version(self) -> None:
        """From now on a call whose types have no version makes one."""
        self.due = True
        with self.lock:
            undecided = self.blocked is None and self.contest is None
            if undecided and not any(version.tiers for version in self.versions):
                self.switch.to(self._timed(self.enter, lambda: self.tier), self.site)

    def enter(self, *arguments: Any) -> Any:
        """A call before there is compiled code."""
        version = self._version(arguments)
        return self.switch.interpreted(*arguments) if version is None else self.replacement.run(version, arguments)

    def mismatch(self, version: Version, arguments: tuple[Any, ...]) -> Any:
        """A call that no version took: their codes try each other before they ask."""
        tried = [each for each in self.versions if each.tiers]
        found = self._version(arguments)
        if found is not None and found not in tried:
            return found.code(*arguments)
        if found is not None:  # the same types, but an int that needs more than 64 bits
            demotion.misfit(self, found)
        return self.switch.interpreted(*arguments)

    def stale(self, version: Version, arguments: tuple[Any, ...]) -> Any:
        """A call for which an outside value that was compiled in may have changed."""
        if version.kernel.is_current():
            promotion.renew_guards(version)
            # Not the code at once: a guard that cannot hold would ask here again, without end.
            return self.switch.interpreted(*arguments)
        demotion.drop_versions(self, "a global, a closure variable or a default has changed")
        return self.switch.interpreted(*arguments)

    def _version(self, arguments: tuple[Any, ...]) -> Version | None:
        """The version for a call; a new one if that is due."""
        try:
            types = tuple(map(type_of, arguments))
        except UnsupportedError as error:
            self._foreign(error.reason)
            return None
        found = self.find(types)
        if types in self.refused:
            self._rejected()
        elif (found is None or not found.tiers) and self.due:
            found = self._make(types, arguments)
        return found if found is not None and found.tiers and not found.given_up else None

    def find(self, types: Types) -> Version | None:
        """The version for argument types."""
        return next((version for version in self.versions if version.types == types), None)

    def _foreign(self, reason: str) -> None:
        self.foreign[reason] = self.foreign.get(reason, 0) + 1
        if not self.versions and sum(self.foreign.values()) >= self.config.baseline_threshold:
            self.block(Refusal(reason))

    def _rejected(self) -> None:
        """Another call with types that are not compiled for: when they keep coming, profile on and ask less often."""
        self._rejections += 1
        if self._rejections % _CALLS_BEFORE_SWITCH or any(version.tiers for version in self.versions):
            return
        self.hesitation *= 2
        self.start_again()

    def moved(self) -> None:
        """The time spent so far has paid for moving a call; the next calls save for a version of their own."""
        if not any(version.tiers for version in self.versions):
            self.start_again()

    def start_again(self) -> None:
        """Run in CPython, profiled, until tier 1 has been paid for anew."""
        with self.lock:
            self.due = False
            self.profile.spent_ms = 0.0
        if self.blocked is None:
            self._to_tier0()

    def _make(self, types: Types, arguments: tuple[Any, ...]) -> Version | None:
        """Compile for types in tier 1, in the calling thread; None if that is not to be had now."""
        with self.lock:
            compiled = sum(bool(version.tiers) for version in self.versions)
            if self._making or self.blocked is not None or compiled >= self.config.max_versions:
                return None
            self._making = True
        try:
            with sampler.paused():
                return promotion.first_version(self, types, arguments)
        except RecursionError:  # the program is too deep in its stack for compiling, not wrong
            return None
        except Exception as error:
            demotion.defect(self, error)
            return None
        finally:
            self._making = False

    # Changes of the code

    def install(self, version: Version) -> None:
        """Make calls go to a version first."""
        with self.lock:
            if self.blocked is None and version in self.versions and not version.given_up:
                tier = version.tier
                self._chain(version)
                self.switch.to(self._timed(version.code, lambda: tier), Site(version, tier))
        sampler.expect_news()

    def _chain(self, first: Version) -> None:
        """Let a call whose types are not the first version's try the others without a detour through Python."""
        others = [each for each in self.versions if each is not first and each.tiers and not each.given_up]
        codes = [each.code for each in (first, *others)]
        for code in codes:
            code.set_next(None)
        for code, after in pairwise(codes):
            code.set_next(after)

    def block(self, refusal: Refusal) -> None:
        """Stay in CPython for good, with the user's own bytecode."""
        with self.lock:
            self.blocked = refusal
            self.switch.to_original()
        self.runtime.settled(self)

    def _to_tier0(self) -> None:
        with self.lock:
            if self.contest is not None:
                self.switch.to(self.contest, self.site)
            elif self.timeline is not None:
                self.switch.to(self._timed(self.switch.interpreted, lambda: 0), self.site)
            else:
                self.switch.to_profiled()

    def _timed(self, target: Callable[..., Any], tier: Callable[[], int]) -> Callable[..., Any]:
        return target if self.timeline is None else self.timeline.timed(target, lambda: self.calls, tier)

    # What compiled code tells, through its version

    def consider(self, version: Version) -> None:
        """More time was spent in a version."""
        promotion.consider_next(self, version)

    def failed(self, version: Version, compiled: CompiledCode, line: int, reason: str) -> None:
        """A speculation of compiled code failed."""
        demotion.failed(self, version, compiled, line, reason)

    def raised(self, version: Version) -> None:
        """A call of compiled code raised."""
        demotion.raised(self, version)

    def costly(self, version: Version, compiled: CompiledCode) -> None:
        """Lists take compiled code longer to come in and out than the work on them."""
        demotion.costly(self, version, compiled)

    def upgrade(self, version: Version, compiled: CompiledCode, point: ExitPoint, locals: dict[str, Any]) -> Any:
        """A running call could go on in better code."""
        return self.replacement.upgrade(version, compiled, point, locals)

    def event(
        self, kind: str, *, action: str, outcome: str, success: bool = True, cost: float = 0.0, types: Types = ()
    ) -> None:
        """Tell the recorder."""
        state = {"calls": self.calls, "spent_ms": self.profile.spent_ms, "types": ", ".join(map(str, types))}
        if self.timeline is not None:
            self.timeline.mark(self.calls, kind, outcome)
        events.record(
            self.runtime.recorder, kind, self.name,
            state=state, action=action, outcome=outcome, cost=cost, success=success,
        )  # fmt: skip
