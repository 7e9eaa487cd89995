"""What every notebook in the repository keeps to. That they run is nbmake's part (`make test`)."""

from __future__ import annotations

import ast
import re
import tokenize
from io import StringIO
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.name)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def notebook(path: Path) -> nbformat.NotebookNode:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    return book


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


def test_the_name_is_numbered(path: Path) -> None:
    assert re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", path.name)


def test_outputs_and_run_metadata_are_stripped(notebook: nbformat.NotebookNode) -> None:
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert set(cell.metadata) <= {"tags"}


def test_it_opens_with_a_title_and_prose(notebook: nbformat.NotebookNode) -> None:
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")


def test_it_has_one_parameters_cell_typed_and_explained(notebook: nbformat.NotebookNode) -> None:
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    comments = {
        token.start[0]
        for token in tokenize.generate_tokens(StringIO(cell.source).readline)
        if token.type == tokenize.COMMENT
    }
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.AnnAssign), f"not a typed parameter: {ast.unparse(statement)}"
        assert statement.lineno in comments, f"no comment says what it is: {ast.unparse(statement)}"


def test_code_cells_are_short(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.source.count("\n") < 30, f"logic belongs into the package: {cell.source[:60]!r} ..."
