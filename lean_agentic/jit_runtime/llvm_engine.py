"""Machine code by LLVM, at three levels; the library is loaded when first needed.

In: a `lir.Unit` and a level. Out: `Machine`, whose `address` is the unit's entry.

Level 1 generates code from the text as it stands, without passes: with the fast code generator, registers for variables
(SROA) cost more in copies than they save. Level 2 adds SROA, instcombine and simplifycfg and the optimising code
generator, which is where its time goes; loop-invariant code motion and value numbering doubled the time of the passes
and gained 2%. Level 3 is LLVM's -O3 with the loop vectoriser. Vectorisation of straight-line code (SLP) stays off: it
slowed Mandelbrot's loop by a third and sped up nothing.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from lean_agentic.jit_runtime import elf, object_code
from lean_agentic.jit_runtime.lir import Block, Function, Unit
from lean_agentic.jit_runtime.llvm_text import EngineOptions, entry_name, unit_text
from lean_agentic.jit_runtime.object_cache import ObjectCache

__all__ = ["EngineOptions", "Machine", "compile_unit", "load_object", "warm_up"]

LEVELS = (1, 2, 3)
_CODE_GENERATOR = {1: 0, 2: 2, 3: 3}


@dataclass(eq=False, repr=False)
class Machine:
    """A unit's machine code in memory."""

    address: int
    """Of `int32_t entry(Context *, const Slot *in, Slot *out)`."""
    owner: Any
    """Keeps the memory."""
    object_code: bytes
    """For `object_code.load`, in this process or another on the same processor."""
    timings: dict[str, float]
    """Milliseconds by phase: text, llvm (loading the library, the first time), parse, passes, codegen,
    load; or text, cache."""
    ir: str
    level: int
    options: EngineOptions = field(default_factory=EngineOptions)

    def optimised_ir(self) -> str:
        """The IR behind the level's passes, made again."""
        with _llvm().optimised(self.ir, self.level, self.options) as module:
            return str(module)

    def assembly(self) -> str:
        """The machine code as assembly, made again."""
        llvm = _llvm()
        with llvm.optimised(self.ir, self.level, self.options) as module:
            return llvm.assembly(module, self.level)

    def __repr__(self) -> str:
        return f"Machine(level={self.level}, {len(self.object_code)} bytes, {sum(self.timings.values()):.1f} ms)"


def compile_unit(
    unit: Unit, level: int, options: EngineOptions | None = None, cache: ObjectCache | None = None
) -> Machine:
    """Compile a unit.

    Parameters
    ----------
    unit : Unit
        What to compile; its first function is the entry.
    level : int
        1 for compile time, 3 for the fastest code, 2 between them.
    options : EngineOptions, optional
        Fast-math, vectorisation, loader.
    cache : ObjectCache, optional
        Machine code of earlier processes; with a hit LLVM is not even loaded.

    Raises
    ------
    ObjectCodeError
        If the code cannot be loaded.
    RuntimeError
        If LLVM refuses the text, which is a mistake in the unit.
    """
    if level not in LEVELS:
        raise ValueError(f"expected level 1, 2 or 3, not {level!r}")
    options = options or EngineOptions()
    watch = _Stopwatch()
    ir = unit_text(unit, options)
    watch.lap("text")
    key = cache.key(ir, level, options) if cache else ""
    kept = _from_cache(cache, key) if cache else None
    if kept is not None:
        blob, (address, owner) = kept
        watch.lap("cache")
    else:
        llvm = _llvm()
        watch.lap("llvm")
        blob = _blob(llvm.object_file(ir, level, options, watch), entry_name(unit), options)
        address, owner = object_code.load(blob)
        if cache:
            cache.put(key, blob)
        watch.lap("load")
    return Machine(address, owner, blob, watch.laps, ir, level, options)


def _from_cache(cache: ObjectCache, key: str) -> tuple[bytes, tuple[int, Any]] | None:
    """A blob that was kept, loaded; a damaged one is removed."""
    blob = cache.get(key)
    if blob is None:
        return None
    try:
        return blob, object_code.load(blob)
    except object_code.ObjectCodeError:
        cache.forget(key)
        return None


def _blob(compiled: bytes, entry: str, options: EngineOptions) -> bytes:
    if options.own_loader and object_code.loads_images():
        return object_code.pack_image(elf.link(compiled, entry))
    return object_code.pack_object(compiled, entry)


