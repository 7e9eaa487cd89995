"""The README's targets table holds only figures that a published run measured."""

from pathlib import Path

import pytest

from lean_agentic.workbench.project import Project
from lean_agentic.workbench.published import LARGEST, quoted_table, read_published, readme_table

PROJECT = Project(Path(__file__).resolve().parents[1])
README = PROJECT.root / "README.md"


@pytest.mark.skipif(not README.is_file(), reason="there is no README.md")
def test_table_is_the_one_made_from_the_published_runs():
    quoted = quoted_table(README.read_text(encoding="utf-8"), README)
    assert quoted.strip() == readme_table(PROJECT).strip(), "run `lean-agentic report --readme`"


def test_published_runs_can_be_repeated():
    for result in read_published(PROJECT).values():
        assert result.provenance["git_dirty"] is False
        assert result.provenance["git_sha"].startswith(result.run.rpartition("-")[2])
        assert (PROJECT.published / f"{result.experiment}.json").stat().st_size <= LARGEST
