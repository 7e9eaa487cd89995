"""The whole comparison in a small repository whose benchmark returns seeded figures, so that no clock decides."""

import json
import subprocess
import threading

import pytest

from lean_agentic.workbench.compare import CompareError, compare, default_path
from lean_agentic.workbench.comparison_statistics import SAMPLES, Verdict
from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.experiment import ExperimentError
from lean_agentic.workbench.project import Project
from lean_agentic.workbench.sampling import SampleError
from lean_agentic.workbench.scratch_repository import EXPERIMENT, scratch_repository
from lean_agentic.workbench.worktrees import RevisionError

# The checkout's folder seeds the noise, so that both sides of an A/A comparison differ.
BENCHMARK = """
import random
from pathlib import Path

from lean_agentic import work

UNIT = "steps"
noise = random.Random(Path(work.__file__).parents[1].name)

def sample():
    return 1000 * work.scale() * noise.lognormvariate(0, 0.02)
"""
REVISIONS = {
    "fast": "def scale():\n    return 1.0\n",
    "slow": "def scale():\n    return 1.2\n",
    "broken": "def scale():\n    raise RuntimeError('off by one')\n",
    "absent": "",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return scratch_repository(tmp_path_factory.mktemp("compare") / "r", benchmark=BENCHMARK, revisions=REVISIONS)


def left_over(project):
    listed = subprocess.run(["git", "-C", project.root, "worktree", "list"], capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()[1:] + list((project.root / ".cache" / "worktrees").glob("*"))


@pytest.mark.parametrize(
    ("a", "b", "expected", "ratio"),
    [
        ("fast", "slow", Verdict.WORSE, 1.2),
        ("slow", "fast", Verdict.BETTER, 1 / 1.2),
        ("fast", "fast", Verdict.NO_DIFFERENCE_FOUND, 1.0),
        ("slow", "slow", Verdict.NO_DIFFERENCE_FOUND, 1.0),
    ],
)
def test_verdicts(project, a, b, expected, ratio):
    result = compare(project, a, b, EXPERIMENT)
    assert result.verdict is expected
    assert result.finding.ratio == pytest.approx(ratio, rel=0.02)
    assert result.finding.interval[0] <= result.finding.ratio <= result.finding.interval[1]
    assert left_over(project) == []


def test_it_is_repeatable_and_the_seed_moves_only_order_and_interval(project):
    first, again, other = (compare(project, "fast", "slow", "01", seed=seed) for seed in (1, 1, 2))
    assert (first.finding, first.samples) == (again.finding, again.samples)
    assert first.samples.order != other.samples.order
    assert (first.samples.a, first.samples.b) == (other.samples.a, other.samples.b)


def test_every_measurement_is_kept_with_its_origin(project, tmp_path):
    path = tmp_path / "comparison.json"
    compare(project, "fast", "slow", "01", seed=3).write(path)
    kept = json.loads(path.read_text())
    assert kept["finding"]["verdict"] == "worse"
    assert len(kept["samples"]["a"]) == len(kept["samples"]["b"]) == SAMPLES
    assert sorted(kept["samples"]["order"]) == ["A"] * SAMPLES + ["B"] * SAMPLES
    origin = kept["provenance"]
    shas = [
        subprocess.run(["git", "-C", project.root, "rev-parse", ref], capture_output=True, text=True).stdout.strip()
        for ref in ("fast", "slow")
    ]
    assert [origin[side]["git_sha"] for side in "ab"] == shas
    assert origin["seed"] == 3
    assert str(project.root) not in path.read_text()


def test_the_working_tree_can_be_compared_before_it_is_committed(tmp_path):
    project = scratch_repository(tmp_path / "r", benchmark=BENCHMARK, revisions={"fast": REVISIONS["fast"]})
    (project.root / "lean_agentic" / "work.py").write_text(REVISIONS["slow"])
    result = compare(project, "HEAD", ".", "01")
    assert result.verdict is Verdict.WORSE
    assert result.provenance["b"]["git_dirty"] is True


def test_a_benchmark_that_b_does_not_have_comes_from_the_working_tree(tmp_path):
    project = scratch_repository(tmp_path / "r", benchmark=BENCHMARK, revisions=REVISIONS)
    benchmark = project.experiments / EXPERIMENT / "benchmark.py"
    later = benchmark.with_name("later.py")
    later.write_text(BENCHMARK)
    toml = benchmark.with_name("experiment.toml")
    toml.write_text(toml.read_text().replace("benchmark.py", "later.py"))
    assert compare(project, "fast", "slow", "01").verdict is Verdict.WORSE
    later.unlink()
    with pytest.raises(CompareError, match="neither B nor the working tree has"):
        compare(project, "fast", "slow", "01")


@pytest.mark.parametrize(("a", "b", "side"), [("broken", "fast", "A"), ("fast", "broken", "B")])
def test_a_revision_that_raises_is_named_and_cleaned_up(project, a, b, side):
    with pytest.raises(SampleError, match=f"Side {side}, broken .*: RuntimeError: off by one"):
        compare(project, a, b, "01")
    assert left_over(project) == []


def test_a_revision_without_what_the_benchmark_needs_is_named(project):
    with pytest.raises(SampleError, match=r"Side A, absent .*AttributeError"):
        compare(project, "absent", "fast", "01")


def test_interrupting_leaves_no_checkouts_and_no_processes(project):
    threads = threading.active_count()

    def stop(text):
        if text.startswith("Sampling: pair 5"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(project, "fast", "slow", "01", progress=stop)
    assert left_over(project) == []
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("nonsense", "fast", "01"), RevisionError, "Unknown revision 'nonsense'"),
        (("fast", "nonsense", "01"), RevisionError, "Unknown revision 'nonsense'"),
        (("fast", "slow", "99"), ExperimentError, "'99' is unknown"),
    ],
)
def test_wrong_arguments_are_refused(project, arguments, error, message):
    with pytest.raises(error, match=message):
        compare(project, *arguments)
    assert left_over(project) == []


def test_an_experiment_without_a_benchmark_is_refused(tmp_path):
    project = scratch_repository(tmp_path / "r", benchmark="", revisions=REVISIONS)
    toml = project.experiments / EXPERIMENT / "experiment.toml"
    toml.write_text(toml.read_text().replace('benchmark = "benchmark.py"\n', ""))
    with pytest.raises(CompareError, match="has no benchmark"):
        compare(project, "fast", "slow", "01")


def test_a_file_that_cannot_be_written_is_an_error(project, tmp_path):
    result = compare(project, "fast", "fast", "01")
    with pytest.raises(CompareError, match="cannot be written"):
        result.write(tmp_path / "absent" / "comparison.json")
    (tmp_path / ".cache").write_text("in the way")
    with pytest.raises(CompareError, match="cannot be made"):
        default_path(Project(tmp_path))


def test_views(project):
    result = compare(project, "fast", "slow", "01")
    assert "\n" not in repr(result)
    assert "worse" in repr(result)
    view = result._repr_html_()
    assert "<th scope='row'>Verdict</th><td>worse</td>" in view
    assert "steps" in view
    assert "<script" not in view


def test_every_error_is_one_that_the_command_line_explains():
    assert all(issubclass(error, WorkbenchError) for error in (CompareError, SampleError, RevisionError))
