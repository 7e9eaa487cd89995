"""Who may import whom: the rules of the house, read off the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lean_agentic

PACKAGE = Path(lean_agentic.__file__).parent
MAY_IMPORT = {
    "kernel": set(),
    "agentdb": set(),
    "multi_lane": set(),
    "jit_runtime": {"kernel"},
    "llm_compiler": {"kernel", "jit_runtime"},
    "workbench": {"kernel", "agentdb", "multi_lane", "jit_runtime", "llm_compiler"},
}
SUBSYSTEMS = sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__")


def imported_subsystems(source: str, inside: str) -> set[str]:
    """Subsystems that a module of the subsystem `inside` imports, other than its own."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write absolute imports, so that this test can read them"
            module = node.module or ""
            names |= {f"{module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names if name.startswith("lean_agentic.")]
    return {part[1] for part in parts if part[1] in MAY_IMPORT} - {inside}


@pytest.mark.parametrize("subsystem", SUBSYSTEMS)
def test_a_subsystem_imports_only_what_it_may(subsystem: str) -> None:
    assert subsystem in MAY_IMPORT, f"say in this test whom {subsystem} may import"
    for path in (PACKAGE / subsystem).rglob("*.py"):
        found = imported_subsystems(path.read_text(encoding="utf-8"), subsystem)
        assert found <= MAY_IMPORT[subsystem], f"{path.relative_to(PACKAGE)} imports {found - MAY_IMPORT[subsystem]}"


def test_the_rule_sees_each_way_of_importing() -> None:
    source = (
        "from lean_agentic import workbench\nimport lean_agentic.agentdb.store\nfrom lean_agentic.kernel.ir import Node"
    )
    assert imported_subsystems(source, "kernel") == {"workbench", "agentdb"}
