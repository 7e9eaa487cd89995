from __future__ import annotations

from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from lean_agentic.jit_runtime import magics, tiers_of
from lean_agentic.jit_runtime.runtime import default_runtime


@pytest.fixture
def shell() -> Any:
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance()
    magics.load_ipython_extension(made)
    yield made
    InteractiveShell.clear_instance()


def test_a_cell_makes_its_functions_tiered(shell: Any) -> None:
    shell.run_cell_magic("tiered", "", "def square(x):\n    return x * x\n\nvalue = square(4)\nclass C: pass\n")
    assert shell.user_ns["value"] == 16
    assert tiers_of(shell.user_ns["square"]) is not None
    assert tiers_of(shell.user_ns["square"]).runtime is default_runtime


def test_an_error_in_the_cell_is_the_users(shell: Any) -> None:
    with capture_output(), pytest.raises(ZeroDivisionError):
        shell.run_cell_magic("tiered", "", "1 // 0")


def test_the_table_lists_all_functions(shell: Any) -> None:
    shell.run_cell_magic("tiered", "", "def cube(x):\n    return x ** 3\n")
    for n in range(5):
        shell.user_ns["cube"](n)
    table = shell.run_line_magic("tiers", "")
    row = next(row for row in table.rows if row.name == "cube")
    assert row.calls == 5
    assert "cube" in repr(table)
    assert f"<td>cube</td><td>{row.tier}</td><td>5</td>" in table._repr_html_()
    assert repr(magics.TiersTable(())) == "no function is tiered"
