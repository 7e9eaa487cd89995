"""Published results: only repeatable runs are copied, unchanged, and the README's table is theirs."""

import pytest
from click.testing import CliRunner

from lean_agentic.workbench.cli import main
from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.published import (
    END,
    START,
    find_run,
    publish,
    quoted_table,
    read_published,
    readme_table,
    update_readme,
)
from lean_agentic.workbench.results import Metric
from lean_agentic.workbench.targets_table import ReportError

SAVING = {"metric": "saving", "unit": "%", "direction": "higher", "target": "cost_savings"}
EARLY, LATE = "20260130T090507Z-1a2b3c4", "20260131T090507Z-1a2b3c4"


@pytest.fixture
def project(written_project):
    written_project.add_experiment("04_routing", SAVING)
    written_project.add_run("04_routing", EARLY, {"saving": Metric(31, "%", 5)})
    written_project.add_run("04_routing", LATE, {"saving": Metric(33, "%", 5)})
    written_project.add_experiment("05_other")
    return written_project


@pytest.mark.parametrize(("name", "run"), [("04_routing", LATE), ("04", LATE), (EARLY, EARLY)])
def test_copy_is_the_runs_own_bytes(project, name, run):
    path = publish(project, name)
    assert path == project.published / "04_routing.json"
    assert path.read_bytes() == (project.experiments / "04_routing/runs" / run / "result.json").read_bytes()
    assert read_published(project)["04_routing"].provenance["git_dirty"] is False


@pytest.mark.parametrize("dirty", [True, None])
def test_run_that_nobody_can_repeat_is_refused(project, dirty):
    project.add_run("04_routing", LATE + "b", {"saving": Metric(50, "%", 5)}, dirty=dirty)
    with pytest.raises(ReportError, match=r"uncommitted changes.*Commit, run `lean-agentic run 04_routing"):
        publish(project, "04")
    assert not project.published.exists()


def test_run_with_parameters_of_its_own_is_refused(project):
    project.add_run("04_routing", LATE + "b", {"saving": Metric(50, "%", 5)}, profile="custom")
    assert find_run(project, "04").result.run == LATE
    with pytest.raises(ReportError, match="parameters of its own"):
        publish(project, LATE + "b")


def test_bulk_is_refused(project):
    many = {f"metric_{i}": Metric(i, "ms", 1) for i in range(2000)}
    project.add_run("04_routing", LATE + "b", many)
    with pytest.raises(ReportError, match="more than 65536"):
        publish(project, "04")


@pytest.mark.parametrize(
    ("name", "said"), [("05", "no finished run"), ("0", "start of several"), ("20270101T000000Z-1a2b3c4", "unknown")]
)
def test_name_that_leads_to_no_run(project, name, said):
    with pytest.raises(WorkbenchError, match=said):
        find_run(project, name)


def test_run_name_shared_by_two_experiments_is_refused(project):
    project.add_run("05_other", LATE, {"x": Metric(1, "ms", 1)})
    with pytest.raises(ReportError, match="several experiments: 04_routing, 05_other"):
        publish(project, LATE)


def test_published_file_under_another_name_is_refused(project):
    publish(project, "04").rename(project.published / "05_other.json")
    with pytest.raises(ReportError, match="result of '04_routing'"):
        read_published(project)


def test_damaged_published_file_is_refused(project):
    path = publish(project, "04")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(WorkbenchError, match="not a readable result"):
        readme_table(project)


def test_readme_changes_between_the_markers_only(project):
    readme = project.root / "README.md"
    readme.write_bytes(f"# Title\r\n\n{START}\n| old 99% |\n{END}\r\nafter\n".encode())
    publish(project, EARLY)
    update_readme(project)
    assert readme.read_bytes() == f"# Title\r\n\n{START}\n{readme_table(project)}{END}\r\nafter\n".encode()
    assert "| 31.0% |" in readme.read_text()
    assert "old" not in readme.read_text()
    once = readme.read_bytes()
    update_readme(project)
    assert readme.read_bytes() == once


def test_figure_typed_by_hand_is_told_from_a_measured_one(project):
    readme = project.root / "README.md"
    readme.write_text(f"{START}\n{END}\n")
    publish(project, EARLY)
    update_readme(project)
    typed = readme.read_text().replace("31.0%", "41.0%")
    assert quoted_table(typed, readme).strip() != readme_table(project).strip()


def test_unpublished_run_is_not_quoted(project):
    assert "33.0%" not in readme_table(project)
    publish(project, "04")
    assert "[04_routing](experiments/published/04_routing.json) (quick)" in readme_table(project)


@pytest.mark.parametrize("text", ["", START, f"{END}\n{START}", f"{START}{START}{END}"])
def test_readme_without_proper_markers_is_refused_and_kept(project, text):
    readme = project.root / "README.md"
    readme.write_text(text)
    with pytest.raises(ReportError, match="once each and in this order"):
        update_readme(project)
    assert readme.read_text() == text


def test_missing_readme_is_a_clear_error(project):
    with pytest.raises(ReportError, match="does not exist"):
        update_readme(project)


def test_command_publishes_and_renews_the_readme(project):
    readme = project.root / "README.md"
    readme.write_text(f"{START}\n{END}\n")
    done = CliRunner().invoke(main, ["report", "--publish", "04", "--readme"])
    assert done.exit_code == 0, done.output
    assert "Published:" in done.output
    assert quoted_table(readme.read_text(), readme).strip() == readme_table(project).strip()


def test_command_refuses_in_words(project):
    project.add_run("04_routing", LATE + "b", {"saving": Metric(50, "%", 5)}, dirty=True)
    done = CliRunner().invoke(main, ["report", "--publish", "04"])
    assert (done.exit_code, "uncommitted changes" in done.output) == (2, True)
