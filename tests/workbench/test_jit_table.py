from __future__ import annotations

import pytest

from lean_agentic.workbench.jit_table import main


def test_the_table_has_a_line_a_program_and_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fib", "--tiers", "", "--peers", "none", "--rounds", "1"]) == 0
    printed = capsys.readouterr()
    assert "fib scalars" in printed.out
    assert "speed-up geomean" in printed.out
    assert "fib" in printed.err
