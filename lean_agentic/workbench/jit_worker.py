"""The process that one contender of the JIT suite runs in: it builds, calls and times programs on command.

In: a JSON object on the command line (`engine` and its options) and then one JSON command a line on
stdin. Out: one JSON reply a line. Run as a script, also by PyPy, so it keeps to Python 3.9 and imports nothing of the
package before the engine asks for it. Every way of running Python is an `Engine` here; `jit_peers.py` names them.
"""

# mypy: ignore-errors
# PyPy's Python has neither the typing that strict mode wants nor the packages that the engines import.
from __future__ import annotations

import gc
import importlib.util
import json
import os
import pathlib
import sys
import time
from itertools import repeat

clock = time.perf_counter_ns
# What other processes take away from a core must not count against the contender whose call happens to be long.
cpu_clock = time.process_time_ns
SETTLE_PAUSE_S = 0.3  # lets compilers in the background finish


class Engine:
    """CPython or PyPy, as it is; the others override what they do differently."""

    def __init__(self, options):
        self.options = options

    def build(self, module, name, arguments):
        """(callable, milliseconds of compiling, details); None: the first call compiles."""
        return getattr(module, name), 0.0, {}

    def exits(self):
        """How often machine code has been left so far; None where that is not counted."""
        return None

    def note(self):
        """What has become of the program built last, in words."""
        return ""


class Numba(Engine):
    """The function and those that it calls decorated, as a user has to."""

    def __init__(self, options):
        import numba

        super().__init__(options)
        self.numba = numba

    def build(self, module, name, arguments):
        decorate = self.numba.jit(**self.options.get("jit", {"nopython": True}))
        for key in called_functions(module, name):
            setattr(module, key, decorate(getattr(module, key)))
        return getattr(module, name), None, {}


class Tier(Engine):
    """One tier of ours, asked for by force: from the function and its argument types to machine code."""

    def __init__(self, options):
        from lean_agentic.jit_runtime.compiled import compile_kernel
        from lean_agentic.kernel import lower, type_of

        super().__init__(options)
        self.compile_kernel, self.lower, self.type_of = compile_kernel, lower, type_of
        self.compiled = None

    def build(self, module, name, arguments):
        start = cpu_clock()
        kernel = self.lower(getattr(module, name), [self.type_of(each) for each in arguments])
        lowered = cpu_clock()
        self.compiled = self.compile_kernel(kernel, self.options["tier"], **self.compile_options())
        spent = cpu_clock() - start
        timings = dict(self.compiled.timings)
        return self.compiled.code, spent / 1e6, {"lower": (lowered - start) / 1e6, **timings}

    def compile_options(self):
        if not self.options.get("options"):
            return {}
        from lean_agentic.jit_runtime.machine_code import Options

        return {"options": Options(**self.options["options"])}

    def exits(self):
        return self.compiled.code.exits_taken


class Tiered(Engine):
    """Our whole runtime: the decorator, promotion by work, compilation in the background."""

    def __init__(self, options):
        from lean_agentic.jit_runtime import JitRuntimeConfig, tiered

        super().__init__(options)
        self.function = None
        config = dict(options.get("config", {}))
        if options.get("cache"):
            config.update(cache=True, cache_folder=pathlib.Path(os.environ["LEAN_AGENTIC_JIT_CACHE"]))
        self.decorate = tiered(config=JitRuntimeConfig(**config)) if config else tiered

    def build(self, module, name, arguments):
        self.function = self.decorate(getattr(module, name))
        return self.function, None, {}

    def note(self):
        from lean_agentic.jit_runtime import explain

        found = explain(self.function)
        return "tier %d; not higher: %s" % (found.tier, found.why_not_higher)  # noqa: UP031


def called_functions(module, name, found=()):
    """Names of a module's function and of the module's functions that it calls, directly or not."""
    found = (*found, name)
    for other in getattr(module, name).__code__.co_names:
        called = getattr(module, other, None)
        if other not in found and getattr(called, "__module__", None) == module.__name__:
            found = called_functions(module, other, found)
    return found


ENGINES = {"python": Engine, "numba": Numba, "tier": Tier, "tiered": Tiered}


def describe(value, seen=None):
    """An image of a value in JSON by type, bits and identity of its mutable parts."""
    seen = {} if seen is None else seen
    kind = type(value).__name__
    if kind in ("list", "ndarray"):
        if id(value) in seen:
            return ["same as", str(seen[id(value)])]
        seen[id(value)] = len(seen)
    if kind in ("list", "tuple"):
        return [kind, [describe(each, seen) for each in value]]
    if kind == "ndarray":
        return ["ndarray " + str(value.dtype) + str(value.shape), [_scalar(each) for each in value.ravel().tolist()]]
    return [kind, _scalar(value)]


def _scalar(value):
    if hasattr(value, "dtype"):
        value = value.item()
    if isinstance(value, float):
        return value.hex()
    return repr(value)


