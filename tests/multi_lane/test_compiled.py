from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import lean_agentic.multi_lane as package
from lean_agentic.multi_lane.compiled import source_stamp

ASK = """
import numpy as np
from lean_agentic.multi_lane import bandits, policies
from lean_agentic.multi_lane.beliefs import REQUEST_COLUMNS, VIEW_COLUMNS
from lean_agentic.multi_lane.scenario import Scenario
program = policies.WeightedScore().start(Scenario(), 1)
policies.choose_lane(program, np.zeros(REQUEST_COLUMNS), np.ones((3, VIEW_COLUMNS)), 0.5)
print(sum(policies.choose_lane.stats.cache_hits.values()), bandits.__file__)
"""


def cache_hits(folder: Path) -> int:
    """Cache hits of a fresh process that chooses once with the package found in a folder."""
    run = subprocess.run([sys.executable, "-c", ASK], cwd=folder, capture_output=True, text=True, check=True)
    hits, where = run.stdout.split()
    assert Path(where).is_relative_to(folder)
    return int(hits)


def test_the_stamp_changes_with_compiled_modules_only(tmp_path):
    (tmp_path / "a.py").write_text("@compiled\ndef f(): ...")
    (tmp_path / "b.py").write_text("x = 1")
    before = source_stamp(tmp_path)
    (tmp_path / "b.py").write_text("x = 2")
    assert source_stamp(tmp_path) == before
    (tmp_path / "a.py").write_text("@compiled\ndef f(): return 1")
    assert source_stamp(tmp_path) != before
    assert 0 <= before < 2**56


def test_new_processes_find_compiled_code_until_another_module_changes(tmp_path):
    """numba alone would miss a change in a module that the cached function only calls."""
    source = Path(package.__file__).parent
    copy = tmp_path / "lean_agentic" / "multi_lane"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy.parent / "__init__.py").touch()
    assert cache_hits(tmp_path) == 0
    assert cache_hits(tmp_path) == 1
    with (copy / "weighted.py").open("a") as changed:
        changed.write("\n# changed\n")
    assert cache_hits(tmp_path) == 0
