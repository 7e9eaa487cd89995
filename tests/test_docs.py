"""The worked examples of the documentation, executed as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"<!-- (?P<kind>file|notebook|run)(?:: (?P<what>[^>]*?))? -->\n```\w*\n(?P<body>.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def blocks(document: Path, kind: str) -> list[tuple[str, str]]:
    """(argument, body) of each fenced block that a comment marks as `kind`."""
    found = BLOCK.finditer(document.read_text(encoding="utf-8"))
    return [(block["what"] or "", block["body"]) for block in found if block["kind"] == kind]


@pytest.mark.parametrize("document", [*DOCS, ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.slow
@pytest.mark.parametrize("document", [path for path in DOCS if blocks(path, "run")], ids=lambda path: path.name)
def test_marked_python_runs(document: Path, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text("\n".join(body for _, body in blocks(document, "run")), encoding="utf-8")
    without_data = {name: value for name, value in os.environ.items() if name != "LEAN_AGENTIC_DATA"}
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env=without_data,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_notebook_07_of_the_guide_runs(tmp_path: Path) -> None:
    guide = ROOT / "docs" / "experiments.md"
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'guide'\n", encoding="utf-8")
    for name, body in blocks(guide, "file"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(body, encoding="utf-8")
    write_notebook(tmp_path / "notebooks" / "07_sorting.ipynb", blocks(guide, "notebook"))

    done = subprocess.run(
        [sys.executable, "-m", "lean_agentic", "run", "07", "-p", "n=3000"],
        cwd=tmp_path, env=os.environ | {"LEAN_AGENTIC_HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr + done.stdout
    (result,) = tmp_path.glob("experiments/07_sorting/runs/[0-9]*/result.json")
    assert '"numpy_speedup"' in result.read_text(encoding="utf-8")


def write_notebook(path: Path, cells: list[tuple[str, str]]) -> None:
    book = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    book.cells.append(nbformat.v4.new_markdown_cell("# Sorting"))
    for what, body in cells:
        metadata = {"tags": ["parameters"]} if "tagged parameters" in what else {}
        book.cells.append(nbformat.v4.new_code_cell(body, metadata=metadata))
    path.parent.mkdir(parents=True)
    nbformat.write(book, path)