def load_object(compiled: bytes, entry: str) -> tuple[int, Any]:
    """Load an object file of this platform through LLVM: address of the entry, and who keeps the memory."""
    return _llvm().load(compiled, entry)


def warm_up() -> None:
    """Load LLVM and compile a trivial unit at each level, for a background thread: the first compilations are slow."""
    nothing = Function("nothing", [], "", blocks=[Block(0, instructions=[("ret", ())])])
    for level in LEVELS:
        compile_unit(Unit([nothing], 0), level)


class _Stopwatch:
    """Milliseconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._start = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = 1e3 * (now - self._start)
        self._start = now


_lock = threading.RLock()
# A child process gets a copy of the library, which must not be in the middle of something.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def _llvm() -> _Llvm:
    with _lock:
        return _initialised()


@cache
def _initialised() -> _Llvm:
    return _Llvm()


class _Llvm:
    """The library, initialised. Each method holds the lock for one phase, so that no thread waits for long."""

    def __init__(self) -> None:
        import llvmlite.binding as binding

        self._binding = binding
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        self._target = binding.Target.from_default_triple()
        self._processor = {
            "cpu": binding.get_host_cpu_name(),
            "features": binding.get_host_cpu_features().flatten(),
        }
        self._machines = {level: self._machine(_CODE_GENERATOR[level]) for level in LEVELS}
        self._jit = binding.create_lljit_compiler(self._machine(_CODE_GENERATOR[2]))
        self._libraries = 0

    def _machine(self, optimisation: int) -> Any:
        return self._target.create_target_machine(**self._processor, opt=optimisation, reloc="pic", codemodel="small")

    @contextmanager
    def optimised(self, ir: str, level: int, options: EngineOptions, watch: _Stopwatch | None = None) -> Iterator[Any]:
        """The module behind the level's passes."""
        watch = watch or _Stopwatch()
        with _lock:
            module = self._binding.parse_assembly(ir)
        try:
            with _lock:
                module.verify()
            watch.lap("parse")
            with _lock:
                self._optimise(module, level, options)
            watch.lap("passes")
            yield module
        finally:
            with _lock:
                module.close()

    def _optimise(self, module: Any, level: int, options: EngineOptions) -> None:
        if level == 2:
            self._optimise_scalars(module)
        elif level == 3:
            self._optimise_all(module, options)

    # A pass builder caches analyses by the addresses of functions, so each module needs its own.

    def _optimise_scalars(self, module: Any) -> None:
        tuning = self._binding.create_pipeline_tuning_options(speed_level=1)
        builder = self._binding.create_pass_builder(self._machines[2], tuning)
        passes = self._binding.create_new_module_pass_manager()
        passes.add_sroa_pass()
        passes.add_instruction_combine_pass()
        passes.add_simplify_cfg_pass()
        passes.run(module, builder)

    def _optimise_all(self, module: Any, options: EngineOptions) -> None:
        tuning = self._binding.create_pipeline_tuning_options(speed_level=3)
        tuning.loop_vectorization = options.vectorize
        tuning.slp_vectorization = False
        builder = self._binding.create_pass_builder(self._machines[3], tuning)
        builder.getModulePassManager().run(module, builder)

    def object_file(self, ir: str, level: int, options: EngineOptions, watch: _Stopwatch) -> bytes:
        """Compile the text."""
        with self.optimised(ir, level, options, watch) as module, _lock:
            compiled = bytes(self._machines[level].emit_object(module))
        watch.lap("codegen")
        return compiled

    def assembly(self, module: Any, level: int) -> str:
        with _lock:
            return str(self._machines[level].emit_assembly(module))

    def load(self, compiled: bytes, entry: str) -> tuple[int, Any]:
        """Link an object file as a library of its own, so that equal names do not meet."""
        library = self._binding.JITLibraryBuilder().add_object_img(compiled).export_symbol(entry).add_current_process()
        with _lock:
            self._libraries += 1
            try:
                tracker = library.link(self._jit, f"unit{self._libraries}")
            except RuntimeError as error:
                raise object_code.ObjectCodeError(f"LLVM cannot load the object file: {error}") from error
        return tracker[entry], _Library(tracker)


class _Library:
    """Code that LLVM loaded; unloads it."""

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker

    def __del__(self, lock: threading.RLock = _lock) -> None:
        with lock:
            self._tracker.close()
