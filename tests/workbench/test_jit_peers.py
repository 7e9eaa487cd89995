from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from lean_agentic.workbench.jit_peers import (
    CPYTHON,
    NUMBA,
    PYPY,
    TIERED,
    TIERS,
    Contender,
    ContenderError,
    Process,
    absent,
    numba_levels,
    tier,
)
from lean_agentic.workbench.jit_suite import FILES

FIB = {"file": FILES["lists"], "table": "PROGRAMS", "name": "fib", "size": "small"}
PROGRAMS = """
import os, time
def dies():
    os.kill(os.getpid(), 11)
def sleeps():
    time.sleep(60)
def talks():
    print("{}")
    return 7
PROGRAMS = {f.__name__: (f, {"small": lambda: ()}) for f in (dies, sleeps, talks)}
"""


@pytest.fixture
def bad(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "bad_programs.py"
    file.write_text(PROGRAMS)
    return {"file": str(file), "table": "PROGRAMS", "size": "small"}


def test_contenders_have_names_of_their_own() -> None:
    every = [CPYTHON, NUMBA, PYPY, TIERED, *TIERS, tier(1, engine="llvm"), *numba_levels()]
    assert len({each.name for each in every}) == len(every)
    ours = [each.name for each in every if each.ours]
    assert ours == ["ours, all tiers", "tier 1", "tier 2", "tier 3", "tier 1, engine=llvm"]


def test_a_process_builds_and_times() -> None:
    with Process(CPYTHON) as process:
        assert process.ready["python"] == sys.version.split()[0]
        reply = process.ask("build", **FIB)
        assert reply["result"][1][0] == ["int", "233"]
        assert process.ask("time", calls=2)["ns"] > 0


def test_a_program_that_kills_its_process_is_a_reason_and_not_the_end(bad: dict[str, Any]) -> None:
    with Process(CPYTHON) as process:
        with pytest.raises(ContenderError, match="died of SIGSEGV"):
            process.ask("build", name="dies", **bad)
        assert process.ask("build", **FIB)["result"][1][0] == ["int", "233"]


def test_a_program_that_does_not_end_is_ended(bad: dict[str, Any]) -> None:
    with Process(CPYTHON) as process, pytest.raises(ContenderError, match="no answer within 1 s"):
        process.ask("build", 1.0, name="sleeps", **bad)


def test_what_a_program_prints_is_no_reply(bad: dict[str, Any]) -> None:
    with Process(CPYTHON) as process:
        assert process.ask("build", name="talks", **bad)["result"][1][0] == ["int", "7"]


def test_the_absent_say_how_to_get_them() -> None:
    nobody = Contender("nobody", python="python-that-is-not-there")
    assert absent(CPYTHON) is None
    assert (
        absent(nobody) == "python-that-is-not-there is not installed (Debian: apt-get install python-that-is-not-there)"
    )
    with pytest.raises(ContenderError, match="is not installed"):
        Process(nobody)


def test_an_engine_that_cannot_be_imported_says_why() -> None:
    with pytest.raises(ContenderError, match="KeyError: 'warp drive'"):
        Process(Contender("none", "warp drive"))


@pytest.mark.skipif(shutil.which("pypy3") is None, reason="pypy3 is not installed")
def test_pypy_runs_the_list_programs() -> None:
    with Process(PYPY, cpu=0) as process:
        assert process.ask("build", **FIB)["result"][1][0] == ["int", "233"]