class Worker:
    """Executes commands; see `commands`."""

    def __init__(self, engine, wall=False):
        self.engine = engine
        self.clock = clock if wall else cpu_clock
        self.function = self.arguments = None

    def warm(self, file):
        """Compile something else first, so that what starts only once is not measured."""
        module = fresh_module(file)
        function, makers = module.WARM_UP
        arguments = makers["small"]()
        call, _, _ = self.engine.build(module, function.__name__, arguments)
        call(*arguments)
        return {}

    def build(self, repeats=1, **where):
        """Build a program `repeats` times from a fresh module; keep the last."""
        compile_ms, first_ms, details = [], [], {}
        for _ in range(repeats):
            module, name, make = find(**where)
            self.arguments = make()
            gc.collect()
            start = self.clock()
            self.function, spent, details = self.engine.build(module, name, self.arguments)
            raised, outcome = self._call()
            first = (self.clock() - start) / 1e6
            result = describe([outcome, list(self.arguments)])
            first_ms.append(first)
            # What the first call took beyond an ordinary one went into compiling.
            compile_ms.append(max(0.0, first - self._ordinary_ms()) if spent is None else spent)
            self.arguments = make()
        if raised:
            self.function = quiet(self.function)
        return {"compile_ms": compile_ms, "first_ms": first_ms, "details": details, "result": result, "raised": raised}

    def _call(self):
        try:
            return "", self.function(*self.arguments)
        except Exception as error:
            return reason(error), ("raises", type(error).__name__)

    def _ordinary_ms(self):
        times = []
        for _ in range(3):
            start = self.clock()
            self._call()
            times.append((self.clock() - start) / 1e6)
        return min(times)

    def settle(self, seconds):
        """Call for a while, so that whatever compiles as it goes has done so."""
        end = clock() + seconds * 1e9
        while clock() < end:
            self._call()
        time.sleep(SETTLE_PAUSE_S if seconds else 0.0)
        return {}

    def calls_for(self, batch_ms):
        """How many calls take about that long."""
        calls = 1
        while True:
            spent = self._time(calls) / 1e6
            if spent >= batch_ms / 4 or calls >= 1_000_000:
                return {"calls": max(1, int(calls * batch_ms / spent))}
            calls *= 4

    def time(self, calls):
        """Nanoseconds of that many calls, and how often each left machine code; CPU time unless `wall` is set."""
        before = self.engine.exits()
        spent = self._time(calls)
        exits = None if before is None else (self.engine.exits() - before) / calls
        return {"ns": spent, "exits_per_call": exits, "note": self.engine.note()}

    def _time(self, calls):
        function, arguments = self.function, self.arguments
        start = self.clock()
        for _ in repeat(None, calls):
            function(*arguments)
        return self.clock() - start

    def curve(self, checkpoints, budget_s, each_result=False, **where):
        """Cumulative nanoseconds after so many calls, from the first call on; decorating or building is apart.

        The curve ends early at the first checkpoint after `budget_s`. With `each_result` the clock stops at every
        checkpoint to describe the result; that would give time away to a compiler in the background.
        """
        module, name, make = find(**where)
        arguments = make()
        gc.collect()
        after, results, done, stopped = [], {}, 0, 0
        start = clock()
        call, _, _ = self.engine.build(module, name, arguments)
        first = clock()
        for count in checkpoints:
            for _ in repeat(None, count - done):
                value = call(*arguments)
            done, now = count, clock()
            after.append(now - first - stopped)
            over = after[-1] > budget_s * 1e9
            if each_result or over or count == checkpoints[-1]:
                results[count] = describe([value, list(arguments)])
                stopped += clock() - now
            if over:
                break
        self.function, self.arguments = call, arguments
        return {"ns": after, "decorate_ns": first - start, "results": results}

    commands = ("warm", "build", "settle", "calls_for", "time", "curve")


def reason(error):
    """An exception in words."""
    message = str(error).strip()
    return type(error).__name__ + (": " + message if message else "")


def quiet(function):
    """The function without its exceptions, for timing a program that raises."""

    def call(*arguments):
        try:
            return function(*arguments)
        except Exception as error:
            return error

    return call


def fresh_module(file):
    """Execute a file of programs as a new module, so that no compiler knows its functions yet."""
    name = os.path.splitext(os.path.basename(file))[0]
    specification = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def find(file, table, name, size, arguments_file=None):
    """A program's module, the name of its function, and what makes its arguments.

    With `arguments_file` the arguments come from the program of that name there, and lists become arrays.
    """
    module = fresh_module(file)
    function, makers = getattr(module, table)[name]
    if arguments_file is None:
        return module, function.__name__, makers[size]
    import numpy

    make = getattr(fresh_module(arguments_file), table)[name][1][size]

    def make_arrays():
        return tuple(numpy.array(each) if isinstance(each, list) else each for each in make())

    return module, function.__name__, make_arrays


def answer(worker, command):
    """Reply to one command; an error is an answer too."""
    try:
        if command["do"] not in worker.commands:
            raise ValueError("no command %r; there are %s" % (command["do"], ", ".join(worker.commands)))  # noqa: UP031
        return getattr(worker, command.pop("do"))(**command)
    except Exception as error:
        return {"failed": reason(error)}


def main():
    """Serve commands until stdin ends."""
    # As a script, this file's folder would shadow modules of the same names elsewhere.
    sys.path[:] = [each for each in sys.path if os.path.abspath(each) != os.path.dirname(os.path.abspath(__file__))]
    settings = json.loads(sys.argv[1])
    # What the engine or a program prints must not look like a reply.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    start = clock()
    try:
        worker = Worker(ENGINES[settings["engine"]](settings), settings.get("wall", False))
        ready = {"import_ms": (clock() - start) / 1e6, "python": sys.version.split()[0]}
    except Exception as error:
        worker, ready = None, {"failed": reason(error)}
    while True:
        replies.write(json.dumps(ready) + "\n")
        replies.flush()
        line = sys.stdin.readline()
        if not line or worker is None:
            return
        ready = answer(worker, json.loads(line))


if __name__ == "__main__":
    main()
